"""The deletion log in a homeserver: every deletion is written."""

import json
from collections.abc import Sequence
from unittest.mock import patch

from synapse.module_api import LoggingTransaction

from synapse_bum.database import Leases
from synapse_bum.deletion import Deletion
from synapse_bum.deletion.deletion_log import TICK_MS, keep_deletion_log
from synapse_bum.deletion.log_lines import Line
from synapse_bum.testing.deletion_log_case import LOGGER, PICTURE, LogTestCase


class Purges:
    """An outbox of something that is no file."""

    def __init__(self) -> None:
        self.owed = [Line(5, done=True, fields={"id": "messages-5", "kind": "messages", "server": "test"})]

    def pending(self, _txn: LoggingTransaction, _limit: int) -> list[Line]:
        return list(self.owed)

    def mark(self, _txn: LoggingTransaction, lines: Sequence[Line]) -> None:
        assert lines == self.owed
        self.owed.clear()


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
            with self.assertLogs(LOGGER, "WARNING") as logged:
                beginning, line = self.lines()
            assert "(was it rotated?): a new one is begun" in logged.output[0]
            assert (beginning["kind"], line["state"]) == ("log", "hidden")
            assert beginning["follows"]["bytes"] == self.path.with_suffix(".1").stat().st_size
            assert len(self.lines()) == 2
        assert self.replayed == []

    def test_a_log_that_was_rotated_says_what_it_follows_before_anything_is_deleted(self) -> None:
        with self.removal_stopped():
            self.delete(self.upload(PICTURE))
            self.lines()
        for rotate in (self.path.unlink, lambda: self.path.write_bytes(b"")):
            rotate()
            with self.assertLogs(LOGGER, "WARNING"):
                assert [line["kind"] for line in self.lines()] == ["log"]
            with self.assertNoLogs(LOGGER, "WARNING"):
                assert len(self.lines()) == 1


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


def _nothing(_txn: LoggingTransaction, _planned: Sequence[Deletion]) -> None:
    """Writes no audit."""
