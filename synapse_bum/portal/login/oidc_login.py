"""The way in where the Matrix Authentication Service has the accounts: OpenID Connect with PKCE.

A link of ours leads to the service. State, nonce and verifier are sealed into a cookie before; only a browser that
brings it back gets in, with a code that nobody else can use.
"""

import logging
from http import HTTPStatus
from typing import Final

import attr

from synapse_bum.portal.addresses import OIDC_RETURN, url
from synapse_bum.portal.arrival import Arrival
from synapse_bum.portal.homeserver_api.outcomes import HomeserverError, UnauthorisedError
from synapse_bum.portal.login.authentication_service import AuthenticationService
from synapse_bum.portal.login.login import LoggedIn, Login
from synapse_bum.portal.login.oidc_protocol import Attempt, ProtocolError, check_issuer, is_same
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.sessions.cookies import OIDC_ATTEMPT, cookie, no_cookie
from synapse_bum.portal.sessions.session_keeper import SessionKeeper

logger = logging.getLogger(__name__)

_PURPOSE: Final = "oidc"
_MAX_AGE_MS: Final = 900_000


class OidcLogin:
    """The login of one portal by the service."""

    def __init__(self, login: Login, keeper: SessionKeeper, service: AuthenticationService) -> None:
        """Takes who shows the login page and lets in, who keeps sessions, and the service."""
        self._login = login
        self._keeper = keeper
        self._service = service

    async def begin(self, arrival: Arrival) -> Reply:
        """Leads to the service."""
        try:
            provider = await self._service.provider()
        except HomeserverError:
            return await self._login.show(arrival, says="login.unavailable", status=HTTPStatus.SERVICE_UNAVAILABLE)
        back = f"https://{arrival.authority}{url(OIDC_RETURN)}"
        attempt = Attempt.begin(back, arrival.query.text("next"))
        sealed = (await self._keeper.sealer()).seal(_PURPOSE, attr.asdict(attempt), arrival.now_ms)
        return Reply.to(self._service.authorization_url(provider, attempt)).with_cookies(cookie(OIDC_ATTEMPT, sealed))

    async def end(self, arrival: Arrival) -> LoggedIn | Reply:
        """Takes what the service sends the browser back with."""
        sealer = await self._keeper.sealer()
        content = sealer.open(_PURPOSE, arrival.cookies.get(OIDC_ATTEMPT, ""), arrival.now_ms, _MAX_AGE_MS)
        attempt = None if content is None else Attempt(**content)
        if attempt is None or not is_same(attempt.state, arrival.query.text("state")):
            return await self._login.show(arrival, says="login.sso_failed", status=HTTPStatus.FORBIDDEN)
        if not await self._keeper.use_up(attempt.state, _MAX_AGE_MS, arrival.now_ms):
            return await self._login.show(arrival, says="login.sso_failed", status=HTTPStatus.FORBIDDEN)
        outcome = await self._with_answer(arrival, attempt)
        return outcome.with_cookies(no_cookie(OIDC_ATTEMPT)) if isinstance(outcome, Reply) else outcome

    async def _with_answer(self, arrival: Arrival, attempt: Attempt) -> LoggedIn | Reply:
        code, error = arrival.query.text("code"), arrival.query.text("error")
        if error == "access_denied":
            return await self._login.show(arrival, says="login.oidc_denied", status=HTTPStatus.FORBIDDEN)
        if error or not code:
            logger.warning("The authentication service leads back without a code: %r", error[:100])
            return await self._login.show(arrival, says="login.sso_failed", status=HTTPStatus.FORBIDDEN)
        try:
            provider = await self._service.provider()
            check_issuer(provider, arrival.query.text("iss"))
            grant = await self._service.redeem(provider, code, attempt)
        except (ProtocolError, UnauthorisedError):
            return await self._login.show(arrival, says="login.sso_failed", status=HTTPStatus.FORBIDDEN)
        except HomeserverError:
            return await self._login.show(arrival, says="login.unavailable", status=HTTPStatus.SERVICE_UNAVAILABLE)
        return await self._login.with_grant(arrival, grant, attempt.location)
