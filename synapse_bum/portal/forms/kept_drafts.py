"""What stood in a form when its session ended, while the browser is away at an identity provider.

On the way there and back only an address travels along, which is too small for a form. So the sealed draft waits here,
under a random name of its own that nobody else learns. However often a login page is shown with a draft, that has one
row; and of everybody only the newest few are kept.
"""

from typing import Final

from synapse_bum.database import Component, Cursor, Database, Migration
from synapse_bum.portal.forms.draft import Draft
from synapse_bum.portal.sessions.sealing import KeyRing

DRAFTS: Final = Component(
    "portal_drafts",
    (
        Migration.both(
            1,
            "CREATE TABLE synapse_bum_portal_drafts ("
            " name TEXT NOT NULL PRIMARY KEY, sealed TEXT NOT NULL, until_ts BIGINT NOT NULL)",
            "CREATE INDEX synapse_bum_portal_drafts_until ON synapse_bum_portal_drafts (until_ts)",
        ),
        Migration.both(
            2,
            "ALTER TABLE synapse_bum_portal_drafts ADD COLUMN user_id TEXT NOT NULL DEFAULT ''",
            "CREATE INDEX synapse_bum_portal_drafts_user ON synapse_bum_portal_drafts (user_id, until_ts)",
        ),
    ),
)

_INSERT: Final = (
    "INSERT INTO synapse_bum_portal_drafts (user_id, name, sealed, until_ts) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (name) DO NOTHING"
)
# By the index on user_id and until_ts: the rows of one user, few by this very statement.
_FORGET_OLDEST: Final = (
    "DELETE FROM synapse_bum_portal_drafts WHERE user_id = ? AND name NOT IN ("
    "SELECT name FROM synapse_bum_portal_drafts WHERE user_id = ? ORDER BY until_ts DESC, name LIMIT ?)"
)
# By primary key: one row.
_SELECT: Final = "SELECT sealed FROM synapse_bum_portal_drafts WHERE name = ?"
_DELETE: Final = "DELETE FROM synapse_bum_portal_drafts WHERE name = ?"
# By the index on until_ts: only rows that go are read.
_FORGET: Final = "DELETE FROM synapse_bum_portal_drafts WHERE until_ts < ?"

_LIFETIME_MS: Final = 3_600_000
KEPT_OF_ONE: Final = 10
"""Forms of one user: more windows than anybody has open; each may have a megabyte."""


class KeptDrafts:
    """The drafts of all browsers; each is given back once."""

    def __init__(self, database: Database, keys: KeyRing) -> None:
        """Takes a database with `DRAFTS`, and what seals."""
        self._database = database
        self._keys = keys

    async def leave(self, draft: Draft, now_ms: int) -> str:
        """Keeps the form of a draft here; returns what can stand in an address in place of it, sealed."""
        sealer = await self._keys.sealer()
        if draft.fields is not None and draft.user_id is not None and draft.kept_as is not None:
            row = (draft.user_id, draft.kept_as, draft.seal(sealer, now_ms), now_ms + _LIFETIME_MS)
            await self._database.run("synapse_bum_portal_leave_draft", _leave, *row)
        return draft.without_form().seal(sealer, now_ms)

    async def fetch(self, sealed: str, now_ms: int) -> Draft | None:
        """Opens what `leave` returned; without its form when that was fetched already or waited for too long."""
        sealer = await self._keys.sealer()
        draft = Draft.open(sealed, sealer, now_ms)
        if draft is None or draft.kept_as is None:
            return draft
        kept = await self._database.run("synapse_bum_portal_fetch_draft", _fetch, draft.kept_as)
        return (None if kept is None else Draft.open(kept, sealer, now_ms)) or draft

    async def forget(self, now_ms: int) -> None:
        """Drops what has waited for too long."""
        await self._database.run("synapse_bum_portal_forget_drafts", _forget, now_ms)


def _leave(txn: Cursor, user_id: str, name: str, sealed: str, until_ms: int) -> None:
    txn.execute(_INSERT, (user_id, name, sealed, until_ms))
    txn.execute(_FORGET_OLDEST, (user_id, user_id, KEPT_OF_ONE))


def _forget(txn: Cursor, now_ms: int) -> None:
    txn.execute(_FORGET, (now_ms,))


def _fetch(txn: Cursor, name: str) -> str | None:
    txn.execute(_SELECT, (name,))
    row = txn.fetchone()
    txn.execute(_DELETE, (name,))
    return None if row is None else row[0]
