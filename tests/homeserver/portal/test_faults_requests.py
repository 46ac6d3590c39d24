"""Requests that no browser sends: other hosts, other methods, other bodies. And what stands on every answer."""

from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport

from synapse_bum.portal.addresses import PORTAL
from synapse_bum.portal.reply import CONTENT_SECURITY_POLICY
from synapse_bum.testing.listeners import listener
from synapse_bum.testing.portal_case import HOST, PortalTestCase
from synapse_bum.testing.portal_tour import PortalTourCase, fields, place

NOTHING: Final = "Not found\n"
ALWAYS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Access-Control-Allow-Origin": "",
    "X-Robots-Tag": "noindex, nofollow",
}
PICTURE: Final = "files/{server_name}/{media_id}/preview"
"""The one page that may show a picture, and so has a policy of its own."""


class WireCase(PortalTestCase):
    def send(self, *lines: bytes, body: bytes = b"") -> tuple[int, bytes]:
        """Sends a request byte by byte as it stands here; returns the status, and all that came back."""
        protocol = self.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1234))
        assert protocol is not None
        transport = StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(b"\r\n".join((*lines, b"Connection: close", b"", b"")) + body)
        for _ in range(100):
            if transport.disconnecting or transport.disconnected:
                break
            self.reactor.advance(0.1)
        came = transport.value()
        return int(came.split(b" ", 2)[1]) if came else 0, came

    def shows_login(self, *lines: bytes) -> bool:
        """Whether the portal's login page comes back."""
        status, came = self.send(*lines)
        assert status in (0, 200, 400, 404), lines
        return status == HTTPStatus.OK and b"Verwaltungsportal" in came


class HostTestCase(WireCase):
    portal = {"hosts": [HOST, "[2001:db8::1]", "xn--bcher-kva.example"]}
    LOGIN = f"{PORTAL}/login".encode()

    def get(self, *hosts: bytes, target: bytes = LOGIN) -> bool:
        return self.shows_login(b"GET " + target + b" HTTP/1.1", *(b"Host: " + host for host in hosts))

    def test_names_of_the_portal(self) -> None:
        for host in (
            *(b"admin.example", b"ADMIN.Example", b"admin.example:443", b"admin.example:", b" admin.example\t"),
            *(b"[2001:db8::1]", b"[2001:DB8::1]:8448", b"xn--bcher-kva.example"),
        ):
            assert self.get(host), host

    def test_everything_else_is_another_server(self) -> None:
        for host in (
            *(b"", b"admin", b"example", b"admin.example.", b"admin.example..", b".admin.example", b"*.example"),
            *(b"admin.example@evil.example", b"evil.example@admin.example", b"admin.example/", b"/admin.example"),
            *(b"admin.example,evil.example", b"admin.example evil.example", b"admin.example:x", b"admin.example:-1"),
            *(b"admin.example:443:443", b"admin.example\0", b"admin.example%00", b"admin.example#", b"admin.example?"),
            *(b"2001:db8::1", b"[2001:db8::1", b"[2001:db8::1%25eth0]", b"[::ffff:127.0.0.1]", b"127.0.0.1", b"[::]"),
            *("bücher.example".encode(), "bücher.example".encode("latin-1"), "admin。example".encode()),
            *(
                "\N{CYRILLIC SMALL LETTER A}dmin.example".encode(),
                b"\xff\xfe",
                b"a" * 300,
                b"http://admin.example",
                b"admin.example\\",
            ),
        ):
            assert not self.get(host), host

    def test_two_or_none(self) -> None:
        for hosts in (
            (),
            (b"admin.example", b"admin.example"),
            (b"admin.example", b"evil.example"),
            (b"evil.example", b"admin.example"),
        ):
            assert not self.get(*hosts), hosts

    def test_what_a_proxy_may_say_is_not_believed(self) -> None:
        for line in (b"X-Forwarded-Host: admin.example", b"Forwarded: host=admin.example", b"X-Host: admin.example"):
            first = b"GET " + self.LOGIN + b" HTTP/1.1"
            assert not self.shows_login(first, b"Host: evil.example", line)
            assert self.shows_login(first, b"Host: admin.example", line.replace(b"admin", b"evil"))

    def test_a_whole_address_in_the_first_line_opens_no_other_host(self) -> None:
        for host in (b"evil.example", b"admin.example"):
            assert not self.get(b"evil.example", target=b"https://" + host + self.LOGIN)

    def test_paths_that_lead_round_something(self) -> None:
        for target in (
            *(b"//admin.example" + self.LOGIN, b"/" + self.LOGIN, PORTAL.encode() + b"/%6cogin/../users"),
            *(PORTAL.encode() + b"/./login", PORTAL.encode() + b"/users/..%2flogin", PORTAL.encode() + b"/login%00"),
            *(PORTAL.encode() + b"/static/..%2f..%2fconfig.py", PORTAL.encode() + b"/static/%2e%2e/texts"),
        ):
            assert not self.get(b"admin.example", target=target), target

    def test_nobody_is_led_to_another_server(self) -> None:
        for target in (
            *(PORTAL.encode() + b"//evil.example", PORTAL.encode() + b"/%2F%2Fevil.example", PORTAL.encode()),
            *(self.LOGIN + b"?next=https://evil.example", self.LOGIN + b"?next=//evil.example"),
            PORTAL.encode() + b"/sso?next=https://evil.example",
        ):
            _status, came = self.send(b"GET " + target + b" HTTP/1.1", b"Host: admin.example")
            assert b"location: https://evil" not in came.lower(), target
            assert b"location: //" not in came.lower(), target

    def test_broken_requests_are_never_a_trace(self) -> None:
        for lines in (
            (b"GET " + self.LOGIN + b" HTTP/1.1", b"Host: admin.example", b"Cookie: \xff\xfe\x00=\x01; __Secure-=;;="),
            (b"GET " + self.LOGIN + b"?%ff=%00&&&=%ud800&a=b&a HTTP/1.1", b"Host: admin.example"),
            (b"GET " + self.LOGIN + "?q=ä".encode("latin-1") + b" HTTP/1.1", b"Host: admin.example"),
            (b"GET " + self.LOGIN + b" HTTP/1.1", b"Host: admin.example", b"Origin: \xff", b"Sec-Fetch-Site: \xff"),
            (b"GET " + self.LOGIN + b" HTTP/1.1", b"Host: admin.example", b"X-Forwarded-For: <script>, \xff"),
            (b"BREW " + self.LOGIN + b" HTTP/1.1", b"Host: admin.example"),
        ):
            status, came = self.send(*lines)
            assert status in (200, 400, 405), (lines, came[:200])
            assert b"Traceback" not in came, lines

    def test_files_are_no_forms(self) -> None:
        """Synapse itself refuses them, before the portal sees them."""
        body = b'--a\r\nContent-Disposition: form-data; name="name"\r\n\r\nboss\r\n--a--\r\n'
        status, came = self.send(
            b"POST " + self.LOGIN + b" HTTP/1.1",
            b"Host: admin.example",
            b"Origin: https://admin.example",
            b"Content-Type: multipart/form-data; boundary=a",
            b"Content-Length: %d" % len(body),
            body=body,
        )
        assert status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        assert b"Set-Cookie" not in came


class FederationHostTestCase(WireCase):
    server = {"listeners": [listener("federation")]}

    def test_the_port_of_other_servers_has_no_portal_whatever_the_host(self) -> None:
        for path in ("", "/", "/login", "/static/portal.css", "/accessibility", "/users"):
            for host in (HOST, "test"):
                self.browser.host = host
                assert self.browser.get(f"{PORTAL}{path}") == NOTHING
                assert self.browser.status == HTTPStatus.NOT_FOUND


class BodyTestCase(PortalTourCase):
    """Bodies that are no form, or too much of one, sent to every page that takes a form."""

    def refused(self, content: bytes, content_type: bytes, status: HTTPStatus) -> None:
        for page in self.pages:
            if page.submit is not None:
                self.sample.asked.clear()
                body = self.browser.post(place(page), content, content_type=content_type)
                assert self.browser.status == status, (page.path, self.browser.status)
                assert self.sample.asked == [], page.path
                assert "<h1>" in body, page.path

    def test_a_body_of_more_than_a_megabyte(self) -> None:
        form = b"_form=x&reason="
        self.refused(form + b"a" * (2**20 + 1 - len(form)), b"application/x-www-form-urlencoded", HTTPStatus(413))

    def test_what_is_no_form(self) -> None:
        token = self.form_token().encode()
        for content_type in (b"application/json", b"text/plain", b"multipart/mixed; boundary=a", b""):
            self.refused(b"_form=" + token, content_type, HTTPStatus.BAD_REQUEST)

    def test_fields_without_number_and_bytes_that_are_no_text(self) -> None:
        kind = b"application/x-www-form-urlencoded"
        token = b"_form=" + self.form_token().encode()
        self.refused(token + b"&a=b" * 3_000, kind, HTTPStatus.BAD_REQUEST)
        self.refused(token + b"&reason=%ff%fe", kind, HTTPStatus.BAD_REQUEST)
        self.refused(token + b"&reason=\xe4", kind + b"; charset=iso-8859-1", HTTPStatus.BAD_REQUEST)
        self.refused(token + b"&reason=%ed%a0%80", kind, HTTPStatus.BAD_REQUEST)

    def test_the_most_that_a_form_may_hold(self) -> None:
        """A megabyte in one field, a thousand fields, control characters: a complaint or the step, never a failure."""
        for page in self.pages:
            if page.submit is None:
                continue
            for more in (
                dict.fromkeys(fields(page), "a" * (1_000_000 // max(1, len(fields(page))))),
                {f"field{number}": "x" for number in range(1_000)},
                dict.fromkeys(fields(page), "a\0b\x1b\u202e\ud7ff\ufffe\U0010ffff\r\n"),
            ):
                content = "&".join(f"{name}={quote(value)}" for name, value in {**fields(page), **more}.items())
                self.browser.post(place(page), f"_form={self.form_token()}&{content}".encode())
                assert self.browser.status in (200, 303, 413, 422), (page.path, self.browser.status)

    def test_a_body_with_get_is_no_form(self) -> None:
        for page in self.pages:
            content = f"_form={self.form_token()}".encode()
            self.sample.changes.clear()
            self.browser._ask("GET", place(page), content, b"application/x-www-form-urlencoded", ())
            assert self.sample.changes == [], page.path

    def test_other_methods(self) -> None:
        for page in self.pages:
            self.sample.asked.clear()
            for method in ("PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND"):
                self.browser.get(place(page), method=method)
                assert self.browser.status == HTTPStatus.METHOD_NOT_ALLOWED, (page.path, method)
            assert self.sample.asked == [], page.path
            headers = [("X-HTTP-Method-Override", "DELETE")]
            self.browser.get(place(page), headers=headers)
            assert self.sample.changes == [], page.path
            self.browser.get(place(page), method="HEAD")
            assert "body" not in self.browser.channel.result, page.path

    def test_options_says_nothing_about_the_portal(self) -> None:
        """Synapse answers these itself, for everything that it serves."""
        for address in ("users", "nothing", place(self.pages[0])):
            assert self.browser.get(address, method="OPTIONS") == ""
            assert "Set-Cookie" not in str(self.browser.channel.headers)
        assert self.sample.asked == []


class HeadersTestCase(PortalTourCase):
    def check(self, what: object, *, own_policy: bool = False) -> None:
        for name, value in ALWAYS.items():
            found = self.browser.header(name)
            if own_policy and name == "Content-Security-Policy":
                assert "default-src 'none'" in found, what
                assert "script" not in found, what
                assert "frame-ancestors 'none'" in found, what
            else:
                assert found == value, (what, name)
        kind = self.browser.header("Content-Type")
        if kind.startswith("text/html"):
            assert kind == "text/html; charset=utf-8", what
        elif self.browser.channel.result.get("body") and self.browser.status == HTTPStatus.OK:
            assert self.browser.header("Content-Disposition").startswith('attachment; filename="'), what
        for line in self.browser.channel.headers.getRawHeaders("Set-Cookie") or []:
            assert all(part in line for part in ("; Secure", "; HttpOnly", "; SameSite=")), what

    def test_on_every_page_file_and_failure(self) -> None:
        for page in self.pages:
            self.browser.get(place(page))
            self.check(page.path)
            if page.submit is not None:
                self.submit(page)
                self.check(page.path, own_policy=page.path == PICTURE)
                self.browser.post(place(page), {})
                self.check(page.path)
            self.sample.alter = lambda _key, _found: {}
            self.browser.get(place(page))
            self.check(page.path)
            self.sample.alter = lambda _key, found: found

    def test_on_answers_that_come_before_any_page(self) -> None:
        for path in (
            "nothing",
            "logout",
            "login",
            "accessibility",
            "static/nothing",
            "sso",
            "sso/return",
            "oidc",
            "%ff",
        ):
            self.browser.get(path)
            self.check(path)
            self.browser.post(path, b"\xff")
            self.check(path)
            self.browser.get(path, method="PUT")
            self.check(path)
        self.browser.host = "evil.example"
        self.browser.get("login")
        assert self.browser.header("X-Content-Type-Options") == "nosniff"
        assert self.browser.header("Cache-Control") == "no-store"
