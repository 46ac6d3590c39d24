"""Announced maintenance and its table: what users are told before."""

from typing import Any, Final

import attr

from synapse_bum.database import Cursor

_COLUMNS: Final = "maintenance_id, from_ts, to_ts, text, created_ts"

# By primary key: one row.
_ONE: Final = f"SELECT {_COLUMNS} FROM synapse_bum_availability_maintenance WHERE maintenance_id = ?"  # noqa: S608
_PUT: Final = (
    f"INSERT INTO synapse_bum_availability_maintenance ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
    " ON CONFLICT (maintenance_id) DO UPDATE SET from_ts = excluded.from_ts, to_ts = excluded.to_ts,"
    " text = excluded.text"
)
_DELETE: Final = "DELETE FROM synapse_bum_availability_maintenance WHERE maintenance_id = ?"
# By the index on `to_ts`: those that have not ended by a moment, some at most.
_OVERLAPPING: Final = (
    f"SELECT {_COLUMNS} FROM synapse_bum_availability_maintenance"  # noqa: S608
    " WHERE to_ts > ? AND from_ts < ? AND maintenance_id <> ? ORDER BY from_ts LIMIT 1"
)
_PAGE: Final = (
    f"SELECT {_COLUMNS} FROM synapse_bum_availability_maintenance"  # noqa: S608
    " WHERE to_ts > ? ORDER BY from_ts, maintenance_id LIMIT ? OFFSET ?"
)
_COUNT: Final = "SELECT COUNT(*) FROM synapse_bum_availability_maintenance WHERE to_ts > ?"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Maintenance:
    """One announcement.

    Attributes:
        maintenance_id: made here.
        from_ts: when it begins, ms since the epoch.
        to_ts: the first moment behind it.
        text: what users read.
        created_ts: ms since the epoch.
    """

    maintenance_id: str
    from_ts: int
    to_ts: int
    text: str
    created_ts: int

    def as_json(self) -> dict[str, Any]:
        """Returns it as everybody sees it: who announced it stands in the audit."""
        return {
            "id": self.maintenance_id,
            "from_ts": self.from_ts,
            "to_ts": self.to_ts,
            "text": self.text,
            "created_ts": self.created_ts,
        }


def read_one(txn: Cursor, maintenance_id: str) -> Maintenance | None:
    """Reads one announcement."""
    txn.execute(_ONE, (maintenance_id,))
    row = txn.fetchone()
    return None if row is None else Maintenance(*row)


def overlapping(txn: Cursor, wanted: Maintenance) -> Maintenance | None:
    """Returns another announcement that has a moment in common with one."""
    txn.execute(_OVERLAPPING, (wanted.from_ts, wanted.to_ts, wanted.maintenance_id))
    row = txn.fetchone()
    return None if row is None else Maintenance(*row)


def read_page(txn: Cursor, since_ts: int, offset: int, limit: int) -> tuple[list[Maintenance], int]:
    """Reads a page of those that end after a moment, the next one first, and how many there are."""
    txn.execute(_PAGE, (since_ts, limit, offset))
    found = [Maintenance(*row) for row in txn.fetchall()]
    txn.execute(_COUNT, (since_ts,))
    row = txn.fetchone()
    return found, row[0] if row else 0


def put(txn: Cursor, maintenance: Maintenance) -> None:
    """Writes an announcement in the place of the one with the same id."""
    txn.execute(_PUT, attr.astuple(maintenance))


def delete(txn: Cursor, maintenance_id: str) -> None:
    """Takes an announcement back."""
    txn.execute(_DELETE, (maintenance_id,))
