"""The command `synapse-bum verify-audit`.

What knows the homeserver takes Synapse along, which takes seconds: it is imported when this command runs.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

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
    parser.add_argument(
        "--log",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="a JSON log of audit rows, kept on another machine: its hashes must be those of the rows; repeat it for"
        " rotated parts",
    )


def _run(options: argparse.Namespace) -> int:
    from synapse_bum.audit.chain import first_broken  # noqa: PLC0415 - see above
    from synapse_bum.audit.table import AUDIT_TABLE, read_chain  # noqa: PLC0415 - the same
    from synapse_bum.cli.check.configuration import ConfigurationError, read_configuration  # noqa: PLC0415 - the same
    from synapse_bum.cli.verify_audit.known_hashes import (  # noqa: PLC0415 - the same
        OtherRowError,
        compared,
        read_known_hashes,
    )
    from synapse_bum.homeserver.database_snapshot import ReadableDatabase  # noqa: PLC0415 - the same
    from synapse_bum.homeserver.offline_database import (  # noqa: PLC0415 - the same
        OfflineDatabaseError,
        database_settings,
    )

    try:
        database = ReadableDatabase(database_settings(read_configuration(options.config_path)))
        # Before the rows: a line is written after its row's commit, so that none is ahead of the database.
        known = read_known_hashes(_lines(options.log))
        if options.log and not known:
            return _failed("--log: there is no line about an audit row; write them as config-samples/log.yaml does")
        with database.snapshot() as snapshot:
            if not snapshot.columns(AUDIT_TABLE):
                return _failed("this database has no audit: no module of synapse_bum has started with it yet")
            head, rows = read_chain(snapshot)
            broken = first_broken(head, compared(rows, known))
    except (ConfigurationError, LookupError, OfflineDatabaseError, OtherRowError) as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{error.filename}: {error.strerror}")
    if broken is not None:
        return _failed(f"row {broken} was changed, added or is missing: what is before it is as it was written")
    missing = sorted(row_id for row_id in known if row_id > head.id)
    if missing:
        return _failed(
            f"the log has {len(missing)} rows behind the newest one of the database, from {missing[0]} on: they were"
            " removed, or an older backup was restored"
        )
    in_log = sum(head.dropped_id < row_id for row_id in known)
    with_log = f"; {in_log} of them are in the log, with the same hash" if options.log else ""
    print(f"the audit is whole: {head.id - head.dropped_id} rows up to row {head.id}, hash {head.hash}{with_log}")
    return 0


def _lines(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        with path.open(encoding="utf-8", errors="replace") as file:
            yield from file


def _failed(sentence: str) -> int:
    print(f"synapse-bum verify-audit: {sentence}", file=sys.stderr)
    return 1


VERIFY_AUDIT: Final = Command(
    name="verify-audit",
    summary="whether the audit in the database is as it was written",
    description="Verifies the chain of audit rows in the homeserver's database, and compares it with a log that was"
    " kept elsewhere. Reads only; Synapse may run.",
    add_options=_add_options,
    run=_run,
)
