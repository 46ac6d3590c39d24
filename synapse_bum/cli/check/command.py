"""The command `synapse-bum check`."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from synapse_bum.antivirus.config import AntivirusConfig
from synapse_bum.cli.check.antivirus import policy_remarks, scanner_remarks
from synapse_bum.cli.check.configuration import ConfigurationError, read_configuration
from synapse_bum.cli.check.listeners import listener_remarks
from synapse_bum.cli.check.modules import load_modules
from synapse_bum.cli.check.remark import Level, Remark
from synapse_bum.cli.command import Command


def check(paths: list[Path], *, ask_scanner: bool) -> Iterator[Remark]:
    """Look at a configuration.

    Args:
        paths: as Synapse gets them with `-c`.
        ask_scanner: whether scanners may be connected.

    Yields:
        What there is to say.

    Raises:
        ConfigurationError: a file can't be read.
    """
    homeserver = read_configuration(paths)
    configs, wrong = load_modules(homeserver)
    yield from wrong
    for config in configs.values():
        if isinstance(config, AntivirusConfig):
            yield from policy_remarks(config)
            if ask_scanner:
                yield from scanner_remarks(config)
    yield from listener_remarks(homeserver, configs)


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
