"""What nginx does in front of the whole service: the sample of this repository, with the paths spread over processes.

The paths are those of the BundesMessenger's chart: files and what administrators do with files belong to the worker
with the media volume, what any process can do to the generic workers (Synapse, docs/workers.md), the rest to main.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attr

import synapse_bum
from synapse_bum.testing.local_server import LOOPBACK

ADMIN_HOST: Final = "admin.messenger.example"
"""The host name by which the modules know requests of administrators. nginx writes it: nobody resolves it."""

_SAMPLE: Final = Path(synapse_bum.__file__).parent.parent / "config-samples" / "nginx.conf"

_TO_MEDIA: Final = (
    "^/_matrix/(media|media_proxy)/",
    "^/_matrix/client/v1/media/",
    "^/_matrix/federation/v1/media/",
)
_TO_GENERIC: Final = (
    "^/_matrix/client/(r0|v3)/(sync|events|initialSync)$",
    "^/_matrix/client/(r0|v3)/rooms/[^/]+/initialSync$",
    "^/_matrix/client/(r0|v3)/(createRoom|joined_rooms|publicRooms|search)$",
    "^/_matrix/client/(r0|v3)/(join|profile|user_directory/search)(/|$)",
    "^/_matrix/client/(r0|v3|v1)/rooms/[^/]+/(messages|context|members|joined_members|state|event|relations|threads|hierarchy)",
    "^/_matrix/client/(r0|v3)/rooms/[^/]+/(send|redact|invite|join|leave|kick|ban|unban)",
    "^/_matrix/client/(r0|v3)/(keys/query|keys/changes|user/[^/]+/filter)",
    "^/_matrix/federation/v[12]/(?!media/)",
    "^/_matrix/key/v2/query",
)
_ADMIN_TO_MEDIA: Final = (
    "^/_synapse/admin/v1/(media|quarantine_media|purge_media_cache)(/|$)",
    "^/_synapse/admin/v1/(room|users?)/[^/]+/media(/|$)",
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class SitePorts:
    """Where nginx listens.

    Attributes:
        clients: without TLS, for clients.
        servers: with TLS, for other organisations.
        administrators: without TLS, for administrators and for the portal.
    """

    clients: int
    servers: int
    administrators: int


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Upstreams:
    """Where the processes listen: `host:port` each.

    Attributes:
        main: the main process.
        media: the worker with the files.
        generic: the others.
    """

    main: str
    media: str
    generic: Sequence[str]


def service_site(ports: SitePorts, upstreams: Upstreams, tls: Path) -> str:
    """Write what belongs into `http { }` of nginx.

    Args:
        ports: free ones.
        upstreams: the processes.
        tls: folder with `certificate.pem` and `key.pem`.
    """
    site = _SAMPLE.read_text(encoding="utf-8")
    public, administrators = site.split("# Administrators: ", 1)
    public = _replaced(public, "    server 127.0.0.1:8008;\n", f"    server {upstreams.main};\n")
    # By name and port: a sign-in begins at the address that Synapse knows as its own, or is led there.
    public = _replaced(public, "server_name matrix.messenger.example;", f"server_name {LOOPBACK};")
    public = _replaced(public, "Host $server_name;", f"Host $server_name:{ports.clients};")
    public = _replaced(public, "listen 443 ssl;", f"listen {LOOPBACK}:{ports.clients};")
    public = _replaced(public, "listen 8448 ssl;", f"listen {LOOPBACK}:{ports.servers} ssl;")
    # Variant A keeps clients off plain files that do not ask the scanner; here `require_scan` holds what is encrypted.
    public = _replaced(public, "set $bum_variant A;", "set $bum_variant B;")
    routes = _locations(_TO_MEDIA, "synapse_media") + _locations(_TO_GENERIC, "synapse_generic")
    public = _before(public, "    location /_matrix/ {\n", routes)
    administrators = _replaced(administrators, "listen 443 ssl;", f"listen {LOOPBACK}:{ports.administrators};")
    routes = _locations(_ADMIN_TO_MEDIA, "synapse_media")
    administrators = _before(administrators, "    location /_synapse/admin/ {\n", routes)
    workers = (
        f"upstream synapse_media {{\n    server {upstreams.media};\n    keepalive 16;\n}}\n"
        "upstream synapse_generic {\n"
        "    # One person's requests go to one worker, which then has what it needs in memory.\n"
        "    hash $http_authorization$remote_addr consistent;\n"
        + "".join(f"    server {address};\n" for address in upstreams.generic)
        + "    keepalive 16;\n}\n"
    )
    whole = f"{workers}{public}# Administrators: {administrators}"
    return whole.replace("/etc/nginx/tls/matrix.pem", f"{tls}/certificate.pem").replace(
        "/etc/nginx/tls/matrix.key", f"{tls}/key.pem"
    )


def _replaced(text: str, old: str, new: str) -> str:
    """Replace what stands there once; elsewhere the sample is no longer the one that this file was written for."""
    assert text.count(old) == 1, old
    return text.replace(old, new)


def _before(text: str, line: str, added: str) -> str:
    assert len(re.findall(f"^{re.escape(line)}", text, re.MULTILINE)) == 1, line
    return text.replace(line, added + line)


def _locations(patterns: Sequence[str], upstream: str) -> str:
    return "".join(
        f'    location ~ "{pattern}" {{\n        proxy_pass http://{upstream};\n    }}\n' for pattern in patterns
    )
