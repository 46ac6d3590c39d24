"""The hashes of audit rows that a log has kept, away from whoever could write the database.

`config-samples/log.yaml` writes a line of JSON for each row (`synapse.logging.TerseJsonFormatter`), with its number as
`audit_id` and its `hash`. Lines about anything else may stand between them. After a backup was restored, rows are
numbered from there once more: a number may then have several hashes, and a row must have one of them.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from synapse_bum.audit import Row

KnownHashes = Mapping[int, frozenset[str]]
"""Hashes by the number of the row."""


class OtherRowError(Exception):
    """A row of the database is not the one that the log has."""

    def __init__(self, row_id: int) -> None:
        super().__init__(f"row {row_id} has another hash than the log has written down for it")


def read_known_hashes(lines: Iterable[str]) -> KnownHashes:
    """Picks out what a log says about audit rows.

    Args:
        lines: of one or more files, in whatever order; a torn one is passed over, as is all about something else.
    """
    found: defaultdict[int, set[str]] = defaultdict(set)
    for line in lines:
        if '"audit_id"' not in line:
            continue
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if not isinstance(record, dict):
            continue
        row_id, row_hash = record.get("audit_id"), record.get("hash")
        if type(row_id) is int and isinstance(row_hash, str):
            found[row_id].add(row_hash)
    return {row_id: frozenset(hashes) for row_id, hashes in found.items()}


def compared(rows: Iterable[Row], known: KnownHashes) -> Iterator[Row]:
    """Hands on rows that are as the log has them, or that the log does not have.

    Raises:
        OtherRowError: one is not.
    """
    for row in rows:
        if row.id in known and row.hash not in known[row.id]:
            raise OtherRowError(row.id)
        yield row
