"""A page and a session: runs the page, once for each form, and answers for it when the homeserver did not."""

import logging
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Final

import attr
from synapse.module_api import ModuleApi

from synapse_bum.database.error_text import traced
from synapse_bum.portal.accounts.begun_deletions import BegunDeletions
from synapse_bum.portal.addresses import url
from synapse_bum.portal.arrival import Arrival
from synapse_bum.portal.config import PortalConfig
from synapse_bum.portal.files.passes import Passes
from synapse_bum.portal.forms import form_token
from synapse_bum.portal.forms.draft import Draft
from synapse_bum.portal.forms.form_data import FormData, read_query
from synapse_bum.portal.frame import Frame, Notice, View
from synapse_bum.portal.homeserver_api.outcomes import (
    ForbiddenError,
    HoldsUnknownError,
    HomeserverError,
    NotFoundError,
    NotOfferedError,
    RefusedError,
    UnauthorisedError,
    UnavailableError,
)
from synapse_bum.portal.homeserver_api.steps import NotWrittenError, StepLog
from synapse_bum.portal.homeserver_api.turn import TurnTakenError
from synapse_bum.portal.login.login import Login, probe
from synapse_bum.portal.page import Handler, Page
from synapse_bum.portal.page_table import Found
from synapse_bum.portal.reply import HTML, Reply
from synapse_bum.portal.sessions.cookies import NOTICE, cookie, no_cookie
from synapse_bum.portal.sessions.records import Records
from synapse_bum.portal.sessions.sealing import Sealer
from synapse_bum.portal.sessions.session import Session
from synapse_bum.portal.sessions.session_keeper import SessionKeeper
from synapse_bum.portal.visit import Visit

logger = logging.getLogger(__name__)

_NOTICE_MAX_AGE_MS: Final = 300_000
_WAITS_FOR_FIRST_CLICK: Final = 20
_WAIT_S: Final = 0.5


class Visits:
    """All visits of one portal."""

    def __init__(
        self,
        api: ModuleApi,
        config: PortalConfig,
        *,
        frame: Frame,
        keeper: SessionKeeper,
        records: Records,
        login: Login,
        steps: StepLog,
        deletions: BegunDeletions,
    ) -> None:
        self._api = api
        self._config = config
        self._frame = frame
        self._keeper = keeper
        self._records = records
        self._login = login
        self._steps = steps
        self._deletions = deletions

    async def show(
        self, arrival: Arrival, found: Found, session: Session, draft: Mapping[str, str] | None = None
    ) -> Reply:
        """Answers GET; with `draft`, the fields of its form that were typed before the session ended."""
        visit = await self._visit(arrival, found, session, FormData(), draft)
        reply = await self._run(self._allowed(found.page, found.page.show), visit, arrival, session)
        is_automatic = bool(arrival.query.text("auto"))
        renewal = () if is_automatic else await self._keeper.renewal(session, arrival.now_ms)
        said = visit.view.notice is not None and reply.content_type == HTML
        return _with_own_last(reply, *renewal, *([no_cookie(NOTICE)] if said else []))

    async def submit(self, arrival: Arrival, found: Found, session: Session, form: FormData, form_id: str) -> Reply:
        """Answers POST: once for each form, however often it comes."""
        until_ms = session.over_ms(self._keeper.limits)
        if not await self._records.claim(form_id, until_ms):
            return await self._again(arrival, form_id)
        reply = None
        try:
            visit = await self._visit(arrival, found, session, form, None)
            handler = self._allowed(found.page, found.page.submit or found.page.show)
            reply = await self._run(handler, visit, arrival, session, draft=form)
        finally:
            if reply is not None and reply.done:
                await self._finish(form_id, reply)
            else:
                await self._records.release(form_id)
        return _with_own_last(reply, *await self._keeper.renewal(session, arrival.now_ms))

    async def _finish(self, form_id: str, reply: Reply) -> None:
        """Notes where a form has led. What it has brought must be seen even if that can't be noted."""
        try:
            await self._records.finish(form_id, reply.headers.get("Location", ""))
        except Exception as error:  # noqa: BLE001 - what nobody has foreseen
            logger.error("A form was carried out, which could not be noted: %s", traced(error))

    def _allowed(self, page: Page, handler: Handler) -> Handler:
        if not page.operators:
            return handler

        async def only_for_operators(visit: Visit) -> Reply:
            if not visit.may_operate:
                return self._message(visit, HTTPStatus.FORBIDDEN, "operators_only")
            return await handler(visit)

        return only_for_operators

    async def _visit(
        self, arrival: Arrival, found: Found, session: Session, form: FormData, draft: Mapping[str, str] | None
    ) -> Visit:
        page, me = found.page, session.user_id
        sealer = await self._keeper.sealer()
        may_operate = not self._config.operator_users or me in self._config.operator_users
        location = _without_marks(arrival.location)
        view = View(
            title=self._frame.texts(page.title) if page.title in self._frame.texts else "",
            area=page.area.value,
            path=page.path,
            me=me,
            may_operate=may_operate,
            form_token=lambda: form_token.make(session.form_secret),
            notice=_notice(arrival, sealer),
            here=location,
        )
        return Visit(
            me=me,
            path=found.path,
            query=read_query(arrival.location.encode("ascii", "replace")),
            form=form,
            draft=draft,
            server=self._keeper.server(session, arrival.address),
            config=self._config,
            now_ms=arrival.now_ms,
            may_operate=may_operate,
            view=view,
            location=location,
            passes=Passes(sealer, self._records, session, arrival.now_ms),
            deletions=self._deletions,
            session_id=session.session_id,
            let_go=partial(self._keeper.let_go, session),
            frame=self._frame,
            sealer=sealer,
            api=self._api,
            steps=self._steps,
        )

    async def _run(
        self, handler: Handler, visit: Visit, arrival: Arrival, session: Session, draft: FormData | None = None
    ) -> Reply:
        try:
            return await handler(visit)
        except UnauthorisedError:
            return await self._logged_out(arrival, session, draft)
        except ForbiddenError as e:
            return await self._forbidden(arrival, session, visit, draft, e)
        except NotOfferedError:
            return self._message(visit, HTTPStatus.NOT_FOUND, "not_offered")
        except NotFoundError:
            return self._message(visit, HTTPStatus.NOT_FOUND, "not_found")
        except RefusedError as e:
            return self._message(visit, HTTPStatus.CONFLICT, "refused", sentence=e.sentence or e.errcode)
        except NotWrittenError as error:
            logger.error("A step of %s was not done, since it could not be written down: %s", visit.me, traced(error))
            return self._message(visit, HTTPStatus.SERVICE_UNAVAILABLE, "not_written")
        except TurnTakenError:
            return self._message(visit, HTTPStatus.CONFLICT, "turn_taken")
        except HoldsUnknownError:
            return self._message(visit, HTTPStatus.SERVICE_UNAVAILABLE, "holds_unknown")
        except UnavailableError:
            name = "unavailable" if draft is None else "maybe_done"
            return self._message(visit, HTTPStatus.SERVICE_UNAVAILABLE, name)

    async def _logged_out(self, arrival: Arrival, session: Session, draft: FormData | None) -> Reply:
        gone = await self._keeper.end(session)
        kept = Draft(arrival.location)
        if draft is not None:
            kept = Draft.of_form(arrival.location, session.user_id, draft)
        reply = await self._login.show(arrival, says="login.expired", status=HTTPStatus.UNAUTHORIZED, draft=kept)
        return reply.with_cookies(gone)

    async def _forbidden(
        self, arrival: Arrival, session: Session, visit: Visit, draft: FormData | None, error: ForbiddenError
    ) -> Reply:
        """Tells apart who is no administrator any more and who only may not do this."""
        try:
            await probe(visit.server)
        except ForbiddenError:
            gone = await self._keeper.end(session)
            return self._login.refusal().with_cookies(gone)
        except UnauthorisedError:
            return await self._logged_out(arrival, session, draft)
        except HomeserverError:
            return self._message(visit, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable")
        return self._message(visit, HTTPStatus.FORBIDDEN, "forbidden", sentence=error.sentence or error.errcode)

    async def _again(self, arrival: Arrival, form_id: str) -> Reply:
        """A form came a second time, by a double click or by loading the page anew."""
        sealer = await self._keeper.sealer()
        for _ in range(_WAITS_FOR_FIRST_CLICK):
            location = await self._records.location(form_id)
            if location is not None:
                content = {"kind": "info", "text": self._frame.texts("common.carried_out_once")}
                notice = cookie(NOTICE, sealer.seal("notice", content, arrival.now_ms))
                return Reply.to(location or url()).with_cookies(notice)
            await self._api.sleep(_WAIT_S)
        view = View(title=self._frame.texts("errors.still_running_title"))
        return self._plain(view, HTTPStatus.ACCEPTED, "still_running")

    def _message(self, visit: Visit, status: int, name: str, **values: object) -> Reply:
        view = attr.evolve(visit.view, title=self._frame.texts(f"errors.{name}_title"))
        return self._plain(view, status, name, **values)

    def _plain(self, view: View, status: int, name: str, **values: object) -> Reply:
        texts = self._frame.texts
        shown = {
            "paragraphs": texts.lines(f"errors.{name}", **values),
            "link": url(),
            "link_text": texts("errors.to_start"),
        }
        return Reply(status, self._frame.render("message.html", view, shown))


def _notice(arrival: Arrival, sealer: Sealer) -> Notice | None:
    content = sealer.open("notice", arrival.cookies.get(NOTICE, ""), arrival.now_ms, _NOTICE_MAX_AGE_MS)
    return None if content is None else Notice(content["kind"], content["text"])


def _with_own_last(reply: Reply, *lines: str) -> Reply:
    """Adds cookies, unless the answer sets or takes away the same one itself."""
    own = {line.partition("=")[0] for line in reply.cookies}
    return reply.with_cookies(*(line for line in lines if line.partition("=")[0] not in own))


def _without_marks(location: str) -> str:
    """The address without what automatic loading adds."""
    for mark in ("auto=1", "still=1"):
        location = location.replace(f"&{mark}", "").replace(f"?{mark}", "")
    return location
