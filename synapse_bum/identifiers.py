"""Which texts are Matrix identifiers and host names. Pure predicates; source: Matrix specification, Appendices.

They are wide enough for every identifier that exists in rooms (historical user ids included) and narrow enough that
none of them can be a path, hold a control character or be longer than the specification allows.
"""

import ipaddress
import re
import unicodedata
from typing import Final

_MAX_ID_BYTES: Final = 255
_MAX_SERVER_NAME: Final = 230
_MAX_PORT: Final = 65_535

_DNS_LABELS: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*", re.ASCII)
_SERVER_NAME: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,255})(?::([0-9]{1,5}))?", re.ASCII)
_MEDIA_ID: Final = re.compile(r"[A-Za-z0-9_=-]{1,255}", re.ASCII)
_RUN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_OPAQUE_ROOM_ID: Final = re.compile(r"![A-Za-z0-9_-]{43}", re.ASCII)


def is_host(text: str) -> bool:
    """Whether this is a DNS name, an IPv4 address or a bracketed IPv6 address, without a port."""
    if text.startswith("["):
        return text.endswith("]") and _is_ipv6(text[1:-1])
    if re.fullmatch(r"[0-9.]+", text, re.ASCII):
        return _is_ipv4(text)
    return len(text) <= _MAX_ID_BYTES and _DNS_LABELS.fullmatch(text) is not None


def is_server_name(text: str) -> bool:
    """Whether this is a Matrix server name: a host with an optional port (Appendices, "Server Name")."""
    matched = _SERVER_NAME.fullmatch(text)
    if matched is None or len(text) > _MAX_SERVER_NAME or not is_host(matched[1]):
        return False
    return matched[2] is None or 0 < int(matched[2]) <= _MAX_PORT


def is_user_id(text: str) -> bool:
    """Whether this is `@localpart:server`, historical localparts included (Appendices, "User Identifiers")."""
    return _is_identifier("@", text)


def is_room_id(text: str) -> bool:
    """Whether this is `!opaque:server`, or `!hash` as room versions 12 and later have it (MSC4291)."""
    return _is_identifier("!", text) or _OPAQUE_ROOM_ID.fullmatch(text) is not None


def is_event_id(text: str) -> bool:
    """Whether this is `$opaque`, in old room versions followed by `:server`."""
    return text.startswith("$") and len(text) > 1 and _fits(text)


def is_media_id(text: str) -> bool:
    """Whether this is the media id part of an `mxc://` URI (client-server API, "Content repository")."""
    return _MEDIA_ID.fullmatch(text) is not None


def is_run_id(text: str) -> bool:
    """Whether this can be the id of one of our runs."""
    return _RUN_ID.fullmatch(text) is not None


def is_signature(text: str) -> bool:
    """Whether this can be a virus scanner's name for what it found: one line, at most 255 bytes."""
    return bool(text.strip()) and _fits(text)


def is_line(text: str) -> bool:
    """Whether this is one line of printable text of at most 255 bytes, that a reader of its own understands."""
    return bool(text) and text.isprintable() and _fits(text)


def host_of_header(header: str) -> str:
    """Returns the host of an HTTP `Host` header: lower case, without the port (RFC 9110 section 7.2).

    Returns:
        The host, an IPv6 address in its brackets; the empty string when the header holds no valid host.
    """
    matched = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::[0-9]{0,5})?", header)
    host = matched[1].lower() if matched else ""
    return host if is_host(host) else ""


def _is_identifier(sigil: str, text: str) -> bool:
    localpart, separator, server = text[1:].partition(":")
    return text.startswith(sigil) and bool(localpart) and bool(separator) and is_server_name(server) and _fits(text)


def _fits(text: str) -> bool:
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        return False
    return len(text.encode()) <= _MAX_ID_BYTES


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
