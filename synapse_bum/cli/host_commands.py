"""The commands of an operator's host: they start other programs, write folders, or need the test servers.

In a container they would find none of that, so the bundle (`scripts/make_bundle.py`) leaves their packages out.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

from synapse_bum.cli.command import Command

HOST_COMMANDS: Final[Sequence[str]] = ("backup", "demo", "offboard", "provision")
"""Their names; `synapse_bum.cli.<name>` holds the command as `<NAME>`."""


def host_command(name: str) -> Command:
    """Return one of them; where its package was left out, a command that says so."""
    package = f"synapse_bum.cli.{name}"
    try:
        found: Command = getattr(importlib.import_module(package), name.upper())
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        return _left_out(name)
    return found


def _left_out(name: str) -> Command:
    sentence = f"`synapse-bum {name}` is for the host, with the installed package; the bundle does not carry it."

    def run(_options: argparse.Namespace) -> int:
        print(f'synapse-bum: {sentence} See README, section "Install".', file=sys.stderr)
        return 1

    def take_anything(parser: argparse.ArgumentParser) -> None:
        # With an empty prefix nothing is an option, so that those of the real command lead to the sentence too.
        parser.prefix_chars = ""
        parser.add_argument("anything", nargs="*", help=argparse.SUPPRESS)

    return Command(name, "not in this bundle", sentence, take_anything, run)
