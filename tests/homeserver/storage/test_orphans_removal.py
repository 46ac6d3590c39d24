"""What is removed of files without rows, and what never is."""

from pathlib import Path
from unittest.mock import patch

from synapse_bum.deletion import Hold, put_hold
from synapse_bum.storage.orphans.duty import DAY_MS
from synapse_bum.testing import malware
from synapse_bum.testing.orphan_case import OrphanTestCase, unreadable

PICTURE = malware.png()
STRAYS = (
    "local_content/ab/cd/efgh",
    "local_thumbnails/ab/cd/efgh/32-32-image-png-crop",
    "url_cache/1970-01-02/efgh",
    "url_cache_thumbnails/1970-01-02/efgh/32-32-image-png-crop",
    "remote_content/remote.example/ab/cd/efgh",
    "remote_thumbnail/remote.example/ab/cd/efgh/32-32-image-png",
    "remote_content/gone.example/ab/cd/efgh",
)


class RemovalTests(OrphanTestCase):
    def test_old_files_without_rows_are_removed_when_asked(self) -> None:
        self.upload(PICTURE)
        self.age_all()
        kept = self.files()
        young = str(self.put("local_content/ab/cd/young", 6.9).relative_to(self.store))
        for name in STRAYS:
            self.put(name)
        run = self.look(dry_run=False)
        assert (run["state"], run["error"]) == ("done", None)
        assert self.files() == sorted([*kept, young])
        assert run["removed"] == {"files": len(STRAYS), "bytes": 5 * len(STRAYS)}
        assert run["report"]["files_without_rows"]["files"] == len(STRAYS) + 1
        rows = self.sql("SELECT action, actor FROM synapse_bum_audit WHERE action LIKE ? ORDER BY id", "storage.%")
        assert [action for action, _ in rows] == [
            "storage.orphans.queued",
            "storage.orphans.running",
            "storage.orphans.remove",
            "storage.orphans.done",
        ]
        assert rows[0][1] == self.admin

    def test_a_hold_on_a_server_holds_its_files_even_after_its_end(self) -> None:
        held, free = self.put("remote_content/held.example/ab/cd/efgh"), self.put("remote_content/a.example/ab/cd/efgh")
        hold = Hold("@suspect:held.example", "a court asks", self.now_ms - DAY_MS, self.admin, 1)
        self.get_success(self.module.database.run("hold", put_hold, hold))
        self.look(dry_run=False)
        assert (held.exists(), free.exists()) == (True, False)

    def test_nothing_is_removed_where_the_database_is_another_servers(self) -> None:
        strays = [self.put(f"local_content/ab/cd/stray{number}") for number in range(101)]
        run = self.look(dry_run=False)
        assert run["state"] == "failed"
        assert "seems not to belong" in run["error"]
        assert run["report"]["disbelieved"] == ["the media store"]
        assert all(path.exists() for path in strays)

    def test_nothing_is_removed_where_a_folder_could_not_be_read(self) -> None:
        stray = self.put("local_content/ab/cd/efgh")
        self.put("local_content/xy/cd/efgh")
        with unreadable(self.store / "local_content/xy"):
            run = self.look(dry_run=False)
        assert stray.exists()
        assert run["state"] == "failed"
        assert "nothing was removed" in run["error"]

    def test_what_can_not_be_removed_is_said(self) -> None:
        self.put("local_content/ab/cd/efgh")
        with patch.object(Path, "unlink", side_effect=OSError(30, "Read-only file system")):
            run = self.look(dry_run=False)
        assert run["state"] == "failed"
        assert "Read-only file system" in run["error"]
        assert run["removed"]["files"] == 0

    def test_a_clock_that_jumps_makes_nothing_older(self) -> None:
        arriving = self.put("local_content/ab/cd/arriving", 0)
        later = self.now_ms + 30 * DAY_MS
        with patch.object(self.module._api, "get_current_time_msec", lambda: later):
            self.begin()
            later += 365 * DAY_MS
            self.age(arriving, -30)
            run = self.look(dry_run=False)
        assert arriving.exists(), run
