"""A real Synapse on what was provisioned: alone on SQLite, with workers on PostgreSQL; and its first administrator."""

import re
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attr
import pytest
import yaml

from synapse_bum.cli import main
from synapse_bum.cli.provision import attempts
from synapse_bum.homeserver.offline_database import OfflineDatabase, database_settings
from synapse_bum.testing import malware
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.http_client import HttpClient, MatrixClient
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.provisioned import ProvisionedHomeserver, free_ports
from synapse_bum.testing.redis import RealRedis

pytestmark = pytest.mark.requires("clamd")

psycopg2: Any = pytest.importorskip("psycopg2")

SERVER = "messenger.amt.example"
ADMIN_HOST = {"Host": f"admin.{SERVER}"}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Provisioned:
    """A homeserver that runs."""

    folder: Path
    homeserver: ProvisionedHomeserver


def provision(folder: Path, clamd: RealClamd, *options: str) -> None:
    names = ["--server-name", SERVER, "--out", str(folder), "--support-email", "hilfe@betrieb.example"]
    ports = ["--port", str(free_ports(12)), "--scanner", clamd.address_unix]
    assert main(["provision", *names, *ports, *options]) == 0


@pytest.fixture(scope="module")
def clamd() -> Iterator[RealClamd]:
    with RealClamd() as server:
        yield server


@pytest.fixture(scope="module")
def alone(clamd: RealClamd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provisioned]:
    """One process on SQLite."""
    folder = tmp_path_factory.mktemp("alone") / "messenger"
    provision(folder, clamd)
    with ProvisionedHomeserver(folder) as homeserver:
        yield Provisioned(folder, homeserver)


@pytest.fixture(scope="module")
def stack(clamd: RealClamd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provisioned]:
    """Four processes on PostgreSQL, which asks for a password."""
    folder = tmp_path_factory.mktemp("stack") / "messenger"
    password = tmp_path_factory.mktemp("secret") / "password"
    password.write_text("ge:heim\\es\n")
    with RealPostgres() as postgres, RealRedis() as redis:
        url = f"postgresql://{postgres.user}@{postgres.host}:{postgres.port}/postgres"
        database = ["--database", url, "--database-password-file", str(password)]
        provision(folder, clamd, *database, "--workers", "1", "--redis", f"127.0.0.1:{redis.port}")
        with ProvisionedHomeserver(folder) as homeserver:
            yield Provisioned(folder, homeserver)


def first_admin(provisioned: Provisioned, name: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    status = main(["provision", "--first-admin", name, "-c", str(provisioned.folder / "homeserver.yaml")])
    said = capsys.readouterr()
    return status, said.out, said.err


def login(url: str, name: str, password: str) -> MatrixClient:
    user = {"type": "m.id.user", "user": name}
    answer = HttpClient(url).post(
        "/_matrix/client/v3/login", {"type": "m.login.password", "identifier": user, "password": password}
    )
    assert answer.status == 200, answer.body
    return MatrixClient(url, answer.json["user_id"], answer.json["access_token"])


def everything_works(provisioned: Provisioned, capsys: pytest.CaptureFixture[str]) -> MatrixClient:
    """The first administrator signs in with what was printed, once; files are scanned; the check has no error."""
    status, said, _errors = first_admin(provisioned, "leitung", capsys)
    assert status == 0
    found = re.search(r"Password, shown only now: (\S+)", said)
    assert found is not None
    url = provisioned.homeserver.main.base_url
    leitung = login(url, "leitung", found[1])
    assert leitung.user_id == f"@leitung:{SERVER}"
    devices = leitung.get("/_matrix/client/v3/devices").json["devices"]
    assert len(devices) == 1, "the command itself must not stay logged in"
    again, _said, sentence = first_admin(provisioned, "zweite", capsys)
    assert again == 1
    assert f"@leitung:{SERVER} is an administrator already" in sentence

    def ask(path: str) -> object:
        answer = leitung.request("GET", f"/_synapse/client/bum/v1/{path}", headers=ADMIN_HOST)
        assert answer.status == 200, (path, answer.body)
        return answer.json

    assert leitung.get("/_synapse/client/bum/v1/audit").status == 404, "administrators have a host name of their own"
    audit = ask("audit")
    assert isinstance(audit, dict)
    (row,) = [one for one in audit["audit"] if one["action"] == "provision.first_admin"]
    assert (row["actor"], row["target"]) == ("cli:provision", leitung.user_id)
    assert found[1] not in str(audit)
    assert ask("federation/partners") == {"partners": [], "total": 0}
    assert ask("storage/usage")
    retention = ask("retention/status")
    assert isinstance(retention, dict)
    assert {name: one["lifetime_ms"] // 86_400_000 for name, one in retention.items()} == {
        "messages": 365,
        "local_media": 90,
        "remote_media": 14,
    }
    assert main(["check", "-c", str(provisioned.folder / "homeserver.yaml")]) == 0
    assert "finds the EICAR test file" in capsys.readouterr().out
    return leitung


def rooms_and_contacts_are_found(leitung: MatrixClient) -> None:
    """By those who have an account, and before they share a room."""
    user = leitung.request("PUT", f"/_synapse/admin/v2/users/@anna:{SERVER}", json_body={"password": "geheim"})
    assert user.status == 201, user.body
    anna = login(leitung.base_url, "anna", "geheim")
    room = leitung.create_room(preset="public_chat", visibility="public", name="Lagezentrum")
    assert room.status == 200, room.body
    search = {"filter": {"generic_search_term": "lagezentrum"}}
    found = anna.post("/_matrix/client/v3/publicRooms", search).json["chunk"]
    assert [one["room_id"] for one in found] == [room.json["room_id"]]
    stranger = HttpClient(leitung.base_url)
    assert stranger.post("/_matrix/client/v3/publicRooms", search).status == 401
    person = leitung.post("/_matrix/client/v3/user_directory/search", {"search_term": "anna"}).json["results"]
    assert [one["user_id"] for one in person] == [anna.user_id]


def test_alone_on_sqlite(alone: Provisioned, capsys: pytest.CaptureFixture[str]) -> None:
    leitung = everything_works(alone, capsys)
    assert leitung.upload(malware.png(), "image/png").status == 200
    assert leitung.upload(malware.EICAR).status == 400
    portal = HttpClient(leitung.base_url).request("GET", "/_synapse/client/bum/portal/", headers=ADMIN_HOST)
    # Its way to the homeserver is nginx, which is not here; what answers is the portal all the same.
    assert (portal.status, portal.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert leitung.get("/_synapse/client/bum/portal/").status == 404
    rooms_and_contacts_are_found(leitung)
    with sqlite3.connect(alone.folder / "data" / "homeserver.db") as database:
        assert database.execute("SELECT count(*) FROM users").fetchone() == (2,)
    assert list(alone.folder.glob("data/media/local_content/*/*/*"))


def only_one_attempt_at_a_time(provisioned: Provisioned) -> None:
    """Four want to make the first administrator in the same moment, each on a connection of its own."""
    settings = database_settings(yaml.safe_load((provisioned.folder / "homeserver.yaml").read_text()))
    names = [f"@anna{number}:{SERVER}" for number in range(4)]
    start = threading.Barrier(len(names))

    def plan(name: str) -> str | None:
        database = OfflineDatabase(settings)
        start.wait()
        return attempts.plan(database, name)

    with ThreadPoolExecutor(len(names)) as pool:
        answers = dict(zip(names, pool.map(plan, names), strict=True))
    (made,) = [name for name, refusal in answers.items() if refusal is None]
    refusals = [refusal for refusal in answers.values() if refusal is not None]
    assert [refusal for refusal in refusals if f"another run of this command makes {made}" not in refusal] == []
    attempts.failed(OfflineDatabase(settings), made, is_unclear=False)


@pytest.mark.requires("postgresql", "redis")
@pytest.mark.long
def test_workers_on_postgresql(stack: Provisioned, capsys: pytest.CaptureFixture[str]) -> None:
    only_one_attempt_at_a_time(stack)
    leitung = everything_works(stack, capsys)
    workers = stack.homeserver.workers
    assert set(workers) == {"media", "federation-sender", "generic1"}
    at_media = MatrixClient(workers["media"].base_url, leitung.user_id, leitung.token or "")
    uploaded = at_media.upload(malware.png(), "image/png")
    assert uploaded.status == 200, uploaded.body
    assert at_media.upload(malware.EICAR).status == 400
    assert leitung.upload(malware.png(), "image/png").status == 404, "main must not have the media repository"
    at_generic = MatrixClient(workers["generic1"].base_url, leitung.user_id, leitung.token or "")
    room = leitung.create_room(preset="private_chat").json["room_id"]
    sent = at_generic.send(room, "m.room.message", {"msgtype": "m.text", "body": "Guten Tag"}, "1")
    assert sent.status == 200, sent.body
    for name, process in {"main": stack.homeserver.main, **workers}.items():
        for level in (" - ERROR - ", " - CRITICAL - "):
            assert level not in process.log_text(), (name, process.log_text())
    args = yaml.safe_load((stack.folder / "homeserver.yaml").read_text())["database"]["args"]
    with psycopg2.connect(**{key: value for key, value in args.items() if not key.startswith("cp_")}) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM events WHERE type = 'm.room.message'")
        assert cursor.fetchone() == (1,)
