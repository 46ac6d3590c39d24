"""One contract from its first day to its last: provisioned, used, backed up, destroyed, restored, and ended.

Every step is the command that operators run, on what the command before it has left: one process on PostgreSQL, with
all modules at the contract's numbers.
"""

import csv
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2  # type: ignore[import-untyped]
import pytest

from synapse_bum.cli import main
from synapse_bum.testing.backup_case import Backups
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.content_scanner_client import CLEAN, ContentScannerClient
from synapse_bum.testing.encrypted_client import EncryptedClient, FileMessage
from synapse_bum.testing.http_client import HttpClient, MatrixClient, Response
from synapse_bum.testing.local_server import ServerError
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.provisioned import ProvisionedProcess, free_ports

pytestmark = [
    pytest.mark.requires("clamd", "matrix-nio", "postgresql", "restic"),
    pytest.mark.long,
]

SERVER = "messenger.amt.example"
ADMIN = "/_synapse/admin"
PASSWORD = "ein langes Passwort für den Test"
LETTER = b"Sehr geehrte Damen und Herren,\n" * 50
SECRET_PLAN = b"Nur fuer die beiden Geraete.\n" * 50
WAIT_SECONDS = 60.0


class Customer:
    """The homeserver of one contract, from outside: its folder, its database, and the people who use it.

    Attributes:
        folder: what `provision --out` was.
        process: Synapse.
        records: where the recovery and the deletion log are, which are never restored.
    """

    process: ProvisionedProcess

    def __init__(self, folder: Path, postgres: RealPostgres) -> None:
        self.folder = folder
        self.records = folder / "records"
        self._postgres = postgres

    @property
    def config(self) -> Path:
        return self.folder / "homeserver.yaml"

    def dsn(self) -> str:
        return self._postgres.dsn("messenger")

    def included_in_backups(self) -> list[str]:
        """What the provisioned timer includes."""
        unit = self.folder / f"systemd/synapse-bum-{SERVER}-backup.service"
        return re.findall(r"--include|(?<=--include )\S+", unit.read_text())

    def make_database(self) -> None:
        """As docs/backup.md says."""
        server = ["-h", self._postgres.host, "-p", str(self._postgres.port), "-U", self._postgres.user]
        options = ["--template=template0", "--locale=C", "--encoding=UTF8"]
        subprocess.run(["createdb", *server, *options, "messenger"], check=True, stdin=subprocess.DEVNULL)  # noqa: S607

    def drop_database(self) -> None:
        with closing(psycopg2.connect(self._postgres.dsn())) as connection:
            connection.autocommit = True
            connection.cursor().execute("DROP DATABASE messenger WITH (FORCE)")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.dsn())) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found

    def execute(self, statement: str) -> None:
        with closing(psycopg2.connect(self.dsn())) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement)
        # The server forgets a connection a moment after its client has left, and whoever is there is noticed.
        time.sleep(1)

    def log_in(self, name: str, password: str) -> MatrixClient:
        user = {"type": "m.id.user", "user": name}
        body = {"type": "m.login.password", "identifier": user, "password": password}
        answer = HttpClient(self.process.base_url).post("/_matrix/client/v3/login", body)
        ok(answer)
        return MatrixClient(self.process.base_url, answer.json["user_id"], answer.json["access_token"])

    def wait_until_told(self, key: str, **state: object) -> None:
        """Wait until the recovery log says something of a thing."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not any(line["key"].endswith(key) and state.items() <= line["state"].items() for line in self._told()):
            assert time.monotonic() < deadline, f"{key} is not told"
            time.sleep(0.2)

    def _told(self) -> list[Any]:
        whole, _, _ = (self.records / "recovery.jsonl").read_text().rpartition("\n")
        return [line for line in map(json.loads, whole.splitlines()) if line["state"]]


def whoami(client: MatrixClient) -> int:
    return client.get("/_matrix/client/v3/account/whoami").status


def said(client: MatrixClient, room_id: str) -> list[str]:
    """What a member reads in a room, oldest first."""
    path = f"/_matrix/client/v3/rooms/{quote(room_id)}/messages"
    events = client.get(path, dir="f", limit=1000).json["chunk"]
    return [event["content"].get("body", "") for event in events if event["type"] == "m.room.message"]


def ok(answer: Response) -> None:
    assert answer.status == HTTPStatus.OK, answer.body


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[RealPostgres, RealClamd]]:
    with RealPostgres() as postgres, RealClamd() as clamd:
        yield postgres, clamd


@pytest.fixture
def customer(servers: tuple[RealPostgres, RealClamd], tmp_path: Path) -> Iterator[Customer]:
    """A homeserver as it was ordered; it runs."""
    postgres, clamd = servers
    customer = Customer(tmp_path / "messenger", postgres)
    customer.make_database()
    url = f"postgresql://{postgres.user}@{postgres.host}:{postgres.port}/messenger"
    order = ["--server-name", SERVER, "--out", str(customer.folder), "--support-email", "hilfe@betrieb.example"]
    here = ["--port", str(free_ports(4)), "--scanner", clamd.address_unix, "--database", url]
    assert main(["provision", *order, *here, "--contract-number", "BuM-2026-0815"]) == 0
    with ProvisionedProcess(customer.folder) as customer.process:
        yield customer


class Use:
    """What people do on a new homeserver before its first backup, and what happens between that and the disaster."""

    def __init__(self, customer: Customer, nio_python: str, printed: str, stack: ExitStack) -> None:
        self.customer = customer
        self._requests = 0
        found = re.search(r"Password, shown only now: (\S+)", printed)
        assert found is not None
        self.leitung = customer.log_in("leitung", found[1])
        for name in ("anna", "berta", "carl", "dora"):
            made = self.leitung.put(f"{ADMIN}/v2/users/@{name}:{SERVER}", {"password": PASSWORD})
            assert made.status == HTTPStatus.CREATED, made.body
        self.anna, self.berta, self.carl, self.dora = (
            customer.log_in(name, PASSWORD) for name in ("anna", "berta", "carl", "dora")
        )
        self.plain = self.anna.create_room(name="Rundschreiben", invite=[self.berta.user_id]).json["room_id"]
        ok(self.berta.post(f"/_matrix/client/v3/rooms/{self.plain}/join", {}))
        self.letter = self.anna.upload(LETTER, "text/plain", "brief.txt").json["content_uri"]
        self.draft, self.mistake = (self.anna.upload(text).json["content_uri"] for text in (b"draft", b"mistake"))
        self._say(self.anna, "Guten Morgen")
        self._say(self.anna, "brief.txt", msgtype="m.file", url=self.letter)
        self._say(self.berta, "Danke, angekommen")
        self.regretted = self._say(self.anna, "Das war nicht so gemeint")
        self.nio_anna, self.nio_berta = (
            stack.enter_context(EncryptedClient(one, nio_python)) for one in (self.anna, self.berta)
        )
        self.encrypted = self.nio_anna.create_encrypted_room(invite=[self.berta.user_id])
        self.nio_berta.join(self.encrypted)
        self.nio_anna.send_file(self.encrypted, SECRET_PLAN, "plan.txt", "text/plain")
        self.plan: FileMessage = self.nio_berta.wait_for_file(self.encrypted)
        # Nobody gets what was not scanned, and only a device can have an encrypted file scanned.
        assert self.anna.download(self.plan.file["url"]).status == HTTPStatus.NOT_FOUND
        assert ContentScannerClient.of(self.berta).scan_encrypted(self.plan.file).json == CLEAN
        assert self.nio_berta.download_and_decrypt(self.plan.file) == SECRET_PLAN
        self._delete(self.draft)
        self._lock(self.carl)

    def until_known(self) -> None:
        """A session and a device that are new in the seconds before a backup are ended by its restore."""
        unknown = (
            "SELECT t.id FROM access_tokens AS t WHERE (SELECT count(*) FROM synapse_bum_recovery_seen AS s"
            " WHERE (s.source = 'sessions' AND s.key = 'token:' || t.id)"
            " OR (s.source = 'devices' AND s.key = t.user_id || ' ' || t.device_id)) < 2"
        )
        deadline = time.monotonic() + WAIT_SECONDS
        while self.customer.rows(unknown):
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def go_on(self) -> None:
        """What is closed after the backup, and what is written, which is lost."""
        self._lock(self.dora)
        self._delete(self.mistake)
        ok(self.anna.put(f"/_matrix/client/v3/rooms/{self.plain}/redact/{quote(self.regretted)}/{self._next()}", {}))
        self._say(self.berta, "Das schreibe ich zu spät")
        self.customer.wait_until_told(self.dora.user_id, locked=True)
        self.customer.wait_until_told(self.mistake.removeprefix("mxc://"))
        self.customer.wait_until_told(self.regretted)

    def assert_as_it_was(self) -> None:
        """Messages and files are the same, and what was closed stays closed, with the first requests after a start."""
        assert [whoami(client) for client in (self.dora, self.carl)] == [401, 401]
        assert [self.anna.download(mxc).status for mxc in (self.mistake, self.draft)] == [404, 404]
        assert whoami(self.anna) == whoami(self.berta) == whoami(self.leitung) == HTTPStatus.OK
        expected = ["Guten Morgen", "brief.txt", "Danke, angekommen", ""]
        assert said(self.anna, self.plain) == said(self.berta, self.plain) == expected
        assert self.berta.download(self.letter).body == LETTER
        assert self.nio_berta.download_and_decrypt(self.plan.file) == SECRET_PLAN

    def _say(self, client: MatrixClient, body: str, **more: str) -> str:
        content = {"msgtype": "m.text", "body": body, **more}
        answer = client.send(self.plain, "m.room.message", content, self._next())
        ok(answer)
        return str(answer.json["event_id"])

    def _next(self) -> str:
        """The id of a request that sends an event: Synapse answers one that it knows with the event of then."""
        self._requests += 1
        return str(self._requests)

    def _delete(self, mxc: str) -> None:
        ok(self.leitung.delete(f"{ADMIN}/v1/media/{mxc.removeprefix('mxc://')}"))

    def _lock(self, client: MatrixClient) -> None:
        ok(self.leitung.put(f"{ADMIN}/v2/users/{client.user_id}", {"locked": True}))


def destroy(customer: Customer, backups: Backups) -> None:
    """The machine is lost; the records and the repository lie elsewhere."""
    customer.process.kill()
    customer.drop_database()
    shutil.rmtree(backups.work)
    for path in customer.folder.iterdir():
        if path != customer.records:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def bring_back(customer: Customer, backups: Backups, back: Path) -> None:
    """As docs/backup.md says: an empty database, a new folder, and everything put where it was."""
    customer.make_database()
    assert backups.restore(back, "--database", customer.dsn()) == 0
    shutil.copytree(back / "config" / customer.folder.relative_to("/"), customer.folder, dirs_exist_ok=True)
    for folder in ("data", "log"):
        (customer.folder / folder).mkdir()
    (back / "media_store").rename(customer.folder / "data" / "media")


def assert_exported(use: Use, out: Path) -> None:
    """What the server keeps about Anna, in her hands."""
    where = ["-c", str(use.customer.config), "--out", str(out), "--requested-by", "Az. 4711"]
    assert main(["export-user", use.anna.user_id, *where]) == 0
    rows = csv.DictReader((out / "files/index.csv").read_text().splitlines())
    copies = {row["mxc"]: row["file"] for row in rows if row["status"] == "copied"}
    assert copies.keys() == {use.letter, use.plan.file["url"]}
    assert (out / copies[use.letter]).read_bytes() == LETTER
    rooms = {room["room_id"]: room for room in json.loads((out / "data/rooms.json").read_text())}
    assert rooms[use.encrypted]["encrypted_messages"] == 1
    bodies = [event["content"].get("body") for event in json.loads((out / rooms[use.plain]["events"]).read_text())]
    assert "Guten Morgen" in bodies
    everything = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert b"Danke, angekommen" not in everything
    assert b"nicht so gemeint" not in everything
    assert SECRET_PLAN[:28] not in everything


def end(customer: Customer, backups: Backups, journal: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Both steps by two people, a look before the second, and the grace period over; returns the server's key."""
    # As after a minute: the backup, seconds old, has brought back what the lost server's process had in hand.
    customer.execute("DELETE FROM synapse_bum_leases")
    where = ["-c", str(customer.config), "--journal", str(journal), "--confirm", SERVER]
    capsys.readouterr()
    assert main(["offboard", *where, "--stage", "close", "--by", "Anna Amt", "--reason", "Az. 4711"]) == 0
    key = re.search(r"public key of the server.*: (\S+)$", capsys.readouterr().out, re.MULTILINE)
    assert key is not None
    with pytest.raises(ServerError):
        customer.process.start()
    # The grace period ends now: the closing is not made older, as the backup would not be.
    customer.execute("UPDATE synapse_bum_contract_end SET grace_days = 0")
    journal.write_text(json.dumps({**json.loads(journal.read_text()), "grace_days": 0}))
    erase = ["offboard", *where, "--stage", "erase", "--by", "Berta Betrieb", "--data-returned", "2026-02-01"]
    erase += ["--repository", str(backups.repository), "--password-file", str(backups.folder / "password")]
    erase += ["--work-dir", str(backups.work)]
    assert main([*erase, "--dry-run"]) == 0
    assert main(erase) == 0
    return key[1]


def assert_nothing_is_left(customer: Customer, backups: Backups, report: Path) -> None:
    """Of the customer: what belongs to the machine (units, samples that were filled in) is named in the report."""
    assert backups.snapshots() == []
    for catalogue, schema in (("pg_class", "relnamespace"), ("pg_proc", "pronamespace")):
        count = f"SELECT count(*) FROM {catalogue} WHERE {schema} = 'public'::regnamespace"  # noqa: S608 - constants
        assert customer.rows(count) == [(0,)]
    left = {path for path in customer.folder.rglob("*") if path.is_file()}
    named = json.loads(report.read_text())["report"]["left"]
    assert {f"file {path}" for path in left} <= set(named)
    assert not {path.relative_to(customer.folder).parts[0] for path in left} & {"data", "log", "records", "secrets"}
    assert not customer.config.exists()


def test_from_order_to_farewell(
    customer: Customer, nio_python: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["provision", "--first-admin", "leitung", "-c", str(customer.config)]) == 0
    backups = Backups(customer.config, tmp_path, main)
    with ExitStack() as stack:
        use = Use(customer, nio_python, capsys.readouterr().out, stack)
        use.until_known()
        assert backups.run("--init", *customer.included_in_backups()) == 0
        use.go_on()
        destroy(customer, backups)
        bring_back(customer, backups, tmp_path / "back")
        customer.process.start()
        use.assert_as_it_was()
        # The last of the steps after a restore: this server has replaced the one that was lost.
        assert backups.run("--take-over", *customer.included_in_backups()) == 0
        assert_exported(use, tmp_path / "anna")
    customer.process.stop()
    journal = tmp_path / "orders.json"
    key = end(customer, backups, journal, capsys)
    report = Path(f"{journal}.report.json")
    assert_nothing_is_left(customer, backups, report)
    assert main(["offboard", "--check-report", str(report), "--public-key", key]) == 0
    assert not {word for word in ("@anna", "Rundschreiben", "Guten Morgen") if word in report.read_text()}
