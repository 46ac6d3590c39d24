"""One request as it came in, before anything is believed of it."""

from collections.abc import Mapping
from typing import Final

import attr
from synapse.module_api import SynapseRequest

from synapse_bum.identifiers import host_of_header
from synapse_bum.portal.forms.form_data import FormData, read_form, read_query
from synapse_bum.portal.forms.form_token import is_from_here
from synapse_bum.portal.sessions import cookies

MAX_BODY_BYTES: Final = 2**20

_COOKIES: Final = (cookies.SESSION, cookies.NOTICE, cookies.SSO_STATE, cookies.OIDC_ATTEMPT)


class TooLargeError(Exception):
    """The body has more than `MAX_BODY_BYTES`."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Arrival:
    """A request.

    Attributes:
        method: of HTTP, with GET for HEAD.
        authority: the `Host` header, lower case, with its port; empty unless there is exactly one that is valid.
        host: the same without its port.
        segments: percent-decoded path below the portal.
        location: path and query, as they came.
        query: of the address.
        content_type: of the body.
        body: None when it is too large.
        cookies: ours, by name; those that came.
        origin: header `Origin`.
        fetch_site: header `Sec-Fetch-Site`.
        address: of the browser, as the proxy says; None when it is not known.
        now_ms: ms since the epoch.
    """

    method: str
    authority: str
    host: str
    segments: tuple[bytes, ...]
    location: str
    query: FormData = attr.ib(repr=False)
    content_type: str
    body: bytes | None = attr.ib(repr=False)
    cookies: Mapping[str, str] = attr.ib(repr=False)
    origin: str | None
    fetch_site: str | None
    address: str | None
    now_ms: int

    @classmethod
    def of(cls, request: SynapseRequest, now_ms: int) -> "Arrival":
        """Reads a request; nothing of it can make this fail."""
        method = request.method.decode("ascii", "replace")
        hosts = request.requestHeaders.getRawHeaders(b"host") or []
        authority = _text(hosts[0]).lower() if len(hosts) == 1 else ""
        host = host_of_header(authority)
        body = request.content.read(MAX_BODY_BYTES + 1) if request.content is not None else b""
        found = {name: request.getCookie(name.encode()) for name in _COOKIES}
        return cls(
            method="GET" if method == "HEAD" else method,
            authority=authority if host else "",
            host=host,
            segments=tuple(request.postpath or ()),
            location=request.uri.decode("ascii", "replace"),
            query=read_query(request.uri),
            content_type=_header(request, b"content-type") or "",
            body=body if len(body) <= MAX_BODY_BYTES else None,
            cookies={name: value.decode("ascii", "replace") for name, value in found.items() if value is not None},
            origin=_header(request, b"origin"),
            fetch_site=_header(request, b"sec-fetch-site"),
            address=getattr(request.getClientAddress(), "host", None),
            now_ms=now_ms,
        )

    @property
    def is_from_here(self) -> bool:
        """Whether the browser says that one of our own pages sent this."""
        return is_from_here(self.origin, self.fetch_site, self.host)

    def form(self) -> FormData:
        """Reads the body of a POST.

        Raises:
            TooLargeError: it is too large.
            BadFormError: it is no form.
        """
        if self.body is None:
            raise TooLargeError
        return read_form(self.content_type, self.body)


def _header(request: SynapseRequest, name: bytes) -> str | None:
    value = request.getHeader(name)
    return None if value is None else _text(value)


def _text(value: bytes) -> str:
    """Asked for text, Twisted raises where a header is no UTF-8."""
    return value.decode("utf-8", "replace")
