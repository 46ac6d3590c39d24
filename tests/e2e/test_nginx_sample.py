"""config-samples/nginx.conf, in a real nginx in front of a real Synapse: what clients and partners can and can't do."""

import inspect
import json
import re
import socket
import ssl
import textwrap
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import attr
import pytest
import yaml
from synapse.rest.client import media as synapse_media

from synapse_bum.testing import malware
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.federation import CertificateAuthority
from synapse_bum.testing.http_client import MatrixClient, Response
from synapse_bum.testing.local_server import LOOPBACK, ServerError, free_port
from synapse_bum.testing.nginx import RealNginx
from synapse_bum.testing.synapse import RealSynapse

pytestmark = [pytest.mark.requires("nginx", "clamd"), pytest.mark.any_synapse]

SAMPLES = Path(__file__).resolve().parent.parent.parent / "config-samples"
SAMPLE = (SAMPLES / "nginx.conf").read_text(encoding="utf-8")
HOST = "matrix.messenger.example"
ADMIN_HOST = "admin.messenger.example"
SECONDS = 20

PLAIN = [
    "/_matrix/client/v1/media/download/{file}",
    "/_matrix/client/v1/media/download/{file}/name.txt",
    "/_matrix/client/v1/media/download/{file}?allow_remote=true",
    "/_matrix/client/v1/media/thumbnail/{file}?width=32&height=32",
    "/_matrix/media/r0/download/{file}",
    "/_matrix/media/v1/download/{file}/name.txt",
    "/_matrix/media/v3/download/{file}",
    "/_matrix/media/v3/thumbnail/{file}?width=32&height=32",
    # nginx resolves these to other paths, Synapse does not.
    "/_matrix/client/v1/media/download/{file}/..%2F..%2F..%2F..%2Fconfig",
    "/_matrix/client/v1/media/download/{file}/..%2F..%2F..%2F..%2F..%2F..%2F..%2F.well-known%2Fmatrix%2Fclient",
    "/_matrix/client/v1/media/download/{file}/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fv3%2fsync",
    "/_matrix/client/v1/media/download/{file}/name#part",
]
"""Ways to a file past the content scanner."""

BYPASS = "admin_unsafely_bypass_quarantine"
BYPASSES = [
    f"?{BYPASS}=true",
    f"?allow_remote=true&{BYPASS}=true",
    f"?allow_remote=true;{BYPASS}=true",
    f"?{BYPASS}=true&{BYPASS}=false",
    f"?{BYPASS}=%74rue",
    f"?%61{BYPASS[1:]}=true",
    f"?{''.join(f'%{ord(letter):02X}' for letter in BYPASS)}=true",
    f"?a=b&a=c;{BYPASS.replace('_', '%5f')}=true",
    f"?a%20b&{BYPASS.replace('y', '%79')}=true",
    f"/name?{BYPASS}=true",
    f"/name#?{BYPASS}=true",
    f"/name#?admin%5Funsafely{BYPASS[14:]}=true",
    f"/..%2F..%2F..%2F..%2Fconfig?{BYPASS}=true",
    f"?{BYPASS.upper()}=true",
]
"""Spellings of the administrators' way round the quarantine, behind the path of a file."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Proxy:
    """A client's view of a proxy: requests are sent byte for byte, over TLS."""

    port: int
    tls: ssl.SSLContext

    def request(
        self,
        target: str,
        token: str | None = None,
        method: str = "GET",
        body: bytes = b"",
        host: str = HOST,
        asked_for: str | None = None,
    ) -> Response:
        authorization = "" if token is None else f"Authorization: Bearer {token}\r\n"
        forwarded = "" if asked_for is None else f"X-Forwarded-For: {asked_for}\r\n"
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{authorization}{forwarded}"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        with (
            socket.create_connection((LOOPBACK, self.port), SECONDS) as connection,
            self.tls.wrap_socket(connection, server_hostname=LOOPBACK) as secured,
        ):
            secured.sendall(head.encode() + body)
            answer = HTTPResponse(secured, method=method)
            answer.begin()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Response(answer.status, headers, answer.read())


def rules() -> str:
    """The lines of the sample that the two samples have in common."""
    found = re.search(r"^    # Rules: begin\n(.*)^    # Rules: end\n", SAMPLE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return textwrap.dedent(found[1])


def replaced(text: str, old: str, new: str) -> str:
    """Replace what must be there, once."""
    assert text.count(old) == 1, old
    return text.replace(old, new)


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return CertificateAuthority()


@pytest.fixture(scope="module")
def synapse() -> Iterator[RealSynapse]:
    # Files are delivered without a token too, as they were before authenticated media: the worst case.
    config = {"enable_authenticated_media": False}
    with RealClamd() as clamd:
        module = {
            "module": "synapse_bum.antivirus.AntivirusModule",
            "config": {"scanner": {"address": clamd.address_unix}, "admin_hosts": [ADMIN_HOST]},
        }
        server = RealSynapse(listeners=[("client", "federation")], config=config, modules=[module])
        for listener in server.config["listeners"]:
            listener["x_forwarded"] = True  # as in config-samples/homeserver.yaml
        with server:
            yield server


@pytest.fixture(scope="module")
def alice(synapse: RealSynapse) -> MatrixClient:
    return synapse.register("alice", admin=True)


@pytest.fixture(scope="module")
def picture(alice: MatrixClient) -> str:
    """A file that is delivered to everybody, as `server/id`."""
    uri: str = alice.upload(malware.png(), "image/png").json["content_uri"]
    return uri.removeprefix("mxc://")


@pytest.fixture(scope="module")
def blocked(alice: MatrixClient) -> str:
    """A file in quarantine, as `server/id`."""
    uri: str = alice.upload(b"blocked for everybody", "text/plain").json["content_uri"]
    file = uri.removeprefix("mxc://")
    assert alice.post(f"/_synapse/admin/v1/media/quarantine/{file}", {}).status == 200
    return file


@pytest.fixture(scope="module")
def proxies(
    synapse: RealSynapse, authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Proxy]]:
    """The sample as it is, and with the other variant chosen."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = authority.issue()
    (folder / "matrix.pem").write_bytes(certificate)
    (folder / "matrix.key").write_bytes(key)
    tls = ssl.create_default_context(cadata=authority.pem.decode())
    ports = {"A": free_port(), "B": free_port()}
    sites = {}
    for variant, port in ports.items():
        site = SAMPLE.replace("listen 443 ssl;", f"listen {LOOPBACK}:{port} ssl;")
        site = replaced(site, "listen 8448 ssl;", "")
        site = site.replace("/etc/nginx/tls/", f"{folder}/")
        site = replaced(site, "server 127.0.0.1:8008;", f"server {synapse.base_url.removeprefix('http://')};")
        sites[variant] = replaced(site, "set $bum_variant A;", f"set $bum_variant {variant};")
    with RealNginx(sites["A"], ports["A"]), RealNginx(sites["B"], ports["B"]):
        yield {variant: Proxy(port, tls) for variant, port in ports.items()}


@pytest.mark.parametrize("target", PLAIN)
def test_in_variant_a_no_file_is_delivered_past_the_scanner(
    proxies: dict[str, Proxy], alice: MatrixClient, picture: str, target: str
) -> None:
    through = proxies["A"].request(target.format(file=picture), alice.token)
    assert (through.status, through.json["errcode"]) == (404, "M_NOT_FOUND")
    assert through.json["error"] == "Files are served by the content scanner"
    assert through.headers["content-type"] == "application/json"
    assert through.headers["access-control-allow-origin"] == "*"
    assert through.headers["cache-control"] == "no-store"
    direct = alice.get(target.format(file=picture))
    assert (direct.status, direct.headers["content-type"]) == (200, "image/png"), "this is no way to a file"


@pytest.mark.parametrize("method", ["HEAD", "POST", "get"])
def test_in_variant_a_another_method_changes_nothing(
    proxies: dict[str, Proxy], alice: MatrixClient, picture: str, method: str
) -> None:
    through = proxies["A"].request(PLAIN[0].format(file=picture), alice.token, method)
    assert through.status in {400, 404}


def test_in_variant_b_files_are_delivered(proxies: dict[str, Proxy], alice: MatrixClient, picture: str) -> None:
    for target in (PLAIN[0], PLAIN[3]):
        through = proxies["B"].request(target.format(file=picture), alice.token)
        assert (through.status, through.headers["content-type"]) == (200, "image/png")


@pytest.mark.parametrize("variant", ["A", "B"])
@pytest.mark.parametrize("path", ["/_matrix/client/v1/media/download/", "/_matrix/media/v3/download/"])
@pytest.mark.parametrize("spelling", BYPASSES)
def test_nobody_gets_round_the_quarantine(
    proxies: dict[str, Proxy], alice: MatrixClient, blocked: str, variant: str, path: str, spelling: str
) -> None:
    through = proxies[variant].request(f"{path}{blocked}{spelling}", alice.token)
    assert (through.status, through.json["errcode"]) == (403, "M_FORBIDDEN")
    assert through.headers["access-control-allow-origin"] == "*"


def test_without_the_proxy_an_administrator_gets_round_it(alice: MatrixClient, blocked: str) -> None:
    """Otherwise the test above would prove nothing; older versions of Synapse have no such parameter."""
    has_it = BYPASS in inspect.getsource(synapse_media)
    for spelling in BYPASSES[:-1]:
        direct = alice.get(f"/_matrix/client/v1/media/download/{blocked}{spelling}")
        assert direct.status == (200 if has_it else 404), spelling


@pytest.mark.parametrize("variant", ["A", "B"])
class TestWhatGoesOnWorking:
    """Answers that come through the proxy as Synapse gave them."""

    def test_uploads_in_one_step_and_in_two(self, proxies: dict[str, Proxy], alice: MatrixClient, variant: str) -> None:
        proxy = proxies[variant]
        name = "filename=Gr%C3%B6%C3%9Fe%20100%25.pdf"
        uploaded = proxy.request(f"/_matrix/media/v3/upload?{name}", alice.token, "POST", b"content")
        assert alice.download(uploaded.json["content_uri"]).body == b"content"
        reserved = proxy.request("/_matrix/media/v1/create", alice.token, "POST").json["content_uri"]
        later = f"/_matrix/media/v3/upload/{reserved.removeprefix('mxc://')}"
        assert proxy.request(later, alice.token, "PUT", b"later").status == 200
        assert alice.download(reserved).body == b"later"

    def test_uploads_of_some_megabytes(self, proxies: dict[str, Proxy], alice: MatrixClient, variant: str) -> None:
        content = malware.filler(5_000_000)
        uploaded = proxies[variant].request("/_matrix/media/v3/upload", alice.token, "POST", content)
        assert alice.download(uploaded.json["content_uri"]).body == content

    @pytest.mark.parametrize(
        "target",
        [
            "/_matrix/media_proxy/unstable/public_key",
            "/_matrix/media_proxy/unstable/download/{file}",
            "/_matrix/media_proxy/unstable/thumbnail/{file}?width=32&height=32&method=crop",
            "/_matrix/media_proxy/unstable/scan/{file}",
            "/_matrix/media/v3/config",
            "/_matrix/client/v1/media/config",
            "/_matrix/client/v1/media/preview_url?url=https%3A%2F%2Fa.example%2F%3Fb%3Dc&ts=1",
            "/_matrix/client/v3/account/whoami",
            "/_synapse/client/bum/v1/media",
            "/.well-known/matrix/client",
            "/_matrix/key/v2/server",
            "/_matrix/federation/v1/version",
            "/_matrix/federation/v1/media/download/{id}",
            "/_matrix/federation/v1/media/thumbnail/{id}?width=32&height=32",
        ],
    )
    def test_reading(
        self, proxies: dict[str, Proxy], alice: MatrixClient, picture: str, variant: str, target: str
    ) -> None:
        path = target.format(file=picture, id=picture.rpartition("/")[2])
        through, direct = proxies[variant].request(path, alice.token), alice.get(path)
        assert through.status == direct.status
        if "key/v2/server" not in path:  # signed anew for each request
            assert through.body == direct.body

    @pytest.mark.parametrize("target", [*PLAIN[:8], f"{PLAIN[0]}?{BYPASS}=true"])
    def test_a_browsers_question_whether_it_may_ask(
        self, proxies: dict[str, Proxy], picture: str, variant: str, target: str
    ) -> None:
        answer = proxies[variant].request(target.format(file=picture), method="OPTIONS")
        assert answer.status in {200, 204}
        assert "Authorization" in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize(
    "target",
    [
        "/_synapse/admin/v1/server_version",
        "/_synapse/metrics",
        "/health",
        "/",
        "/_matrix/../_synapse/admin/v1/server_version",
        "/_synapse/admin/v1/whois/a%2F..%2F..%2F..%2F..%2F..%2F_matrix%2Fb",
        "/bum-refused/plain",
    ],
)
def test_what_is_not_for_clients_stays_inside(proxies: dict[str, Proxy], alice: MatrixClient, target: str) -> None:
    through = proxies["A"].request(target, alice.token)
    assert through.status == 404
    assert b"nginx" in through.body


def test_the_ingress_has_the_same_rules() -> None:
    ingress = yaml.safe_load((SAMPLES / "ingress-nginx.yaml").read_text(encoding="utf-8"))
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/server-snippet"] == rules()


def test_the_launcher_tells_what_nginx_did_not_like() -> None:
    with pytest.raises(ServerError, match=r"unknown directive \"lisen\""), RealNginx("server { lisen 1; }", 1):
        pass


@pytest.mark.parametrize("variant", ["A", "B"])
@pytest.mark.parametrize("content", [malware.png(), malware.EICAR], ids=["clean", "infected"])
def test_encrypted_files_are_scanned_and_delivered_through_it(
    proxies: dict[str, Proxy], alice: MatrixClient, variant: str, content: bytes
) -> None:
    attachment = encrypted(content)
    mxc = alice.upload(attachment.ciphertext).json["content_uri"]
    body = json.dumps({"file": attachment.file(mxc)}).encode()
    scanned, downloaded = (
        proxies[variant].request(f"/_matrix/media_proxy/unstable/{name}", alice.token, "POST", body)
        for name in ("scan_encrypted", "download_encrypted")
    )
    if content == malware.EICAR:
        assert scanned.json["clean"] is False
        assert (downloaded.status, downloaded.json["reason"]) == (403, "MCS_MEDIA_NOT_CLEAN")
    else:
        assert scanned.json["clean"] is True
        assert (downloaded.status, downloaded.body) == (200, attachment.ciphertext)


def test_administrators_have_a_name_of_their_own(proxies: dict[str, Proxy], alice: MatrixClient) -> None:
    status = "/_synapse/client/bum/v1/antivirus/status"
    users = "/_synapse/admin/v2/users?limit=1"
    proxy = proxies["A"]
    assert proxy.request(status, alice.token, host=ADMIN_HOST).status == 200
    assert proxy.request(users, alice.token, host=ADMIN_HOST).status == 200
    assert proxy.request("/_matrix/client/versions", host=ADMIN_HOST).status == 404
    assert proxy.request("/_matrix/client/v3/login", host=ADMIN_HOST).status == 200  # the portal's
    assert proxy.request("/_matrix/client/v3/login/sso/redirect", host=ADMIN_HOST).status == 404
    for host in (HOST, "elsewhere.example", "127.0.0.1"):
        assert proxy.request(status, alice.token, host=host).status == 404
        assert proxy.request(users, alice.token, host=host).status == 404


def test_what_the_portal_asks_counts_as_asked_by_the_browser(proxies: dict[str, Proxy], alice: MatrixClient) -> None:
    users = "/_synapse/admin/v2/users?limit=1"
    answers = [
        proxies["A"].request(users, alice.token, host=ADMIN_HOST, asked_for=address).status
        for address in ("10.1.2.3", "192.0.2.9")  # of the network that may, and a stranger's
    ]
    assert answers == [200, 403]
    noted = alice.get(f"/_synapse/admin/v1/whois/{alice.user_id}").body
    assert b'"10.1.2.3"' in noted, "Synapse limits logins by this address"
    assert b"192.0.2.9" not in noted
