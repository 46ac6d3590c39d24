"""Names of partners: what an operator writes becomes the one form that is stored and compared, or a clear refusal.

Pure. Sources: Matrix specification, Appendices, "Server Name"; RFC 5891 and UTS 46 for international names; RFC 6761
for `localhost`. Synapse brings no list of public suffixes, so a small rule stands here for it: a name of a single label
is one, and so are the second-level names below which anybody may register.
"""

import ipaddress
import re
from typing import Final

import idna

from synapse_bum.identifiers import is_server_name

WILDCARD: Final = "*."
"""How a wildcard begins: `*.bund.example` is every name below `bund.example`, on any level, and not that one itself."""

_LOCALHOST: Final = "localhost"
_PORT: Final = re.compile(r":([0-9]{1,5})$", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_SECOND_LEVEL: Final = frozenset(
    {"ac", "co", "com", "edu", "gob", "gouv", "gov", "gv", "mil", "ne", "net", "or", "org"}
)
"""Below a country's own label (two letters) these are public suffixes, for example `co.uk`, `com.au`, `gv.at`."""


class NameRefusedError(Exception):
    """This can't be the name of a partner; the text completes "`server_name`: "."""


def server_name(text: str) -> str:
    """Brings the name of one server into its compared form.

    Args:
        text: as somebody wrote it: any case, international labels, with or without a port.

    Returns:
        lower case, A-labels, the port as written without leading zeros.

    Raises:
        NameRefusedError: it is no server name.
    """
    matched = _PORT.search(text)
    host, port = (text[: matched.start()], int(matched[1])) if matched else (text, None)
    name = _ascii(host) if port is None else f"{_ascii(host)}:{port}"
    if not is_server_name(name):
        raise NameRefusedError("must be a Matrix server name such as `example.org` or `example.org:8448`")
    return name


def partner_name(text: str, *, own_name: str, allow_wildcards: bool) -> str:
    """Brings the name of a partner, or a wildcard, into its compared form.

    Args:
        text: as somebody wrote it.
        own_name: of this homeserver.
        allow_wildcards: whether `*.` may stand in front.

    Returns:
        as `server_name`, behind `*.` for a wildcard.

    Raises:
        NameRefusedError: this can't be a partner.
    """
    wildcard = text.startswith(WILDCARD)
    bare = text.removeprefix(WILDCARD)
    if "*" in bare:
        raise NameRefusedError("`*` may only stand for whole labels at the beginning, as in `*.bund.example`")
    if wildcard and not allow_wildcards:
        raise NameRefusedError("wildcards need `allow_wildcards: true` in the configuration")
    name = server_name(bare)
    host = host_of(name)
    if is_address(host):
        raise NameRefusedError("must be a name: addresses belong to nobody in particular")
    if is_public_suffix(host):
        raise NameRefusedError("is a public suffix or a single label: anybody may have a name below it")
    if not wildcard and name == own_name.lower():
        raise NameRefusedError("is this server's own name")
    return f"{WILDCARD}{name}" if wildcard else name


def host_of(name: str) -> str:
    """Returns a server name without its port."""
    return _PORT.sub("", name)


def is_address(host: str) -> bool:
    """Whether this is an IP address, or something that a resolver might read as one."""
    if host.startswith("["):
        return True
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        # A last label that is a number is an address to the C library: `0x7f.1`, `127.1`.
        return _NUMBER.fullmatch(host.rpartition(".")[2]) is not None
    return True


def is_public_suffix(host: str) -> bool:
    """Whether anybody may get a name below this one."""
    labels = host.split(".")
    if len(labels) == 1:
        return host != _LOCALHOST
    return len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _SECOND_LEVEL


def _ascii(host: str) -> str:
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode("ascii").lower()
    except idna.IDNAError:
        raise NameRefusedError("is no valid international domain name (RFC 5891)") from None
