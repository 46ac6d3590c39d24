"""A provisioned homeserver behind its provisioned nginx, looked for by `check --online`."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import attr
import pytest
import yaml

from synapse_bum.cli import main
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.federation import CertificateAuthority
from synapse_bum.testing.local_server import LOOPBACK, free_port
from synapse_bum.testing.nginx import RealNginx
from synapse_bum.testing.outside_world import SrvServer
from synapse_bum.testing.provisioned import ProvisionedHomeserver, free_ports

pytestmark = [pytest.mark.requires("clamd", "nginx"), pytest.mark.any_synapse]

SERVER = "messenger.amt.example"
YEAR = dt.timedelta(days=365)
HOSTS = (SERVER, f"matrix.{SERVER}", f"admin.{SERVER}")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Outside:
    """What somebody outside has to know to look for it."""

    homeserver_yaml: Path
    options: tuple[str, ...]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    folder = tmp_path_factory.mktemp("seen") / "messenger"
    tls = tmp_path_factory.mktemp("tls")
    authority = CertificateAuthority(2 * YEAR)
    certificate, key = authority.issue(HOSTS, YEAR)
    for name, content in {"matrix.pem": certificate, "matrix.key": key, "authority.pem": authority.pem}.items():
        (tls / name).write_bytes(content)
    ports, base = {443: free_port(), 8448: free_port()}, free_ports(4)
    names = ["--server-name", SERVER, "--out", str(folder), "--support-email", "hilfe@betrieb.example"]
    with RealClamd() as clamd:
        assert main(["provision", *names, "--port", str(base), "--scanner", clamd.address_unix]) == 0
        _let_the_portal_find_the_homeserver(folder / "homeserver.yaml", base)
        site = (folder / "nginx" / "matrix.conf").read_text(encoding="utf-8").replace("/etc/nginx/tls/", f"{tls}/")
        for number, port in ports.items():
            site = site.replace(f"listen {number} ssl;", f"listen {LOOPBACK}:{port} ssl;")
        srv = SrvServer({f"_matrix-fed._tcp.{SERVER}": (HOSTS[1], 8448)})
        with ProvisionedHomeserver(folder), RealNginx(site, ports[443]), srv:
            places = [f"{host}:{number}:{LOOPBACK}:{port}" for host in HOSTS for number, port in ports.items()]
            options = [
                "--online",
                "--ca-file",
                str(tls / "authority.pem"),
                "--dns-server",
                f"{LOOPBACK}:{srv.place[1]}",
            ]
            options += [part for place in places for part in ("--connect-to", place)]
            yield Outside(folder / "homeserver.yaml", tuple(options))


def _let_the_portal_find_the_homeserver(path: Path, port: int) -> None:
    """Its name is in no DNS here, so that it is asked directly."""
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    for entry in config["modules"]:
        entry["config"]["admin_hosts"].append(LOOPBACK)
        if "admin_api_url" in entry["config"]:
            entry["config"]["admin_api_url"] = f"http://{LOOPBACK}:{port}"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")


def test_it_is_found_under_all_its_names(outside: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["check", "-c", str(outside.homeserver_yaml), *outside.options])
    said = capsys.readouterr().out
    assert status == 0, said
    for sentence in (
        f"OK      online: other servers find {SERVER} at matrix.{SERVER}:443 (its delegation)",
        f"OK      online: the SRV record of {SERVER} leads to matrix.{SERVER}:8448, which answers for it",
        f"OK      online: `public_baseurl`: https://matrix.{SERVER}/ answers clients",
        f"OK      online: portal: https://admin.{SERVER}/_synapse/client/bum/portal/ answers",
        f"OK      online: certificate of {SERVER}:443: the first of its chain ends on",
        f"OK      online: certificate of {SERVER} at matrix.{SERVER}:8448: the first of its chain ends on",
    ):
        assert sentence in said
    assert [line for line in said.splitlines() if "online" in line and not line.startswith("OK ")] == []


def test_another_servers_keys_are_noticed(outside: Outside, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = yaml.safe_load(outside.homeserver_yaml.read_text(encoding="utf-8"))
    other = tmp_path / "other"
    assert main(["provision", "--server-name", SERVER, "--out", str(other), "--support-email", "a@b.example"]) == 0
    config["signing_key_path"] = str(other / "secrets" / "signing.key")
    path = tmp_path / "homeserver.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    assert main(["check", "-c", str(path), *outside.options]) == 1
    assert "another homeserver answers there" in capsys.readouterr().out
