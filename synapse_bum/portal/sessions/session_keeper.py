"""Sessions between requests: out of the cookie, into the cookie, and ended for good."""

import logging
from typing import Any, Final

import attr

from synapse_bum.portal.arrival import Arrival
from synapse_bum.portal.homeserver_api.homeserver_client import HomeserverClient, Origin
from synapse_bum.portal.homeserver_api.homeserver_connection import HomeserverConnection
from synapse_bum.portal.login.oidc_protocol import Grant
from synapse_bum.portal.sessions.cookies import SESSION, cookie, no_cookie
from synapse_bum.portal.sessions.records import Records
from synapse_bum.portal.sessions.sealing import KeyRing, Sealer
from synapse_bum.portal.sessions.session import TOLERATED_SKEW_MS, Limits, Session, Standing
from synapse_bum.portal.sessions.session_tokens import SessionTokens

logger = logging.getLogger(__name__)

_PURPOSE: Final = "session"
_RENEW_AFTER_MS: Final = 60_000
_REMEMBERED_MS: Final = 7 * 86_400_000
"""So long a cookie still proves whose form came in, though it opens nothing any more."""


class SessionKeeper:
    """The sessions of one portal."""

    def __init__(
        self,
        keys: KeyRing,
        records: Records,
        limits: Limits,
        *,
        tokens: SessionTokens,
        connection: HomeserverConnection,
    ) -> None:
        """Takes the keys, the tables, how long sessions last, their access tokens, and how the homeserver is asked."""
        self._keys = keys
        self._records = records
        self._tokens = tokens
        self._connection = connection
        self.limits = limits

    async def sealer(self) -> Sealer:
        """What seals records of the browser."""
        return await self._keys.sealer()

    async def session_of(self, arrival: Arrival) -> Session | None:
        """Returns the session that a request carries, whether or not it may still be used; None for none.

        A session that was ended by hand is none.
        """
        sealed = arrival.cookies.get(SESSION)
        if not sealed:
            return None
        content = (await self.sealer()).open(_PURPOSE, sealed, arrival.now_ms, _REMEMBERED_MS)
        session = None if content is None else _restored(content)
        if session is None or await self._records.is_ended(session.session_id):
            return None
        return session

    def is_alive(self, session: Session, now_ms: int) -> bool:
        """Whether a session may be used now."""
        return session.standing(self.limits, now_ms) is Standing.ALIVE

    def server(self, session: Session, address: str | None) -> HomeserverClient:
        """Returns the homeserver's APIs as this session asks them.

        Args:
            session: who asks.
            address: of his browser; None when it is not known.
        """
        return self._connection.client(Origin(self._tokens.of(session), address))

    async def begin(self, session: Session, grant: Grant) -> None:
        """Keeps the tokens that a session lives on; when that fails they are ended.

        Raises:
            Exception: the database can't be asked.
        """
        await self._tokens.keep(session.session_id, grant, session.unused_ms(self.limits))

    async def use_up(self, state: str, max_age_ms: int, now_ms: int) -> bool:
        """Uses up the state of a login by way of somebody else; whether this is the first time.

        Args:
            state: ties the way back to the way there.
            max_age_ms: how old a login under way may be.
            now_ms: ms since the epoch.
        """
        until_ms = now_ms + max_age_ms + 2 * TOLERATED_SKEW_MS
        return await self._records.claim(f"state.{state}", until_ms)

    async def cookie(self, session: Session, now_ms: int) -> str:
        """Returns the `Set-Cookie` line of a session."""
        return cookie(SESSION, (await self.sealer()).seal(_PURPOSE, attr.asdict(session), now_ms))

    async def renewal(self, session: Session, now_ms: int) -> tuple[str, ...]:
        """Returns the `Set-Cookie` line that a request needs to keep its session alive; none most of the time."""
        if now_ms - session.seen_ms < _RENEW_AFTER_MS:
            return ()
        seen = session.seen(now_ms)
        await self._tokens.prolong(seen.session_id, seen.unused_ms(self.limits))
        return (await self.cookie(seen, now_ms),)

    async def end(self, session: Session) -> str:
        """Ends a session here, at once, and its access token where that comes from.

        Returns:
            the `Set-Cookie` line that takes the cookie away.

        Raises:
            Exception: the database can't be asked; the session was not ended.
        """
        await self._records.end(session.session_id, session.over_ms(self.limits))
        await self._tokens.revoke(session.session_id)
        logger.info("%s logged out", session.user_id, extra={"user_id": session.user_id})
        return no_cookie(SESSION)

    async def let_go(self, session: Session) -> None:
        """Ends the access token of a session that was ended while an account was being deleted in its name."""
        if await self._records.is_ended(session.session_id):
            await self._tokens.revoke(session.session_id)


def _restored(content: dict[str, Any]) -> Session | None:
    try:
        return Session.of(content)
    except TypeError:
        # Sealed by another version of this package.
        return None
