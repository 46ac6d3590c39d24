"""The deletion log in a homeserver: every deletion is written, and what a backup brings back is deleted again."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from prometheus_client import REGISTRY
from synapse.module_api import LoggingTransaction

from synapse_bum.database import Leases
from synapse_bum.deletion import After, Deletion, Hold, delete_hold, put_hold
from synapse_bum.deletion.deletion_log import TICK_MS, DeletionLog, keep_deletion_log
from synapse_bum.deletion.log_lines import Line
from synapse_bum.deletion.remover import YOUNG_MS
from synapse_bum.testing import malware
from synapse_bum.testing.deletion_case import SERVER, DeletionTestCase

PICTURE = malware.png()
LOGGER = "synapse_bum.deletion.deletion_log"
TABLES = (
    "local_media_repository",
    "local_media_repository_thumbnails",
    "remote_media_cache",
    "synapse_bum_deletions",
    "synapse_bum_deletion_log",
)
Backup = dict[str, tuple[list[str], list[tuple[Any, ...]]]]


class Purges:
    """An outbox of something that is no file."""

    def __init__(self) -> None:
        self.owed = [Line(5, done=True, fields={"id": "messages-5", "kind": "messages", "server": "test"})]

    def pending(self, _txn: LoggingTransaction, _limit: int) -> list[Line]:
        return list(self.owed)

    def mark(self, _txn: LoggingTransaction, lines: Sequence[Line]) -> None:
        assert lines == self.owed
        self.owed.clear()


class LogTestCase(DeletionTestCase):
    """A homeserver with a deletion log.

    Attributes:
        path: of the log.
        log: the duty.
        replayed: what was deleted again.
    """

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - the clock's module changed
        super().prepare(*reactor_clock_and_homeserver)
        folder = Path(self.mktemp())  # type: ignore[no-untyped-call]
        folder.mkdir()
        self.path = folder / "deletions.jsonl"
        self.replayed: list[Deletion] = []
        self.log = self.new_process()

    def new_process(self, **more: Any) -> DeletionLog:  # noqa: ANN401 - further arguments
        """The duty of another process, or of this one after its start."""
        api, database = self.hs.get_module_api(), self.module.database
        log = keep_deletion_log(
            api,
            database,
            Leases(api, database),
            str(self.path),
            on_replayed=lambda _txn, planned: self.replayed.extend(planned),
            **more,
        )
        assert log is not None
        return log

    def lines(self) -> list[dict[str, Any]]:
        """What stands in the log, after the duty has had its turn."""
        self.turn(TICK_MS)
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_bytes().splitlines() if line]

    def failing(self) -> float | None:
        return REGISTRY.get_sample_value("synapse_bum_deletion_log_failing")

    def old_upload(self) -> str:
        """A file that needs no time to settle."""
        mxc = self.upload(PICTURE)
        self.reactor.advance(YOUNG_MS / 1000)
        return mxc

    def backup(self) -> Backup:
        """Keep our tables, Synapse's and the media store."""
        shutil.rmtree(f"{self.store}.backup", ignore_errors=True)
        shutil.copytree(self.store, f"{self.store}.backup")

        def read(txn: LoggingTransaction) -> Backup:
            kept: Backup = {}
            for table in TABLES:
                txn.execute(f"SELECT * FROM {table}")  # noqa: S608 - fixed names
                assert txn.description is not None
                kept[table] = [column[0] for column in txn.description], list(txn.fetchall())
            return kept

        kept: Backup = self.get_success(self.module.database.run("test", read))
        return kept

    def restore(self, backup: Backup) -> None:
        """Put them back, and begin as a process that has just started."""
        shutil.rmtree(self.store)
        shutil.copytree(f"{self.store}.backup", self.store)

        def write(txn: LoggingTransaction) -> None:
            for table, (columns, rows) in backup.items():
                txn.execute(f"DELETE FROM {table}")  # noqa: S608 - fixed names
                for row in rows:
                    places = ", ".join("?" * len(columns))
                    txn.execute(
                        f"INSERT INTO {table} ({', '.join(columns)})"
                        f" {'OVERRIDING SYSTEM VALUE ' * (table == 'synapse_bum_deletions' and self.on_postgres)}"
                        f"VALUES ({places})",
                        row,
                    )

        self.get_success(self.module.database.run("test", write))
        self.log._is_up_to_date = False

    @property
    def on_postgres(self) -> bool:
        return "Postgres" in type(self.hs.get_datastores().main.db_pool.engine).__name__


class WritingTests(LogTestCase):
    def test_a_deletion_has_a_line_when_it_is_decided_and_one_when_nothing_is_left(self) -> None:
        mxc = self.upload(PICTURE)
        with self.removal_stopped():
            self.delete(mxc, actor=self.alice)
            (decided,) = self.lines()
        (row,) = self.journal()
        assert decided == {
            "id": f"file-{row.planned_ts}-{row.id}",
            "server": "test",
            "kind": "local_media",
            "target": mxc,
            "size_bytes": len(PICTURE),
            "policy": "example:rule",
            "reason": "a test",
            "actor": self.alice,
            "planned_ts": row.planned_ts,
            "done_ts": None,
            "state": "hidden",
            "after": "drop",
        }
        self.settle()
        again, done = self.lines()
        assert again == decided
        (row,) = self.journal()
        assert row.done_ts is not None
        assert done == {**decided, "done_ts": row.done_ts, "state": "dropped"}
        assert len(self.lines()) == 2

    def test_one_that_is_over_at_once_has_both_lines(self) -> None:
        mxcs = [self.old_upload() for _ in range(3)]
        with patch.object(self.log, "_busy", new=True):
            for mxc in mxcs:
                self.delete(mxc)
            self.turn()
        assert [(line["target"], line["state"]) for line in self.lines()] == [
            (mxc, state) for mxc in mxcs for state in ("hidden", "dropped")
        ]

    def test_more_than_a_batch_is_written_in_one_turn(self) -> None:
        with patch("synapse_bum.deletion.deletion_log.BATCH", 2), self.removal_stopped():
            for _ in range(5):
                self.delete(self.upload(PICTURE))
            assert len(self.lines()) == 5

    def test_what_was_written_is_never_read_again(self) -> None:
        with self.removal_stopped(), patch.object(self.log, "_replay", side_effect=AssertionError) as read_again:
            for number in range(3):
                self.delete(self.upload(PICTURE))
                assert len(self.lines()) == number + 1
            self.log._is_up_to_date = False
            self.turn(TICK_MS)
        assert read_again.call_count == 0

    def test_other_records_are_written_too(self) -> None:
        purges = Purges()
        with patch.object(self.log, "_busy", new=True):
            self.new_process(outboxes=[purges])
            self.turn(TICK_MS)
            assert self.lines() == [{"id": "messages-5", "kind": "messages", "server": "test"}]
        assert purges.owed == []

    def test_a_process_without_a_log_owes_nothing(self) -> None:
        self.turn(TICK_MS)
        assert self.count("synapse_bum_deletion_log") == 1
        api, database = self.hs.get_module_api(), self.module.database
        with patch.object(self.log, "_busy", new=True):
            assert keep_deletion_log(api, database, Leases(api, database), None, on_replayed=_nothing) is None
            self.turn()
            assert self.count("synapse_bum_deletion_log") == 0

    def test_a_log_that_was_rotated_goes_on_in_a_new_file(self) -> None:
        with self.removal_stopped():
            self.delete(self.upload(PICTURE))
            self.lines()
            self.path.rename(self.path.with_suffix(".1"))
            self.delete(self.upload(PICTURE))
            assert len(self.lines()) == 1
        assert self.replayed == []


class FailureTests(LogTestCase):
    def test_a_log_that_cannot_be_written_loses_nothing_and_stops_no_deletion(self) -> None:
        mxc = self.old_upload()
        self.path.mkdir()
        self.delete(mxc)
        with self.assertLogs(LOGGER, "WARNING") as logged:
            for _ in range(3):
                self.turn(TICK_MS)
        assert len(logged.records) == 1
        assert str(self.path) in logged.output[0]
        assert self.failing() == 1
        assert self.files() == []
        self.path.rmdir()
        with self.assertLogs(LOGGER, "INFO"):
            assert [line["state"] for line in self.lines()] == ["hidden", "dropped"]
        assert self.failing() == 0

    def test_a_crash_after_the_append_writes_the_line_again(self) -> None:
        with self.removal_stopped():
            self.delete(self.upload(PICTURE))
            with patch.object(self.log, "_mark", side_effect=RuntimeError("killed")):
                assert len(self.lines()) == 1
            first, second = self.lines()
            assert first == second
            assert len(self.lines()) == 2
        assert self.replayed == []

    def test_a_crash_within_the_append_leaves_a_torn_line_behind_which_the_next_begins(self) -> None:
        with self.removal_stopped():
            self.delete(self.upload(PICTURE))
            self.path.write_bytes(b'{"id":"file-')
            with self.assertNoLogs(LOGGER, "WARNING"):
                self.turn(TICK_MS)
        torn, line, end = self.path.read_bytes().split(b"\n")
        assert (torn, json.loads(line)["state"], end) == (b'{"id":"file-', "hidden", b"")

    def test_of_two_processes_one_writes(self) -> None:
        self.new_process()
        with self.removal_stopped():
            self.delete(self.upload(PICTURE))
            assert len(self.lines()) == 1


class RestoreTests(LogTestCase):
    def test_a_file_that_a_backup_brought_back_is_deleted_again(self) -> None:
        mxc, other = self.old_upload(), self.upload(b"a file that stays")
        self.lines()
        backup = self.backup()
        self.delete(mxc, actor=self.alice)
        assert len(self.lines()) == 2
        self.restore(backup)
        assert self.download(mxc).code == 200
        with self.assertLogs(LOGGER, "INFO") as logged:
            self.turn(TICK_MS)
        assert "1 files of the deletion log were still stored" in "".join(logged.output)
        self.settle()
        assert self.download(mxc).code == 404
        assert self.download(other).code == 200
        assert len(self.files()) == 1
        (deletion,) = self.journal()
        assert (deletion.policy, deletion.actor, deletion.reason) == ("example:rule", self.alice, "a test")
        assert [(again.mxc, again.id) for again in self.replayed] == [(mxc, deletion.id)]
        lines = self.lines()
        assert [line["state"] for line in lines] == ["hidden", "dropped"] * 2
        assert len({line["id"] for line in lines}) == 2
        self.turn(TICK_MS)
        assert len(self.replayed) == 1

    def test_a_database_of_before_the_log_is_brought_up_to_date_too(self) -> None:
        mxc = self.old_upload()
        backup = self.backup()
        backup["synapse_bum_deletion_log"] = (backup["synapse_bum_deletion_log"][0], [])
        self.delete(mxc)
        self.lines()
        self.restore(backup)
        self.settle()
        self.settle()
        assert self.download(mxc).code == 404

    def test_a_tombstone_stays_one(self) -> None:
        self.fetch("media")
        self.reactor.advance(YOUNG_MS / 1000)
        self.lines()
        backup = self.backup()
        self.delete(f"mxc://{SERVER}/media", after=After.TOMBSTONE)
        self.lines()
        self.restore(backup)
        self.settle()
        self.settle()
        assert self.fetch("media").code == 404
        assert self.fetched == ["media"]

    def test_a_remote_file_that_was_fetched_again_stays(self) -> None:
        self.fetch("media")
        self.lines()
        backup = self.backup()
        self.delete(f"mxc://{SERVER}/media")
        self.settle()
        self.lines()
        self.fetch("media")
        fetched_again = self.backup()
        self.restore({**backup, "remote_media_cache": fetched_again["remote_media_cache"]})
        self.turn(TICK_MS)
        self.settle()
        assert self.replayed == []
        assert self.count("remote_media_cache") == 1

    def test_what_is_on_hold_stays_and_that_is_said(self) -> None:
        mxc = self.old_upload()
        self.lines()
        backup = self.backup()
        self.delete(mxc)
        self.lines()
        self.restore(backup)
        now_ms = self.hs.get_clock().time_msec()
        hold = Hold(self.alice, "a court order", now_ms + 10**9, self.admin, now_ms)
        self.get_success(self.module.database.run("test", put_hold, hold))
        with self.assertLogs(LOGGER, "WARNING") as logged:
            self.turn(TICK_MS)
        assert "1 files of the deletion log are stored again and stay" in "".join(logged.output)
        assert self.download(mxc).code == 200
        self.get_success(self.module.database.run("test", delete_hold, self.alice))

    def test_damaged_lines_are_counted_and_passed_over(self) -> None:
        mxc = self.old_upload()
        self.lines()
        backup = self.backup()
        self.delete(mxc)
        self.lines()
        self.path.write_bytes(b'{"kind":"loc\n\xff\n' + self.path.read_bytes() + b"[]\n")
        self.restore(backup)
        with self.assertLogs(LOGGER, "WARNING") as logged:
            self.turn(TICK_MS)
        assert "3 lines of the deletion log" in "".join(logged.output)
        assert len(self.replayed) == 1

    def test_a_long_log_is_read_in_parts_each_with_its_position(self) -> None:
        mxcs = [self.old_upload() for _ in range(4)]
        self.lines()
        backup = self.backup()
        for mxc in mxcs:
            self.delete(mxc)
        self.lines()
        self.restore(backup)
        with patch("synapse_bum.deletion.log_file.PART_BYTES", 600):
            self.turn(TICK_MS)
        assert sorted(deletion.mxc for deletion in self.replayed) == sorted(mxcs)
        self.settle()
        assert self.files() == []

    def test_the_log_of_another_server_deletes_nothing(self) -> None:
        self.fetch("media")
        self.lines()
        line = {"id": "file-9-9", "server": "staging.example", "kind": "remote_media", "after": "drop"}
        more = {"target": f"mxc://{SERVER}/media", "planned_ts": 2**50, "policy": "a:b", "actor": "x"}
        self.path.write_text(json.dumps({**line, **more}) + "\n")
        self.log._is_up_to_date = False
        self.turn(TICK_MS)
        assert self.replayed == []
        self.path.write_text(json.dumps({**line, **more, "server": "test"}) + "\n")
        self.log._is_up_to_date = False
        self.turn(TICK_MS)
        assert len(self.replayed) == 1


def _nothing(_txn: LoggingTransaction, _planned: Sequence[Deletion]) -> None:
    """Writes no audit."""
