"""What all processes must know of sessions and forms: which were ended, and which were sent already."""

from typing import Final

from synapse_bum.database import Database
from synapse_bum.database.schema import Cursor

# By primary key.
_IS_ENDED: Final = "SELECT 1 FROM synapse_bum_portal_ended_sessions WHERE session_id = ?"
_END: Final = (
    "INSERT INTO synapse_bum_portal_ended_sessions (session_id, until_ts) VALUES (?, ?)"
    " ON CONFLICT (session_id) DO NOTHING"
)
_CLAIM: Final = (
    "INSERT INTO synapse_bum_portal_sent_forms (form_id, until_ts) VALUES (?, ?) ON CONFLICT (form_id) DO NOTHING"
)
_RELEASE: Final = "DELETE FROM synapse_bum_portal_sent_forms WHERE form_id = ?"
_FINISH: Final = "UPDATE synapse_bum_portal_sent_forms SET location = ? WHERE form_id = ?"
_LOCATION: Final = "SELECT location FROM synapse_bum_portal_sent_forms WHERE form_id = ?"

# By the index on until_ts: only rows that go are read.
_FORGET_SESSIONS: Final = "DELETE FROM synapse_bum_portal_ended_sessions WHERE until_ts < ?"
_FORGET_FORMS: Final = "DELETE FROM synapse_bum_portal_sent_forms WHERE until_ts < ?"


class Records:
    """Ended sessions and sent forms."""

    def __init__(self, database: Database) -> None:
        """Takes the database with the portal's tables."""
        self._database = database

    async def is_ended(self, session_id: str) -> bool:
        """Whether a session was ended by hand."""
        return await self._database.run("synapse_bum_portal_is_ended", _has_row, _IS_ENDED, session_id)

    async def end(self, session_id: str, until_ms: int) -> None:
        """Ends a session everywhere.

        Args:
            session_id: of the session.
            until_ms: from when on it could not be used anyway.
        """
        await self._database.run("synapse_bum_portal_end", _insert, _END, (session_id, until_ms))

    async def claim(self, form_id: str, until_ms: int) -> bool:
        """Takes the right to carry out a form; only the first who asks gets it.

        Args:
            form_id: of the form.
            until_ms: from when on it could not be sent anyway, ms since the epoch.
        """
        return await self._database.run("synapse_bum_portal_claim", claim_form, form_id, until_ms)

    async def forget(self, now_ms: int) -> None:
        """Drops what has become useless."""
        await self._database.run("synapse_bum_portal_forget", _forget, now_ms)

    async def release(self, form_id: str) -> None:
        """Gives the right back: nothing was carried out."""
        await self._database.run("synapse_bum_portal_release", _execute, _RELEASE, (form_id,))

    async def finish(self, form_id: str, location: str) -> None:
        """Notes where whoever sends the form again is led."""
        await self._database.run("synapse_bum_portal_finish", _execute, _FINISH, (location, form_id))

    async def location(self, form_id: str) -> str | None:
        """Where the form led to; None while it is being carried out."""
        return await self._database.run("synapse_bum_portal_location", _location, form_id)


def claim_form(txn: Cursor, form_id: str, until_ms: int) -> bool:
    """Takes the right to carry out a form; of several at once one gets it, the others wait for its commit."""
    return _insert(txn, _CLAIM, (form_id, until_ms))


def _has_row(txn: Cursor, sql: str, key: str) -> bool:
    txn.execute(sql, (key,))
    return txn.fetchone() is not None


def _insert(txn: Cursor, insert: str, row: tuple[str, int]) -> bool:
    txn.execute(insert, row)
    return txn.rowcount == 1


def _forget(txn: Cursor, now_ms: int) -> None:
    for sql in (_FORGET_SESSIONS, _FORGET_FORMS):
        txn.execute(sql, (now_ms,))


def _execute(txn: Cursor, sql: str, row: tuple[str, ...]) -> None:
    txn.execute(sql, row)


def _location(txn: Cursor, form_id: str) -> str | None:
    txn.execute(_LOCATION, (form_id,))
    row = txn.fetchone()
    return row[0] if row else None
