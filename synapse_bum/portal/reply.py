"""What is sent to the browser, and the headers that every answer has. Pure."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

import attr

HTML: Final = "text/html; charset=utf-8"

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

_ALWAYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # Not `no-referrer`: with that one browsers send `Origin: null` with our own forms (Fetch, "append a request
        # Origin header"), and nothing would tell them from foreign ones. Nothing goes to other sites this way either.
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Robots-Tag": "noindex, nofollow",
        "Cache-Control": "no-store",
    }
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        status: of HTTP.
        content: the whole body.
        content_type: with a charset where it is text.
        headers: on top of those that every answer has, or in place of them.
        cookies: whole `Set-Cookie` lines.
        done: whether the form that this answers has been carried out, so that it must not be once more.
    """

    status: int
    content: bytes = attr.ib(default=b"", repr=False)
    content_type: str = HTML
    headers: Mapping[str, str] = attr.ib(factory=dict)
    cookies: tuple[str, ...] = attr.ib(default=(), repr=False)
    done: bool = False

    @classmethod
    def to(cls, location: str, *, done: bool = False) -> "Reply":
        """Leads the browser to another page, with GET (303)."""
        return cls(HTTPStatus.SEE_OTHER, headers={"Location": location}, done=done)

    @classmethod
    def file(cls, content: bytes, content_type: str, file_name: str) -> "Reply":
        """Gives the browser a file to save.

        Args:
            content: the whole file.
            content_type: its media type.
            file_name: ASCII; what is not safe in a header is left out.
        """
        safe = "".join(c for c in file_name if c.isascii() and (c.isalnum() or c in "._-")) or "download"
        headers = {"Content-Disposition": f'attachment; filename="{safe}"'}
        return cls(HTTPStatus.OK, content, content_type, headers, done=True)

    def with_cookies(self, *lines: str) -> "Reply":
        """Returns the answer with more `Set-Cookie` lines."""
        return attr.evolve(self, cookies=(*self.cookies, *lines))

    def all_headers(self) -> dict[str, str]:
        """Every header but the cookies."""
        length = {"Content-Length": str(len(self.content)), "Content-Type": self.content_type}
        return {**_ALWAYS, **length, **self.headers}
