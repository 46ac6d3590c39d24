"""A row of the dump has its file in the backup, was deleted meanwhile, or its file is lost; logs the same."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import attr
import pytest

from synapse_bum.cli.backup import verifying
from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.logs import logs_written, refuse_lost_logs
from synapse_bum.cli.backup.manifest import Manifest
from synapse_bum.cli.backup.stored_files import Missing, are_given_up, look_for_files, note_rows, really_lost
from synapse_bum.homeserver.dump_contents import Contents, read_contents
from synapse_bum.homeserver.offline_database import OfflineTransaction

HERE = "m.example"
IDS = [f"abcd{number:04}" for number in range(2_001)]
TABLES = """
CREATE TABLE local_media_repository (media_id TEXT UNIQUE, media_length INTEGER, url_cache TEXT, user_id TEXT,
  quarantined_by TEXT, created_ts INTEGER);
CREATE TABLE synapse_bum_deletions (kind TEXT, server_name TEXT, media_id TEXT, state TEXT);
CREATE TABLE synapse_bum_deletion_log (known_bytes INTEGER);
CREATE TABLE synapse_bum_recovery_log (known_bytes INTEGER);
CREATE TABLE users (name TEXT, deactivated INTEGER, locked INTEGER);
CREATE TABLE rooms (x TEXT); CREATE TABLE remote_media_cache (x TEXT); CREATE TABLE redactions (redacts TEXT);
CREATE TABLE events (event_id TEXT, room_id TEXT, sender TEXT, type TEXT, outlier INTEGER, rejection_reason TEXT,
  stream_ordering INTEGER);
CREATE TABLE event_json (event_id TEXT, json TEXT);
CREATE TABLE local_current_membership (room_id TEXT, user_id TEXT, membership TEXT);
"""


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.executescript(TABLES)
    yield connection
    connection.close()


@pytest.fixture
def txn(database: sqlite3.Connection) -> OfflineTransaction:
    return OfflineTransaction(database.cursor(), str)


def a_row(database: sqlite3.Connection, media_id: str, length: int | None = 1, url_cache: str | None = None) -> None:
    values = (media_id, length, url_cache, "@a:m.example", None, 1)
    database.execute("INSERT INTO local_media_repository VALUES (?, ?, ?, ?, ?, ?)", values)


def a_file(folder: Path, media_id: str) -> Path:
    path = folder / "local_content" / media_id[:2] / media_id[2:4] / media_id[4:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_every_row_is_looked_for(database: sqlite3.Connection, txn: OfflineTransaction, tmp_path: Path) -> None:
    for media_id in IDS:
        a_row(database, media_id)
        a_file(tmp_path / ("media" if media_id < IDS[1_500] else "provider"), media_id)
    # Neither has a file of its own: an address that nothing was uploaded to, and a preview.
    a_row(database, "reserved", length=None)
    a_row(database, "2026-11-23_preview", url_cache="https://e.example/")
    folders = [tmp_path / "media", tmp_path / "provider"]
    note_rows(txn, tmp_path / "rows")
    assert look_for_files(tmp_path / "rows", folders, folders) == (2_001, [])
    for media_id in (IDS[0], IDS[1_000], IDS[2_000]):
        a_file(folders[0] if media_id < IDS[1_500] else folders[1], media_id).unlink()
    assert look_for_files(tmp_path / "rows", folders, folders) == (2_001, [IDS[0], IDS[1_000], IDS[2_000]])
    unmounted = [tmp_path / "not-mounted"]
    assert look_for_files(tmp_path / "rows", unmounted, unmounted) == (2_001, IDS)


def test_what_only_links_lead_to_was_not_read(
    database: sqlite3.Connection, txn: OfflineTransaction, tmp_path: Path
) -> None:
    """Restic saves a link as a link."""
    media, disk = tmp_path / "media", tmp_path / "disk"
    for media_id in ("aabbplain", "aacclinked", "ddeefolder"):
        a_row(database, media_id)
        a_file(media, media_id)
    disk.mkdir()
    linked = media / "local_content" / "aa" / "cc" / "linked"
    linked.rename(disk / "linked").rename(disk / "other")
    linked.symlink_to(disk / "other")
    (media / "local_content" / "dd").rename(disk / "dd")
    (media / "local_content" / "dd").symlink_to(disk / "dd")
    note_rows(txn, tmp_path / "rows")
    assert look_for_files(tmp_path / "rows", [media], [media]) == (3, ["aacclinked", "ddeefolder"])
    assert look_for_files(tmp_path / "rows", [media], [media, disk]) == (3, ["aacclinked"])


def test_what_is_deleted_meanwhile_is_not_lost(database: sqlite3.Connection, txn: OfflineTransaction) -> None:
    for media_id in ("lost", "planned", "ended"):
        a_row(database, media_id)
    rows = [
        ("local_media", HERE, "planned", "unlinked"),
        ("local_media", HERE, "ended", "dropped"),
        ("local_media", "other.example", "lost", "unlinked"),
    ]
    database.executemany("INSERT INTO synapse_bum_deletions VALUES (?, ?, ?, ?)", rows)
    missing = ["dropped", "ended", "lost", "planned"]
    assert really_lost(txn, HERE, missing, is_postgres=False) == ["ended", "lost"]
    database.execute("DROP TABLE synapse_bum_deletions")
    assert really_lost(txn, HERE, missing, is_postgres=False) == ["ended", "lost", "planned"]


@pytest.mark.parametrize(
    ("rows", "lost", "accepted", "known"),
    [
        (3, 1, 0, False),
        (9, 3, 2, False),
        (9, 2, 2, True),
        (9, 2, 5, True),
        (3, 0, 0, True),
        (0, 0, 4, True),
        # All are gone: a disk that is not mounted, unless somebody has counted.
        (3, 3, 9, False),
        (3, 3, 3, True),
    ],
)
def test_files_are_given_up_by_who_knows_how_many(rows: int, lost: int, accepted: int, *, known: bool) -> None:
    assert are_given_up(Missing(rows, tuple(IDS[:lost]), (), 5), accepted) is known


def manifest(
    contents: Contents, lost: tuple[str, ...] = (), gone: tuple[str, ...] = (), elsewhere: tuple[str, ...] = ()
) -> Manifest:
    return Manifest(
        run_id="r",
        server_name=HERE,
        dumped_ts=0,
        is_postgres=False,
        versions={},
        contents=contents,
        data_folder="/d",
        media="/m",
        providers=("/p",),
        elsewhere=elsewhere,
        files=(),
        logs=(),
        config_files=(),
        signing_key="/key",
        lost=lost,
        gone=gone,
    )


NOTHING = Contents({}, (), (), ())


def test_a_proof_looks_for_every_file(database: sqlite3.Connection, txn: OfflineTransaction, tmp_path: Path) -> None:
    for media_id in ("abcdhere", "abcdthere", "abcdlost", "abcdgone", "abcdplan"):
        a_row(database, media_id)
    a_file(tmp_path / "media_store", "abcdhere")
    there = a_file(tmp_path / "providers" / "0", "abcdthere")
    database.execute("INSERT INTO synapse_bum_deletions VALUES ('local_media', ?, 'abcdplan', 'hidden')", (HERE,))
    known = manifest(NOTHING, lost=("abcdlost",), gone=("abcdgone",))
    verifying._expect_all_files(txn, known, tmp_path)
    with pytest.raises(BackupError, match=r"1 files of users are not in the backup .* abcdlost"):
        verifying._expect_all_files(txn, attr.evolve(known, lost=()), tmp_path)
    there.unlink()
    with pytest.raises(BackupError, match=r"1 files of users are not in the backup .* abcdthere"):
        verifying._expect_all_files(txn, known, tmp_path)
    verifying._expect_all_files(txn, attr.evolve(known, elsewhere=("s3",)), tmp_path)


def test_what_could_not_be_asked_for_is_not_proved(
    database: sqlite3.Connection, txn: OfflineTransaction, tmp_path: Path
) -> None:
    assert read_contents(txn, [tmp_path]).unproved == ()
    verifying._refuse_no_proof(manifest(read_contents(txn, [tmp_path])))
    a_row(database, "abcdhere")
    database.execute("INSERT INTO events VALUES ('$e', '!r', '@gone:m.example', 'm.room.message', 0, NULL, 1)")
    found = read_contents(txn, [tmp_path])
    assert found.unproved == ("messages", "files")
    with pytest.raises(BackupError, match="holds messages and files, and none could be asked for"):
        verifying._refuse_no_proof(manifest(found))
    without_files = attr.evolve(found, unproved=("files",))
    with pytest.raises(BackupError, match="holds files, and none could be asked for"):
        verifying._refuse_no_proof(manifest(without_files))
    verifying._refuse_no_proof(manifest(without_files, elsewhere=("s3",)))
    # Where all files were lost there are none to be asked for.
    lost = manifest(without_files, lost=("abcdhere",))
    verifying._refuse_no_proof(attr.evolve(lost, rows=1))
    with pytest.raises(BackupError, match="holds files, and none could be asked for"):
        verifying._refuse_no_proof(attr.evolve(lost, rows=2))
    # Who has uploaded it is away: anybody may ask.
    a_file(tmp_path, "abcdhere")
    assert read_contents(txn, [tmp_path]).unproved == ("messages", "files")
    database.executemany("INSERT INTO users VALUES (?, ?, 0)", [("@a:m.example", 1), ("@b:m.example", 0)])
    found = read_contents(txn, [tmp_path])
    assert [file.user_id for file in found.files] == ["@b:m.example"]
    assert found.unproved == ("messages",)
    verifying._refuse_no_proof(manifest(found))


def test_a_backup_without_its_key_is_a_sentence() -> None:
    with pytest.raises(BackupError, match="the backup r has no /key"):
        manifest(NOTHING).copy_of("/key")


def test_a_log_is_lost_only_when_it_was_written(
    database: sqlite3.Connection, txn: OfflineTransaction, tmp_path: Path
) -> None:
    deletions, recovery = tmp_path / "deletions.jsonl", tmp_path / "recovery.jsonl"
    homeserver = {
        "modules": [
            {"module": "synapse_bum.retention.RetentionModule", "config": {"deletion_log_path": str(deletions)}},
            {"module": "synapse_bum.recovery.RecoveryModule", "config": {"log_path": str(recovery)}},
            {"module": "x.Y"},
        ]
    }
    database.executescript("INSERT INTO synapse_bum_deletion_log VALUES (0);DROP TABLE synapse_bum_recovery_log")
    assert logs_written(txn, is_postgres=False) == frozenset()
    refuse_lost_logs(homeserver, frozenset())
    database.executescript(
        "UPDATE synapse_bum_deletion_log SET known_bytes = 7;"
        "CREATE TABLE synapse_bum_recovery_log (known_bytes INTEGER); INSERT INTO synapse_bum_recovery_log VALUES (7)"
    )
    written = logs_written(txn, is_postgres=False)
    for log, option in ((deletions, "deletion_log_path"), (recovery, "`log_path")):
        with pytest.raises(BackupError, match=f"{option}`: .* is not there"):
            refuse_lost_logs(homeserver, written, patience_s=0)
        log.touch()
        with pytest.raises(BackupError, match=f"{option}`: .* is empty"):
            refuse_lost_logs(homeserver, written, patience_s=0)
        log.write_text("{}\n", encoding="utf-8")
    refuse_lost_logs(homeserver, written, patience_s=0)


def test_a_log_that_is_begun_anew_after_a_rotation_is_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "recovery.jsonl"
    log.touch()
    homeserver = {"modules": [{"module": "synapse_bum.recovery.RecoveryModule", "config": {"log_path": str(log)}}]}
    with pytest.raises(BackupError, match="is empty"):
        refuse_lost_logs(homeserver, frozenset({"synapse_bum_recovery_log"}), patience_s=0.3)
    writer = Timer(0.3, log.write_text, ("{}\n",))
    writer.start()
    refuse_lost_logs(homeserver, frozenset({"synapse_bum_recovery_log"}))
    writer.join()
