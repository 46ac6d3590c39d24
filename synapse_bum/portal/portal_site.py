"""The portal in a homeserver: which requests it answers at all, and what becomes of what a page could not do.

Order: listener and host (404 as if nothing were here), static files, method, the ways in and out, page (404), session
(login page), form (403), page. Nothing that goes wrong shows more than a number that stands in the log too.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import attr
from synapse.module_api import DirectServeHtmlResource, ModuleApi, SynapseRequest

from synapse_bum.database.error_text import traced
from synapse_bum.homeserver.requests import is_for_clients, send_whole
from synapse_bum.portal.addresses import (
    ACCESSIBILITY,
    LOGIN,
    LOGOUT,
    OIDC,
    OIDC_RETURN,
    PORTAL,
    SSO,
    SSO_RETURN,
    STATIC,
    url,
)
from synapse_bum.portal.arrival import Arrival, TooLargeError
from synapse_bum.portal.config import PortalConfig
from synapse_bum.portal.forms import form_token
from synapse_bum.portal.forms.draft import Draft
from synapse_bum.portal.forms.form_data import BadFormError
from synapse_bum.portal.frame import Frame, View
from synapse_bum.portal.login.address_check import AddressCheck
from synapse_bum.portal.login.login import LoggedIn, Login
from synapse_bum.portal.login.oidc_login import OidcLogin
from synapse_bum.portal.page_table import Found, PageTable
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.sessions.cookies import OIDC_ATTEMPT, SSO_STATE, no_cookie
from synapse_bum.portal.sessions.session import Session
from synapse_bum.portal.sessions.session_keeper import SessionKeeper
from synapse_bum.portal.visits import Visits

logger = logging.getLogger(__name__)

_METHODS: Final = ("GET", "POST")

ARBITRATION: Final = "https://www.schlichtungsstelle-bgg.de"
"""Where people turn to whom no answer helps (section 16 BGG)."""


class PortalSite(DirectServeHtmlResource):
    """Answers everything below `PORTAL`."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(
        self,
        api: ModuleApi,
        config: PortalConfig,
        *,
        frame: Frame,
        table: PageTable,
        keeper: SessionKeeper,
        login: Login,
        oidc: OidcLogin | None,
        visits: Visits,
    ) -> None:
        super().__init__()
        self._api = api
        self._config = config
        self._hosts = frozenset(config.hosts)
        self._frame = frame
        self._table = table
        self._keeper = keeper
        self._login = login
        self._oidc = oidc
        self._visits = visits
        self._address_check = AddressCheck(api, keeper)

    async def _async_render(self, request: SynapseRequest) -> tuple[int, Any] | None:
        """Called by Synapse for every method but OPTIONS. Answers itself: Synapse's way has a CSP of its own."""
        arrival = Arrival.of(request, self._api.get_current_time_msec())
        if arrival.host not in self._hosts or not is_for_clients(self._api, request):
            reply = Reply(HTTPStatus.NOT_FOUND, b"Not found\n", "text/plain; charset=utf-8")
        else:
            reply = await self._never_fails(arrival)
        send_whole(request, reply.status, reply.all_headers(), reply.cookies, reply.content)
        return None

    async def _never_fails(self, arrival: Arrival) -> Reply:
        try:
            return await self._answer(arrival)
        except TooLargeError:
            return self._message(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large")
        except BadFormError:
            return self._message(HTTPStatus.BAD_REQUEST, "bad_form")
        except Exception as error:  # noqa: BLE001 - what nobody has foreseen
            reference = secrets.token_hex(4)
            logger.error("The portal could not answer; the page says: reference %s; %s", reference, traced(error))
            return self._message(HTTPStatus.INTERNAL_SERVER_ERROR, "broken", reference=reference)

    async def _answer(self, arrival: Arrival) -> Reply:
        if arrival.method not in _METHODS:
            return self._not_with_this_method("GET, HEAD, POST")
        path = "/".join(segment.decode("utf-8", "replace") for segment in arrival.segments)
        if not arrival.segments:
            return Reply.to(url())
        if path.startswith(f"{STATIC}/"):
            return self._frame.static.reply(path.removeprefix(f"{STATIC}/")) or self._nothing_here()
        way = self._ways().get((arrival.method, path))
        if way is not None:
            return await way(arrival)
        found = self._table.find(arrival.segments)
        if found is None:
            return self._nothing_here()
        if arrival.method == "POST" and found.page.submit is None:
            return self._not_with_this_method("GET, HEAD")
        return await self._page(arrival, found)

    def _ways(self) -> dict[tuple[str, str], Callable[[Arrival], Awaitable[Reply]]]:
        return {
            ("GET", LOGIN): self._show_login,
            ("POST", LOGOUT): self._log_out,
            ("GET", LOGOUT): self._logged_out,
            ("GET", ACCESSIBILITY): self._accessibility,
            **self._ways_in(self._oidc),
        }

    def _ways_in(self, oidc: OidcLogin | None) -> dict[tuple[str, str], Callable[[Arrival], Awaitable[Reply]]]:
        if oidc is None:
            return {
                ("POST", LOGIN): self._log_in,
                ("GET", SSO): self._login.begin_sso,
                ("GET", SSO_RETURN): self._return_from_sso,
            }

        async def return_from_oidc(arrival: Arrival) -> Reply:
            return await self._let_in(arrival, await oidc.end(arrival))

        return {("GET", OIDC): oidc.begin, ("GET", OIDC_RETURN): return_from_oidc}

    async def _page(self, arrival: Arrival, found: Found) -> Reply:
        session = await self._keeper.session_of(arrival)
        if session is None or not self._keeper.is_alive(session, arrival.now_ms):
            return await self._too_late(arrival, session)
        if arrival.method == "GET":
            return await self._visits.show(arrival, found, session)
        form = arrival.form()
        form_id = form_token.form_id_of(form.text(form_token.FIELD), session.form_secret)
        if form_id is None or not arrival.is_from_here:
            return self._message(HTTPStatus.FORBIDDEN, "foreign_form")
        return await self._visits.submit(arrival, found, session, form, form_id)

    async def _too_late(self, arrival: Arrival, session: Session | None) -> Reply:
        draft = Draft(arrival.location)
        if session is not None and arrival.method == "POST" and arrival.is_from_here:
            form = arrival.form()
            if form_token.form_id_of(form.text(form_token.FIELD), session.form_secret) is not None:
                draft = Draft.of_form(arrival.location, session.user_id, form)
        says = "login.expired" if session is not None else None
        return await self._login.show(arrival, says=says, status=HTTPStatus.UNAUTHORIZED, draft=draft)

    async def _show_login(self, arrival: Arrival) -> Reply:
        session = await self._keeper.session_of(arrival)
        if session is not None and self._keeper.is_alive(session, arrival.now_ms):
            return Reply.to(url())
        return await self._login.show(arrival)

    async def _log_in(self, arrival: Arrival) -> Reply:
        return await self._let_in(arrival, await self._login.by_password(arrival))

    async def _return_from_sso(self, arrival: Arrival) -> Reply:
        return await self._let_in(arrival, await self._login.end_sso(arrival))

    async def _let_in(self, arrival: Arrival, outcome: LoggedIn | Reply) -> Reply:
        if isinstance(outcome, Reply):
            return outcome
        session, draft = outcome.session, outcome.draft
        if self._oidc is None:
            self._address_check.begin(session, arrival.address)
        before = await self._keeper.session_of(arrival)
        if before is not None:
            # Nobody can use it any more: its cookie is replaced.
            await self._keeper.end(before)
        reply = Reply.to(url() if draft is None else draft.location)
        fields = None if draft is None else draft.fields_of(session.user_id)
        if draft is not None and fields is not None:
            # The form is shown again right here: too much for an address, and it must not be sent by itself.
            again = _as_get(arrival, draft.location)
            found = self._table.find(again.segments)
            if found is not None:
                reply = await self._visits.show(again, found, session, draft=fields)
        return reply.with_cookies(
            await self._keeper.cookie(session, arrival.now_ms),
            # A state that was used up, and those of logins that were begun in other ways.
            *(no_cookie(name) for name in (SSO_STATE, OIDC_ATTEMPT) if name in arrival.cookies),
        )

    async def _log_out(self, arrival: Arrival) -> Reply:
        session = await self._keeper.session_of(arrival)
        if session is None:
            return Reply.to(url(LOGOUT))
        token = arrival.form().text(form_token.FIELD)
        if form_token.form_id_of(token, session.form_secret) is None or not arrival.is_from_here:
            return self._message(HTTPStatus.FORBIDDEN, "foreign_form")
        gone = await self._keeper.end(session)
        return Reply.to(url(LOGOUT)).with_cookies(gone)

    async def _logged_out(self, arrival: Arrival) -> Reply:
        return await self._login.show(arrival, says="login.logged_out")

    async def _accessibility(self, _arrival: Arrival) -> Reply:
        """Must be found by everybody, also by those who can't log in."""
        view = View(title=self._frame.texts("accessibility.title"))
        values = {"contacts": self._config.support.contacts, "arbitration": ARBITRATION}
        return Reply(HTTPStatus.OK, self._frame.render("accessibility.html", view, values))

    def _nothing_here(self) -> Reply:
        return self._message(HTTPStatus.NOT_FOUND, "no_page")

    def _not_with_this_method(self, allowed: str) -> Reply:
        reply = self._message(HTTPStatus.METHOD_NOT_ALLOWED, "no_method")
        return attr.evolve(reply, headers={**reply.headers, "Allow": allowed})

    def _message(self, status: int, name: str, **values: object) -> Reply:
        texts = self._frame.texts
        shown = {
            "paragraphs": texts.lines(f"errors.{name}", **values),
            "link": url(),
            "link_text": texts("errors.to_start"),
        }
        content = self._frame.render("message.html", View(title=texts(f"errors.{name}_title")), shown)
        return Reply(status, content)


def _as_get(arrival: Arrival, location: str) -> Arrival:
    """The request that the browser would have sent for the page of a form."""
    path = location.partition("?")[0].removeprefix(f"{PORTAL}/")
    segments = tuple(unquote_to_bytes(segment) for segment in path.split("/"))
    return attr.evolve(arrival, method="GET", location=location, segments=segments)
