"""The command `synapse-bum export-user`.

What knows the homeserver takes Synapse along, which takes seconds: it is imported when this command runs.
"""

import argparse
import signal
import sys
from pathlib import Path
from typing import Final, NoReturn

from synapse_bum.cli.command import Command

_SIGNALLED: Final = 128  # and the signal's number, as shells report it


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user_id", metavar="USER_ID", help="the person, @name:server")
    parser.add_argument(
        "-c",
        "--config-path",
        action="append",
        type=Path,
        required=True,
        metavar="PATH",
        help="homeserver.yaml, or a folder of YAML files; repeat it as for Synapse",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the folder to make; it must not exist yet"
    )
    parser.add_argument(
        "--requested-by", metavar="TEXT", help="who asked for it, for the audit: a person, a ticket, a file number"
    )


def _run(options: argparse.Namespace) -> int:
    from synapse_bum.cli.check.configuration import ConfigurationError, read_configuration  # noqa: PLC0415 - see above
    from synapse_bum.cli.export_user.destination import DestinationError  # noqa: PLC0415 - the same
    from synapse_bum.cli.export_user.exporting import Exporter, ExportError  # noqa: PLC0415 - the same
    from synapse_bum.database.schema import SchemaTooNewError  # noqa: PLC0415 - the same
    from synapse_bum.homeserver.database_snapshot import ReadableDatabase  # noqa: PLC0415 - the same
    from synapse_bum.homeserver.offline_database import (  # noqa: PLC0415 - the same
        OfflineDatabaseError,
        database_settings,
    )
    from synapse_bum.homeserver.personal_files import MediaPlacesError  # noqa: PLC0415 - the same

    try:
        homeserver = read_configuration(options.config_path)
        server_name = _server_name(homeserver)
        _check_person(options.user_id, server_name)
        if options.requested_by is not None and not options.requested_by.strip():
            raise ConfigurationError("--requested-by is empty")
        database = ReadableDatabase(database_settings(homeserver))
        for number in (signal.SIGTERM, signal.SIGHUP):
            # Who ignores it, as `nohup` does, wants it ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _end)
        done = Exporter(homeserver, database, server_name, options.requested_by).export(options.user_id, options.out)
    except (
        ConfigurationError,
        DestinationError,
        ExportError,
        MediaPlacesError,
        OfflineDatabaseError,
        SchemaTooNewError,
    ) as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"nothing was exported: {error.filename or options.out}: {error.strerror or error}")
    print(
        f"{options.out}: {done.rooms} rooms, {done.messages} messages, {done.copied} of {done.files} files"
        f" ({done.file_bytes} bytes)"
    )
    if done.copied < done.files:
        print("files/index.csv says why the other files are not in it")
    if done.out_of_reach:
        return _failed(
            f"{done.out_of_reach} files could not be had where they are (`reason` in data/files.json): repair that and"
            " export once more into another folder, or add them by hand"
        )
    return 0


def _server_name(homeserver: dict[str, object]) -> str:
    from synapse_bum.cli.check.configuration import ConfigurationError  # noqa: PLC0415 - see the head of this file

    name = homeserver.get("server_name")
    if not isinstance(name, str) or not name:
        raise ConfigurationError("homeserver.yaml has no `server_name`")
    return name


def _check_person(user_id: str, server_name: str) -> None:
    from synapse_bum.cli.check.configuration import ConfigurationError  # noqa: PLC0415 - see the head of this file
    from synapse_bum.identifiers import is_line, is_user_id  # noqa: PLC0415 - the same

    if not is_user_id(user_id):
        shown = user_id if is_line(user_id) else "this"
        raise ConfigurationError(f"{shown} is no user id; it must be like @name:{server_name}")
    if user_id.partition(":")[2] != server_name:
        raise ConfigurationError(
            f"{user_id} is a user of another server, which keeps the account; this is {server_name}"
        )


def _failed(sentence: str) -> int:
    print(f"synapse-bum export-user: {sentence}", file=sys.stderr)
    return 1


def _end(number: int, _frame: object) -> NoReturn:
    """Ends as after an error, which removes what was not finished."""
    sys.exit(_SIGNALLED + number)


EXPORT_USER: Final = Command(
    name="export-user",
    summary="what the server keeps about one person, files included",
    description="Writes what the server keeps about one person into a new folder, for an answer to that person"
    " (Art. 15 and 20 GDPR): machine-readable and readable, with files. Synapse may run.",
    add_options=_add_options,
    run=_run,
)
