"""What is named as left around a homeserver is its own, and nobody else's."""

from pathlib import Path

import pytest

from synapse_bum.cli.offboard.surroundings import on_machine, out_of_sight

pytestmark = pytest.mark.any_synapse

SERVER = "chat.amt.example"


def a_file(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def named(root: Path, server_name: str = SERVER) -> list[str]:
    return on_machine(server_name, [Path("/srv/chat/homeserver.yaml")], [], root)


@pytest.mark.parametrize(
    "name",
    [
        f"etc/systemd/system/synapse-bum-{SERVER}.target",
        f"etc/systemd/system/synapse-bum-{SERVER}-worker@.service",
        f"etc/systemd/system/synapse-bum-{SERVER}-backup-verify.timer",
        f"etc/nginx/conf.d/{SERVER}.conf",
        f"etc/synapse-bum-backup/{SERVER}/repository",
        f"var/lib/prometheus/node-exporter/synapse-bum-backup-{SERVER}.prom",
        f"etc/letsencrypt/archive/{SERVER}/privkey1.pem",
    ],
)
def test_a_file_of_its_name_is_named(tmp_path: Path, name: str) -> None:
    path = a_file(tmp_path / name)
    for server_name in (SERVER, f"{SERVER}:8448"):
        (line,) = named(tmp_path, server_name)
        assert line.startswith(f"file {path}: names this server")


@pytest.mark.parametrize(
    ("text", "is_its"),
    [
        (f"server_name {SERVER};", True),
        (f"server_name portal.{SERVER} {SERVER.upper()};", True),
        (f"https://{SERVER}:8448/", True),
        (f"Names: {SERVER}.", True),
        ("ExecStart=synapse -c /srv/chat/homeserver.yaml", True),
        (f"server_name {SERVER}.org;", False),
        (f"server_name other-{SERVER};", False),
        ("server_name chatXamt.example;", False),
    ],
)
def test_a_file_that_speaks_of_it_is_named(tmp_path: Path, text: str, is_its: bool) -> None:  # noqa: FBT001 - a case
    a_file(tmp_path / "etc/nginx/sites-enabled/site", text)
    assert bool(named(tmp_path)) is is_its


def test_files_of_another_server_are_not_named(tmp_path: Path) -> None:
    for other in (f"other-{SERVER}", f"{SERVER}.org", f"x{SERVER}"):
        a_file(tmp_path / f"etc/nginx/conf.d/{other}.conf")
        a_file(tmp_path / f"etc/systemd/system/synapse-bum-{other}.service")
    assert named(tmp_path) == []


def test_what_can_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = a_file(tmp_path / "etc/nginx/nginx.conf", "worker_processes 1;")
    assert named(tmp_path) == []

    def refuse(*_arguments: object, **_more: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert named(tmp_path) == [
        f"file {path}: could not be looked into (Permission denied); look whether it is of this server"
    ]


def test_what_is_erased_is_not_named_as_left(tmp_path: Path) -> None:
    path = a_file(tmp_path / f"etc/nginx/conf.d/{SERVER}.conf")
    assert on_machine(SERVER, [], [path], tmp_path) == []
    assert on_machine(SERVER, [], [path.parent], tmp_path) == []


def test_it_says_where_the_database_was_and_shows_no_password() -> None:
    arguments = {"host": "db.example", "user": "synapse", "password": "secret", "dbname": "messenger"}
    lines = out_of_sight({"database": {"name": "psycopg2", "args": arguments}}, 0)
    (line,) = [line for line in lines if line.startswith("PostgreSQL at db.example: ")]
    assert "database messenger and the role synapse" in line
    assert "secret" not in "".join(lines)
    assert not [line for line in out_of_sight({"database": {"name": "sqlite3"}}, 0) if "PostgreSQL" in line]
