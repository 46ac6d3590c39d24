"""Where the portal answers at all, with which headers, and what becomes of what goes wrong."""

import logging
import re
from http import HTTPStatus
from unittest.mock import patch

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.portal.addresses import PORTAL
from synapse_bum.portal.reply import CONTENT_SECURITY_POLICY
from synapse_bum.testing.listeners import listener
from synapse_bum.testing.portal_case import Browser, PortalTestCase

USERS = "GET /_synapse/admin/v2/users?from"


class HostTestCase(PortalTestCase):
    portal = {"hosts": ["admin.example", "zweites.example"]}

    def test_it_is_there_on_its_hosts(self) -> None:
        for host in ("admin.example", "ADMIN.example", "admin.example:8443", "zweites.example"):
            assert "Verwaltungsportal" in Browser(self, host).get("login"), host

    def test_on_every_other_host_there_is_nothing(self) -> None:
        for host in (
            "",
            "matrix.example",
            "admin.example.evil.example",
            "xadmin.example",
            "admin.example:x",
            "127.0.0.1",
        ):
            browser = Browser(self, host)
            for path in ("", "login", "users", "static/portal.css"):
                assert browser.get(path) == "Not found\n", host
                assert browser.status == HTTPStatus.NOT_FOUND

    def test_two_host_headers_are_none(self) -> None:
        self.browser.get("login", headers=[("Host", "matrix.example")])
        assert self.browser.status == HTTPStatus.NOT_FOUND

    def test_a_header_that_is_no_text_says_nothing(self) -> None:
        for name in (b"Origin", b"Sec-Fetch-Site", b"Content-Type", b"X-Forwarded-For", b"Cookie", b"User-Agent"):
            page = self.browser.get("login", headers=[(name, b"\xff\xfe")])
            assert (self.browser.status, "Verwaltungsportal" in page) == (HTTPStatus.OK, True), name
            assert self.browser.header("Content-Security-Policy") == CONTENT_SECURITY_POLICY
            elsewhere = Browser(self, "matrix.example")
            assert elsewhere.get("login", headers=[(name, b"\xff\xfe")]) == "Not found\n"
            assert elsewhere.status == HTTPStatus.NOT_FOUND
        nowhere = Browser(self, "")
        assert nowhere.get("login", headers=[(b"Host", b"\xff.admin.example")]) == "Not found\n"
        assert nowhere.status == HTTPStatus.NOT_FOUND
        for headers in ([(b"Origin", b"https://admin.example\xff")], [(b"Sec-Fetch-Site", b"same-origin\xff")]):
            self.browser.post("login", {"name": "boss", "password": "pass"}, headers=headers)
            assert self.browser.status == HTTPStatus.FORBIDDEN

    def test_a_forwarded_host_says_nothing(self) -> None:
        browser = Browser(self, "matrix.example")
        browser.get("login", headers=[("X-Forwarded-Host", "admin.example"), ("Forwarded", "host=admin.example")])
        assert browser.status == HTTPStatus.NOT_FOUND


class FederationPortTestCase(PortalTestCase):
    server = {"listeners": [listener("federation")]}

    def test_there_is_nothing_on_a_listener_without_clients(self) -> None:
        self.browser.get("login")
        assert self.browser.status == HTTPStatus.NOT_FOUND


class HeaderTestCase(PortalTestCase):
    def check(self, *, stored: bool = False) -> None:
        header = self.browser.header
        assert header("Content-Security-Policy") == CONTENT_SECURITY_POLICY
        assert header("X-Content-Type-Options") == "nosniff"
        assert header("X-Frame-Options") == "DENY"
        assert header("Referrer-Policy") == "same-origin"
        assert header("Cross-Origin-Opener-Policy") == "same-origin"
        assert header("Access-Control-Allow-Origin") == ""
        assert ("immutable" if stored else "no-store") in header("Cache-Control")

    def test_every_answer_has_them(self) -> None:
        for path in ("login", "users", "nothing", "logout", "sso/return", "static/nothing.css"):
            self.browser.get(path)
            self.check()
        self.browser.post("users", {})
        self.check()
        page = self.browser.log_in()
        self.check()
        for address in re.findall(r'<link rel="[a-z]+" href="([^"]+)"', page):
            self.browser.get(address)
            assert self.browser.status == HTTPStatus.OK
            self.check(stored=True)

    def test_pages_need_nothing_that_the_policy_forbids(self) -> None:
        page = self.browser.log_in()
        for forbidden in ("<script", " style=", " onclick=", "javascript:", "http://", "https://"):
            assert forbidden not in page

    def test_head_is_get_without_the_page(self) -> None:
        self.browser.get("login", method="HEAD")
        assert self.browser.status == HTTPStatus.OK
        assert "body" not in self.browser.channel.result
        assert int(self.browser.header("Content-Length")) > 1000

    def test_other_methods(self) -> None:
        for method in ("PUT", "DELETE", "PATCH"):
            self.browser.get("users", method=method)
            assert self.browser.status == HTTPStatus.METHOD_NOT_ALLOWED
            assert self.browser.header("Allow") == "GET, HEAD, POST"
        self.browser.post("users", {})
        assert self.browser.status == HTTPStatus.METHOD_NOT_ALLOWED
        assert self.browser.header("Allow") == "GET, HEAD"

    def test_the_address_without_a_slash_leads_to_the_one_with_it(self) -> None:
        self.browser.get(PORTAL)
        assert (self.browser.status, self.browser.location) == (HTTPStatus.SEE_OTHER, f"{PORTAL}/")


class TroubleTestCase(PortalTestCase):
    def shown(self, scripted: HttpAnswer | Exception | None) -> str:
        self.homeserver_api.scripted[USERS] = scripted
        return self.browser.get("users")

    def test_what_is_not_there(self) -> None:
        self.browser.log_in()
        for path in ("nothing", "users/", "users/x/y/z", "%2e%2e/users", "users%2F", "..;/users", "static/../users"):
            page = self.browser.get(path)
            assert self.browser.status == HTTPStatus.NOT_FOUND, path
            assert "Diese Seite gibt es nicht" in page

    def test_an_error_of_ours_is_a_number_that_is_in_the_log(self) -> None:
        self.browser.log_in()
        broken = HttpAnswer(200, "application/json", "", b'{"users": [{}], "total": 1}')
        with self.assertLogs("synapse_bum.portal.portal_site", logging.ERROR) as logged:
            page = self.shown(broken)
        assert self.browser.status == HTTPStatus.INTERNAL_SERVER_ERROR
        assert "Traceback" not in page
        assert "KeyError" not in page
        number = re.search(r"diese Nummer: ([0-9a-f]{8})", page)
        assert number is not None
        assert number[1] in logged.output[0]

    def test_a_homeserver_that_is_away_or_slow_is_a_sentence(self) -> None:
        self.browser.log_in()
        for scripted in (
            OSError("no route"),
            None,
            HttpAnswer(502, "text/html", "", b"<html>"),
            HttpAnswer(200, "", "", b"[]"),
        ):
            page = self.shown(scripted)
            assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE
            assert "Der Server antwortet nicht" in page
            assert "@boss:test" in page

    def test_a_refusal_shows_what_the_server_said_as_text(self) -> None:
        self.browser.log_in()
        said = b'{"errcode": "M_INVALID_PARAM", "error": "<script>no"}'
        page = self.shown(HttpAnswer(400, "application/json", "", said))
        assert "Der Server hat abgelehnt" in page
        assert "&lt;script&gt;no" in page

    def test_a_function_that_the_server_lacks(self) -> None:
        self.browser.log_in()
        said = b'{"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"}'
        assert "nicht eingerichtet" in self.shown(HttpAnswer(404, "application/json", "", said))

    def test_what_only_operators_may_do_leaves_the_session_alone(self) -> None:
        self.browser.log_in()
        said = b'{"errcode": "M_FORBIDDEN", "error": "Only the users in `operator_users`"}'
        page = self.shown(HttpAnswer(403, "application/json", "", said))
        assert self.browser.status == HTTPStatus.FORBIDDEN
        assert "fehlt Ihnen die Berechtigung" in page
        self.browser.get("")
        assert self.browser.status == HTTPStatus.OK

    def test_too_much_is_a_sentence(self) -> None:
        self.browser.log_in()
        page = self.browser.post("login", b"name=" + b"x" * 2**20)
        assert self.browser.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        assert "größer als 1 MB" in page

    def test_what_is_no_form(self) -> None:
        for content_type, content in (
            (b"application/json", b"{}"),
            (b"x", b"\xff"),
        ):
            self.browser.post("login", content, content_type=content_type)
            assert self.browser.status == HTTPStatus.BAD_REQUEST, content_type

    def test_tokens_are_in_no_log_line(self) -> None:
        with (
            self.assertLogs(level=logging.DEBUG) as logged,
            patch.object(logging.getLogger("synapse"), "disabled", new=True),
        ):
            self.browser.log_in()
            self.shown(OSError("no route"))
        token = self.homeserver_api.asked[-1].headers["Authorization"].removeprefix("Bearer ")
        assert token.startswith("syt_")
        ours = [line for line in logged.output if "synapse_bum" in line]
        assert ours
        assert not any(token in line or "pass" in line.split() for line in ours)
        assert token not in repr(self.homeserver_api.asked)
