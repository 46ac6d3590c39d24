"""The command `synapse-bum check`."""

import argparse
import sys
from pathlib import Path

from synapse_bum.cli.check.configuration import ConfigurationError
from synapse_bum.cli.check.remark import Level
from synapse_bum.cli.command import Command


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--config-path",
        action="append",
        type=Path,
        required=True,
        metavar="PATH",
        help="homeserver.yaml, or a folder of YAML files; repeat it as for Synapse",
    )
    parser.add_argument("--offline", action="store_true", help="do not connect to the scanner")


def _run(options: argparse.Namespace) -> int:
    # Takes Synapse along, which takes seconds: other commands don't wait for it.
    from synapse_bum.cli.check.checks import check  # noqa: PLC0415

    levels = set()
    try:
        for remark in check(options.config_path, ask_scanner=not options.offline):
            levels.add(remark.level)
            print(f"{remark.level.value:7} {remark.text}")
    except ConfigurationError as error:
        print(f"synapse-bum check: {error}", file=sys.stderr)
        return 1
    return int(Level.ERROR in levels)


CHECK = Command(
    name="check",
    summary="say what is wrong with a configuration, and what it leaves open",
    description="Reads homeserver.yaml with the modules in it, asks the scanner, and prints errors and warnings."
    " Ends with 1 when there is an error.",
    add_options=_add_options,
    run=_run,
)
