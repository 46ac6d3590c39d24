"""What PostgreSQL's library reads to reach a database is in a backup: a restored configuration opens it."""

from pathlib import Path
from typing import Any

import pytest

from synapse_bum.cli.backup.database_files import files_of_the_user, named_files
from synapse_bum.cli.backup.sources import read_sources

pytestmark = pytest.mark.any_synapse


def postgres(**arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - values of YAML
    return {"database": {"name": "psycopg2", "args": {"cp_min": 5, "dbname": "synapse", **arguments}}}


@pytest.mark.parametrize(
    "arguments",
    [
        {"passfile": "/s/pgpass", "sslcert": "/s/crt", "sslkey": "/s/key", "sslrootcert": "/s/root"},
        {"dsn": "host=db passfile=/s/pgpass sslcert=/s/crt sslkey=/s/key sslrootcert=/s/root"},
        {"dsn": "postgresql://a@db/x?passfile=/s/pgpass&sslcert=/s/crt&sslkey=/s/key&sslrootcert=/s/root"},
    ],
)
def test_passwords_and_certificates_are_named_in_any_way(arguments: dict[str, Any]) -> None:
    assert sorted(map(str, named_files(postgres(**arguments)))) == ["/s/crt", "/s/key", "/s/pgpass", "/s/root"]


def test_what_is_no_file_is_none() -> None:
    assert list(named_files(postgres(sslrootcert="system", password="secret"))) == []
    assert list(named_files(postgres(no_parameter_of_libpq="x"))) == []
    assert list(named_files({"database": {"name": "sqlite3", "args": {"database": "x"}}})) == []
    assert list(named_files({})) == []


def test_variables_and_the_home_count_where_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / ".postgresql").mkdir()
    for name in (".pgpass", ".postgresql/postgresql.key"):
        (tmp_path / name).touch()
    environment = {"PGSSLCERT": "/s/crt", "PGSSLROOTCERT": "system"}
    found = files_of_the_user(postgres(host="db"), environment, tmp_path)
    assert set(found) == {tmp_path / ".pgpass", Path("/s/crt"), tmp_path / ".postgresql/postgresql.key"}
    named = postgres(passfile="/s/pgpass", sslkey="/s/key", sslcert="/s/crt")
    assert list(files_of_the_user(named, {"PGPASSFILE": "/other"}, tmp_path)) == []
    assert list(files_of_the_user({"database": {"name": "sqlite3"}}, {"PGPASSFILE": "/other"}, tmp_path)) == []


def test_a_home_that_nobody_may_look_into_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refuse)
    assert list(files_of_the_user(postgres(host="db"), {}, tmp_path)) == []


def test_the_files_of_homeserver_and_workers_are_sources(tmp_path: Path) -> None:
    names = (
        "pgpass",
        "worker_pgpass",
        "replication",
        "log.yaml",
        "worker.yaml",
        "other.yaml",
        "not-this",
        "worker.pid",
    )
    paths = {name: tmp_path / name for name in names}
    for path in paths.values():
        path.write_text("x")
    worker = (
        f"worker_app: synapse.app.generic_worker\nworker_log_config: {paths['log.yaml']}\n"
        f"worker_pid_file: {paths['worker.pid']}\nworker_replication_secret_path: {paths['replication']}\n"
        f"database: {{name: psycopg2, args: {{passfile: {paths['worker_pgpass']}}}}}\n"
    )
    paths["worker.yaml"].write_text(worker)
    paths["other.yaml"].write_text(f"something_path: {paths['not-this']}\n")
    (tmp_path / "media").mkdir()
    homeserver = {
        "server_name": "m.example",
        "media_store_path": str(tmp_path / "media"),
        "signing_key": "x",
        **postgres(passfile=str(paths["pgpass"])),
    }
    found = read_sources(homeserver, [paths["worker.yaml"], paths["other.yaml"]])
    assert {path.name for path in found.files} == set(names) - {"not-this", "worker.pid"}
