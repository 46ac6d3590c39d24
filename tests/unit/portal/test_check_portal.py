"""`synapse-bum check` beside the portal module: who hears of faults, what the portal reaches, and its secrets."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from synapse_bum.cli import main

EMAIL = {"email": {"smtp_host": "localhost", "notif_from": "Synapse <synapse@messenger.example>"}}


def key_file(folder: Path, mode: int = 0o400, content: bytes | None = None) -> str:
    path = folder / "session-keys"
    path.write_bytes(Fernet.generate_key() if content is None else content)
    path.chmod(mode)
    return str(path)


def check(
    folder: Path, capsys: pytest.CaptureFixture[str], portal: dict[str, Any], homeserver: dict[str, Any]
) -> tuple[int, list[str]]:
    """Returns what the command ends with, and its lines about the portal."""
    own = {"hosts": ["admin.example"], "admin_api_url": "http://127.0.0.1:8008"}
    module = {"module": "synapse_bum.portal.PortalModule", "config": {**own, **portal}}
    path = folder / "homeserver.yaml"
    path.write_text(yaml.safe_dump({"server_name": "a.example", "modules": [module], **homeserver}))
    code = main(["check", "--offline", "-c", str(path)])
    return code, [line for line in capsys.readouterr().out.splitlines() if "portal: " in line]


@pytest.mark.parametrize(
    ("support", "homeserver", "expected"),
    [
        ({"email": "desk@a.example"}, EMAIL, []),
        ({"email": "desk@a.example"}, {}, ["`support.email` is set, but homeserver.yaml has no section `email`"]),
        (
            {"email": "desk@a.example"},
            {"email": {"smtp_host": "localhost"}},
            ["`support.email` is set, but homeserver.yaml has no section `email`"],
        ),
        ({"contacts": [{"name": "Service Desk"}]}, EMAIL, ["`support.email` is not set: reported faults are"]),
        (
            {},
            EMAIL,
            ["`support.email` is not set: reported faults are", "`support` has neither `email` nor `contacts`"],
        ),
    ],
)
def test_whether_a_report_reaches_anybody(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    support: dict[str, Any],
    homeserver: dict[str, Any],
    expected: list[str],
) -> None:
    _code, lines = check(tmp_path, capsys, {"support": support, "session_key_path": key_file(tmp_path)}, homeserver)
    assert len(lines) == len(expected)
    for line, beginning in zip(lines, expected, strict=True):
        assert line.startswith(f"WARNING portal: {beginning}")


@pytest.mark.parametrize(
    ("admin_api_url", "admin_hosts", "is_reached"),
    [
        ("http://127.0.0.1:8008", [], True),
        ("http://127.0.0.1:8008", ["admin.example", "127.0.0.1"], True),
        ("https://Admin.example", ["admin.example"], True),
        ("http://[::1]:8008", ["::1"], True),
        ("http://127.0.0.1:8008", ["admin.example"], False),
        ("https://admin.example.evil.example", ["admin.example"], False),
    ],
)
def test_whether_the_modules_answer_the_portal(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    admin_api_url: str,
    admin_hosts: list[str],
    is_reached: bool,  # noqa: FBT001 - of a table
) -> None:
    portal = {"hosts": ["admin.example"], "admin_api_url": admin_api_url, "support": {"email": "desk@a.example"}}
    modules = [
        {"module": "synapse_bum.portal.PortalModule", "config": portal},
        {"module": "synapse_bum.storage.StorageModule", "config": {"admin_hosts": admin_hosts}},
    ]
    path = tmp_path / "homeserver.yaml"
    path.write_text(yaml.safe_dump({"server_name": "a.example", "modules": modules, **EMAIL}))
    assert main(["check", "--offline", "-c", str(path)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "does not name" in line]
    said = ["`admin_hosts` of synapse_bum.storage.StorageModule does not name" in line for line in lines]
    assert said == ([] if is_reached else [True])


def test_without_an_answer_about_holds_the_portal_is_no_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    portal = {"hosts": ["admin.example"], "admin_api_url": "http://127.0.0.1:8008"}
    shared = {"admin_hosts": ["admin.example"]}
    modules = [
        {"module": "synapse_bum.portal.PortalModule", "config": portal},
        {"module": "synapse_bum.retention.RetentionModule", "config": shared},
        {"module": "synapse_bum.storage.StorageModule", "config": shared},
    ]
    path = tmp_path / "homeserver.yaml"
    path.write_text(yaml.safe_dump({"server_name": "a.example", "modules": modules, **EMAIL}))
    assert main(["check", "--offline", "-c", str(path)]) == 1
    error, warning = [line for line in capsys.readouterr().out.splitlines() if "does not name" in line]
    assert error.startswith("ERROR   portal: `admin_api_url` leads to `127.0.0.1`")
    assert "of synapse_bum.retention.RetentionModule does not name" in error
    assert "can't ask for holds" in error
    assert warning.startswith("WARNING portal: ")
    assert "of synapse_bum.storage.StorageModule does not name" in warning


@pytest.mark.parametrize(
    ("admin_api_url", "is_near"),
    [
        ("http://127.0.0.1:8008", True),
        ("http://[::1]:8008", True),
        ("http://localhost:8008", True),
        ("http://synapse:8008", True),
        ("http://synapse.messenger.svc:8008", True),
        ("http://synapse.messenger.svc.cluster.local:8008", True),
        ("https://admin.example", False),
        ("http://10.0.0.5:8008", False),
    ],
)
def test_a_proxy_between_the_portal_and_synapse_must_tell_browsers_apart(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    admin_api_url: str,
    is_near: bool,  # noqa: FBT001 - of a table
) -> None:
    portal = {**SUPPORT, "session_key_path": key_file(tmp_path), "admin_api_url": admin_api_url}
    code, lines = check(tmp_path, capsys, portal, EMAIL)
    assert code == 0
    assert ["believes the `X-Forwarded-For`" in line for line in lines] == ([] if is_near else [True])


SUPPORT = {"support": {"email": "desk@a.example"}}


def test_a_key_in_the_database_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, (line,) = check(tmp_path, capsys, SUPPORT, EMAIL)
    assert code == 0
    assert line.startswith("WARNING portal: `session_key_path` is not set: the key lies in the database")


def test_beside_an_authentication_service_it_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "secret").write_text("x")
    mas = {"client_id": "a", "client_secret_path": str(tmp_path / "secret")}
    path = tmp_path / "homeserver.yaml"
    config = {"hosts": ["admin.example"], "admin_api_url": "https://admin.example", "mas": mas}
    modules = [{"module": "synapse_bum.portal.PortalModule", "config": config}]
    path.write_text(yaml.safe_dump({"server_name": "a.example", "modules": modules}))
    assert main(["check", "--offline", "-c", str(path)]) == 1
    assert "`config.session_key_path`: is needed with `mas`" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("mode", "is_safe"), [(0o400, True), (0o600, True), (0o440, False), (0o644, False), (0o404, False)]
)
def test_who_can_read_the_secrets(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    mode: int,
    is_safe: bool,  # noqa: FBT001 - of a table
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(mode)
    mas = {"client_id": "a", "client_secret_path": str(secret)}
    config = {**SUPPORT, "session_key_path": key_file(tmp_path, mode), "mas": mas}
    code, lines = check(tmp_path, capsys, config, EMAIL)
    assert code == 0
    named = [f"WARNING portal: `{option}`: not only" for option in ("session_key_path", "mas.client_secret_path")]
    assert [line.partition(" the owner")[0] for line in lines] == ([] if is_safe else named)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff"])
def test_secrets_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    mas = {"client_id": "a", "client_secret_path": str(tmp_path / "missing")}
    config = {**SUPPORT, "session_key_path": key_file(tmp_path, content=content), "mas": mas}
    code, lines = check(tmp_path, capsys, config, EMAIL)
    assert code == 1
    assert [line.partition("`: ")[0] for line in lines] == [
        "ERROR   portal: `config.session_key_path",
        "ERROR   portal: `config.mas.client_secret_path",
    ]
