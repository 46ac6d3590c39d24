"""`synapse-bum provision`: what is written, what is refused, and that nothing is ever overwritten."""

import datetime as dt
import ipaddress
import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.antivirus.config import AntivirusConfig
from synapse_bum.cli import main
from synapse_bum.cli.check.modules import MODULES, load_modules
from synapse_bum.cli.provision.filling import sample
from synapse_bum.cli.provision.order import OrderError, database, server_name
from synapse_bum.cli.provision.samples import __file__ as samples_file
from synapse_bum.identifiers import is_host
from synapse_bum.retention.config import RetentionConfig

SERVER = "messenger.amt.example"
CONFIG_SAMPLES = Path(__file__).resolve().parent.parent.parent.parent / "config-samples"
POSTGRES = ["--database", "postgresql://synapse@db.amt.example:5433/messenger"]
WITH_WORKERS = [*POSTGRES, "--workers", "2"]

Run = Callable[..., tuple[int, str, str]]


def homeserver(folder: Path) -> dict[str, Any]:
    loaded = yaml.safe_load((folder / "homeserver.yaml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def oidc_options(folder: Path, preset: str) -> list[str]:
    secret = folder / "client-secret"
    secret.write_text("geheim-beim-anbieter\n")
    issuers = {
        "keycloak": "https://sso.amt.example/realms/amt",
        "entra_id": "https://login.microsoftonline.com/7a2a4a5e-5b0c-4f3b-9d0a-3d1f5a1b2c3d/v2.0",
        "okta": "https://amt.okta.com",
    }
    options = ["--oidc-preset", preset, "--oidc-issuer", issuers[preset], "--oidc-client-id", "messenger"]
    options += ["--oidc-client-secret-file", str(secret), "--oidc-admin-role", "leitung"]
    return [*options, *(["--oidc-tenant", "7a2a4a5e-5b0c-4f3b-9d0a-3d1f5a1b2c3d"] if preset == "entra_id" else [])]


@pytest.mark.parametrize(
    "options",
    [
        [],
        POSTGRES,
        WITH_WORKERS,
        ["--portal-host", f"portal.{SERVER}"],
        ["--public-host", SERVER, "--timezone", "UTC"],
        ["--scanner", "tcp:127.0.0.1:3310", "--contract-number", "BuM-2026: 'eins' # zwei"],
        ["oidc", "keycloak"],
        ["oidc", "entra_id"],
        ["oidc", "okta"],
    ],
    ids=" ".join,
)
def test_the_check_finds_nothing_at_all(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    chosen = oidc_options(tmp_path, options[1]) if options[:1] == ["oidc"] else options
    status, _said, errors = run(*chosen)
    assert (status, errors) == (0, "")
    folder = tmp_path / "new"
    files = [folder / "homeserver.yaml", *(path for path in folder.glob("workers/*.yaml") if ".log." not in path.name)]
    beside = ["--clamd-conf", str(folder / "clamav/clamd.conf"), "--proxy-config", str(folder / "nginx/matrix.conf")]
    named = [part for path in files for part in ("-c", str(path))]
    assert (main(["check", "--offline", "--strict", *named, *beside]), capsys.readouterr().out) == (0, "")
    assert main(["check", "--offline", "--strict", "-c", str(folder / "homeserver.yaml")]) == 0
    *unseen, line = capsys.readouterr().out.splitlines()
    assert line.startswith("NOTE    portal: `admin_api_url` leads to ")
    assert [said.partition(" has ")[0] for said in unseen] == (
        ["NOTE    processes: none of these processes"] if "--workers" in options else []
    )


def test_all_modules_are_there_at_the_contracts_numbers(run: Run, tmp_path: Path) -> None:
    assert run(*oidc_options(tmp_path, "keycloak"))[0] == 0
    found = homeserver(tmp_path / "new")
    configs, wrong = load_modules(found)
    assert not wrong
    assert set(configs) == set(MODULES)
    assert found["federation_domain_whitelist"] == []
    assert found["room_list_publication_rules"] == [{"action": "allow"}]
    assert (found["allow_public_rooms_without_auth"], found["allow_public_rooms_over_federation"]) == (False, False)
    for config in configs.values():
        assert config.admin_hosts == (f"admin.{SERVER}",)
        if isinstance(config, AntivirusConfig):
            assert config.require_scan is True
            assert config.when_scanner_fails.value == "reject"
        if isinstance(config, RetentionConfig):
            shown = {kind.value: str(lifetime) for kind, lifetime in config.lifetimes.items()}
            assert set(shown) == {"messages", "local_media", "remote_media"}
    by_name = {entry["module"]: entry["config"] for entry in found["modules"]}
    retention = by_name["synapse_bum.retention.RetentionModule"]
    lifetimes = [retention[kind]["lifetime"] for kind in ("messages", "local_media", "remote_media")]
    assert lifetimes == ["1y", "90d", "14d"]
    assert by_name["synapse_bum.storage.StorageModule"]["included_gb_per_user"] == 1
    assert by_name["synapse_bum.availability.AvailabilityModule"]["target"] == 0.999
    assert by_name["synapse_bum.portal.PortalModule"]["session_key_path"].endswith("/secrets/portal-session-keys")
    assert by_name["synapse_bum.federation.FederationModule"]["partners"] == {}


@pytest.mark.parametrize("options", [[], WITH_WORKERS], ids=["alone", "workers"])
def test_nothing_of_the_samples_example_is_left(run: Run, tmp_path: Path, options: list[str]) -> None:
    assert run(*options)[0] == 0
    folder = tmp_path / "new"
    for path in (found for found in folder.rglob("*") if found.is_file()):
        text = path.read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
        for example in ("messenger.example", "/etc/matrix-synapse", "/var/lib/matrix-synapse", "/var/log/matrix"):
            assert not [line for line in lines if example in line], path


def test_every_file_that_is_named_is_there(run: Run, tmp_path: Path) -> None:
    assert run(*WITH_WORKERS)[0] == 0
    folder = tmp_path / "new"
    named = set()
    for path in (folder / "homeserver.yaml", *folder.glob("workers/*.yaml"), folder / "log.yaml"):
        named |= set(re.findall(rf"{folder}/[A-Za-z0-9._/-]+", path.read_text()))
    made_later = re.compile(r".*/(log/.*|records/.*\.jsonl|data/.*\.(pid|db))")
    assert {path for path in named if not Path(path).exists() and not made_later.fullmatch(path)} == set()
    assert all(Path(path).parent.is_dir() for path in named)


def test_secrets_are_for_their_owner_only_and_stand_nowhere_else(run: Run, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("datenbank:geheim\n")
    os.umask(0)
    try:
        status, said, errors = run(*WITH_WORKERS, "--database-password-file", str(password))
    finally:
        os.umask(0o022)
    assert status == 0
    folder = tmp_path / "new"
    secrets = {path: path.read_text().strip() for path in folder.glob("secrets/*")}
    assert len(secrets) == 8
    for path in secrets:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for name in ("secrets", "data", "log", "records"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o700
    assert (folder / "secrets" / "pgpass").read_text() == "*:*:*:*:datenbank\\:geheim\n"
    others = [said, errors, *(path.read_text() for path in folder.rglob("*") if path.is_file() and path not in secrets)]
    for content in (*secrets.values(), "datenbank:geheim"):
        assert not [text for text in others if content in text]


def test_two_homeservers_share_no_secret(run: Run, tmp_path: Path) -> None:
    assert run()[0] == 0
    assert run("--out", str(tmp_path / "other"))[0] == 0
    for path in (tmp_path / "new" / "secrets").iterdir():
        assert path.read_text() != (tmp_path / "other" / "secrets" / path.name).read_text()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--server-name", "Messenger.Amt.example"], "lower case"),
        (["--server-name", "messenger.amt.example:8448"], "leave the port out"),
        (["--server-name", "192.0.2.1"], "an IP address"),
        (["--server-name", "192.0.2.1:8448"], "an IP address"),
        (["--server-name", "[2001:db8::1]"], "an IP address"),
        (["--server-name", "2001:db8::1"], "an IP address"),
        (["--server-name", "messenger_amt.example"], "no underscores"),
        (["--server-name", f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 40}"], "at most 230"),
        (["--server-name", f"{'a' * 64}.example"], "at most 63 characters"),
        (["--server-name", "messenger"], "must be a DNS name"),
        (["--server-name", "-messenger.example"], "must be a DNS name"),
        (["--server-name", "messenger.example."], "must be a DNS name"),
        (["--server-name", "messenger..example"], "must be a DNS name"),
        (["--server-name", "1.2.3"], "an IP address"),
        (["--server-name", "amt.1"], "must be a DNS name"),
        (["--server-name", "bürger.amt.example"], "xn--"),
        (["--server-name", "a b.example"], "must be a DNS name"),
        (["--server-name", "a;reboot.example"], "must be a DNS name"),
        (["--server-name", ""], "must be a DNS name"),
        (["--admin-host", f"matrix.{SERVER}"], "--admin-host and --public-host are both"),
        (["--admin-host", SERVER], "--admin-host and --server-name are both"),
        (["--portal-host", f"matrix.{SERVER}"], "--portal-host and --public-host are both"),
        (["--public-host", f"admin.{SERVER}"], "--admin-host and --public-host are both"),
        (["--admin-host", "admin_.example"], "--admin-host is `admin_.example`: host names have no underscores"),
        (["--timezone", "Europe/Bonn"], "there is no time zone `Europe/Bonn`"),
        (["--timezone", "../etc/passwd"], "there is no time zone"),
        (["--timezone", ""], "there is no time zone"),
        (["--database", "mysql://a@b/c"], "--database must be `sqlite` or"),
        (["--database", "postgresql://db.example"], "--database must be `sqlite` or"),
        (["--database", "postgresql://a@db.example:x/synapse"], "--database must be `sqlite` or"),
        (["--database", "postgresql://a:geheim@db.example/synapse"], "holds a password, which everybody"),
        (["--database", "postgresql:///synapse?options=-c"], "`options` is not known there"),
        (["--database", "postgresql://a@db.example/a%3Db"], "--database must be `sqlite` or"),
        (["--database", "postgresql://a%0Ab@db.example/synapse"], "--database must be `sqlite` or"),
        (["--database", "postgresql://%2Frun%2Fpostgresql/synapse"], "--database must be `sqlite` or"),
        (["--database", "postgresql://[::1/synapse"], "--database must be `sqlite` or"),
        (["--workers", "2"], "can't share SQLite"),
        (["--workers", "-1", *POSTGRES], "--workers must be a number from 1 to 32"),
        (["--workers", "33", *POSTGRES], "--workers must be a number from 1 to 32"),
        (["--port", "65534"], "--port"),
        (["--port", "0"], "--port must be a number from 1"),
        (["--redis", "redis", *WITH_WORKERS], "--redis must be a host and a port"),
        (["--support-email", "hilfe"], "--support-email must be one mail address"),
        (["--support-email", "a@b.example\nBcc: c@d.example"], "--support-email must be one mail address"),
        (["--address", "192.0.2.300"], "--address must be an IPv4 or IPv6 address"),
        (["--scanner", "/run/clamd"], "--scanner must be"),
        (["--user", "root; true"], "--user must be the name"),
        (["--begin", "2026-02-30"], "--begin must be a day"),
        (["--contract-number", "a\nb"], "--contract-number must be one line"),
        (["--out", "/nowhere/a b"], "may hold letters, digits"),
        (["--out", "/nowhere/../a"], "may hold letters, digits"),
        (["--out", "/nowhere/at/all"], "the folder /nowhere/at is not there"),
        (["--database-password-file", "/nowhere"], "belongs to a PostgreSQL"),
        (["--database-password-file", "/nowhere", *POSTGRES], "/nowhere: No such file"),
        (["--oidc-issuer", "https://a.example"], "--oidc-issuer needs --oidc-preset"),
        (["--oidc-preset", "okta"], "--oidc-preset needs --oidc-issuer"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_can_not_be_ordered_is_a_sentence(run: Run, tmp_path: Path, options: list[str], sentence: str) -> None:
    before = set(tmp_path.iterdir())
    status, said, errors = run(f"{options[0]}={options[1]}", *options[2:])
    assert (status, said) == (1, "")
    assert sentence in errors
    assert errors.startswith("synapse-bum provision: ")
    assert "geheim" not in errors
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "issuer",
    ["https://[::1", "https://a.example:99999", "http://a.example", "https://a@a.example", "a.example", "https://"],
)
def test_an_issuer_is_an_https_address(run: Run, tmp_path: Path, issuer: str) -> None:
    status, said, errors = run(*oidc_options(tmp_path, "okta"), "--oidc-issuer", issuer)
    assert (status, said) == (1, "")
    assert "--oidc-issuer must be an address that begins with `https://`" in errors


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u%40x@db.example/m%C3%BCller", {"host": "db.example", "dbname": "müller", "user": "u@x"}),
        ("postgres:///a", {"host": "/run/postgresql", "dbname": "a", "user": "synapse"}),
        ("postgresql://u@/a?host=%2Ftmp", {"host": "/tmp", "dbname": "a", "user": "u"}),  # noqa: S108 - as asked for
        ("postgresql://u@[::1]:5433/a", {"host": "::1", "dbname": "a", "port": 5433, "user": "u"}),
    ],
)
def test_the_database_is_read_as_libpq_reads_it(url: str, expected: dict[str, str | int]) -> None:
    assert database(url) == expected


@given(st.one_of(st.text(), st.from_regex(r"[a-z0-9A-Z.:_\-\[\]]{1,80}", fullmatch=True)))
def test_a_server_name_is_refused_or_one_that_dns_knows(text: str) -> None:
    try:
        name = server_name(text)
    except OrderError:
        return
    assert name == text == text.lower()
    assert is_host(name)
    assert "." in name


def test_with_ipv6_nginx_listens_there_too(run: Run, tmp_path: Path) -> None:
    assert run("--address", "2001:db8::1", "--portal-host", "portal.amt.example")[0] == 0
    site = (tmp_path / "new" / "nginx" / "matrix.conf").read_text()
    assert site.count("listen [::]:443 ssl;") == site.count("listen 443 ssl;") == 4
    assert site.count("listen [::]:8448 ssl;") == 1
    assert run("--address", "192.0.2.1", "--out", str(tmp_path / "old"))[0] == 0
    assert "[::]" not in (tmp_path / "old" / "nginx" / "matrix.conf").read_text()


def test_the_delegation(run: Run, tmp_path: Path) -> None:
    assert run("--address", "192.0.2.1", "--address", "2001:db8::1")[0] == 0
    folder = tmp_path / "new"
    known = {path.name: json.loads(path.read_text()) for path in folder.glob("well-known/matrix/*")}
    assert known == {
        "server": {"m.server": f"matrix.{SERVER}:443"},
        "client": {"m.homeserver": {"base_url": f"https://matrix.{SERVER}/"}},
        "support": {"contacts": [{"email_address": "hilfe@betrieb.example", "role": "m.role.admin"}]},
    }
    zone = (folder / "dns" / f"{SERVER}.zone").read_text()
    records = [line.split() for line in zone.splitlines() if line and not line.startswith(";")]
    addresses = {(name, kind): address for name, _ttl, _in, kind, address in (r for r in records if len(r) == 5)}
    for host in (SERVER, f"matrix.{SERVER}", f"admin.{SERVER}"):
        assert ipaddress.IPv4Address(addresses[f"{host}.", "A"]) == ipaddress.IPv4Address("192.0.2.1")
        assert ipaddress.IPv6Address(addresses[f"{host}.", "AAAA"]) == ipaddress.IPv6Address("2001:db8::1")
    assert records[-1] == [f"_matrix-fed._tcp.{SERVER}.", "3600", "IN", "SRV", "10", "5", "8448", f"matrix.{SERVER}."]


def test_the_handover_mail_names_what_the_customer_needs(run: Run, tmp_path: Path) -> None:
    assert run("--begin", "2026-10-01", "--contract-number", "BuM-1", "--portal-host", "portal.amt.example")[0] == 0
    text = (tmp_path / "new" / "uebergabe.txt").read_text(encoding="utf-8")
    for part in (
        f"Ihr Messenger {SERVER} ist bereit",
        "https://portal.amt.example/_synapse/client/bum/portal/",
        "hilfe@betrieb.example",
        "Bitte ändern Sie es\nsofort",
        "kann das nicht erzwingen",
        "99,9 %",
        "01.10.2026",
        "BuM-1",
        "sechs Monate",
    ):
        assert part in text
    assert "$" not in text
    assert run(*oidc_options(tmp_path, "okta"), "--out", str(tmp_path / "okta"))[0] == 0
    assert "Ein Passwort von uns gibt es nicht" in (tmp_path / "okta" / "uebergabe.txt").read_text(encoding="utf-8")
    _status, said, _errors = run("--admin-email", "anna@amt.example", "--out", str(tmp_path / "mail"))
    assert "--first-admin NAME --email anna@amt.example" in said
    by_mail = (tmp_path / "mail" / "uebergabe.txt").read_text(encoding="utf-8")
    assert by_mail.startswith("An:      anna@amt.example\n")
    assert "„Passwort vergessen“ und\ngeben Sie diese Mailadresse an (anna@amt.example)" in by_mail
    assert "$" not in by_mail


@pytest.mark.parametrize(("options", "number"), [([], "(noch keine)"), (["--contract-number", "BuM-1"], "BuM-1")])
def test_the_portal_tells_when_the_contract_can_end_as_the_handover_mail_does(
    run: Run, tmp_path: Path, options: list[str], number: str
) -> None:
    assert run("--begin", "2026-10-01", *options)[0] == 0
    configs, wrong = load_modules(homeserver(tmp_path / "new"))
    portal = configs["synapse_bum.portal.PortalModule"]
    assert not wrong
    assert (portal.contract.number, portal.contract.begin) == (number, dt.date(2026, 10, 1))


def test_the_samples_exist_once() -> None:
    links = [
        path for path in Path(samples_file).parent.iterdir() if path.suffix in {".yaml", ".conf", ".service", ".timer"}
    ]
    assert {"homeserver.yaml", "nginx.conf", "clamd.conf", "log.yaml"} <= {path.name for path in links}
    for path in links:
        assert path.is_symlink()
        assert path.resolve() == CONFIG_SAMPLES / path.name
        assert sample(path.name) == (CONFIG_SAMPLES / path.name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--server-name", SERVER], "--out is needed"),
        ([], "--server-name is needed"),
        (["-c", "homeserver.yaml"], "-c belongs to --first-admin"),
        (["--first-admin", "leitung"], "--first-admin needs -c"),
    ],
)
def test_wrong_options_end_with_2(capsys: pytest.CaptureFixture[str], options: list[str], sentence: str) -> None:
    assert main(["provision", *options]) == 2
    assert sentence in capsys.readouterr().err
