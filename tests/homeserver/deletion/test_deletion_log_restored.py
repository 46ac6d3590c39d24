"""The deletion log of a homeserver whose database was restored: what a backup brings back is deleted again."""

import json
from unittest.mock import patch

from synapse_bum.deletion import After, Hold, delete_hold, put_hold
from synapse_bum.deletion.deletion_log import HELD_EVERY_MS, TICK_MS
from synapse_bum.deletion.remover import YOUNG_MS
from synapse_bum.testing.deletion_case import SERVER
from synapse_bum.testing.deletion_log_case import LOGGER, PICTURE, LogTestCase


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

    def test_a_file_that_was_on_hold_is_deleted_when_the_hold_has_ended(self) -> None:
        mxc = self.old_upload()
        self.lines()
        backup = self.backup()
        self.delete(mxc, actor=self.alice)
        self.lines()
        self.restore(backup)
        now_ms = self.hs.get_clock().time_msec()
        hold = Hold(self.alice, "a court order", now_ms + HELD_EVERY_MS, self.admin, now_ms)
        self.get_success(self.module.database.run("test", put_hold, hold))
        self.turn(TICK_MS)
        assert self.download(mxc).code == 200
        self.turn(HELD_EVERY_MS)
        self.turn(HELD_EVERY_MS)
        self.settle()
        assert self.download(mxc).code == 404
        assert [(deletion.mxc, deletion.actor) for deletion in self.replayed] == [(mxc, self.alice)]
        assert self.count("synapse_bum_deletion_held") == 0

    def test_a_damaged_log_is_neither_believed_nor_written_and_no_line_is_lost(self) -> None:
        mxc, other = self.old_upload(), self.old_upload()
        self.lines()
        backup = self.backup()
        self.delete(mxc)
        self.lines()
        content = self.path.read_bytes()
        self.path.write_bytes(content + b"\xff\n")
        self.restore(backup)
        self.delete(other)
        with self.assertLogs(LOGGER, "WARNING") as logged:
            self.turn(TICK_MS)
        assert "is damaged, in line 3: it is no JSON" in "".join(logged.output)
        assert self.failing() == 1
        assert self.replayed == []
        assert self.path.read_bytes() == content + b"\xff\n"
        self.path.write_bytes(content)
        lines = self.lines()
        assert [deletion.mxc for deletion in self.replayed] == [mxc]
        assert {line["target"] for line in lines} == {mxc, other}
        assert self.failing() == 0

    def test_a_long_log_is_read_in_parts_each_with_its_position(self) -> None:
        mxcs = [self.old_upload() for _ in range(4)]
        self.lines()
        backup = self.backup()
        for mxc in mxcs:
            self.delete(mxc)
        self.lines()
        self.restore(backup)
        with patch("synapse_bum.deletion.log_reading.PART_BYTES", 600):
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
        self.path.write_text("lost\n" + json.dumps({**line, **more, "server": "test"}) + "\n")
        self.log._is_up_to_date = False
        self.turn(TICK_MS)
        assert len(self.replayed) == 1

    def test_what_was_deleted_before_and_after_a_rotation_is_deleted_again(self) -> None:
        before, after = self.old_upload(), self.old_upload()
        self.delete(self.upload(PICTURE))
        self.settle()
        self.lines()
        backup = self.backup()
        self.delete(before)
        self.lines()
        old = self.path.rename(self.path.with_suffix(".1"))
        self.delete(after)
        self.lines()
        self.restore(backup)
        with self.assertLogs(LOGGER, "WARNING") as logged:
            self.turn(TICK_MS)
        assert "does not go on where it ended" in logged.output[0]
        assert self.replayed == []
        self.path.write_bytes(old.read_bytes() + self.path.read_bytes())
        self.turn(TICK_MS)
        assert sorted(deletion.mxc for deletion in self.replayed) == sorted([before, after])
