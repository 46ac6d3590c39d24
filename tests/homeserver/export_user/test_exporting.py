"""Exports from a small database of Synapse's shape: files in all their states, faults, and many messages."""

import contextlib
import errno
import json
import os
import sys
import tracemalloc
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from synapse_bum.antivirus.quarantine import blocking, holding
from synapse_bum.antivirus.tables import ANTIVIRUS
from synapse_bum.audit.chain import Entry
from synapse_bum.cli import main
from synapse_bum.cli.export_user import exporting, file_copies, files, json_array, rooms
from synapse_bum.cli.export_user.audit_entries import audit_entries
from synapse_bum.cli.export_user.destination import Destination
from synapse_bum.cli.export_user.exporting import Export, Exporter, ExportError
from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.homeserver.database_snapshot import ReadableDatabase
from synapse_bum.homeserver.media_deletion import HIDDEN_MARKER
from synapse_bum.homeserver.offline_database import OfflineDatabase, OfflineDatabaseError
from synapse_bum.homeserver.personal_files import MediaPlacesError
from synapse_bum.testing.small_homeserver import ALICE, BOB, SmallHomeserver, put


def export(homeserver: SmallHomeserver, out: Path, user_id: str = ALICE) -> Export:
    exporter = Exporter(homeserver.config, ReadableDatabase(homeserver.settings), "messenger.example", None)
    return exporter.export(user_id, out)


def states(out: Path) -> dict[str, str]:
    return {
        each["mxc"].rpartition("/")[2]: each["status"] for each in json.loads((out / "data/files.json").read_text())
    }


@pytest.fixture
def homeserver(tmp_path: Path) -> SmallHomeserver:
    folder = tmp_path / "server"
    folder.mkdir()
    return SmallHomeserver(folder)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "exports"
    folder.mkdir()
    return folder / "alice"


def test_files_in_all_their_states(homeserver: SmallHomeserver, out: Path) -> None:
    copy = homeserver.folder / "copy"
    homeserver.config["media_storage_providers"] = [{"module": "file_system", "config": {"directory": str(copy)}}]
    homeserver.a_file("aaaaplain", b"text")
    homeserver.a_file("aaaacopy", None)
    put(copy, "aaaacopy", b"copy")
    homeserver.a_file("aaaarepaired", b"ha")
    put(copy, "aaaarepaired", b"half")
    homeserver.a_file("aaaahalf", b"ha")
    homeserver.a_file("aaaagone", None)
    homeserver.a_file("aaaavirus", b"text", mark=blocking.MARKER)
    homeserver.a_file("aaaaadmin", b"text", mark=BOB)
    homeserver.a_file("aaaaheld", b"text", mark=holding.MARKER)
    homeserver.a_file("aaaadeleted", b"text", mark=HIDDEN_MARKER)
    homeserver.a_file("aaaanever", None, size=None)
    homeserver.a_file("aa../../../x", b"text")
    done = export(homeserver, out)
    assert states(out) == {
        "aaaaplain": "copied",
        "aaaacopy": "copied",
        "aaaarepaired": "copied",
        "aaaahalf": "damaged",
        "aaaagone": "missing",
        "aaaavirus": "blocked",
        "aaaaadmin": "blocked",
        "aaaaheld": "held",
        "aaaadeleted": "being_deleted",
        "aaaanever": "not_uploaded",
        "x": "missing",
    }
    assert (done.files, done.copied, done.out_of_reach, done.file_bytes) == (11, 3, 0, 12)
    copies = {path.name[7:-4]: path.read_bytes() for path in (out / "files").glob("0*")}
    assert copies == {"aaaaplain": b"text", "aaaacopy": b"copy", "aaaarepaired": b"half"}


FOUND = (
    "INSERT INTO synapse_bum_antivirus_findings (server_name, media_id, sha256, signature, state, source, found_ts)"
    " VALUES ('messenger.example', ?, 'hash', 'Eicar', ?, 'upload', 1)"
)


def test_a_file_with_a_virus_is_never_given_whether_its_quarantine_worked_or_not(
    homeserver: SmallHomeserver, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OfflineDatabase(homeserver.settings).transaction() as txn:
        migrate(txn, Dialect.SQLITE, (ANTIVIRUS,))
        txn.keep()
    for media_id in ("aaaablocked", "aaaafailed", "aaaaagain", "aaaareleased", "aaaalater"):
        homeserver.a_file(media_id, b"text")
    states_of = {"blocked": "aaaablocked", "block_failed": "aaaafailed", "deleted": "aaaaagain"}
    homeserver.execute(FOUND, [(media_id, state) for state, media_id in states_of.items()])
    homeserver.execute(FOUND, [("aaaareleased", "released")])
    copy_files = files.copy_files

    def and_then_found(*args: Any) -> list[files.FileEntry]:  # noqa: ANN401 - as the original
        entries = copy_files(*args)
        homeserver.execute(FOUND, [("aaaalater", "block_failed")])
        return entries

    monkeypatch.setattr(files, "copy_files", and_then_found)
    export(homeserver, out)
    assert states(out) == {
        "aaaablocked": "blocked",
        "aaaafailed": "blocked",
        "aaaaagain": "blocked",
        "aaaareleased": "copied",
        "aaaalater": "withdrawn",
    }
    assert len(list((out / "files").glob("0*"))) == 1


def test_a_file_that_is_blocked_while_others_are_copied_is_taken_back(
    homeserver: SmallHomeserver, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homeserver.a_file("aaaafirst", b"text")
    homeserver.a_file("aaaasecond", b"text")
    copy_files = files.copy_files

    def and_then_blocked(*args: Any) -> list[files.FileEntry]:  # noqa: ANN401 - as the original
        entries = copy_files(*args)
        homeserver.execute(
            "UPDATE local_media_repository SET quarantined_by = ? WHERE media_id = ?", [(BOB, "aaaafirst")]
        )
        return entries

    monkeypatch.setattr(files, "copy_files", and_then_blocked)
    assert export(homeserver, out).copied == 1
    assert states(out) == {"aaaafirst": "withdrawn", "aaaasecond": "copied"}
    assert len(list((out / "files").glob("0*"))) == 1


class Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def iter_chunks(self, _size: int) -> Iterator[bytes]:
        yield self._content


class MissingError(Exception):
    response: Mapping[str, Any] = {"Error": {"Code": "NoSuchKey"}}


class FakeBoto3:
    """What is used of boto3."""

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        self.session = self
        self._objects = objects

    def Session(self) -> "FakeBoto3":  # noqa: N802 - boto3's name
        return self

    def client(self, name: str, **settings: object) -> "FakeBoto3":
        assert (name, settings["aws_secret_access_key"]) == ("s3", "secret")
        return self

    def get_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]:  # noqa: N803 - boto3's names
        assert Bucket == "media"
        if Key not in self._objects:
            raise MissingError
        return {"Body": Body(self._objects[Key])}


def s3_provider(homeserver: SmallHomeserver, monkeypatch: pytest.MonkeyPatch) -> None:
    module = homeserver.folder / "fake_provider.py"
    module.write_text(
        "class S3StorageProviderBackend:\n"
        "    @staticmethod\n"
        "    def parse_config(config):\n"
        "        return {**config, 'extra_args': {}}\n"
    )
    monkeypatch.syspath_prepend(str(homeserver.folder))
    settings = {"bucket": "media", "prefix": "p/", "access_key_id": "id", "secret_access_key": "secret"}
    provider = {"module": "fake_provider.S3StorageProviderBackend", "config": settings}
    homeserver.config["media_storage_providers"] = [provider]


def test_files_come_from_s3(homeserver: SmallHomeserver, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s3_provider(homeserver, monkeypatch)
    objects = {"p/local_content/aa/aa/inbucket": b"text"}
    monkeypatch.setitem(sys.modules, "boto3", FakeBoto3(objects))
    homeserver.a_file("aaaainbucket", None)
    homeserver.a_file("aaaanowhere", None)
    export(homeserver, out)
    assert states(out) == {"aaaainbucket": "copied", "aaaanowhere": "missing"}
    assert (out / "files/000001_aaaainbucket.txt").read_bytes() == b"text"


def test_without_the_client_for_s3_nothing_is_exported(
    homeserver: SmallHomeserver, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_provider(homeserver, monkeypatch)
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MediaPlacesError, match="boto3 is missing"):
        export(homeserver, out)
    assert list(out.parent.iterdir()) == []


def test_a_provider_that_only_synapse_can_read_is_named(homeserver: SmallHomeserver, out: Path) -> None:
    homeserver.config["media_storage_providers"] = [{"module": "example.Provider"}]
    homeserver.a_file("aaaaelsewhere", None)
    assert export(homeserver, out).out_of_reach == 1
    assert states(out) == {"aaaaelsewhere": "elsewhere"}
    assert "example.Provider" in (out / "data/files.json").read_text()


def test_without_its_volume_nothing_is_exported(homeserver: SmallHomeserver, out: Path) -> None:
    homeserver.a_file("aaaaplain", None)
    (homeserver.store / "local_content").rmdir()
    with pytest.raises(MediaPlacesError, match="not to be mounted"):
        export(homeserver, out)
    homeserver.store.rmdir()
    with pytest.raises(MediaPlacesError, match="there is no folder"):
        export(homeserver, out)
    assert list(out.parent.iterdir()) == []


def test_who_has_no_account_is_not_exported(homeserver: SmallHomeserver, out: Path) -> None:
    with pytest.raises(ExportError, match="has no account"):
        export(homeserver, out, "@carol:messenger.example")
    assert list(out.parent.iterdir()) == []


def test_without_an_entry_in_the_audit_there_is_no_export(
    homeserver: SmallHomeserver, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "AUDIT_SECONDS", 0.0)
    with contextlib.closing(homeserver.connect()) as other:
        other.execute("BEGIN IMMEDIATE")
        homeserver.arguments["timeout"] = 0.1
        with pytest.raises(OfflineDatabaseError, match="somebody else writes"):
            export(homeserver, out)
    assert list(out.parent.iterdir()) == []


def test_an_export_waits_for_the_audit_while_somebody_else_writes(
    homeserver: SmallHomeserver, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homeserver.arguments["timeout"] = 0.1
    with contextlib.closing(homeserver.connect()) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("time.sleep", lambda _: other.rollback())
        export(homeserver, out)
    assert out.is_dir()


def test_an_older_command_says_so_before_it_copies_anything(
    homeserver: SmallHomeserver, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    homeserver.a_file("aaaaplain", b"text")
    homeserver.audit(Entry(1, BOB, "an.action", BOB))
    homeserver.execute("UPDATE synapse_bum_schema SET version = ?", [(99,)])
    monkeypatch.setattr(file_copies.Places, "copy", lambda *_: pytest.fail("it copies"))
    path = homeserver.configuration()
    assert main(["export-user", ALICE, "-c", str(path), "--out", str(out)]) == 1
    assert "install the newer synapse_bum again" in capsys.readouterr().err
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("full_at", ["data", "files"])
def test_a_full_disk_leaves_nothing_and_is_a_sentence(
    homeserver: SmallHomeserver,
    out: Path,
    full_at: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if full_at == "data":
        monkeypatch.setattr(json_array.JsonArray, "add", full)
    else:
        homeserver.a_file("aaaaplain", b"text")
        monkeypatch.setattr(file_copies.Places, "copy", full)
    path = homeserver.configuration()
    assert main(["export-user", ALICE, "-c", str(path), "--out", str(out)]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert list(out.parent.iterdir()) == []
    with ReadableDatabase(homeserver.settings).snapshot() as snapshot:
        assert not snapshot.columns("synapse_bum_audit")


@pytest.mark.parametrize(
    ("user_id", "sentence"),
    [
        ("alice", "is no user id"),
        ("@alice:partner.example", "is a user of another server"),
        ("@nobody:messenger.example", "has no account here"),
    ],
)
def test_wrong_people_are_a_sentence(
    homeserver: SmallHomeserver, out: Path, user_id: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = homeserver.configuration()
    assert main(["export-user", user_id, "-c", str(path), "--out", str(out)]) == 1
    assert sentence in capsys.readouterr().err
    assert list(out.parent.iterdir()) == []


def test_the_audit_tells_what_concerns_the_person_and_nobody_else(homeserver: SmallHomeserver) -> None:
    homeserver.a_file("aaaaplain", b"text")
    homeserver.audit(
        Entry(1, ALICE, "by.her", BOB),
        Entry(2, BOB, "about.her", ALICE, new={"by": BOB}, reason=f"{BOB} wanted it"),
        Entry(3, BOB, "within", "a-run", old={"who": [ALICE]}),
        Entry(4, "a.job", "on.her.file", "mxc://messenger.example/aaaaplain"),
        Entry(5, "a.job", "on.a.file.of.others", "mxc://messenger.example/bbbbplain"),
        Entry(6, BOB, "about.somebody.else", f"{ALICE}.org"),
        Entry(7, BOB, "about.him", BOB),
    )
    with ReadableDatabase(homeserver.settings).snapshot() as snapshot:
        entries = list(audit_entries(snapshot, ALICE))
    assert [entry["action"] for entry in entries] == ["by.her", "about.her", "within", "on.her.file"]
    assert BOB not in json.dumps(entries)
    assert all(len(entry["hash"]) == 64 for entry in entries)


def test_whose_name_or_server_is_alike_is_somebody_else(homeserver: SmallHomeserver) -> None:
    person = "@max_mustermann:messenger.example"
    others = ("@max.mustermann:messenger.example", "@max-mustermann:messenger.example", f"{person}.org")
    for number, other in enumerate(others):
        blocked = {"uploader": other, "signature": "Eicar"}
        homeserver.audit(
            Entry(number, "antivirus", "antivirus.blocked", f"mxc://messenger.example/file{number}", new=blocked),
            Entry(number, BOB, "user.locked", other, reason=f"{other} is away"),
        )
    homeserver.audit(Entry(9, BOB, "user.locked", person))
    with ReadableDatabase(homeserver.settings).snapshot() as snapshot:
        assert [entry["target"] for entry in audit_entries(snapshot, person)] == [person]


def test_a_name_with_letters_of_another_language_is_found_in_the_audit(homeserver: SmallHomeserver) -> None:
    person = "@jörg!%_:messenger.example"
    homeserver.audit(Entry(1, BOB, "within", "a-run", old={"who": [person]}), Entry(2, BOB, "about.him", person))
    with ReadableDatabase(homeserver.settings).snapshot() as snapshot:
        assert [entry["action"] for entry in audit_entries(snapshot, person)] == ["within", "about.him"]


def events(count: int) -> Iterator[tuple[int, str, str]]:
    content = {"type": "m.room.message", "sender": ALICE, "origin_server_ts": 1_700_000_000_000, "hashes": {"x": "y"}}
    text = json.dumps({**content, "content": {"msgtype": "m.text", "body": "x" * 200}})
    return ((number, f"${number}", text) for number in range(1, count + 1))


def test_many_messages_take_no_more_memory_than_few(homeserver: SmallHomeserver, out: Path) -> None:
    homeserver.execute("INSERT INTO local_current_membership VALUES ('!r:x', ?, '$0', 'join')", [(ALICE,)])
    homeserver.execute(
        "INSERT INTO events VALUES (?, ?, 'm.room.message', '!r:x', ?, NULL)",
        [(number, event_id, ALICE) for number, event_id, _ in events(30_000)],
    )
    homeserver.execute("INSERT INTO event_json VALUES (?, ?)", [each[1:] for each in events(30_000)])
    with Destination(out) as destination, ReadableDatabase(homeserver.settings).snapshot() as snapshot:
        destination.folder("data")
        tracemalloc.start()
        (room,) = rooms.write_rooms(destination, snapshot, ALICE, {})
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert room["messages"] == 30_000
        assert (destination.path / "rooms/00001.json").stat().st_size > 9_000_000
    assert peak < 5_000_000


def test_an_event_is_shown_without_what_only_servers_need_and_with_its_deletion(
    homeserver: SmallHomeserver, out: Path
) -> None:
    homeserver.execute("INSERT INTO local_current_membership VALUES ('!r:x', ?, '$0', 'join')", [(ALICE,)])
    homeserver.execute("INSERT INTO events VALUES (1, '$1', 'm.room.message', '!r:x', ?, NULL)", [(ALICE,)])
    homeserver.execute("INSERT INTO event_json VALUES (?, ?)", [each[1:] for each in events(1)])
    homeserver.execute("INSERT INTO redactions VALUES (?, '$1')", [("$3",), ("$2",)])
    export(homeserver, out)
    assert json.loads((out / "rooms/00001.json").read_text()) == [
        {
            "event_id": "$1",
            "room_id": "!r:x",
            "type": "m.room.message",
            "sender": ALICE,
            "origin_server_ts": 1_700_000_000_000,
            "content": {"msgtype": "m.text", "body": "x" * 200},
            "redacted_by": "$2",
        }
    ]
