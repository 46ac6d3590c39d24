"""The command `synapse-bum backup`.

What reads databases takes Synapse along, which takes seconds: it is imported when this command runs.
"""

import argparse
import re
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Final

from synapse_bum.cli.backup.workroom import WORK_DIRS
from synapse_bum.cli.command import Command

_KEPT_DAYS: Final = range(7, 15)
_SUBSET: Final = re.compile(r"100%|[1-9]?[0-9](\.[0-9]+)?%|[0-9]+/[0-9]+|[0-9]+[KMGT]", re.ASCII)
_WRONG_OPTIONS: Final = 2
_LACKS_FILES: Final = 3


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) in _KEPT_DAYS):
        raise argparse.ArgumentTypeError(f"must be a number from {_KEPT_DAYS.start} to {_KEPT_DAYS.stop - 1}")
    return int(text)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError("must be a number")
    return int(text)


def _subset(text: str) -> str:
    if _SUBSET.fullmatch(text) is None:
        raise argparse.ArgumentTypeError("must be a share such as `10%`, `1/7` or a size such as `500M`")
    return text


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--config-path",
        action="append",
        type=Path,
        default=[],
        metavar="PATH",
        help="homeserver.yaml, or a folder of YAML files; repeat it as for Synapse; not needed with --restore",
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--repository", metavar="LOCATION", help="of restic: a folder, `s3:https://...`, `sftp:...`; without a password"
    )
    where.add_argument(
        "--repository-file", type=Path, metavar="FILE", help="file with the location, when that holds a password"
    )
    parser.add_argument(
        "--password-file", type=Path, required=True, metavar="FILE", help="file with the password of the repository"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--init", action="store_true", help="make the repository first")
    what.add_argument(
        "--verify", action="store_true", help="prove that the last backup can be used: restore it, start it, look"
    )
    what.add_argument(
        "--restore", type=Path, metavar="DIR", help="bring a backup back, into a new folder and an empty database"
    )
    parser.add_argument(
        "--work-dir",
        type=Path,
        metavar="DIR",
        help=f"folder with space for the database, with --verify for media too ({WORK_DIRS}/SERVER)",
    )
    parser.add_argument(
        "--keep-days", type=_days, default=_KEPT_DAYS.stop - 1, metavar="N", help="delete older backups: 7 to 14 (14)"
    )
    parser.add_argument(
        "--include",
        action="append",
        type=Path,
        default=[],
        metavar="PATH",
        help="one more small file, or a folder of them, such as workers' configuration",
    )
    parser.add_argument(
        "--read-data", type=_subset, default="10%", metavar="SHARE", help="with --verify: how much is read (10%%)"
    )
    parser.add_argument("--run", metavar="ID", help="with --restore: which backup; the last one without it")
    parser.add_argument(
        "--database",
        metavar="CONNINFO",
        help="PostgreSQL, as libpq takes it, without a password (PGPASSFILE): with --restore an empty database, with"
        " --verify one of a server where another can be made; that of homeserver.yaml without it",
    )
    parser.add_argument(
        "--take-over",
        action="store_true",
        help="the last backup was written by a server that this one has replaced for good; needed once",
    )
    parser.add_argument(
        "--lost-files",
        type=_number,
        default=0,
        metavar="N",
        help="so many files of users are known to be lost; with more the backup ends with 3 (0)",
    )
    parser.add_argument("--metrics-file", type=Path, metavar="FILE", help="a file for node_exporter, *.prom")


def _run(options: argparse.Namespace) -> int:
    from synapse_bum.homeserver.requirements import BACKUP_COMMAND, UnsupportedSynapseError, check  # noqa: PLC0415

    try:
        check(BACKUP_COMMAND)
    except UnsupportedSynapseError as error:
        _complain(str(error))
        return 1
    from synapse_bum.cli.backup.actions import back_up, bring_back, prove  # noqa: PLC0415 - see above
    from synapse_bum.cli.backup.failure import BackupError, FilesLostError  # noqa: PLC0415 - the same
    from synapse_bum.cli.check.configuration import ConfigurationError  # noqa: PLC0415 - the same
    from synapse_bum.homeserver.offline_database import OfflineDatabaseError  # noqa: PLC0415 - the same

    wrong = _wrong_options(options)
    if wrong is not None:
        _complain(wrong)
        return _WRONG_OPTIONS
    # systemd stops a service so: what was put together is removed then, too.
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        if options.restore is not None:
            bring_back(options)
        elif options.verify:
            prove(options)
        else:
            back_up(options)
    except FilesLostError as error:
        _complain(str(error))
        return _LACKS_FILES
    except (BackupError, ConfigurationError, OfflineDatabaseError) as error:
        _complain(str(error))
        return 1
    except OSError as error:
        _complain(f"{error.filename or 'a file'}: {error.strerror or error}")
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _wrong_options(options: argparse.Namespace) -> str | None:
    if not options.config_path and options.restore is None:
        return "-c is needed: which homeserver?"
    if options.run is not None and options.restore is None:
        return "--run belongs to --restore"
    if options.database is not None and options.restore is None and not options.verify:
        return "--database belongs to --restore and --verify: a backup is made of the database in homeserver.yaml"
    if (options.take_over or options.lost_files) and (options.restore is not None or options.verify):
        return "--take-over and --lost-files belong to a backup"
    if options.metrics_file is not None and options.metrics_file.suffix != ".prom":
        return "--metrics-file must end in .prom: node_exporter reads no other"
    return None


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _complain(sentence: str) -> None:
    print(f"synapse-bum backup: {sentence}", file=sys.stderr, flush=True)


BACKUP: Final = Command(
    name="backup",
    summary="back up a homeserver, prove that the backup can be used, bring it back",
    description="Saves database, media, keys and configuration in an encrypted repository of restic, and deletes what"
    " is older than it may be. Synapse goes on meanwhile.",
    add_options=_add_options,
    run=_run,
)
