"""Deletions of accounts that were begun and are not finished: by whom, how far they came, and why they stopped.

A deletion is done in the name of an administrator, with his session: a process that dies takes it with it. The row
stays, so that the account says what it is, and whoever continues does so in his own name. It goes when the deletion is
finished, when nothing was done, or when somebody unlocks the account.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, Final

import attr

from synapse_bum.database import Component, Cursor, Database, Migration

BEGUN_DELETIONS: Final = Component(
    "portal_begun_deletions",
    (
        Migration.both(
            1,
            # `busy_until_ts` is 0 where it stopped; `stopped` says why. `session_id` is of whoever does it now.
            "CREATE TABLE synapse_bum_portal_begun_deletions (user_id TEXT NOT NULL PRIMARY KEY,"
            " begun_by TEXT NOT NULL, begun_ts BIGINT NOT NULL, stage TEXT NOT NULL, session_id TEXT NOT NULL,"
            " busy_until_ts BIGINT NOT NULL, stopped TEXT, sentence TEXT)",
        ),
    ),
)

BUSY_MS: Final = 180_000
"""So long after its last sign a deletion counts as being done: longer than any single request of it may take."""

_COLUMNS: Final = "user_id, begun_by, begun_ts, stage, busy_until_ts, stopped, sentence"
# By primary key.
_READ: Final = f"SELECT {_COLUMNS} FROM synapse_bum_portal_begun_deletions WHERE user_id = ?"  # noqa: S608 - our own text
_BEGIN: Final = (
    "INSERT INTO synapse_bum_portal_begun_deletions"
    " (user_id, begun_by, begun_ts, stage, session_id, busy_until_ts) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (user_id) DO UPDATE SET session_id = excluded.session_id, busy_until_ts = excluded.busy_until_ts,"
    " stopped = NULL, sentence = NULL WHERE synapse_bum_portal_begun_deletions.busy_until_ts <= ?"
)
_REACH: Final = (
    "UPDATE synapse_bum_portal_begun_deletions SET stage = ?, busy_until_ts = ? WHERE user_id = ? AND session_id = ?"
)
_STOP: Final = (
    "UPDATE synapse_bum_portal_begun_deletions SET busy_until_ts = 0, stopped = ?, sentence = ?"
    " WHERE user_id = ? AND session_id = ?"
)
_FORGET: Final = "DELETE FROM synapse_bum_portal_begun_deletions WHERE user_id = ?"
# The table whole: a row for each deletion that is not finished.
_IS_BUSY: Final = "SELECT 1 FROM synapse_bum_portal_begun_deletions WHERE session_id = ? AND busy_until_ts > ?"


class Stage(Enum):
    """How far a deletion has come."""

    BEGUN = "begun"
    """Nothing is known to be done yet."""
    SHUT_OUT = "shut_out"
    """Nobody can use the account; whatever happens now, the deletion is done in part."""
    FILES = "files"
    """Its files are hidden or gone."""
    LINKS = "links"
    """Its addresses and its links to identity providers are gone; only the account is left."""


class Stopped(Enum):
    """Why a deletion does not go on by itself."""

    HELD = "held"
    """Something of the account is on hold."""
    REFUSED = "refused"
    """The server has refused a step."""
    UNAVAILABLE = "unavailable"
    """The server did not answer."""
    LOGGED_OUT = "logged_out"
    """The session in whose name it was done is over."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class BegunDeletion:
    """A row.

    Attributes:
        user_id: whose account.
        begun_by: user id of the administrator who has begun it.
        begun_ts: when, in ms since the epoch.
        stage: how far it has come.
        busy_until_ts: until then somebody is doing it.
        stopped: why it stopped; None while it is being done, and where its process died.
        sentence: of the server that refused.
    """

    user_id: str
    begun_by: str
    begun_ts: int
    stage: Stage
    busy_until_ts: int
    stopped: Stopped | None
    sentence: str | None

    @property
    def is_partly_done(self) -> bool:
        """Whether something was done already."""
        return self.stage is not Stage.BEGUN

    @property
    def why(self) -> str:
        """Why it does not go on, for the texts."""
        return "died" if self.stopped is None else self.stopped.value

    def is_busy(self, now_ms: int) -> bool:
        """Whether somebody is doing it now; ms since the epoch."""
        return self.busy_until_ts > now_ms


class BegunDeletions:
    """All rows."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        """Takes the database with `BEGUN_DELETIONS`, and the clock."""
        self._database = database
        self._now_ms = now_ms

    async def get(self, user_id: str) -> BegunDeletion | None:
        """The deletion of an account; None where none was begun."""
        return await self._database.run("synapse_bum_portal_begun_deletion", _read, user_id)

    async def begin(self, user_id: str, by: str, session_id: str) -> BegunDeletion | None:
        """Begins a deletion, or takes up one that stopped.

        Args:
            user_id: whose account.
            by: who begins.
            session_id: in whose name it is done from now on.

        Returns:
            the deletion as it stands; None while somebody else does it.
        """
        row = (user_id, by, self._now_ms(), Stage.BEGUN.value, session_id)
        return await self._database.run("synapse_bum_portal_begin_deletion", _begin, row)

    async def reach(self, user_id: str, session_id: str, stage: Stage) -> None:
        """Notes how far it has come, and that it goes on."""
        row = (stage.value, self._now_ms() + BUSY_MS, user_id, session_id)
        await self._database.run("synapse_bum_portal_reach_deletion", _execute, _REACH, row)

    async def stop(self, user_id: str, session_id: str, why: Stopped, sentence: str | None) -> None:
        """Notes that it does not go on."""
        row = (why.value, sentence, user_id, session_id)
        await self._database.run("synapse_bum_portal_stop_deletion", _execute, _STOP, row)

    async def forget(self, user_id: str) -> None:
        """Drops the row: it is finished, or given up."""
        await self._database.run("synapse_bum_portal_forget_deletion", _execute, _FORGET, (user_id,))


def is_busy(txn: Cursor, session_id: str, now_ms: int) -> bool:
    """Whether a deletion is being done in the name of a session, whose access token must live on for it."""
    txn.execute(_IS_BUSY, (session_id, now_ms))
    return txn.fetchone() is not None


def _read(txn: Cursor, user_id: str) -> BegunDeletion | None:
    txn.execute(_READ, (user_id,))
    row: Any = txn.fetchone()
    if row is None:
        return None
    found_id, begun_by, begun_ts, stage, busy_until_ts, stopped, sentence = row
    why = None if stopped is None else Stopped(stopped)
    return BegunDeletion(found_id, begun_by, begun_ts, Stage(stage), busy_until_ts, why, sentence)


def _begin(txn: Cursor, row: tuple[str, str, int, str, str]) -> BegunDeletion | None:
    now_ms = row[2]
    txn.execute(_BEGIN, (*row, now_ms + BUSY_MS, now_ms))
    return _read(txn, row[0]) if txn.rowcount == 1 else None


def _execute(txn: Cursor, sql: str, row: tuple[object, ...]) -> None:
    txn.execute(sql, row)
