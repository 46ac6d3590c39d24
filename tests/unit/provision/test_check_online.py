"""`synapse-bum check --online`: what others see of a homeserver, on loopback servers that stand in for the internet."""

import contextlib
import datetime as dt
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import attr
import pytest
import yaml
from twisted.names import dns

from synapse_bum.cli import main
from synapse_bum.cli.check.online.discovery import Named, named
from synapse_bum.cli.check.online.network import Network
from synapse_bum.cli.check.online.remarks import online_remarks
from synapse_bum.cli.check.online.signing_keys import public_keys
from synapse_bum.cli.check.remark import Level, Remark
from synapse_bum.cli.provision.secret_files import signing_key
from synapse_bum.portal import PortalModule
from synapse_bum.storage import StorageModule
from synapse_bum.testing.dns_answers import srv_answer
from synapse_bum.testing.federation import CertificateAuthority
from synapse_bum.testing.local_server import LOOPBACK, free_port
from synapse_bum.testing.outside_world import Page, SrvServer, TlsWebServer

pytestmark = pytest.mark.any_synapse

SERVER = "messenger.amt.example"
PUBLIC = f"matrix.{SERVER}"
ADMIN = f"admin.{SERVER}"
PORTAL_PATH = f"{ADMIN}/_synapse/client/bum/portal/"
KEYS_PATH = "/_matrix/key/v2/server"
YEAR = dt.timedelta(days=365)
KEY = signing_key()


def page(content: object, **headers: str) -> Page:
    return Page(json.dumps(content).encode(), headers=headers)


def keys_page(server: str = SERVER, key: str = KEY) -> Page:
    keys = {name: {"key": public} for name, public in public_keys(key).items()}
    return page({"server_name": server, "verify_keys": keys})


PAGES = {
    f"{SERVER}/.well-known/matrix/server": page({"m.server": f"{PUBLIC}:443"}),
    f"{SERVER}/.well-known/matrix/client": page(
        {"m.homeserver": {"base_url": f"https://{PUBLIC}/"}}, **{"Access-Control-Allow-Origin": "*"}
    ),
    f"{SERVER}/.well-known/matrix/support": page({"contacts": [{"email_address": "hilfe@betrieb.example"}]}),
    f"{PUBLIC}{KEYS_PATH}": keys_page(),
    f"{PUBLIC}/_matrix/client/versions": page({"versions": ["v1.1"]}),
    PORTAL_PATH: Page(b"<html>"),
}
RECORDS = {f"_matrix-fed._tcp.{SERVER}": (PUBLIC, 8448)}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class World:
    """The internet of a test."""

    web: TlsWebServer
    srv: SrvServer
    issuer: CertificateAuthority
    authority: Path
    folder: Path

    @property
    def network(self) -> Network:
        ports = {SERVER: (443, 8448), PUBLIC: (443, 8448), ADMIN: (443,)}
        places = {(host, port): self.web.place for host in ports for port in ports[host]}
        return Network(places, self.srv.place, self.authority)

    def remarks(self, network: Network | None = None) -> list[Remark]:
        (self.folder / "signing.key").write_text(KEY)
        config = {
            "server_name": SERVER,
            "public_baseurl": f"https://{PUBLIC}/",
            "signing_key_path": str(self.folder / "signing.key"),
        }
        portal = PortalModule.parse_config({"hosts": [ADMIN], "admin_api_url": f"https://{ADMIN}"})
        return list(online_remarks(config, {"portal": portal}, network or self.network))


@contextlib.contextmanager
def a_world(
    folder: Path,
    names: Sequence[str] = (SERVER, PUBLIC, ADMIN),
    lifetime: dt.timedelta = YEAR,
    authority_lifetime: dt.timedelta = 2 * YEAR,
) -> Iterator[World]:
    authority = CertificateAuthority(authority_lifetime)
    certificate, key = authority.issue(names, lifetime)
    for name, content in {"ca": authority.pem, "cert": certificate, "key": key}.items():
        (folder / f"{name}.pem").write_bytes(content)
    with (
        TlsWebServer(folder / "cert.pem", folder / "key.pem", PAGES) as web,
        SrvServer(RECORDS) as srv,
    ):
        # Servers that follow the record get the name of the server, not that of the host.
        web.pages[f"{SERVER}{KEYS_PATH}"] = keys_page()
        yield World(web, srv, authority, folder / "ca.pem", folder)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as one:
        yield one


def said(remarks: Sequence[Remark], level: Level) -> str:
    return "\n".join(remark.text for remark in remarks if remark.level is level)


def test_what_is_right_is_said_to_be_right(world: World) -> None:
    remarks = world.remarks()
    assert {remark.level for remark in remarks} == {Level.OK}, remarks
    fine = said(remarks, Level.OK)
    assert f"other servers find {SERVER} at {PUBLIC}:443 (its delegation)" in fine
    assert f"the SRV record of {SERVER} leads to {PUBLIC}:8448, which answers for it" in fine
    assert f"`public_baseurl`: https://{PUBLIC}/ answers clients" in fine
    assert f"certificate of {ADMIN}:443" in fine
    assert "in 364 days" in fine


def test_the_portals_page_for_signing_in_is_an_answer(world: World) -> None:
    world.web.pages[PORTAL_PATH] = Page(b"<html>", 401)
    assert {remark.level for remark in world.remarks()} == {Level.OK}


@pytest.mark.parametrize(
    ("path", "content", "level", "sentence"),
    [
        (
            f"{SERVER}/.well-known/matrix/server",
            Page(b"", 404),
            Level.WARNING,
            "HTTP 404: other servers look for",
        ),
        (f"{SERVER}/.well-known/matrix/server", Page(b"<html>"), Level.ERROR, "`m.server` must be a server name"),
        (f"{SERVER}/.well-known/matrix/server", page({"m.server": "a b"}), Level.ERROR, "`m.server` must be"),
        (
            f"{SERVER}/.well-known/matrix/server",
            Page(b"", 302, {"Location": "https://elsewhere.example/"}),
            Level.WARNING,
            "it leads on to https://elsewhere.example/, which is not followed",
        ),
        (f"{PUBLIC}{KEYS_PATH}", keys_page("other.example"), Level.ERROR, "answers for `other.example`, not for"),
        (f"{PUBLIC}{KEYS_PATH}", keys_page(key=signing_key()), Level.ERROR, "another homeserver answers there"),
        (f"{PUBLIC}{KEYS_PATH}", Page(b"", 502), Level.ERROR, "does not answer as a homeserver (HTTP 502)"),
        (f"{SERVER}/.well-known/matrix/client", Page(b"", 404), Level.ERROR, "people have to type in"),
        (
            f"{SERVER}/.well-known/matrix/client",
            page({"m.homeserver": {"base_url": "https://old.example"}}, **{"Access-Control-Allow-Origin": "*"}),
            Level.ERROR,
            f"are led to `https://old.example`, not to `https://{PUBLIC}/`",
        ),
        (
            f"{SERVER}/.well-known/matrix/client",
            page({"m.homeserver": {"base_url": f"https://{PUBLIC}"}}),
            Level.WARNING,
            "browsers keep it from clients",
        ),
        (f"{SERVER}/.well-known/matrix/support", page({}), Level.WARNING, "names nobody to ask"),
        (f"{PUBLIC}/_matrix/client/versions", Page(b"", 503), Level.ERROR, "does not answer clients (HTTP 503)"),
        (f"{PUBLIC}/_synapse/admin/v1/server_version", Page(b"{}", 401), Level.WARNING, "where everybody is"),
        (PORTAL_PATH, Page(b"", 404), Level.ERROR, "answers with HTTP 404"),
        (PORTAL_PATH, Page(b"", 403), Level.WARNING, "is not open for this machine"),
        (f"{SERVER}{KEYS_PATH}", keys_page("other.example"), Level.WARNING, "which does not answer for it"),
    ],
)
def test_what_is_wrong_is_named(world: World, path: str, content: Page, level: Level, sentence: str) -> None:
    world.web.pages[path] = content
    assert sentence in said(world.remarks(), level)


def test_without_delegation_the_srv_record_leads(world: World) -> None:
    del world.web.pages[f"{SERVER}/.well-known/matrix/server"]
    assert f"at {PUBLIC}:8448 (no delegation, SRV record)" in said(world.remarks(), Level.OK)
    world.srv.records.clear()
    assert f"at {SERVER}:8448 (no delegation, no SRV record)" in said(world.remarks(), Level.OK)


def test_a_dns_server_that_is_silent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synapse_bum.cli.check.online.network._DNS_TIMEOUT_S", 0.05)
    network = attr.evolve(world.network, name_server=(LOOPBACK, free_port()))
    remarks = list(online_remarks({"server_name": SERVER}, {}, network))
    assert "could not be asked for" in said(remarks, Level.WARNING)
    assert f"other servers find {SERVER}" in said(remarks, Level.OK)


@pytest.mark.parametrize(
    ("lifetime", "authority_lifetime"),
    [(dt.timedelta(days=29, hours=12), 2 * YEAR), (YEAR, dt.timedelta(days=29, hours=12))],
    ids=["the server's", "the authority's"],
)
def test_certificates_that_end_soon(tmp_path: Path, lifetime: dt.timedelta, authority_lifetime: dt.timedelta) -> None:
    with a_world(tmp_path, lifetime=lifetime, authority_lifetime=authority_lifetime) as world:
        remarks = world.remarks()
    warnings = said(remarks, Level.WARNING)
    assert warnings.count("in 29 days") == 4, warnings  # three names, one of them at two machines
    assert not said(remarks, Level.ERROR)


@pytest.mark.parametrize(("days", "status"), [(7, 0), (6, 1)])
def test_a_monitor_hears_of_certificates_before_they_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], days: int, status: int
) -> None:
    with a_world(tmp_path, lifetime=dt.timedelta(days=days, hours=12)) as world:
        assert main(command(world, tmp_path)) == status
    level = "ERROR  " if status else "WARNING"
    assert f"{level} online: certificate of {SERVER}:443: the first of its chain ends on" in capsys.readouterr().out


def test_of_two_machines_behind_one_name_each_certificate_is_looked_at(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = [(f"a.{SERVER}", 8448), (f"b.{SERVER}", 8448)]
    received = srv_answer(machines)
    monkeypatch.setattr("synapse_bum.cli.check.online.network._exchange", lambda *_: received)
    (tmp_path / "second").mkdir()
    certificate, key = world.issuer.issue((SERVER,), dt.timedelta(days=2, hours=12))
    for name, content in {"cert": certificate, "key": key}.items():
        (tmp_path / "second" / f"{name}.pem").write_bytes(content)
    pages = {f"{SERVER}{KEYS_PATH}": keys_page()}
    with TlsWebServer(tmp_path / "second" / "cert.pem", tmp_path / "second" / "key.pem", pages) as ending:
        places = {**world.network.connect_to, machines[0]: ending.place, machines[1]: world.web.place}
        remarks = world.remarks(attr.evolve(world.network, connect_to=places))
    assert f"certificate of {SERVER} at a.{SERVER}:8448: the first of its chain ends" in said(remarks, Level.ERROR)
    assert "in 2 days" in said(remarks, Level.ERROR)
    assert f"certificate of {SERVER} at b.{SERVER}:8448" in said(remarks, Level.OK)


@pytest.mark.parametrize(
    ("content", "level", "sentence"),
    [
        (Page(b"{}", 401), Level.OK, f"`admin_hosts`: https://{ADMIN} answers administrators"),
        (Page(b"", 403), Level.WARNING, f"`admin_hosts`: https://{ADMIN} is not open for this machine (HTTP 403)"),
        (Page(b"", 404), Level.ERROR, "answers with HTTP 404"),
    ],
)
def test_administrators_names_are_looked_at_beside_another_portal(
    world: World, content: Page, level: Level, sentence: str
) -> None:
    world.web.pages[f"{ADMIN}/_synapse/client/bum/v1/audit"] = content
    storage = StorageModule.parse_config({"admin_hosts": [ADMIN, LOOPBACK, "localhost", "synapse.matrix.svc", "[::1]"]})
    remarks = list(online_remarks({"server_name": SERVER}, {"storage": storage}, world.network))
    assert sentence in said(remarks, level)
    assert f"certificate of {ADMIN}:443" in said(remarks, Level.OK)
    assert "\n".join(remark.text for remark in remarks).count("`admin_hosts`") == 1


def test_a_server_that_could_not_find_out_is_not_taken_for_no_record(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = srv_answer([], dns.ESERVER)
    monkeypatch.setattr("synapse_bum.cli.check.online.network._exchange", lambda *_: received)
    del world.web.pages[f"{SERVER}/.well-known/matrix/server"]
    remarks = world.remarks()
    assert f"SRV records of {SERVER} could not be asked for: the DNS server" in said(remarks, Level.WARNING)
    assert "no SRV record" not in "\n".join(remark.text for remark in remarks)


def test_a_dns_server_that_can_not_be_asked_loses_no_other_remark(world: World) -> None:
    # The kernel refuses: nobody may send to all.
    network = attr.evolve(world.network, name_server=("255.255.255.255", 53))
    remarks = world.remarks(network)
    assert "could not be asked for: the DNS server 255.255.255.255 is not reached" in said(remarks, Level.WARNING)
    assert f"other servers find {SERVER}" in said(remarks, Level.OK)


def test_a_certificate_that_has_ended(tmp_path: Path) -> None:
    with a_world(tmp_path, lifetime=-dt.timedelta(minutes=5)) as world:
        remarks = world.remarks()
    assert "certificate has expired" in said(remarks, Level.ERROR)


def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    with a_world(tmp_path, names=(SERVER,)) as world:
        remarks = world.remarks()
    wrong = said(remarks, Level.ERROR)
    assert f"other servers are led to {PUBLIC}:443 (its delegation): its certificate is not valid for {PUBLIC}" in wrong
    assert f"`public_baseurl`: https://{PUBLIC}/: its certificate is not valid" in wrong


def test_an_authority_that_nobody_trusts(world: World) -> None:
    network = attr.evolve(world.network, ca_file=None)
    remarks = list(online_remarks({"server_name": SERVER, "public_baseurl": f"https://{PUBLIC}/"}, {}, network))
    assert "unable to get local issuer certificate" in said(remarks, Level.ERROR)


def test_nobody_answers() -> None:
    nobody = {(host, port): (LOOPBACK, free_port()) for host in (SERVER, PUBLIC) for port in (443, 8448)}
    network = Network(nobody, (LOOPBACK, 1), None)
    remarks = list(online_remarks({"server_name": SERVER, "public_baseurl": f"https://{PUBLIC}/"}, {}, network))
    assert said(remarks, Level.ERROR).count("Connection refused") == 3
    assert f"{SERVER}/.well-known/matrix/client: [Errno 111] Connection refused" in said(remarks, Level.ERROR)


def test_clients_under_the_server_name_itself_need_no_delegation(world: World) -> None:
    del world.web.pages[f"{SERVER}/.well-known/matrix/client"]
    remarks = list(online_remarks({"server_name": SERVER, "public_baseurl": f"https://{SERVER}/"}, {}, world.network))
    assert "people have to type in" in said(remarks, Level.WARNING)


def command(world: World, folder: Path) -> list[str]:
    path = folder / "homeserver.yaml"
    module = {"module": "synapse_bum.storage.StorageModule", "config": {}}
    path.write_text(yaml.safe_dump({"server_name": SERVER, "public_baseurl": f"https://{PUBLIC}", "modules": [module]}))
    options = ["check", "-c", str(path), "--offline", "--online", "--ca-file", str(world.authority)]
    places = [f"{host}:{port}:{LOOPBACK}:{world.web.place[1]}" for host in (SERVER, PUBLIC) for port in (443, 8448)]
    options += [part for place in places for part in ("--connect-to", place)]
    return [*options, "--dns-server", f"{LOOPBACK}:{world.srv.place[1]}"]


def test_the_command_takes_places_and_an_authority(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(world, tmp_path)) == 0
    assert f"OK      online: other servers find {SERVER} at {PUBLIC}:443" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--dns-server", "192.0.2.1"], "belong to --online"),
        (["--online", "--connect-to", "a:1"], "must be `host:port:host:port`"),
        (["--online", "--connect-to", "a:1:b:x"], "must be a host and a port"),
        (["--online", "--connect-to", "a:1::1"], "must be a host and a port"),
        (["--online", "--ca-file", "/nowhere.pem"], "there is no file /nowhere.pem"),
        (["--online", "--dns-server", "dns.example"], "--dns-server must be an address such as"),
        (["--online", "--dns-server", "192.0.2.1:"], "must be a host and a port"),
        (["--online", "--dns-server", "192.0.2.1:70000"], "must be a host and a port"),
        (["--online", "--dns-server", "[2001:db8::53"], "--dns-server must be an address"),
    ],
)
def test_wrong_options(tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str) -> None:
    path = tmp_path / "homeserver.yaml"
    path.write_text("server_name: a.example\n")
    assert main(["check", "-c", str(path), *options]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("server_name", "expected"),
    [
        ("a.example", Named("a.example", None)),
        ("a.example:8448", Named("a.example", 8448)),
        ("[::1]", Named("[::1]", None)),
        ("[::1]:443", Named("[::1]", 443)),
        ("a_b.example", None),
        ("a.example:x", None),
        ("", None),
    ],
)
def test_server_names_are_taken_apart(server_name: str, expected: Named | None) -> None:
    assert named(server_name) == expected
