"""A real nginx with the configuration that was provisioned: who gets where, under which name."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import attr
import pytest

from synapse_bum.cli import main
from synapse_bum.testing.federation import CertificateAuthority
from synapse_bum.testing.local_server import LOOPBACK, free_port
from synapse_bum.testing.nginx import RealNginx
from synapse_bum.testing.provisioned import free_ports

pytestmark = [pytest.mark.requires("nginx"), pytest.mark.any_synapse]

SERVER = "messenger.amt.example"
PUBLIC, ADMIN, PORTAL = f"matrix.{SERVER}", f"admin.{SERVER}", f"portal.{SERVER}"
SECONDS = 10


def a_process(name: str, port: int) -> ThreadingHTTPServer:
    """Answers every request with its own name, the host and the path that it was asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"{name} {self.headers['Host']} {self.path}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return ThreadingHTTPServer((LOOPBACK, port), Handler)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Proxy:
    """nginx as a client reaches it."""

    port: int

    def get(self, host: str, path: str) -> tuple[int, str, dict[str, str]]:
        # The test is about names and paths; that the certificate is trusted is another one's.
        context = ssl._create_unverified_context()  # noqa: S323 - see above
        connection = HTTPSConnection(LOOPBACK, self.port, timeout=SECONDS, context=context)
        try:
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, answer.read().decode(), headers
        finally:
            connection.close()


@pytest.fixture(scope="module", params=["workers", "one process, no name of its own"])
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("nginx") / "messenger"
    base = free_ports(12)
    options = ["--server-name", SERVER, "--out", str(folder), "--support-email", "hilfe@betrieb.example"]
    ports = {"main": base}
    if request.param == "workers":
        options += ["--workers", "1", "--database", "postgresql://a@b.example/c", "--portal-host", PORTAL]
        ports |= {"media": base + 3, "generic": base + 7}
    else:
        options += ["--public-host", SERVER]
    assert main(["provision", *options, "--port", str(base)]) == 0
    tls = tmp_path_factory.mktemp("tls")
    certificate, key = CertificateAuthority().issue()
    (tls / "matrix.pem").write_bytes(certificate)
    (tls / "matrix.key").write_bytes(key)
    port = free_port()
    site = (folder / "nginx" / "matrix.conf").read_text(encoding="utf-8")
    site = site.replace("listen 443 ssl;", f"listen {LOOPBACK}:{port} ssl;").replace("listen 8448 ssl;", "")
    site = site.replace("/etc/nginx/tls/", f"{tls}/")
    with ExitStack() as stack:
        for name, number in ports.items():
            process = stack.enter_context(a_process(name, number))
            stack.callback(process.shutdown)
            threading.Thread(target=process.serve_forever, args=(0.02,), daemon=True).start()
        stack.enter_context(RealNginx(site, port))
        yield Proxy(port)


def has_workers(proxy: Proxy) -> bool:
    return proxy.get(PORTAL, "/_synapse/client/bum/portal/")[1].startswith("main portal.")


@pytest.mark.parametrize(
    ("path", "process"),
    [
        ("/_matrix/client/versions", "main"),
        ("/_matrix/client/v3/login", "main"),
        ("/_matrix/client/v3/account/password", "main"),
        ("/_matrix/client/v3/sync", "generic"),
        ("/_matrix/client/unstable/org.matrix.simplified_msc3575/sync", "generic"),
        ("/_matrix/client/v3/rooms/!a:b/send/m.room.message/1", "generic"),
        ("/_matrix/client/v3/rooms/!a:b/messages?dir=b", "generic"),
        ("/_matrix/client/v3/rooms/!a:b/typing/@a:b", "main"),
        ("/_matrix/federation/v1/send/1", "generic"),
        ("/_matrix/federation/v1/media/download/a", "media"),
        ("/_matrix/key/v2/server", "main"),
        ("/_matrix/media/v3/upload", "media"),
        ("/_matrix/media_proxy/unstable/public_key", "media"),
        ("/_matrix/client/v1/media/config", "media"),
        ("/_synapse/client/bum/v1/media", "main"),
    ],
)
def test_requests_reach_the_process_for_them(proxy: Proxy, path: str, process: str) -> None:
    host = PUBLIC if has_workers(proxy) else SERVER
    status, body, _headers = proxy.get(host, path)
    assert (status, body) == (200, f"{process if has_workers(proxy) else 'main'} {host} {path}")


@pytest.mark.parametrize(
    ("path", "process"),
    [
        ("/_synapse/admin/v2/users", "main"),
        ("/_synapse/admin/v1/users/@a:b/media", "media"),
        ("/_synapse/admin/v1/user/@a:b/media/delete", "media"),
        ("/_synapse/admin/v1/room/!a:b/media", "media"),
        ("/_synapse/admin/v1/media/quarantine/b/c", "media"),
        ("/_synapse/admin/v1/rooms/!a:b", "main"),
        ("/_synapse/client/bum/v1/audit", "main"),
    ],
)
def test_administrators_reach_theirs(proxy: Proxy, path: str, process: str) -> None:
    status, body, _headers = proxy.get(ADMIN, path)
    assert (status, body) == (200, f"{process if has_workers(proxy) else 'main'} {ADMIN} {path}")


@pytest.mark.parametrize("host", [SERVER, PUBLIC, PORTAL, "elsewhere.example"])
@pytest.mark.parametrize("path", ["/_synapse/admin/v2/users", "/_synapse/metrics", "/", "/health"])
def test_under_other_names_nobody_administers(proxy: Proxy, host: str, path: str) -> None:
    assert proxy.get(host, path)[0] == 404


@pytest.mark.parametrize("name", ["server", "client", "support"])
def test_the_delegation_is_served_under_the_server_name(proxy: Proxy, name: str) -> None:
    status, body, headers = proxy.get(SERVER, f"/.well-known/matrix/{name}")
    assert (status, headers["content-type"], headers["access-control-allow-origin"]) == (200, "application/json", "*")
    assert body.startswith("{")
    assert proxy.get(SERVER, "/.well-known/matrix/../../homeserver.yaml")[0] == 404
    assert proxy.get(SERVER, "/.well-known/matrix/server/..%2f..%2fhomeserver.yaml")[0] == 404


def test_the_portal_has_a_name_of_its_own(proxy: Proxy) -> None:
    if not has_workers(proxy):
        assert proxy.get(ADMIN, "/_synapse/client/bum/portal/")[0] == 200
        return
    assert proxy.get(PORTAL, "/_synapse/client/bum/v1/audit")[0] == 404
    assert proxy.get(PORTAL, "/_matrix/client/v3/login")[0] == 404
