"""The access token of each session, kept here, sealed.

The row is there before the browser has its cookie, and stays until the token was ended where it comes from: by the
logout, or by `sweep.py` when nobody uses the session any more. So no token outlives its session for long, and no device
stays behind, whatever fails on the way.

Synapse's own tokens live until they are ended. One of the Matrix Authentication Service lives for minutes and has a
refresh token beside it, which works once. Requests of one browser come in at the same time and on several processes, so
one of them takes the right to renew in our table, and the others wait for what it writes there.
"""

import logging
from collections.abc import Callable
from typing import Final

import attr
from synapse.module_api import ModuleApi

from synapse_bum.database import Component, Cursor, Database, Migration
from synapse_bum.portal.accounts.begun_deletions import is_busy
from synapse_bum.portal.homeserver_api.homeserver_client import Origin, TokenSource
from synapse_bum.portal.homeserver_api.homeserver_connection import HomeserverConnection
from synapse_bum.portal.homeserver_api.outcomes import HomeserverError, UnauthorisedError, UnavailableError
from synapse_bum.portal.login.authentication_service import AuthenticationService
from synapse_bum.portal.login.oidc_protocol import Grant
from synapse_bum.portal.sessions.sealing import KeyRing
from synapse_bum.portal.sessions.session import Session

logger = logging.getLogger(__name__)

GRANTS: Final = Component(
    "portal_grants",
    (
        Migration.both(
            1,
            "CREATE TABLE synapse_bum_portal_grants ("
            " session_id TEXT NOT NULL PRIMARY KEY, sealed TEXT NOT NULL, generation BIGINT NOT NULL,"
            " renewing_until_ts BIGINT NOT NULL, until_ts BIGINT NOT NULL)",
            "CREATE INDEX synapse_bum_portal_grants_until ON synapse_bum_portal_grants (until_ts)",
        ),
    ),
)

# By primary key: one row.
_SELECT: Final = "SELECT sealed, generation FROM synapse_bum_portal_grants WHERE session_id = ?"
_INSERT: Final = (
    "INSERT INTO synapse_bum_portal_grants (session_id, sealed, generation, renewing_until_ts, until_ts)"
    " VALUES (?, ?, 0, 0, ?)"
)
_CLAIM: Final = (
    "UPDATE synapse_bum_portal_grants SET renewing_until_ts = ?"
    " WHERE session_id = ? AND generation = ? AND renewing_until_ts <= ?"
)
_RELEASE: Final = "UPDATE synapse_bum_portal_grants SET renewing_until_ts = 0 WHERE session_id = ? AND generation = ?"
_RENEW: Final = (
    "UPDATE synapse_bum_portal_grants SET sealed = ?, generation = generation + 1, renewing_until_ts = 0"
    " WHERE session_id = ? AND generation = ?"
)
_PROLONG: Final = "UPDATE synapse_bum_portal_grants SET until_ts = ? WHERE session_id = ? AND until_ts < ?"
_END: Final = "UPDATE synapse_bum_portal_grants SET until_ts = ? WHERE session_id = ? AND until_ts > ?"
_DELETE: Final = "DELETE FROM synapse_bum_portal_grants WHERE session_id = ?"
# By the index on until_ts: only rows that are to go are read, and sorted; deletions of accounts are few.
_SELECT_OVER: Final = (
    "SELECT session_id, sealed, until_ts FROM synapse_bum_portal_grants AS g WHERE until_ts < ? AND session_id > ?"
    " AND NOT EXISTS (SELECT 1 FROM synapse_bum_portal_begun_deletions AS d"
    " WHERE d.session_id = g.session_id AND d.busy_until_ts > ?) ORDER BY session_id LIMIT ?"
)

_PURPOSE: Final = "grant"
_LOGOUT: Final = "/_matrix/client/v3/logout"
_FOR_EVER_MS: Final = 2**53
"""The row goes with the session; no other end is needed."""

_OVER_AT_ONCE: Final = 20
_GIVE_UP_MS: Final = 7 * 86_400_000
"""What could not be ended for so long never will be: another server answers there by now, or none."""

_CLAIM_MS: Final = 30_000
"""Longer than a renewal may take; after that whoever has begun it is dead."""
_WAIT_S: Final = 0.25
_WAITS: Final = 60


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Kept:
    """A row."""

    grant: Grant
    generation: int


def lasting(access_token: str) -> Grant:
    """Returns the grant of a token of Synapse's own."""
    return Grant(access_token, None, _FOR_EVER_MS, _FOR_EVER_MS)


class SessionTokens:
    """The access tokens of all sessions."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        keys: KeyRing,
        *,
        connection: HomeserverConnection,
        service: AuthenticationService | None,
    ) -> None:
        """Prepares.

        Args:
            api: of the homeserver.
            database: with `GRANTS`.
            keys: what seals.
            connection: where Synapse ends tokens of its own.
            service: that gives tokens and ends them; None where Synapse does.
        """
        self._api = api
        self._database = database
        self._keys = keys
        self._connection = connection
        self._service = service

    def of(self, session: Session) -> TokenSource:
        """Returns what gives the access token of a session whenever a request needs it."""
        grant: Grant | None = None

        async def current() -> str:
            nonlocal grant
            if grant is None or self._api.get_current_time_msec() >= grant.renew_ms:
                grant = await self._current(session.session_id)
            return grant.access_token

        return current

    async def keep(self, session_id: str, grant: Grant, until_ms: int) -> None:
        """Keeps the grant of a login, or ends it.

        Args:
            session_id: of the session.
            grant: that it lives on.
            until_ms: from when on the session can't be used unless it is used before.

        Raises:
            Exception: the database can't be asked.
        """
        try:
            row = (session_id, await self._sealed(grant), until_ms)
            await self._database.run("synapse_bum_portal_keep_grant", _change, _INSERT, *row)
        except BaseException:
            await self._is_ended(grant)
            raise

    async def prolong(self, session_id: str, until_ms: int) -> None:
        """Notes that a session was used."""
        row = (until_ms, session_id, until_ms)
        await self._database.run("synapse_bum_portal_prolong_grant", _change, _PROLONG, *row)

    async def revoke(self, session_id: str) -> None:
        """Ends the grant of a session where it comes from; when nobody answers there, `end_unused` tries again.

        While an account is being deleted in the name of the session nothing is ended: whoever does that calls this
        again, or else `end_unused` ends it.
        """
        kept = await self._kept(session_id)
        now_ms = self._api.get_current_time_msec()
        await self._database.run("synapse_bum_portal_end_grant", _change, _END, now_ms, session_id, now_ms)
        if await self._database.run("synapse_bum_portal_session_is_busy", is_busy, session_id, now_ms):
            return
        if kept is None or await self._is_ended(kept.grant):
            await self._drop(session_id)

    async def end_unused(self, may_go_on: Callable[[], bool]) -> None:
        """Ends the grants of sessions that are over; what can't be ended now is left for the next time.

        Args:
            may_go_on: asked before each.
        """
        now_ms = self._api.get_current_time_msec()
        last = ""
        while over := await self._database.run("synapse_bum_portal_unused_grants", _select_over, now_ms, last):
            for session_id, sealed, until_ms in over:
                if not may_go_on():
                    return
                grant = await self._opened(sealed)
                if grant is None:
                    logger.warning("A login can't be ended: `session_key_path` lacks the key of its token")
                is_ended = grant is not None and await self._is_ended(grant)
                if is_ended or now_ms - until_ms > _GIVE_UP_MS:
                    await self._drop(session_id)
            last = over[-1][0]

    async def _drop(self, session_id: str) -> None:
        await self._database.run("synapse_bum_portal_drop_grant", _change, _DELETE, session_id)

    async def _is_ended(self, grant: Grant) -> bool:
        """Ends a grant where it comes from, its device with it; whether it is worth nothing now."""

        async def token() -> str:
            return grant.access_token

        try:
            if self._service is None:
                await self._connection.client(Origin(token, None)).post(_LOGOUT)
            else:
                await self._service.revoke(grant)
        except UnauthorisedError:
            return True
        except HomeserverError as e:
            logger.warning("An access token could not be ended yet: %s", type(e).__name__)
            return False
        return True

    async def _current(self, session_id: str) -> Grant:
        for _ in range(_WAITS):
            kept = await self._kept(session_id)
            if kept is None:
                raise UnauthorisedError("the session has no access token any more")
            now_ms = self._api.get_current_time_msec()
            if now_ms < kept.grant.renew_ms:
                return kept.grant
            if self._service is None:
                raise UnauthorisedError("nobody renews access tokens any more")
            claim = (now_ms + _CLAIM_MS, session_id, kept.generation, now_ms)
            if await self._database.run("synapse_bum_portal_claim_grant", _change, _CLAIM, *claim):
                return await self._renew(self._service, session_id, kept)
            await self._api.sleep(_WAIT_S)
        raise UnavailableError("the access token is being renewed for too long")

    async def _renew(self, service: AuthenticationService, session_id: str, kept: _Kept) -> Grant:
        try:
            renewed = await service.refresh(kept.grant)
        except UnauthorisedError:
            await self._drop(session_id)
            raise
        except BaseException as e:
            row = (session_id, kept.generation)
            await self._database.run("synapse_bum_portal_release_grant", _change, _RELEASE, *row)
            if isinstance(e, UnavailableError) and self._api.get_current_time_msec() < kept.grant.ends_ms:
                return kept.grant
            raise
        row_of_new = (await self._sealed(renewed), session_id, kept.generation)
        if not await self._database.run("synapse_bum_portal_renew_grant", _change, _RENEW, *row_of_new):
            # The session was ended meanwhile, with the token before this one.
            await self._is_ended(renewed)
            raise UnauthorisedError("the session was ended")
        return renewed

    async def _sealed(self, grant: Grant) -> str:
        sealer = await self._keys.sealer()
        return sealer.seal(_PURPOSE, attr.asdict(grant), self._api.get_current_time_msec())

    async def _kept(self, session_id: str) -> _Kept | None:
        row = await self._database.run("synapse_bum_portal_grant", _select, session_id)
        if row is None:
            return None
        sealed, generation = row
        grant = await self._opened(sealed)
        return None if grant is None else _Kept(grant, generation)

    async def _opened(self, sealed: str) -> Grant | None:
        sealer = await self._keys.sealer()
        content = sealer.open(_PURPOSE, sealed, self._api.get_current_time_msec(), _FOR_EVER_MS)
        return None if content is None else Grant(**content)


def _select(txn: Cursor, session_id: str) -> tuple[str, int] | None:
    txn.execute(_SELECT, (session_id,))
    row = txn.fetchone()
    return None if row is None else (row[0], row[1])


def _select_over(txn: Cursor, now_ms: int, last: str) -> list[tuple[str, str, int]]:
    txn.execute(_SELECT_OVER, (now_ms, last, now_ms, _OVER_AT_ONCE))
    return [(session_id, sealed, until_ms) for session_id, sealed, until_ms in txn.fetchall()]


def _change(txn: Cursor, sql: str, *row: str | int) -> bool:
    txn.execute(sql, row)
    return txn.rowcount == 1
