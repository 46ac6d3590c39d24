"""What there is to say of nginx's configuration in front of the homeserver. Pure."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import attr

from synapse_bum.antivirus.config import AntivirusConfig
from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.listeners import ports_of
from synapse_bum.cli.check.processes import Process
from synapse_bum.cli.check.proxy.included import Files, read_whole
from synapse_bum.cli.check.proxy.routing import Route, Server, route, servers_in, upstreams_in
from synapse_bum.cli.check.remark import Remark, error, warning
from synapse_bum.cli.check.shapes import text
from synapse_bum.config import SharedConfig
from synapse_bum.identifiers import host_of_header
from synapse_bum.portal.config import PortalConfig

_OWN_API: Final = "/_synapse/client/bum/v1/audit"
_PORTAL: Final = "/_synapse/client/bum/portal/"
_INSIDE: Final = (
    "/_synapse/admin/v1/server_version",
    "/_synapse/admin/v2/users",
    "/_synapse/metrics",
    "/_synapse/replication/a",
)
_SCANNER: Final = "/_matrix/media_proxy/unstable/public_key"
_FOR_CLIENTS: Final = ("/_matrix/client/versions", "/_matrix/client/v3/sync", "/_matrix/media/v3/upload")
_OWN_FILES: Final = "/_synapse/client/bum/v1/media"
_FOR_PORTAL: Final = (
    "/_synapse/admin/v2/users",
    _OWN_API,
    "/_matrix/client/v3/login",
    "/_matrix/client/v3/logout",
    "/_matrix/client/v3/account/whoami",
)
_OF_MEDIA: Final = (
    _SCANNER,
    "/_matrix/media/v3/upload",
    "/_matrix/client/v1/media/download/a.example/b",
    "/_matrix/client/v1/media/config",
    "/_matrix/federation/v1/media/download/b",
    "/_synapse/admin/v1/media/a.example/b",
)
_USUAL: Final = {"https": 443, "http": 80}
_HIS_OWN_NAME: Final = ("$server_name", "$host")
_TELLS_WHO: Final = "$remote_addr"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Expected:
    """What has to be reached under which name.

    Attributes:
        public: the host of clients; None when homeserver.yaml does not say.
        port: of clients, where it is not that of https: a part of the address then.
        portals: hosts of the portal.
        portal_asks: the host that the portal asks; None when that is Synapse itself, or there is no portal.
        inside: all hosts of administrators.
        scanner: whether the content scanner is to be reached.
        own_files: whether users' own files are to be listed.
    """

    public: str | None
    port: int | None
    portals: tuple[str, ...]
    portal_asks: str | None
    inside: frozenset[str]
    scanner: bool
    own_files: bool


def expected(settings: Mapping[str, Any], configs: Iterable[SharedConfig]) -> Expected:
    """Say what homeserver.yaml and the modules promise to whom."""
    base_url = text(settings, "public_baseurl")
    portals: tuple[str, ...] = ()
    asks: str | None = None
    scanner = own_files = False
    inside: set[str] = set()
    for config in configs:
        inside.update(config.admin_hosts)
        if isinstance(config, PortalConfig):
            portals = tuple(config.hosts)
            host = host_of_header(urlsplit(config.admin_api_url).netloc)
            asks = None if is_near(host) else host
        elif isinstance(config, AntivirusConfig):
            scanner, own_files = config.content_scanner.enabled, True
    inside.update(portals)
    inside.update([asks] if asks else [])
    return Expected(_host_of(base_url), _port_of(base_url), portals, asks, frozenset(inside), scanner, own_files)


def _host_of(base_url: str | None) -> str | None:
    try:
        return None if base_url is None else urlsplit(base_url).hostname
    except ValueError:
        return None


def _port_of(base_url: str | None) -> int | None:
    try:
        written = urlsplit(base_url or "")
        return None if written.port == _USUAL.get(written.scheme) else written.port
    except ValueError:
        return None


def is_near(host: str) -> bool:
    """Whether this is the machine itself or a name of a cluster, behind which Synapse answers without a proxy."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return "." not in host or host.endswith((".svc", ".svc.cluster.local"))


def proxy_remarks(
    texts: Mapping[str, str], files: Files, wanted: Expected, processes: Sequence[Process]
) -> Iterator[Remark]:
    """Look at a configuration.

    Args:
        texts: of the files that were given, by their paths.
        files: where those are that they include.
        wanted: what has to be reached.
        processes: of the homeserver, to know which port is whose.
    """
    whole = read_whole(texts, files)
    yield from whole.remarks
    if whole.blocks is None:
        return
    where = ", ".join(texts)
    servers = servers_in(whole.blocks)
    if not servers:
        yield error(Check.PROXY_FILE, "there is no `server` in it", where)
        return
    site = _Site(servers, upstreams_in(whole.blocks), wanted, processes, where)
    for server in servers:
        yield from site.kept_inside(server)
    yield from site.reached()
    yield from site.portals_way()
    yield from site.names_handed_on()


def _split(header: str) -> tuple[str, str]:
    """A value for `Host` as name and port; an address of IPv6 stands in brackets."""
    name, colon, port = header.rpartition(":")
    return (name, port) if colon and not port.endswith("]") else (header, "")


def _is_port(said: str, wanted: int | None) -> bool:
    """Whether `Host` has the port that `public_baseurl` has: Synapse compares the two as text before a login."""
    return said in ({""} if wanted is None else {str(wanted), "$server_port"})


def _in_circles(wanted: int | None, port: str) -> str:
    says = f"with the port {port}" if port else "without a port"
    must = f"has {wanted}" if wanted else "has none"
    return f"Synapse is told the name {says}, and `public_baseurl` {must}: logins with OIDC are led in circles"


class _Site:
    """All servers of one configuration."""

    def __init__(
        self,
        servers: Sequence[Server],
        upstreams: Mapping[str, tuple[str, ...]],
        wanted: Expected,
        processes: Sequence[Process],
        where: str,
    ) -> None:
        self._servers = servers
        self._upstreams = upstreams
        self._wanted = wanted
        self._processes = processes
        self._where = where

    def kept_inside(self, server: Server) -> Iterator[Remark]:
        """What a server hands to everybody although it is for few."""
        host = next((name for name in server.names if name not in {"", "_"}), "")
        for path in _INSIDE:
            found = route(server, path, host)
            if found.upstream is None or not found.is_open:
                continue
            named = f"{server.place}, {host or 'a server without a name'}"
            if set(server.names) & self._wanted.inside and path.startswith("/_synapse/admin/"):
                says = f"{named}: everybody can reach {path}: there is no `deny all`"
                yield warning(Check.PROXY_OPEN, says, self._where)
                return
            yield error(Check.PROXY_ADMIN_PATH, f"{named}: everybody can reach {path}", self._where)

    def reached(self) -> Iterator[Remark]:
        """What clients and administrators need and do not get, and what is asked of the wrong process."""
        wanted = self._wanted
        clients = [*_FOR_CLIENTS, *([_SCANNER] if wanted.scanner else []), *([_OWN_FILES] if wanted.own_files else [])]
        needs: list[tuple[str | None, Sequence[str]]] = [
            (wanted.public, clients),
            (wanted.portal_asks, _FOR_PORTAL),
            *((host, (_PORTAL,)) for host in wanted.portals),
        ]
        for host, paths in needs:
            if host is None:
                continue
            server = self._server_of(host)
            if server is None:
                yield warning(Check.PROXY_ROUTE, f"no `server_name` is {host}", self._where)
                continue
            for path in paths:
                if route(server, path, host).upstream is None:
                    yield warning(Check.PROXY_ROUTE, f"{host}: {path} is not passed on", self._where)
        for host in dict.fromkeys(host for host, _paths in needs if host is not None):
            yield from self._media_of(host)

    def _media_of(self, host: str) -> Iterator[Remark]:
        server = self._server_of(host)
        if server is None:
            return
        for path in _OF_MEDIA:
            found = route(server, path, host)
            for process in self._behind(found):
                if not process.has_media:
                    says = f"{host}: {path} is passed on to {process.name}, which has no media repository"
                    yield error(Check.PROXY_MEDIA_WORKER, says, self._where)

    def _behind(self, found: Route) -> Iterator[Process]:
        """The processes that a request reaches, as far as their ports are known."""
        places = self._upstreams.get(found.upstream or "", (found.upstream or "",))
        ports = {int(port) for port in (place.rpartition(":")[2] for place in places) if port.isdecimal()}
        return (process for process in self._processes if ports & ports_of(process))

    def portals_way(self) -> Iterator[Remark]:
        """Whether Synapse hears for whom the portal asks, and of whom it hears at all."""
        host = self._wanted.portal_asks
        server = None if host is None else self._server_of(host)
        if host is None or server is None:
            return
        found = route(server, "/_matrix/client/v3/login", host)
        header = found.value("real_ip_header")
        believes = found.value("set_real_ip_from") is not None
        if not believes or header is None or header[0].lower() != "x-forwarded-for":
            says = (
                f"{server.place}, {host}: the portal's requests count as those of one address: Synapse takes the"
                " logins of all for those of one, and a stranger's wrong passwords keep everybody out"
            )
            yield warning(Check.PROXY_FORWARDED_FOR, says, self._where)

    def names_handed_on(self) -> Iterator[Remark]:
        """Which host and address Synapse is told, by those servers that pass something on to it."""
        wanted = self._wanted
        for host in dict.fromkeys([*([wanted.public] if wanted.public else []), *sorted(wanted.inside)]):
            server = self._server_of(host)
            found = None if server is None else self._first_passed_on(server, host)
            if server is None or found is None:
                continue
            header = found.value("proxy_set_header", "Host")
            said, port = _split(header[-1] if header is not None and len(header) > 1 else "$proxy_host")
            named = f"{server.place}, {host}"
            is_named = said in _HIS_OWN_NAME or said.lower() == host
            if is_named and host == wanted.public and not _is_port(port, wanted.port):
                yield warning(Check.PROXY_HOST_PORT, f"{named}: {_in_circles(wanted.port, port)}", self._where)
            if not is_named and wanted.inside:
                why = "the client's own word" if said == "$http_host" else "not the name of this server"
                says = f"{named}: Synapse is told `{said}` as `Host`, {why}: `admin_hosts` and the portal go by it"
                yield error(Check.PROXY_HOST, says, self._where)
            elif said == "$host" and server.is_first and host == wanted.public and self._unserved():
                says = (
                    f"{named}: it answers to every name, and hands it on: whoever writes {self._unserved()[0]} there is"
                    " where `admin_hosts` lets administrators in"
                )
                yield error(Check.PROXY_HOST, says, self._where)
            header = found.value("proxy_set_header", "X-Forwarded-For")
            if header is None or header[-1] != _TELLS_WHO:
                told = "nothing" if header is None else f"`{header[-1]}`"
                says = (
                    f"{named}: `X-Forwarded-For` is {told}: Synapse believes the first address in it, which clients"
                    " choose; its limits for logins go by that"
                )
                remedy = f"write `proxy_set_header X-Forwarded-For {_TELLS_WHO};`"
                yield warning(Check.PROXY_FORWARDED_FOR, says, self._where, remedy)

    def _unserved(self) -> list[str]:
        """Hosts of administrators that no server here is for."""
        return [host for host in sorted(self._wanted.inside) if self._server_of(host) is None]

    def _first_passed_on(self, server: Server, host: str) -> Route | None:
        routes = (route(server, path, host) for path in (*_FOR_CLIENTS, *_FOR_PORTAL, _PORTAL))
        return next((found for found in routes if found.upstream is not None), None)

    def _server_of(self, host: str) -> Server | None:
        return next((server for server in self._servers if server.answers_to(host)), None)
