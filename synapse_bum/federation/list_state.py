"""What is known of the signed list, in one row. Everything here runs inside a caller's transaction."""

from typing import Final

import attr

from synapse_bum.database import Cursor

_COLUMNS: Final = "version, expires_ts, verified_ts, checked_ts, error, pending, pending_since_ts"

# One row.
_SELECT: Final = f"SELECT {_COLUMNS} FROM synapse_bum_federation_list"  # noqa: S608
_UPDATE: Final = (
    "UPDATE synapse_bum_federation_list SET version = ?, expires_ts = ?, verified_ts = ?, checked_ts = ?, error = ?,"
    " pending = ?, pending_since_ts = ?"
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ListState:
    """The list that is in force, and how the last look at it went.

    Attributes:
        version: of the list in force; None before the first one.
        expires_ts: the first moment in which it is not believed any more, by its own word; ms since the epoch.
        verified_ts: when it was last seen at its source with a good signature.
        checked_ts: when somebody last looked.
        error: why the last look changed nothing; None when all is well.
        pending: the signed text of a list that waits for `confirm`.
        pending_since_ts: since when.
    """

    version: int | None = None
    expires_ts: int | None = None
    verified_ts: int | None = None
    checked_ts: int | None = None
    error: str | None = None
    pending: str | None = attr.ib(default=None, repr=False)
    pending_since_ts: int | None = None


def read(txn: Cursor) -> ListState:
    """Reads the row."""
    txn.execute(_SELECT)
    row = txn.fetchone()
    if row is None:
        raise LookupError("the state of the signed list is missing")
    return ListState(*row)


def write(txn: Cursor, state: ListState) -> None:
    """Writes the row."""
    txn.execute(_UPDATE, attr.astuple(state))


def believed(txn: Cursor) -> tuple[int | None, int | None]:
    """Reads when the list in force was last confirmed, and when it ends by its own word."""
    state = read(txn)
    return state.verified_ts, state.expires_ts
