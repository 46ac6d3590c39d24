"""The end of a contract, as the database remembers it: a marker that every start of Synapse with our modules obeys.

While it stands no process starts, so nobody is served in whichever way. `synapse-bum offboard` sets it, and takes it
back within the grace period. A note beside the recovery log says the same: a backup of before the closing would
otherwise open everything again.
"""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.config import SetupError
from synapse_bum.database import Component, Cursor, Database, Migration
from synapse_bum.database.schema import migrate
from synapse_bum.homeserver import before_listeners

CONTRACT_END: Final = Component(
    "contract_end",
    (
        Migration.both(
            1,
            "CREATE TABLE synapse_bum_contract_end (only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),"
            " closing_id TEXT NOT NULL, closed_ts BIGINT NOT NULL, closed_by TEXT NOT NULL,"
            " grace_days INTEGER NOT NULL)",
            # What closing has changed, as it was before, in JSON.
            "CREATE TABLE synapse_bum_contract_taken (kind TEXT NOT NULL, key TEXT NOT NULL, before TEXT NOT NULL,"
            " PRIMARY KEY (kind, key))",
        ),
    ),
)

# One row at most.
_READ: Final = "SELECT closing_id, closed_ts, closed_by, grace_days FROM synapse_bum_contract_end"
_WRITE: Final = (
    "INSERT INTO synapse_bum_contract_end (only_row, closing_id, closed_ts, closed_by, grace_days)"
    " VALUES (1, ?, ?, ?, ?)"
)
_PROLONG: Final = "UPDATE synapse_bum_contract_end SET grace_days = ?"
_FORGET: Final = "DELETE FROM synapse_bum_contract_end"
# By primary key; the others read what was taken of one kind, or all, once.
_TAKE: Final = "INSERT INTO synapse_bum_contract_taken (kind, key, before) VALUES (?, ?, ?)"
_TAKEN: Final = "SELECT key, before FROM synapse_bum_contract_taken WHERE kind = ? ORDER BY key"
_FORGET_TAKEN: Final = "DELETE FROM synapse_bum_contract_taken"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Closing:
    """That a server was closed.

    Attributes:
        closing_id: no other closing has it.
        closed_ts: when, ms since the epoch.
        closed_by: the person who ordered it.
        grace_days: how long it can be taken back.
    """

    closing_id: str
    closed_ts: int
    closed_by: str
    grace_days: int


def read_closing(txn: Cursor) -> Closing | None:
    """Reads the marker; None where the server is open."""
    txn.execute(_READ)
    row = txn.fetchone()
    return None if row is None else Closing(*row)


def write_closing(txn: Cursor, closing: Closing) -> None:
    """Sets the marker, which is not set."""
    txn.execute(_WRITE, attr.astuple(closing))


def prolong_closing(txn: Cursor, grace_days: int) -> None:
    """Changes how long the closing that stands can be taken back."""
    txn.execute(_PROLONG, (grace_days,))


def forget_closing(txn: Cursor) -> None:
    """Takes the marker away, and what was kept for taking the closing back."""
    txn.execute(_FORGET)
    txn.execute(_FORGET_TAKEN)


def take(txn: Cursor, kind: str, key: str, before: object) -> None:
    """Keeps what closing changes.

    Args:
        txn: in the transaction that changes it.
        kind: of the thing.
        key: of the thing.
        before: how it was; a JSON value.
    """
    txn.execute(_TAKE, (kind, key, json.dumps(before)))


def taken(txn: Cursor, kind: str) -> list[tuple[str, Any]]:
    """Reads what closing has changed of one kind: key, and how it was."""
    txn.execute(_TAKEN, (kind,))
    return [(key, json.loads(before)) for key, before in txn.fetchall()]


def closing_note(recovery_log: Path) -> Path:
    """Where it is noted outside the database that the server was closed."""
    return recovery_log.with_name(f"{recovery_log.name}.closed")


def refuse_when_noted(recovery_log: Path) -> None:
    """End the start of a server that was closed, whatever its database says.

    Raises:
        SetupError: it is closed.
    """
    note = closing_note(recovery_log)
    if note.exists():
        raise SetupError(
            f"this server was closed at the end of its contract and serves nobody: {note} says so, whichever backup was"
            " restored; `synapse-bum offboard --stage reopen` opens it again within the grace period"
            " (docs/vertragsende.md)"
        )


def refuse_when_closed(api: ModuleApi) -> None:
    """End the start of a server that was closed; to be called while modules are made, before any listener opens.

    Raises:
        SetupError: it is closed.
        Exception: the database's own, when it can't be told.
    """
    if before_listeners.is_in_memory(api):
        return
    dialect = Database(api).dialect

    def read(txn: LoggingTransaction) -> Closing | None:
        migrate(txn, dialect, (CONTRACT_END,))
        return read_closing(txn)

    closing = before_listeners.run_before_listeners(api, "synapse_bum_contract_end", read)
    if closing is not None:
        day = datetime.fromtimestamp(closing.closed_ts / 1000, timezone.utc).strftime("%Y-%m-%d")
        raise SetupError(
            f"this server was closed on {day} at the end of its contract and serves nobody; `synapse-bum offboard"
            " --stage reopen` opens it again within the grace period (docs/vertragsende.md)"
        )
