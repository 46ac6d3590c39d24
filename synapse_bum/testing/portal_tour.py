"""A tour of every page of the portal, with a homeserver that answers what `portal_*_answers.py` hold.

The pages are those of the page table: a new one without its place here fails the tests that go on the tour.
"""

import json
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, ClassVar, Final
from urllib.parse import unquote, urlsplit

import attr

from synapse_bum.homeserver.http_exchange import HttpAnswer, HttpRequest
from synapse_bum.portal.addresses import PORTAL
from synapse_bum.portal.login.address_check import WAIT_MS
from synapse_bum.portal.page import Page
from synapse_bum.portal.page_table import all_pages
from synapse_bum.testing.portal_case import PortalTestCase
from synapse_bum.testing.portal_own_answers import OWN
from synapse_bum.testing.portal_report_answers import REPORTS
from synapse_bum.testing.portal_synapse_answers import NOW_MS, SYNAPSE

PLACES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "administrators/{user_id}/appoint": "administrators/@alice:test/appoint",
        "administrators/{user_id}/remove": "administrators/@carol:test/remove",
        "availability/file": "availability/file?month=2026-10&format=csv",
        "files/{server_name}/{media_id}": "files/test/mediaone",
        "files/{server_name}/{media_id}/delete": "files/test/clean/delete",
        "files/{server_name}/{media_id}/preview": "files/test/mediaone/preview",
        "files/{server_name}/{media_id}/preview/picture": "files/test/mediaone/preview/picture?pass=none",
        "findings/{server_name}/{media_id}": "findings/test/mediaone",
        "findings/{server_name}/{media_id}/delete": "findings/test/mediaone/delete",
        "findings/{server_name}/{media_id}/release": "findings/test/mediaone/release",
        "held/{server_name}/{media_id}/release": "held/test/mediaone/release",
        "holds/{room_or_user_id}/edit": "holds/@held:test/edit",
        "holds/{room_or_user_id}/lift": "holds/@held:test/lift",
        "invoice/file": "invoice/file?month=2026-11&format=csv-de",
        "invoice/xrechnung": "invoice/xrechnung?month=2026-11&number=R1",
        "maintenance/{maintenance_id}/edit": "maintenance/maintenance/edit",
        "maintenance/{maintenance_id}/withdraw": "maintenance/maintenance/withdraw",
        "orphans/{run_id}": "orphans/looked",
        "orphans/{run_id}/cancel": "orphans/looking/cancel",
        "orphans/{run_id}/remove": "orphans/looked/remove",
        "outages/{outage_id}": "outages/outage",
        "outages/{outage_id}/edit": "outages/outage/edit",
        "outages/{outage_id}/remove": "outages/outage/remove",
        "partners/{partner_name}": "partners/amt-a.example",
        "partners/{partner_name}/edit": "partners/amt-a.example/edit",
        "partners/{partner_name}/remove": "partners/amt-a.example/remove",
        "rescans/{run_id}": "rescans/rescan",
        "rescans/{run_id}/cancel": "rescans/rescan/cancel",
        "rescans/{run_id}/confirm": "rescans/rescan/confirm",
        "retention/runs/{run_id}": "retention/runs/failed",
        "retention/runs/{run_id}/cancel": "retention/runs/queued/cancel",
        "retention/runs/{run_id}/carry-out": "retention/runs/dry/carry-out",
        "rooms/{room_id}": "rooms/!room:test",
        "rooms/{room_id}/delete": "rooms/!room:test/delete",
        "rooms/{room_id}/deletion": "rooms/!room:test/deletion",
        "rooms/{room_id}/files": "rooms/!room:test/files",
        "server-check": "server-check?server=amt-a.example",
        "signatures/{signature}/release": "signatures/Eicar-Test-Signature/release",
        "storage/recount/{run_id}": "storage/recount/recount",
        "tickets/{ticket_id}": "tickets/ANSWERED",
        "tickets/{ticket_id}/answer": "tickets/CONFIRMED/answer",
        "tickets/{ticket_id}/confirm": "tickets/NEW/confirm",
        "users/{user_id}": "users/@alice:test",
        "users/{user_id}/delete": "users/@alice:test/delete",
        "users/{user_id}/deleting": "users/@locked:test/deleting",
        "users/{user_id}/edit": "users/@alice:test/edit",
        "users/{user_id}/files": "users/@alice:test/files",
        "users/{user_id}/lock": "users/@alice:test/lock",
        "users/{user_id}/log-out": "users/@alice:test/log-out",
        "users/{user_id}/password": "users/@alice:test/password",
        "users/{user_id}/unlock": "users/@locked:test/unlock",
    }
)
"""Where a page is whose address has parameters, or that needs a query; the others are where their path says."""

_WHY: Final = {"reason": "Ticket 4711"}
_LIST: Final = "zeile;benutzername\n2;neue.nutzerin\n"
_OUTAGE: Final = {
    "from_day": "2026-11-20",
    "from_time": "10:00",
    "to_day": "2026-11-20",
    "to_time": "10:30",
    "ticket": "INC-1",
    "excuse": "none",
    **_WHY,
}
_MAINTENANCE: Final = {
    "from_day": "2026-11-27",
    "from_time": "10:00",
    "to_day": "2026-11-27",
    "to_time": "11:00",
    "text": "Wartung",
}
_PARTNER: Final = {"organisation": "Amt B", **_WHY}

FORMS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "administrators/{user_id}/appoint": {},
        "administrators/{user_id}/remove": {},
        "files/{server_name}/{media_id}/delete": {},
        "files/{server_name}/{media_id}/preview": _WHY,
        "findings/{server_name}/{media_id}/delete": {},
        "findings/{server_name}/{media_id}/release": _WHY,
        "held/{server_name}/{media_id}/release": _WHY,
        "holds/new": {"target": "@other:test", "until": "2027-01-31", **_WHY},
        "holds/{room_or_user_id}/edit": {"until": "2027-01-31", **_WHY},
        "holds/{room_or_user_id}/lift": {},
        "maintenance/new": _MAINTENANCE,
        "maintenance/{maintenance_id}/edit": _MAINTENANCE,
        "maintenance/{maintenance_id}/withdraw": _WHY,
        "orphans/look": {},
        "orphans/{run_id}/cancel": {},
        "orphans/{run_id}/remove": {},
        "outages/new": _OUTAGE,
        "outages/{outage_id}/edit": _OUTAGE,
        "outages/{outage_id}/remove": _WHY,
        "partners/new": {"server_name": "amt-b.example", **_PARTNER},
        "partners/{partner_name}/edit": _PARTNER,
        "partners/{partner_name}/remove": {"typed": "amt-a.example", **_WHY},
        "rescans/start": {},
        "rescans/{run_id}/cancel": {},
        "rescans/{run_id}/confirm": {},
        "retention/confirm": {},
        "retention/dry-run": {"messages": "on"},
        "retention/runs/{run_id}/cancel": {},
        "retention/runs/{run_id}/carry-out": {},
        "rooms/{room_id}/delete": {"history": "purge", **_WHY},
        "signatures/{signature}/release": _WHY,
        "signed-list/confirm": _WHY,
        "signed-list/refresh": {},
        "storage/recount": {},
        "tickets/new": {"category": "2", "text": "Keine Dateien", "contact": "Erika", "email": ""},
        "tickets/{ticket_id}/answer": {"answer": "Erledigt"},
        "tickets/{ticket_id}/confirm": {"category": "2"},
        "users/import": {"rows": _LIST},
        "users/import/passwords": {"passwords": "1;neue.nutzerin;created;pass\n"},
        "users/import/results": {"passwords": "1;neue.nutzerin;created;pass\n"},
        "users/import/run": {"lines": _LIST},
        "users/new": {"name": "neue.nutzerin", "display_name": "Neue", "address": "neue@amt.example"},
        "users/{user_id}/delete": {"typed": "@alice:test"},
        "users/{user_id}/edit": {"display_name": "Neuer Name", "addresses": "erika@amt.example"},
        "users/{user_id}/lock": {},
        "users/{user_id}/log-out": {},
        "users/{user_id}/password": {"way": "generated", "log_out": "on"},
        "users/{user_id}/unlock": {},
    }
)
"""What is sent to each page that takes a form, so that it is carried out."""

CHANGES_NOTHING: Final = frozenset(
    {
        "files/{server_name}/{media_id}/preview",
        "users/import",
        "users/import/passwords",
        "users/import/results",
    }
)
"""Pages that take a form and only show something."""


def place(page: Page) -> str:
    """Returns the address of a page below the portal.

    Raises:
        AssertionError: it has parameters, and no place was given to it here.
    """
    found = PLACES.get(page.path, page.path)
    assert "{" not in found, f"{page.path} has no place on the tour: add one to PLACES, and what it asks to the answers"
    return found


def fields(page: Page) -> Mapping[str, str]:
    """Returns what is sent to a page that takes a form.

    Raises:
        AssertionError: nobody has said.
    """
    assert page.path in FORMS, f"{page.path} has no form on the tour: add one to FORMS"
    return FORMS[page.path]


@attr.s(auto_attribs=True)
class SampleServer:
    """Answers for the homeserver.

    Attributes:
        alter: gets the request's key and a copy of the answer, and returns what is answered in its place: an object,
            or a whole answer of HTTP; may raise.
        unknown: requests that no answer is known for.
        asked: the keys of the answers that were given, in order.
        changes: every request that was no GET.
    """

    alter: Callable[[str, Any], Any] = attr.ib(default=lambda _key, answer: answer)
    unknown: list[str] = attr.ib(factory=list)
    asked: list[str] = attr.ib(factory=list)
    changes: list[HttpRequest] = attr.ib(factory=list)

    def __call__(self, request: HttpRequest) -> HttpAnswer:
        """Answers one request."""
        if request.method != "GET":
            self.changes.append(request)
        key = _key(request.method, urlsplit(request.url).path)
        if key is None:
            self.unknown.append(f"{request.method} {request.url}")
            raise OSError("no answer is known")
        self.asked.append(key)
        found = self.alter(key, deepcopy(_ANSWERS[key]))
        if isinstance(found, HttpAnswer):
            return found
        if found is None:
            return answer({"errcode": "M_NOT_FOUND", "error": "There is no such object"}, 404)
        # Synapse makes an account of a name that it does not know; the portal asks with nothing in it.
        return answer(found, 201 if request.method == "PUT" and request.body == b"{}" else 200)


_ANSWERS: Final = {**SYNAPSE, **OWN, **REPORTS}
_PATTERNS: Final = {
    key: re.compile(re.escape(key).replace(r"\*", "[^/]+"), re.DOTALL)
    for key in sorted(_ANSWERS, key=lambda key: "*" in key)
}


def _key(method: str, path: str) -> str | None:
    """Which answer a request gets; a slash that was escaped is no end of a segment."""
    decoded = "/".join(unquote(segment).replace("/", " ") for segment in path.split("/"))
    return next((key for key, pattern in _PATTERNS.items() if pattern.fullmatch(f"{method} {decoded}")), None)


def answer(content: object, status: int = 200) -> HttpAnswer:
    """Returns an answer of JSON."""
    return HttpAnswer(status, "application/json", "", json.dumps(content).encode())


class PortalTourCase(PortalTestCase):
    """`boss` is logged in, everything that may be shown is shown, and the homeserver's APIs answer by the book.

    Attributes:
        sample: answers for the homeserver.
        pages: every page there is.
    """

    portal: ClassVar[Mapping[str, Any]] = {
        "show_activity": True,
        "file_previews": True,
        "support": {"contacts": [{"name": "Service Desk", "phone": "030 1"}], "email": "desk@a.example"},
    }

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        """Goes to the time of the answers and logs in."""
        super().prepare(*reactor_clock_and_homeserver)
        self.reactor.advance(NOW_MS / 1000 - self.reactor.seconds())
        self.pump(0.1)
        self.pages = all_pages()
        self.begin()

    def begin(self) -> None:
        """Logs in, and puts the answers where the homeserver's were."""
        self.homeserver_api.scripted.clear()
        self.browser.log_in()
        assert self.browser.status == HTTPStatus.OK, "nobody could log in"
        # The look at the address of this login is over before the tour, or it would stand among what a page has asked.
        self.pump(2 * WAIT_MS / 1000 / 100)
        self.sample = SampleServer()
        for method in ("GET", "POST", "PUT", "DELETE"):
            self.homeserver_api.scripted[f"{method} /_synapse/"] = self.sample

    def submit(self, page: Page, **more: str) -> str:
        """Sends the form of a page with a token of this session; returns the answer."""
        return self.browser.post(place(page), {"_form": self.form_token(), **fields(page), **more})

    def form_token(self) -> str:
        """Returns a new token of this session: that of the button that logs out is as good as any."""
        return self.browser.token(self.browser.get("users/import"))

    def looks_like_ours(self) -> bool:
        """Whether the last answer is a page of the portal, or leads to one."""
        if self.browser.location:
            return self.browser.location.startswith(f"{PORTAL}/")
        body: bytes = self.browser.channel.result.get("body", b"")
        return b"<h1>" in body and b"Traceback" not in body
