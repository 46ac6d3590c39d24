"""`Visit`: everything that a page knows of one request, and every way in which it may answer."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import attr
from synapse.module_api import ModuleApi

from synapse_bum.homeserver.settings_in_force import loaded_modules
from synapse_bum.portal.accounts.begun_deletions import BegunDeletions
from synapse_bum.portal.addresses import url
from synapse_bum.portal.config import PortalConfig
from synapse_bum.portal.files.passes import Passes
from synapse_bum.portal.forms.form import Filled, Form
from synapse_bum.portal.forms.form_data import FormData
from synapse_bum.portal.frame import Frame, View
from synapse_bum.portal.homeserver_api.homeserver_client import HomeserverClient
from synapse_bum.portal.homeserver_api.steps import Action, Step, StepLog
from synapse_bum.portal.homeserver_api.turn import Turn
from synapse_bum.portal.language.bidi import isolated
from synapse_bum.portal.language.formats import Formats
from synapse_bum.portal.language.texts import Texts
from synapse_bum.portal.listing import DEFAULT_LIMIT, Listing, Part
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.sessions.cookies import NOTICE, cookie
from synapse_bum.portal.sessions.sealing import Sealer


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Visit:
    """One request of an administrator who is logged in.

    Attributes:
        me: his user id.
        path: the decoded and validated parameters of the path.
        query: of the address.
        form: what was sent with a POST; empty with GET.
        draft: what stood in the form when the session ended; None unless this page is shown right after the login.
        server: the homeserver's APIs, asked in his name; changes by Synapse's admin API need a `step`.
        config: of the portal.
        now_ms: ms since the epoch.
        may_operate: whether he may do what `operator_users` reserves. The API decides; this is for what is shown.
        view: what surrounds the page.
        location: address of this page, with its query.
        passes: for addresses that show something once.
        deletions: of accounts that were begun and are not finished.
        session_id: of this session; opens nothing.
        let_go: to be called after work in whose time this session may have been ended, see `SessionKeeper.let_go`.
    """

    me: str
    path: Mapping[str, str]
    query: FormData
    form: FormData
    draft: Mapping[str, str] | None
    server: HomeserverClient
    config: PortalConfig
    now_ms: int
    may_operate: bool
    view: View
    location: str
    passes: Passes = attr.ib(repr=False)
    deletions: BegunDeletions = attr.ib(repr=False)
    session_id: str
    let_go: Callable[[], Awaitable[None]] = attr.ib(repr=False)
    _frame: Frame = attr.ib(repr=False)
    _sealer: Sealer = attr.ib(repr=False)
    _api: ModuleApi = attr.ib(repr=False)
    _steps: StepLog = attr.ib(repr=False)

    @property
    def t(self) -> Texts:
        """The catalogue."""
        return self._frame.texts

    @property
    def formats(self) -> Formats:
        """Numbers, sizes and times in the language of the pages."""
        return self._frame.formats

    @property
    def server_name(self) -> str:
        """The name of this homeserver."""
        return self._api.server_name

    def has_module(self, package: str) -> bool:
        """Whether homeserver.yaml loads a module of this package, such as `synapse_bum.retention`."""
        return any(module.name.startswith(f"{package}.") for module in loaded_modules(self._api))

    def show(
        self,
        template: str,
        *,
        title: str | None = None,
        status: int | None = None,
        refresh_s: int | None = None,
        done: bool = False,
        **values: Any,  # noqa: ANN401 - whatever the template wants
    ) -> Reply:
        """Answers with a page.

        Args:
            template: its file below `templates/`.
            title: the heading, where it is not the page's own.
            status: 200 unless said otherwise; 422 when one of the values is a form with complaints.
            refresh_s: the page is loaded anew after so many seconds, until the reader stops that. This does not keep a
                session alive.
            done: for the answer to a POST that has changed something and can't lead elsewhere, such as a password that
                is shown once: sending the form again does nothing then.
            **values: for the template. A `part` of a list that lies beyond its end leads to the last one.
        """
        part = values.get("part")
        if isinstance(part, Part) and part.instead is not None and not self.form.fields:
            # The list has become shorter since somebody looked at it.
            return Reply.to(self.url(part.listing.path, part.instead))
        complained = any(isinstance(value, Filled) and value.complaints for value in values.values())
        found = status or (HTTPStatus.UNPROCESSABLE_ENTITY if complained else HTTPStatus.OK)
        view = attr.evolve(self.view, title=isolated(title or self.view.title))
        headers: dict[str, str] = {}
        if refresh_s is not None and not self.query.text("still"):
            mark = "&" if "?" in self.location else "?"
            view = attr.evolve(view, auto_refresh=f"{self.location}{mark}still=1")
            headers["Refresh"] = f"{refresh_s}; url={self.location}{mark}auto=1"
        return Reply(found, self._frame.render(template, view, values), headers=headers, done=done)

    def go(self, address: str, notice: str | None = None, *, kind: str = "success", **values: object) -> Reply:
        """Leads to another page, after a form was carried out.

        Args:
            address: from `url`.
            notice: key of a sentence that the next page shows once.
            kind: `success`, `info` or `warning`.
            **values: for the sentence.
        """
        reply = Reply.to(address, done=True)
        if notice is None:
            return reply
        content = {"kind": kind, "text": self.t(notice, **values)}
        return reply.with_cookies(cookie(NOTICE, self._sealer.seal("notice", content, self.now_ms)))

    def file(self, content: bytes, content_type: str, file_name: str) -> Reply:
        """Answers with a file that the browser saves; `file_name` is ASCII."""
        return Reply.file(content, content_type, file_name)

    def step(self, action: Action, target: str, reason: str = "", **details: object) -> Step:
        """Begins a step that Synapse carries out: `async with visit.step(...) as server`.

        The row in the audit, with the name of who is logged in, is there before `server` can be used.

        Args:
            action: what is done.
            target: to what: a room, a user, an mxc URI.
            reason: why, as it was typed in; empty where nobody was asked.
            **details: what else belongs into the row, values as JSON knows them; no password, no content.
        """
        return Step(self._steps, self.server, self.me, action, target, reason=reason, details=details)

    def turn(self) -> Turn:
        """Returns the turn of whoever may take an administrator away: `async with visit.turn(): ...`."""
        return self._steps.turn()

    def afterwards(self, work: Callable[..., Awaitable[None]], *args: object) -> None:
        """Begins work that goes on when this answer is long gone; it ends with this process.

        Args:
            work: must deal with its errors itself.
            *args: for it; `server` may be among them.
        """
        self._api.delayed_background_call(0, work, *args, desc="synapse_bum_portal_work")

    def url(self, path: str = "", query: Mapping[str, str | int] | None = None, **segments: str) -> str:
        """Returns the address of a page, for example `visit.url("users/{user_id}", user_id=...)`."""
        return url(path, query, **segments)

    def blank(self, form: Form, initial: Mapping[str, str] | None = None) -> Filled:
        """Returns a form to be shown first: with `initial`, or with what stood in it when the session ended."""
        return form.blank(self.draft if self.draft is not None else initial)

    def listing(self, path: str, *filters: str, limit: int = DEFAULT_LIMIT) -> Listing:
        """Returns which part of a list the address asks for.

        Args:
            path: of the list, filled in.
            *filters: parameters that narrow it, for example `q`.
            limit: entries on a page.
        """
        return Listing.asked(path, self.query, filters, limit)
