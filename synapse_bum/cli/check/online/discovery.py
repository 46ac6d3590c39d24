"""Where other servers look for a homeserver. Pure.

Source: Matrix specification, server-server API "Resolving server names".
"""

from typing import Final

import attr

from synapse_bum.identifiers import is_server_name

WELL_KNOWN_PORT: Final = 443
DEFAULT_PORT: Final = 8448
SERVICES: Final = ("_matrix-fed._tcp", "_matrix._tcp")
"""SRV services, the newer first; the other one is still asked for."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Named:
    """A server name in its parts.

    Attributes:
        host: without the port.
        port: None when it has none.
    """

    host: str
    port: int | None


def named(server_name: str) -> Named | None:
    """Take a server name apart.

    Returns:
        None when it is none.
    """
    if not is_server_name(server_name):
        return None
    host, colon, port = server_name.rpartition(":")
    if colon and port.isdigit() and not port.endswith("]"):
        return Named(host, int(port))
    return Named(server_name, None)
