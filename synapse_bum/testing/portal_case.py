"""The portal in a homeserver in the test's own process, and a browser that keeps cookies.

What the portal asks of the homeserver's APIs goes to the same homeserver: `Loopback` stands where requests would leave
the process. Needs Synapse's own `tests` package.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from html import unescape
from http import HTTPStatus
from typing import Any, ClassVar, TypeAlias
from unittest.mock import patch
from urllib.parse import urlencode, urlsplit

import attr
from synapse.logging.context import PreserveLoggingContext, make_deferred_yieldable
from synapse.rest import admin
from synapse.rest.client import account, devices, login, logout, profile, room
from synapse.server import HomeServer
from tests.server import FakeChannel, make_request
from tests.unittest import HomeserverTestCase
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from synapse_bum.homeserver.http_exchange import HttpAnswer, HttpExchange, HttpRequest
from synapse_bum.homeserver.time_limit import within
from synapse_bum.portal.addresses import PORTAL
from synapse_bum.portal.page import Page
from synapse_bum.portal.page_table import PageTable, all_pages
from synapse_bum.testing.listeners import listener

MODULE = "synapse_bum.portal.PortalModule"
HOST = "admin.example"
_SAME_ORIGIN = (("Origin", f"https://{HOST}"), ("Sec-Fetch-Site", "same-origin"))
_FORM_TYPE = b"application/x-www-form-urlencoded"
_TOKEN = re.compile(r'name="_form" value="([^"]+)"')
_POLL_S = 0.01

Headers: TypeAlias = Sequence[tuple[str, str] | tuple[bytes, bytes]]
Scripted: TypeAlias = HttpAnswer | Exception | Callable[[HttpRequest], HttpAnswer] | None


@attr.s(auto_attribs=True)
class Loopback:
    """Sends what the portal asks to the homeserver that the portal is in.

    Attributes:
        case: whose homeserver it is.
        asked: every request that was sent, oldest first.
        scripted: answers in place of the homeserver's, by the beginning of method and path, such as
            `GET /_synapse/admin/v2/users`, and those of other servers, by method and address; an exception is raised,
            None never answers, a function is called.
    """

    case: "PortalTestCase"
    asked: list[HttpRequest] = attr.ib(factory=list)
    scripted: dict[str, Scripted] = attr.ib(factory=dict)

    async def send(self, exchange: HttpExchange, request: HttpRequest, seconds: float) -> HttpAnswer:
        """In place of `HttpExchange.send`."""
        self.asked.append(request)
        parts = urlsplit(request.url)
        is_own = f"{parts.scheme}://{parts.netloc}" == "https://api.example"
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        asked = f"{request.method} {target if is_own else request.url}"
        for beginning, scripted in self.scripted.items():
            if asked.startswith(beginning):
                if isinstance(scripted, HttpAnswer):
                    return scripted
                if isinstance(scripted, Exception):
                    raise scripted
                if scripted is not None:
                    return scripted(request)
                return await within(exchange._api, seconds, self._never)  # noqa: SLF001 - as the real one does
        assert is_own, asked
        return await make_deferred_yieldable(self._begin(request, target))

    async def _never(self) -> HttpAnswer:
        return await make_deferred_yieldable(Deferred())

    def _begin(self, request: HttpRequest, target: str) -> "Deferred[HttpAnswer]":
        done: Deferred[HttpAnswer] = Deferred()
        with PreserveLoggingContext():
            channel = make_request(
                self.case.reactor,
                self.case.site,
                request.method,
                target,
                request.body or b"",
                await_result=False,
                custom_headers=list(request.headers.items()),
            )
            self._look(channel, done)
        return done

    def _look(self, channel: FakeChannel, done: "Deferred[HttpAnswer]") -> None:
        if not channel.is_finished():
            self.case.reactor.callLater(_POLL_S, self._look, channel, done)
            return
        kind = channel.headers.getRawHeaders("Content-Type") or [""]
        disposition = channel.headers.getRawHeaders("Content-Disposition") or [""]
        done.callback(HttpAnswer(channel.code, kind[0], disposition[0], channel.result.get("body", b"")))


@attr.s(auto_attribs=True)
class Browser:
    """Keeps cookies and sends what a browser sends.

    Attributes:
        case: whose portal it looks at.
        host: what it believes the portal to be called.
        cookies: by name.
        channel: the last answer.
    """

    case: "PortalTestCase"
    host: str = HOST
    cookies: dict[str, str] = attr.ib(factory=dict)
    channel: FakeChannel = attr.ib(init=False, repr=False)

    def get(self, path: str = "", *, headers: Headers = (), method: str = "GET") -> str:
        """Opens a page; `path` is below the portal, or a whole path. Returns the page."""
        return self._ask(method, path, b"", _FORM_TYPE, headers)

    def post(
        self,
        path: str,
        fields: Mapping[str, str] | bytes,
        *,
        headers: Headers = _SAME_ORIGIN,
        content_type: bytes = _FORM_TYPE,
    ) -> str:
        """Sends a form as it is given, without a token of its own. Returns the page."""
        content = fields if isinstance(fields, bytes) else urlencode(fields).encode()
        return self._ask("POST", path, content, content_type, headers)

    def begin_get(self, path: str) -> None:
        """Opens a page and does not wait for the answer."""
        self._begin("GET", path, b"", _FORM_TYPE, ())

    def begin_post(self, path: str, fields: Mapping[str, str]) -> None:
        """Sends a form and does not wait for the answer."""
        self._begin("POST", path, urlencode(fields).encode(), _FORM_TYPE, _SAME_ORIGIN)

    def submit(self, path: str, fields: Mapping[str, str] | None = None) -> str:
        """Opens a page and sends its form, the way a person does; follows where it leads. Returns the last page."""
        token = self.token(self.get(path))
        page = self.post(path, {"_form": token, **(fields or {})})
        return self.follow() if self.status == HTTPStatus.SEE_OTHER else page

    def follow(self) -> str:
        """Opens the page that the last answer leads to."""
        return self.get(self.location)

    def log_in(self, name: str = "boss", password: str = "pass") -> str:  # noqa: S107 - of an example
        """Logs in; returns the page behind."""
        page = self.post("login", {"name": name, "password": password})
        return self.follow() if self.status == HTTPStatus.SEE_OTHER else page

    def token(self, page: str) -> str:
        """The token of the last form of a page, which is the one of its content."""
        return unescape(_TOKEN.findall(page)[-1])

    @property
    def status(self) -> int:
        """Of the last answer."""
        return self.channel.code

    @property
    def location(self) -> str:
        """Where the last answer leads."""
        return self.header("Location")

    def header(self, name: str) -> str:
        """A header of the last answer; empty when it has none."""
        return ", ".join(self.channel.headers.getRawHeaders(name) or [])

    def _ask(self, method: str, path: str, content: bytes, content_type: bytes, headers: Headers) -> str:
        self._begin(method, path, content, content_type, headers)
        self.channel.await_result(timeout_ms=30_000)
        for line in self.channel.headers.getRawHeaders("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies.pop(name, None)
            if "Max-Age=0" not in line:
                self.cookies[name] = value
        body: bytes = self.channel.result.get("body", b"")
        is_text = self.header("Content-Type").startswith("text/")
        return body.decode(errors="strict" if is_text else "replace")

    def _begin(self, method: str, path: str, content: bytes, content_type: bytes, headers: Headers) -> None:
        target = path if path.startswith("/") else f"{PORTAL}/{path}"
        own = [("Host", self.host)] if self.host else []
        if self.cookies:
            own.append(("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items())))
        self.channel = make_request(
            self.case.reactor,
            self.case.site,
            method,
            target,
            content,
            content_type=content_type,
            custom_headers=[*own, *headers],
            await_result=False,
        )


class PortalTestCase(HomeserverTestCase):
    """A homeserver `test` with the portal at `https://admin.example`; `boss` administers it, `alice` uses it.

    Attributes:
        portal: the module's configuration, on top of what every test needs; set by subclasses.
        more_pages: pages that are there for the test only; set by subclasses.
        more_modules: further modules, as in homeserver.yaml; set by subclasses.
        browser: one that nobody has logged in with.
        homeserver_api: where the portal's own requests go.
    """

    portal: ClassVar[Mapping[str, Any]] = {}
    more_pages: ClassVar[Sequence[Page]] = ()
    more_modules: ClassVar[Sequence[Mapping[str, Any]]] = ()
    server: ClassVar[Mapping[str, Any]] = {}
    servlets: ClassVar[list[Any]] = [
        account.register_servlets,
        admin.register_servlets,
        devices.register_servlets,
        login.register_servlets,
        logout.register_servlets,
        profile.register_servlets,
        room.register_servlets,
    ]

    def default_config(self) -> dict[str, Any]:
        """Adds the module and a listener for clients."""
        config: dict[str, Any] = super().default_config()
        config["listeners"] = [listener("client", "media")]
        config["media_store_path"] = self.mktemp()  # type: ignore[no-untyped-call]
        settings = {"hosts": [HOST], "admin_api_url": "https://api.example", **self.portal}
        config["modules"] = [{"module": MODULE, "config": settings}, *map(dict, self.more_modules)]
        config.update(self.server)
        return config

    def make_homeserver(self, *_reactor_and_clock: object) -> HomeServer:
        """Puts the loopback where requests would leave the process."""
        loopback = self.homeserver_api = Loopback(self)

        async def send(exchange: HttpExchange, request: HttpRequest, seconds: float) -> HttpAnswer:
            return await loopback.send(exchange, request, seconds)

        table = PageTable([*all_pages(), *self.more_pages])
        for patched in (
            patch.object(HttpExchange, "send", send),
            patch.object(PageTable, "of_all", lambda: table),
        ):
            patched.start()
            self.addCleanup(patched.stop)
        return self.setup_test_homeserver()

    def create_resource_dict(self) -> dict[str, Resource]:
        """Adds the media repository and the modules' own resources."""
        resources: dict[str, Resource] = super().create_resource_dict()
        if self.hs.config.media.can_load_media_repo:
            resources["/_matrix/media"] = self.hs.get_media_repository_resource()
        resources.update(self.hs._module_web_resources)  # noqa: SLF001 - as Synapse's listeners do
        return resources

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        """Registers the two accounts and opens a browser."""
        super().prepare(*reactor_clock_and_homeserver)
        self.boss = self.register_user("boss", "pass", admin=True)
        self.alice = self.register_user("alice", "pass")
        self.browser = Browser(self)
        self.pump(0.1)

    def now_ms(self) -> int:
        """The homeserver's time, ms since the epoch."""
        return int(self.hs.get_clock().time_msec())

    def wait(self, seconds: float) -> None:
        """Lets time pass."""
        self.reactor.advance(seconds)
