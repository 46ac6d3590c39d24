"""nginx in front of the homeserver: the sample with the order's names, delegation files, portal and workers. Pure."""

import ipaddress
import re
from typing import Final

from synapse_bum.cli.provision.filling import filled, replaced, sample
from synapse_bum.cli.provision.order import Order
from synapse_bum.cli.provision.processes import Processes

_CERTIFICATE: Final = "/etc/nginx/tls/matrix"

_WELL_KNOWN: Final = """\
    # Who answers for the server name, and where; {folder}/well-known/matrix has the files.
    location ~ ^/\\.well-known/matrix/(server|client|support)$ {{
        alias {folder}/well-known/matrix/$1;
        default_type application/json;
        add_header Access-Control-Allow-Origin * always;
    }}
"""

_SERVER_NAME: Final = """
# The server name itself: only the files that say where the homeserver is.
server {{
    listen 443 ssl;
    server_name {server};
    ssl_certificate {certificate}.pem;
    ssl_certificate_key {certificate}.key;
    location / {{
        return 404;
    }}
{well_known}}}
"""

_PORTAL: Final = """
# The portal, under a name of its own. Who may open it is decided as for the administrators' name above.
server {{
    listen 443 ssl;
    server_name {portal};
    ssl_certificate {certificate}.pem;
    ssl_certificate_key {certificate}.key;
    allow 127.0.0.1;
    allow 10.0.0.0/8;
    deny all;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $server_name;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    location / {{
        return 404;
    }}
    location /_synapse/client/bum/portal/ {{
        proxy_pass http://synapse;
    }}
}}
"""

_MATRIX_LOCATION: Final = """\
    location /_matrix/ {
        proxy_pass http://synapse;
    }
"""

_WELL_KNOWN_LOCATION: Final = """\
    location /.well-known/matrix/ {
        proxy_pass http://synapse;
    }
"""

_ADMIN_LOCATION: Final = """\
    location /_synapse/admin/ {
        proxy_pass http://synapse;
    }
"""

_UPSTREAM_SERVER: Final = "    server 127.0.0.1:8008;\n"

# Synapse, docs/workers.md: what any worker answers. Logins and changes of accounts stay with main.
_GENERIC: Final = (
    "^/_matrix/client/(r0|v3)/(sync|events|initialSync)$",
    "^/_matrix/client/(r0|v3)/rooms/[^/]+/initialSync$",
    "^/_matrix/client/unstable/org.matrix.simplified_msc3575/sync$",
    "^/_matrix/client/(r0|v3)/(createRoom|joined_rooms|publicRooms|search)$",
    "^/_matrix/client/(r0|v3)/join/",
    "^/_matrix/client/(r0|v3|v1)/rooms/[^/]+/(messages|context|members|joined_members|state|event|relations|threads|hierarchy)",
    "^/_matrix/client/(r0|v3)/rooms/[^/]+/(send|redact|invite|join|leave|kick|ban|unban)",
    "^/_matrix/client/(r0|v3)/(keys/query|keys/changes|user/[^/]+/filter)",
    "^/_matrix/federation/v[12]/(?!media/)",
    "^/_matrix/key/v2/query",
)
_MEDIA: Final = (
    "^/_matrix/(media|media_proxy)/",
    "^/_matrix/client/v1/media/",
    "^/_matrix/federation/v1/media/",
)
_ADMIN_MEDIA: Final = (
    "^/_synapse/admin/v1/(media|quarantine_media|purge_media_cache)(/|$)",
    "^/_synapse/admin/v1/(room|users?)/[^/]+/media(/|$)",
)


def nginx_conf(order: Order, processes: Processes) -> str:
    """Write the configuration, for `http { }` of nginx."""
    text = sample("nginx.conf")
    text = replaced(text, _UPSTREAM_SERVER, f"    server 127.0.0.1:{processes.port};\n")
    well_known = _WELL_KNOWN.format(folder=order.folder)
    text = replaced(text, _WELL_KNOWN_LOCATION, "%WELL_KNOWN%")
    if processes.workers:
        text = _with_workers(text, processes)
    text = filled(text, order).replace("%WELL_KNOWN%", well_known)
    hosts = order.hosts
    names = {"certificate": _CERTIFICATE, "server": hosts.server, "portal": hosts.portal}
    if hosts.server != hosts.public:
        text += _SERVER_NAME.format(well_known=well_known, **names)
    if hosts.portal != hosts.admin:
        text += _PORTAL.format(**names)
    if any(ipaddress.ip_address(address).version == 6 for address in order.addresses):
        text = re.sub(r"^    listen ([0-9]+) ssl;$", r"\g<0>\n    listen [::]:\1 ssl;", text, flags=re.MULTILINE)
    return text


def _with_workers(text: str, processes: Processes) -> str:
    """Send files to the process that has them, and to generic workers what any process can do."""
    generic = "".join(f"    server 127.0.0.1:{worker.port};\n" for worker in processes.generic)
    upstreams = (
        "upstream synapse_media {\n"
        f"    server 127.0.0.1:{processes.media.port};\n"
        "    keepalive 16;\n"
        "}\n"
        "upstream synapse_generic {\n"
        "    # One person's requests go to one worker, which then has what it needs in memory.\n"
        "    hash $http_authorization$remote_addr consistent;\n"
        f"{generic}"
        "    keepalive 16;\n"
        "}\n\n"
    )
    text = replaced(text, "upstream synapse {\n", f"{upstreams}upstream synapse {{\n")
    routes = _locations(_MEDIA, "synapse_media") + _locations(_GENERIC, "synapse_generic")
    text = replaced(text, _MATRIX_LOCATION, routes + _MATRIX_LOCATION)
    return replaced(text, _ADMIN_LOCATION, _locations(_ADMIN_MEDIA, "synapse_media") + _ADMIN_LOCATION)


def _locations(patterns: tuple[str, ...], upstream: str) -> str:
    return "".join(
        f"    location ~ {pattern} {{\n        proxy_pass http://{upstream};\n    }}\n" for pattern in patterns
    )
