"""`synapse-bum export-user` beside a homeserver that runs with all modules, on both databases."""

import contextlib
import csv
import hashlib
import importlib
import io
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attr
import pytest

from synapse_bum.audit.table import verify
from synapse_bum.cli.export_user import our_data
from synapse_bum.homeserver import personal_data
from synapse_bum.homeserver.offline_database import OfflineDatabase
from synapse_bum.testing.http_client import MatrixClient, mxc_path
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.synapse import RealSynapse

MODULES = [
    {
        "module": "synapse_bum.antivirus.AntivirusModule",
        "config": {"scanner": {"address": "unix:/nonexistent/clamd.ctl"}, "when_scanner_fails": "accept"},
    },
    {"module": "synapse_bum.retention.RetentionModule", "config": {"local_media": {"lifetime": "90d"}}},
    {"module": "synapse_bum.storage.StorageModule", "config": {}},
    {"module": "synapse_bum.federation.FederationModule", "config": {}},
    {"module": "synapse_bum.oidc.OidcModule", "config": {}},
    {"module": "synapse_bum.availability.AvailabilityModule", "config": {}},
    {
        "module": "synapse_bum.portal.PortalModule",
        "config": {"hosts": ["127.0.0.1"], "admin_api_url": "http://127.0.0.1"},
    },
]
BOBS_WORDS = "what Bob wrote stays Bob's"
REPORT = "a report that nobody may read in an export"
ALICE = "@alice:messenger.example"


LINK = {"auth_provider": "oidc-keycloak", "external_id": "a subject"}


@attr.s(auto_attribs=True, frozen=True)
class Story:
    """A server on which Alice and Bob have met, and the export of Alice's data.

    Attributes:
        server: it runs.
        alice: who asks for her data.
        bob: an administrator.
        out: the export.
        encrypted: ciphertext that Alice has sent.
        blocked: address of a file that Bob has quarantined.
        lost: address of a file that is not on the disk any more.
    """

    server: RealSynapse
    alice: MatrixClient
    bob: MatrixClient
    out: Path
    encrypted: str
    blocked: str
    lost: str

    def json(self, path: str) -> Any:  # noqa: ANN401 - any JSON value
        return json.loads((self.out / path).read_text(encoding="utf-8"))

    def everything(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in self.out.rglob("*") if path.is_file())

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(self._connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            return list(cursor.fetchall())

    def _connect(self) -> Any:  # noqa: ANN401 - of two drivers
        settings = self.server.config["database"]
        if settings["name"] == "sqlite3":
            return sqlite3.connect(settings["args"]["database"])
        return importlib.import_module("psycopg2").connect(settings["args"]["dsn"])


def export(server: RealSynapse, out: Path, *more: str, user_id: str = ALICE) -> subprocess.CompletedProcess[str]:
    """Run the command where Synapse runs."""
    options = ["export-user", user_id, "-c", "homeserver.yaml", "--out", str(out), *more]
    return subprocess.run(
        [sys.executable, "-m", "synapse_bum", *options],
        cwd=server.directory,
        env=server.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def use_much(client: MatrixClient, room_id: str, event_id: str) -> None:
    """Do what leaves traces in many tables."""
    user, room = f"/_matrix/client/v3/user/{client.user_id}", f"/_matrix/client/v3/rooms/{room_id}"
    pusher = {"kind": "http", "app_id": "app", "pushkey": "k", "app_display_name": "A", "device_display_name": "D"}
    answers = [
        client.post(f"{room}/receipt/m.read/{event_id}", {}),
        client.put(f"{user}/rooms/{room_id}/tags/u.work", {"order": 0.5}),
        client.put(f"{user}/rooms/{room_id}/account_data/org.example.room", {"a": 1}),
        client.put(f"{user}/account_data/m.ignored_user_list", {"ignored_users": {"@dan:messenger.example": {}}}),
        client.post(f"{user}/filter", {"room": {"timeline": {"limit": 7}}}),
        client.put("/_matrix/client/v3/directory/room/%23council:messenger.example", {"room_id": room_id}),
        client.put("/_matrix/client/v3/pushrules/global/room/!x:messenger.example", {"actions": []}),
        client.post(
            "/_matrix/client/v3/pushers/set",
            {**pusher, "lang": "de", "data": {"url": "https://push.example/_matrix/push/v1/notify"}},
        ),
        client.put(f"/_matrix/client/v3/presence/{client.user_id}/status", {"presence": "online"}),
        client.post(f"/_matrix/client/v3/user/{client.user_id}/openid/request_token", {}),
        client.post(f"{room}/report/{event_id}", {"reason": "mine"}),
        client.get("/_matrix/client/v3/sync", timeout=0),
    ]
    assert {answer.status for answer in answers} == {200}, [answer.body for answer in answers]


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgres", marks=pytest.mark.requires("postgresql"))],
)
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with contextlib.ExitStack() as servers:
        dsn = servers.enter_context(RealPostgres()).dsn() if request.param == "postgres" else None
        config: dict[str, Any] = {"federation_domain_whitelist": []}
        log = tmp_path_factory.mktemp("recovery") / "recovery.jsonl"
        recovery = {"module": "synapse_bum.recovery.RecoveryModule", "config": {"log_path": str(log)}}
        modules = [*MODULES, recovery]
        server = servers.enter_context(RealSynapse(modules=modules, config=config, postgres_dsn=dsn))
        alice, bob = server.register("alice"), server.register("bob", admin=True)
        server.register("alice2")
        uris = [
            alice.upload(b"a letter", "text/plain", "../../etc/pass\u202ewd.txt"),
            alice.upload(b"virus", filename="b.bin"),
            alice.upload(b"lost", filename="c.bin"),
        ]
        letter, blocked, lost = (answer.json["content_uri"] for answer in uris)
        room_id = alice.create_room(name="Rat <b>& Tat</b>", invite=[bob.user_id]).json["room_id"]
        assert bob.post(f"/_matrix/client/v3/rooms/{room_id}/join", {}).status == 200
        bob.send(room_id, "m.room.message", {"msgtype": "m.text", "body": BOBS_WORDS}, "1")
        said = alice.send(room_id, "m.room.message", {"msgtype": "m.text", "body": "<script>alert(1)</script>"}, "2")
        event_id = said.json["event_id"]
        alice.send(room_id, "m.room.message", {"msgtype": "m.file", "body": "letter", "url": letter}, "3")
        alice.send(room_id, "m.room.encrypted", {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "Zm9v"}, "4")
        alice.put(f"/_matrix/client/v3/user/{ALICE}/account_data/org.example.note", {"note": "mine"})
        use_much(alice, room_id, event_id)
        bob.post(f"/_matrix/client/v3/rooms/{room_id}/report/{event_id}", {"reason": REPORT})
        links = {"threepids": [{"medium": "email", "address": "alice@example.org"}], "external_ids": [LINK]}
        assert bob.put(f"/_synapse/admin/v2/users/{ALICE}", links).status == 200
        bob.put(
            f"/_synapse/client/bum/v1/retention/holds/{ALICE}",
            {"reason": "asked by @carol:messenger.example", "until_ts": 4_000_000_000_000},
        )
        assert bob.post(f"/_synapse/admin/v1/media/quarantine/{mxc_path(blocked)}", {}).status == 200
        media_id = lost.rpartition("/")[2]
        (server.media_directory / "local_content" / media_id[:2] / media_id[2:4] / media_id[4:]).unlink()
        out = tmp_path_factory.mktemp("exports") / "alice"
        done = export(server, out, "--requested-by", "ticket 4711")
        assert done.returncode == 0, done.stderr
        yield Story(server, alice, bob, out, "Zm9v", blocked, lost)


def test_it_holds_what_the_person_wrote_and_not_what_others_wrote(story: Story) -> None:
    (room,) = story.json("data/rooms.json")
    events = story.json(room["events"])
    assert [event["content"]["body"] for event in events if event["type"] == "m.room.message"] == [
        "<script>alert(1)</script>",
        "letter",
    ]
    assert story.encrypted in {event["content"].get("ciphertext") for event in events}
    assert (room["messages"], room["encrypted_messages"]) == (3, 1)
    assert BOBS_WORDS not in story.everything()


def test_files_are_copied_and_those_that_can_not_be_are_named(story: Story) -> None:
    rows = {row["mxc"]: row for row in csv.DictReader(io.StringIO((story.out / "files/index.csv").read_text()))}
    (copied,) = (row for row in rows.values() if row["status"] == "copied")
    assert (story.out / copied["file"]).read_bytes() == b"a letter"
    assert copied["file"] == "files/000001_passwd.txt"
    assert rows[story.blocked]["status"] == "blocked"
    assert rows[story.lost]["status"] == "missing"
    assert sorted(path.name for path in (story.out / "files").iterdir()) == ["000001_passwd.txt", "index.csv"]


def test_what_our_modules_keep_is_in_it_without_the_names_of_others(story: Story) -> None:
    (hold,) = story.json("data/holds.json")
    assert hold["target"] == ALICE
    assert (hold["reason"], hold["created_by"]) == ("asked by (andere Person)", "(andere Person)")
    assert {(row["actor"], row["target"]) for row in story.json("data/audit.json")} == {("(andere Person)", ALICE)}
    assert story.json("data/counted_as_user.json") or story.json("data/virus_verdicts.json")


def test_settings_devices_and_account_are_in_it(story: Story) -> None:
    assert {"note": "mine"} in [row["content"] for row in story.json("data/account_data.json")]
    assert story.json("data/account.json")[0]["name"] == ALICE
    assert story.json("data/profile.json")[0]["displayname"] == "alice"
    assert len(story.json("data/devices.json")) == 1
    assert [row["address"] for row in story.json("data/addresses.json")] == ["alice@example.org"]
    assert story.json("data/identity_providers.json") == [LINK]


def test_no_secret_is_in_it_nor_who_reported(story: Story) -> None:
    everything = story.everything()
    (password_hash,) = story.execute("SELECT password_hash FROM users WHERE name = '@alice:messenger.example'")[0]
    assert password_hash
    assert password_hash not in everything
    assert story.alice.token
    assert story.alice.token not in everything
    assert REPORT not in everything
    assert len(story.json("data/reports_about_messages.json")) == 2
    assert [row["reason"] for row in story.json("data/reports_made.json")] == ["mine"]


def test_pages_run_nothing_and_load_nothing(story: Story) -> None:
    pages = [path.read_text() for path in story.out.rglob("*.html")]
    assert len(pages) == 2
    for page in pages:
        assert "<script" not in page
        assert "<b>" not in page
        assert "http://" not in page
        assert "default-src 'none'" in page


def test_its_manifest_names_every_file(story: Story) -> None:
    contents = {each["path"]: each["sha256"] for each in story.json("manifest.json")["contents"]}
    found = {
        path.relative_to(story.out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in story.out.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert contents == found


def test_nobody_else_can_read_it(story: Story) -> None:
    assert {path.stat().st_mode & 0o077 for path in (story.out, *story.out.rglob("*"))} == {0}


def test_the_audit_knows_who_asked_for_it(story: Story) -> None:
    entries = story.bob.get("/_synapse/client/bum/v1/audit", action="export.user").json["audit"]
    assert entries[-1]["actor"] == "cli:export-user"
    assert entries[-1]["target"] == ALICE
    assert entries[-1]["new"]["requested_by"] == "ticket 4711"
    assert (
        entries[-1]["new"]["manifest_sha256"] == hashlib.sha256((story.out / "manifest.json").read_bytes()).hexdigest()
    )
    with OfflineDatabase(story.server.config["database"]).transaction() as txn:
        assert verify(txn) is None


def known_tables() -> set[str]:
    known = {source.table for source in (*personal_data.SYNAPSE_SOURCES, *our_data.OUR_SOURCES)}
    known |= personal_data.WHOLE_BY_OTHERS.keys() | personal_data.PASSED_OVER.keys()
    return known | our_data.READ_ELSEWHERE.keys() | our_data.PASSED_OVER.keys()


def test_every_table_that_names_her_is_exported_or_passed_over_for_a_reason(story: Story) -> None:
    # Every event is read with its JSON, and what stands in these is part of an event, or a number of one.
    of_events = {
        "event_json",
        "state_events",
        "current_state_events",
        "current_state_delta_stream",
        "state_groups_state",
    }
    naming = {table for table, column in columns_of_text(story) if names_alice(story, table, column)}
    assert "users" in naming
    assert naming - of_events - known_tables() == set()


def test_every_table_that_could_name_people_is_exported_or_passed_over_for_a_reason(story: Story) -> None:
    people = re.compile(
        "user_?(id|name|localpart|agent)|sender|uploader|reporter|redactor|actor|recipient|email|contact|creator"
        "|localpart|subject|^address$|^ip$|_by$"
    )
    could = {table for table, column in columns_of_text(story) if people.search(column)}
    assert "synapse_bum_portal_tickets" in could
    assert could - known_tables() == set()


def columns_of_text(story: Story) -> list[tuple[str, str]]:
    if story.server.config["database"]["name"] == "sqlite3":
        sql = (
            "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c"
            " WHERE m.type = 'table' AND c.type IN ('TEXT', '')"
        )
    else:
        sql = (
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND data_type IN ('text', 'character varying')"
        )
    # Synapse's background updates make tables of their own for some seconds, and take them away again.
    return [(str(table), str(column)) for table, column in story.execute(sql) if not table.startswith("_temp_")]


def names_alice(story: Story, table: str, column: str) -> bool:
    found = story.execute(
        f"SELECT 1 FROM {table} WHERE CAST(\"{column}\" AS TEXT) LIKE '%{ALICE}%' OR \"{column}\" = 'alice' LIMIT 1"  # noqa: S608
    )
    return bool(found)


def test_an_account_that_was_erased_can_still_be_exported(story: Story, tmp_path: Path) -> None:
    gone = story.server.register("gone")
    answer = story.bob.post(f"/_synapse/admin/v1/deactivate/{gone.user_id}", {"erase": True})
    assert answer.status == 200
    done = export(story.server, tmp_path / "gone", user_id=gone.user_id)
    assert done.returncode == 0, done.stderr
    (account,) = json.loads((tmp_path / "gone/data/account.json").read_text())
    assert account["deactivated"]
    assert json.loads((tmp_path / "gone/data/erasure.json").read_text()) == [{"user_id": gone.user_id}]


def test_who_has_no_account_gets_a_sentence_and_no_folder(story: Story, tmp_path: Path) -> None:
    done = export(story.server, tmp_path / "nobody", user_id="@nobody:messenger.example")
    assert done.returncode == 1
    assert "@nobody:messenger.example has no account here" in done.stderr
    assert list(tmp_path.iterdir()) == []
