"""The console script `synapse-bum`: one table of commands, one file or package for each.

A new command is a `Command` in a file of its own and a line in `COMMANDS`.
"""

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from typing import Final

from synapse_bum import __version__
from synapse_bum.cli.check import CHECK
from synapse_bum.cli.command import Command
from synapse_bum.cli.export_user import EXPORT_USER
from synapse_bum.cli.host_commands import host_command
from synapse_bum.cli.invoice import INVOICE
from synapse_bum.cli.mas_config import MAS_CONFIG
from synapse_bum.cli.oidc_migrate import OIDC_MIGRATE
from synapse_bum.cli.probe import PROBE
from synapse_bum.cli.verify_audit import VERIFY_AUDIT

COMMANDS: Final[Sequence[Command]] = (
    host_command("backup"),
    CHECK,
    host_command("demo"),
    EXPORT_USER,
    INVOICE,
    MAS_CONFIG,
    host_command("offboard"),
    OIDC_MIGRATE,
    PROBE,
    host_command("provision"),
    VERIFY_AUDIT,
)

_USAGE_STATUS = 2  # as argparse ends after a wrong option
_INTERRUPTED_STATUS = 130  # 128 + SIGINT, as shells report it


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; those of the process when None.

    Returns:
        The exit status: 0 when the command did what it promises, 1 when not, 2 for a wrong command line, 130 after
        Ctrl-C.

    Raises:
        SystemExit: raised by argparse after `--help` and `--version` (0) and for wrong options (2).
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    parser = _parser()
    if not arguments:
        parser.print_help(sys.stderr)
        return _USAGE_STATUS
    _refuse_unknown_command(parser, arguments[0])
    options = parser.parse_args(arguments)
    command: Command = options.command
    try:
        status = command.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("\nsynapse-bum: interrupted", file=sys.stderr)
        return _INTERRUPTED_STATUS
    except BrokenPipeError:
        # Whoever read our output has gone. Python would complain once more when it flushes stdout at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="synapse-bum",
        description="Tools for the Synapse modules of the package synapse_bum.",
        epilog="`synapse-bum COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"synapse-bum {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        one = commands.add_parser(command.name, help=command.summary, description=command.description)
        command.add_options(one)
        one.set_defaults(command=command)
    return parser


def _refuse_unknown_command(parser: argparse.ArgumentParser, word: str) -> None:
    """End with a sentence that names the nearest command; argparse's own differs from one Python to the next."""
    names = [command.name for command in COMMANDS]
    if word.startswith("-") or word in names:
        return
    nearest = difflib.get_close_matches(word, names, n=1)
    hint = f"did you mean `{nearest[0]}`?" if nearest else f"the commands are: {', '.join(names)}"
    parser.error(f"there is no command `{word}`; {hint}")
