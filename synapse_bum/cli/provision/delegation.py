"""What tells others where the homeserver is: DNS records and the files at `/.well-known/matrix/`. Pure.

Sources: Matrix specification, server-server API "Resolving server names", client-server API "Server discovery".
"""

import ipaddress
import json
from typing import Final

from synapse_bum.cli.provision.order import Order

WELL_KNOWN: Final = "well-known/matrix"
"""Where the files are, below the folder."""

_TTL: Final = 3600
_ROLE_ADMIN: Final = "m.role.admin"


def well_known_files(order: Order) -> dict[str, str]:
    """Write the three files, which nginx serves under the server name."""
    public = order.hosts.public
    files = {
        "server": {"m.server": f"{public}:443"},
        "client": {"m.homeserver": {"base_url": f"https://{public}/"}},
        "support": {"contacts": [{"email_address": order.support_email, "role": _ROLE_ADMIN}]},
    }
    return {f"{WELL_KNOWN}/{name}": json.dumps(content, indent=2) + "\n" for name, content in files.items()}


def zone(order: Order) -> str:
    """Write the records, to be put into the zone of whoever has the names."""
    hosts = order.hosts
    lines = [
        f"; DNS of {hosts.server}: to be put into the zone that has the name. Made by `synapse-bum provision`.",
        "; Names end with a point here: they are whole.",
    ]
    if not order.addresses:
        lines.append("; No --address was given: write the machine's address in, and take the `;` away.")
    for name in hosts.distinct:
        lines += [_record(name, address) for address in order.addresses] or [
            f"; {name}. {_TTL} IN A <IPv4>",
            f"; {name}. {_TTL} IN AAAA <IPv6>",
        ]
    lines += [
        "",
        "; Servers look at https://<server name>/.well-known/matrix/server first. This record is for those that get no",
        "; answer there; the certificate at that port then has to hold the server name.",
        f"_matrix-fed._tcp.{hosts.server}. {_TTL} IN SRV 10 5 8448 {hosts.public}.",
    ]
    return "\n".join(lines) + "\n"


def _record(name: str, address: str) -> str:
    kind = "A" if ipaddress.ip_address(address).version == 4 else "AAAA"
    return f"{name}. {_TTL} IN {kind} {address}"
