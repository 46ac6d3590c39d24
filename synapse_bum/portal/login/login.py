"""The way in: by password, or by Synapse's single sign-on, and only for administrators.

Single sign-on: a link of ours leads to Synapse with a return address that holds a random state, and the same state goes
into a cookie. Only a browser with both is let in, so nobody can be logged in as somebody else by a prepared link. The
cookie is `SameSite=Lax`: the way back is a link that is followed, which brings it along.
"""

import hmac
import logging
import re
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import attr

from synapse_bum.portal.addresses import SSO_RETURN, url
from synapse_bum.portal.arrival import Arrival
from synapse_bum.portal.forms.draft import Draft
from synapse_bum.portal.forms.kept_drafts import KeptDrafts
from synapse_bum.portal.frame import Frame, View
from synapse_bum.portal.homeserver_api.homeserver_client import HomeserverClient, JsonDict, Origin
from synapse_bum.portal.homeserver_api.homeserver_connection import HomeserverConnection
from synapse_bum.portal.homeserver_api.outcomes import (
    ForbiddenError,
    HomeserverError,
    RefusedError,
    UnauthorisedError,
    UnavailableError,
)
from synapse_bum.portal.login.oidc_protocol import Grant
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.sessions.cookies import SSO_STATE, cookie, no_cookie
from synapse_bum.portal.sessions.session import Session
from synapse_bum.portal.sessions.session_keeper import SessionKeeper
from synapse_bum.portal.sessions.session_tokens import lasting

logger = logging.getLogger(__name__)

_LOGIN: Final = "/_matrix/client/v3/login"
_WHOAMI: Final = "/_matrix/client/v3/account/whoami"
_PURPOSE: Final = "sso"
_SSO_MAX_AGE_MS: Final = 900_000
_PROVIDER_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,255}", re.ASCII)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class LoggedIn:
    """A login that succeeded.

    Attributes:
        session: of it.
        draft: what the browser wanted before; None for nothing.
    """

    session: Session
    draft: Draft | None


class Login:
    """The login of one portal."""

    def __init__(
        self,
        frame: Frame,
        keeper: SessionKeeper,
        connection: HomeserverConnection,
        public_baseurl: str,
        *,
        drafts: KeptDrafts,
        is_delegated: bool,
    ) -> None:
        """Prepares.

        Args:
            frame: what pages look like.
            keeper: of the sessions.
            connection: how the homeserver is asked.
            public_baseurl: where browsers find it.
            drafts: of those who are away at an identity provider.
            is_delegated: whether an authentication service has the accounts: then nothing but `oidc_login.py` leads in.
        """
        self._frame = frame
        self._keeper = keeper
        self._connection = connection
        self._drafts = drafts
        self._is_delegated = is_delegated
        self._public_baseurl = public_baseurl.rstrip("/")

    async def show(
        self,
        arrival: Arrival,
        *,
        says: str | None = None,
        status: int = HTTPStatus.OK,
        draft: Draft | None = None,
        name: str = "",
        **values: object,
    ) -> Reply:
        """Answers with the login page.

        Args:
            arrival: the request.
            says: key of a sentence above the form.
            status: of HTTP.
            draft: what the browser wanted.
            name: what stands in the field for the name.
            **values: for the sentence.
        """
        sealer = await self._keeper.sealer()
        flows: list[Any] = []
        try:
            if not self._is_delegated:
                flows = (await self._connection.client(Origin(None, arrival.address)).get(_LOGIN)).get("flows", [])
        except HomeserverError:
            status, says, values = HTTPStatus.SERVICE_UNAVAILABLE, "login.unavailable", {}
        kinds = {flow.get("type"): flow for flow in flows if isinstance(flow, dict)}
        providers = _providers(kinds.get("m.login.sso"))
        location = ""
        if draft is not None and (self._is_delegated or providers):
            # Only a form of our own pages is worth a row.
            left = draft if arrival.is_from_here else draft.without_form()
            location = await self._drafts.leave(left, arrival.now_ms)
        headers = {"WWW-Authenticate": 'Form realm="portal"'} if status == HTTPStatus.UNAUTHORIZED else {}
        content = self._frame.render(
            "login.html",
            View(title=self._frame.texts("login.title")),
            {
                "says": None if says is None else self._frame.texts(says, **values),
                "is_error": status not in (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED),
                "keeps_input": draft is not None and draft.fields is not None,
                "draft": "" if draft is None else draft.seal(sealer, arrival.now_ms),
                "location": location,
                "name": name,
                "is_delegated": self._is_delegated,
                "has_password": "m.login.password" in kinds,
                "providers": providers,
            },
        )
        return Reply(status, content, headers=headers)

    async def by_password(self, arrival: Arrival) -> LoggedIn | Reply:
        """Carries out the login form."""
        form = arrival.form()
        sealer = await self._keeper.sealer()
        draft = Draft.open(form.fields.get("draft", ""), sealer, arrival.now_ms)
        name = form.text("name")
        if not arrival.is_from_here:
            return await self.show(arrival, says="login.foreign", status=HTTPStatus.FORBIDDEN, draft=draft, name=name)
        password = form.fields.get("password", "")
        if not name or not password:
            status = HTTPStatus.UNPROCESSABLE_ENTITY
            return await self.show(arrival, says="login.incomplete", status=status, draft=draft, name=name)
        identifier = {"type": "m.id.user", "user": name}
        credentials = {"type": "m.login.password", "identifier": identifier, "password": password}
        return await self._log_in(arrival, credentials, draft, name)

    async def begin_sso(self, arrival: Arrival) -> Reply:
        """Leads to the identity provider, by Synapse."""
        sealer = await self._keeper.sealer()
        provider = arrival.query.text("idp")
        if provider and _PROVIDER_ID.fullmatch(provider) is None:
            return await self.show(arrival, says="login.sso_failed", status=HTTPStatus.BAD_REQUEST)
        state = secrets.token_urlsafe(24)
        wanted = {"state": state, "location": arrival.query.text("next")}
        back = f"https://{arrival.authority}{url(SSO_RETURN, {'state': state})}"
        path = "/_matrix/client/v3/login/sso/redirect" + (f"/{provider}" if provider else "")
        target = f"{self._public_baseurl}{path}?{urlencode({'redirectUrl': back})}"
        return Reply.to(target).with_cookies(cookie(SSO_STATE, sealer.seal(_PURPOSE, wanted, arrival.now_ms)))

    async def end_sso(self, arrival: Arrival) -> LoggedIn | Reply:
        """Takes what Synapse sends the browser back with."""
        sealer = await self._keeper.sealer()
        sealed = arrival.cookies.get(SSO_STATE, "")
        wanted = sealer.open(_PURPOSE, sealed, arrival.now_ms, _SSO_MAX_AGE_MS)
        token = arrival.query.text("loginToken")
        if wanted is None or not token or not _same(wanted["state"], arrival.query.text("state")):
            return await self.show(arrival, says="login.sso_failed", status=HTTPStatus.FORBIDDEN)
        if not await self._keeper.use_up(wanted["state"], _SSO_MAX_AGE_MS, arrival.now_ms):
            return await self.show(arrival, says="login.sso_failed", status=HTTPStatus.FORBIDDEN)
        draft = await self._drafts.fetch(wanted["location"], arrival.now_ms)
        outcome = await self._log_in(arrival, {"type": "m.login.token", "token": token}, draft, "")
        return outcome.with_cookies(no_cookie(SSO_STATE)) if isinstance(outcome, Reply) else outcome

    async def _log_in(
        self, arrival: Arrival, credentials: Mapping[str, Any], draft: Draft | None, name: str
    ) -> LoggedIn | Reply:
        anonymous = self._connection.client(Origin(None, arrival.address))
        device = self._frame.texts("login.device_name")
        try:
            answer = await anonymous.post(_LOGIN, {**credentials, "initial_device_display_name": device})
        except UnavailableError:
            return await self.show(arrival, says="login.unavailable", status=503, draft=draft, name=name)
        except RefusedError as e:
            if e.retry_after_ms is not None or e.status == HTTPStatus.TOO_MANY_REQUESTS:
                wait = -(-(e.retry_after_ms or 1_000) // 1000)
                return await self.show(arrival, says="login.too_often", status=429, draft=draft, name=name, count=wait)
            return await self.show(arrival, says="login.wrong", status=403, draft=draft, name=name)
        except UnauthorisedError:
            # A locked account.
            return await self.show(arrival, says="login.wrong", status=403, draft=draft, name=name)
        session, grant = _session_of(answer, arrival.now_ms)
        await self._keeper.begin(session, grant)
        return await self._only_administrators(arrival, session, draft, name)

    async def with_grant(self, arrival: Arrival, grant: Grant, location: str) -> LoggedIn | Reply:
        """Lets in who has tokens of the authentication service.

        Args:
            arrival: the request.
            grant: the tokens.
            location: sealed draft of what the browser wanted; empty for nothing.
        """
        draft = await self._drafts.fetch(location, arrival.now_ms)
        # The service knows accounts by names of its own; whose token it is the homeserver says. Until then nobody's.
        session = Session.begin("", "", arrival.now_ms)
        await self._keeper.begin(session, grant)
        try:
            who = await self._keeper.server(session, arrival.address).get(_WHOAMI)
            session = attr.evolve(session, user_id=str(who["user_id"]), device_id=str(who.get("device_id", "")))
        except (RefusedError, UnauthorisedError) as e:
            await self._keeper.end(session)
            logger.warning("The homeserver takes no token of the authentication service: %s", e)
            return await self.show(arrival, says="login.sso_failed", status=HTTPStatus.FORBIDDEN)
        except (HomeserverError, KeyError):
            await self._keeper.end(session)
            return await self.show(arrival, says="login.unavailable", status=HTTPStatus.SERVICE_UNAVAILABLE)
        return await self._only_administrators(arrival, session, draft, "")

    async def _only_administrators(
        self, arrival: Arrival, session: Session, draft: Draft | None, name: str
    ) -> LoggedIn | Reply:
        try:
            await probe(self._keeper.server(session, arrival.address))
        except ForbiddenError:
            await self._keeper.end(session)
            logger.info("%s is no administrator and was not let in", session.user_id)
            return self.refusal()
        except UnauthorisedError:
            # An old Synapse (1.133.0) lets a locked account log in, and then do nothing.
            await self._keeper.end(session)
            return await self.show(arrival, says="login.wrong", status=403, draft=draft, name=name)
        except HomeserverError:
            await self._keeper.end(session)
            return await self.show(arrival, says="login.unavailable", status=503, draft=draft, name=name)
        logger.info("%s logged in", session.user_id, extra={"user_id": session.user_id})
        return LoggedIn(session, draft)

    def refusal(self) -> Reply:
        """Answers somebody who is no administrator, or not any more."""
        texts = self._frame.texts
        content = self._frame.render(
            "message.html",
            View(title=texts("login.no_admin_title")),
            {"paragraphs": texts.lines("login.no_admin"), "link": url(), "link_text": texts("login.again")},
        )
        return Reply(HTTPStatus.FORBIDDEN, content)


async def probe(server: HomeserverClient) -> None:
    """Asks for something that only administrators get, whoever decides who they are.

    Raises:
        ForbiddenError: this is none.
        HomeserverError: it can't be known.
    """
    # Where an authentication service has the accounts Synapse refuses to list guests.
    await server.get("/_synapse/admin/v2/users", query={"limit": 1, "guests": False})


def _session_of(answer: JsonDict, now_ms: int) -> tuple[Session, Grant]:
    try:
        session = Session.begin(str(answer["user_id"]), str(answer["device_id"]), now_ms)
        return session, lasting(str(answer["access_token"]))
    except KeyError:
        raise UnavailableError("the answer to the login is incomplete") from None


def _providers(flow: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """Names and ids of the identity providers; one without a name stands for all where Synapse names none."""
    if flow is None:
        return []
    named = [
        {"id": str(provider["id"]), "name": str(provider.get("name", provider["id"]))}
        for provider in flow.get("identity_providers", [])
        if isinstance(provider, dict) and "id" in provider
    ]
    return named or [{"id": "", "name": ""}]


def _same(known: str, given: str) -> bool:
    return hmac.compare_digest(known.encode(), given.encode())
