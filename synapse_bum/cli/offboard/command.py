"""The command `synapse-bum offboard`.

What reads databases takes Synapse along, which takes seconds: it is imported when this command runs.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

from synapse_bum.cli.command import Command

_GRACE_DAYS: Final = range(1, 366)
_WRONG_OPTIONS: Final = 2
_CLOSE, _REOPEN, _ERASE = "close", "reopen", "erase"


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) in _GRACE_DAYS):
        raise argparse.ArgumentTypeError(f"must be a number from {_GRACE_DAYS.start} to {_GRACE_DAYS.stop - 1}")
    return int(text)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--config-path",
        action="append",
        type=Path,
        default=[],
        metavar="PATH",
        help="homeserver.yaml, or a folder of YAML files; repeat it as for Synapse",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--stage",
        choices=(_CLOSE, _REOPEN, _ERASE),
        help="close everything; open it again within the grace period; erase everything after it",
    )
    what.add_argument("--check-report", type=Path, metavar="FILE", help="check a signed report")
    parser.add_argument(
        "--public-key",
        metavar="KEY",
        help="with --check-report: the server's, in Base64; without it the origin is not proved",
    )
    parser.add_argument("--confirm", metavar="SERVER_NAME", help="the whole name of the server")
    parser.add_argument(
        "--journal", type=Path, metavar="FILE", help="what was ordered and done; outside of everything that is erased"
    )
    parser.add_argument("--by", metavar="NAME", help="who orders it; the erasing needs another person than the closing")
    parser.add_argument("--reason", metavar="TEXT", help="with close and reopen: for the audit")
    parser.add_argument(
        "--dry-run", action="store_true", help="look and say what would be done; do it before --stage erase"
    )
    parser.add_argument(
        "--grace-days", type=_days, metavar="N", help="with close: 1 to 365 (30); closed already: only more"
    )
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--data-returned", metavar="DATE", help="with erase: when the customer got his data, YYYY-MM-DD")
    data.add_argument("--return-declined", action="store_true", help="with erase: the customer did not want them")
    backups = parser.add_mutually_exclusive_group()
    backups.add_argument(
        "--repository", metavar="LOCATION", help="with erase: the backups, as for `synapse-bum backup`"
    )
    backups.add_argument("--repository-file", type=Path, metavar="FILE", help="file with that location")
    backups.add_argument("--no-backups", action="store_true", help="with erase: there are none; the report says so")
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="with the password of the repository")
    parser.add_argument(
        "--include",
        action="append",
        type=Path,
        default=[],
        metavar="PATH",
        help="with erase: one more file that goes, such as a worker's configuration with its logs, or a whole folder",
    )
    parser.add_argument(
        "--leave",
        action="append",
        default=[],
        metavar="NAME",
        help="with erase: a storage provider's module or a file of the configuration that somebody else erases",
    )
    parser.add_argument(
        "--work-dir",
        action="append",
        type=Path,
        default=[],
        metavar="DIR",
        help="with erase: one more work folder of `synapse-bum backup`, beside the usual ones; what a killed backup has"
        " left there goes",
    )
    parser.add_argument(
        "--despite-holds", action="store_true", help="with erase: what is on hold goes too; the report counts the holds"
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="with erase: the signed report (the journal's name and .report.json)",
    )


def _run(options: argparse.Namespace) -> int:
    from synapse_bum.cli.backup.failure import BackupError  # noqa: PLC0415 - see above
    from synapse_bum.cli.check.configuration import ConfigurationError  # noqa: PLC0415 - the same
    from synapse_bum.cli.offboard import stages  # noqa: PLC0415 - the same
    from synapse_bum.cli.offboard.failure import OffboardError  # noqa: PLC0415 - the same
    from synapse_bum.cli.stopped_synapse import SynapseRunsError  # noqa: PLC0415 - the same
    from synapse_bum.homeserver.offline_database import OfflineDatabaseError  # noqa: PLC0415 - the same

    wrong = _wrong_options(options)
    if wrong is not None:
        _complain(wrong)
        return _WRONG_OPTIONS
    stage = {_CLOSE: stages.close, _REOPEN: stages.reopen, _ERASE: stages.erase, None: stages.check_report}
    try:
        stage[options.stage](options)
    except (OffboardError, BackupError, ConfigurationError, OfflineDatabaseError, SynapseRunsError) as error:
        _complain(str(error))
        return 1
    except OSError as error:
        _complain(f"{error.filename or 'a file'}: {error.strerror or error}")
        return 1
    return 0


def _wrong_options(options: argparse.Namespace) -> str | None:
    if options.check_report is not None:
        return None
    needed = {
        "-c": options.config_path,
        "--confirm": options.confirm,
        "--journal": options.journal,
        "--by": (options.by or "").strip(),
    }
    missing = [name for name, value in needed.items() if not value]
    if missing:
        return f"--stage needs {', '.join(missing)}"
    unreadable = [f"--{name}" for name in ("by", "reason") if not (getattr(options, name) or "").isprintable()]
    if unreadable:
        return f"{', '.join(unreadable)}: must be one line of readable text, without a character that nobody sees"
    if options.public_key is not None:
        return "--public-key belongs to --check-report"
    if options.grace_days is not None and options.stage != _CLOSE:
        return "--grace-days belongs to --stage close"
    return None


def _complain(sentence: str) -> None:
    print(f"synapse-bum offboard: {sentence}", file=sys.stderr, flush=True)


OFFBOARD: Final = Command(
    name="offboard",
    summary="end a contract: close a server, later erase it, with a signed report",
    description="Two steps, ordered by two people, with a grace period between them. Closing ends every session and"
    " keeps the server from starting; erasing deletes backups, files, database, logs and keys, and writes a signed"
    " report. Synapse must be stopped.",
    add_options=_add_options,
    run=_run,
)
