"""The command `synapse-bum demo`: its options. What it plays is loaded when it plays, and not for other commands."""

import argparse
from typing import Final

from synapse_bum.cli.command import Command

KEEP_VARIABLE: Final = "KEEP"
"""Environment variable with the meaning of `--keep`; `0` and an empty value are as if it were not there."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keep",
        action="store_true",
        help=f"keep the servers running afterwards, until Ctrl-C ({KEEP_VARIABLE}=1 in the environment does the same)",
    )


def _run(options: argparse.Namespace) -> int:
    from synapse_bum.cli.demo.playing import run  # noqa: PLC0415 - see the head of this file

    return run(options)


DEMO: Final = Command(
    name="demo",
    summary="play the main jobs on a real homeserver and a real clamd",
    description=(
        "Starts a Synapse on SQLite with the modules, a clamd, a small identity provider, and for a moment a second"
        " Synapse as a partner, all on the loopback interface and in temporary folders; plays the main jobs on real"
        " files, and says line by line what happened. The exit status is 0 when all was as promised. Takes about 50 s,"
        " or a minute or two more where official signatures are installed."
    ),
    add_options=_add_options,
    run=_run,
)
