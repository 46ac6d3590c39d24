"""Files that no row knows: the old ones go, and nothing else does."""

import logging
import os
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from unittest.mock import patch

from prometheus_client import REGISTRY
from synapse.module_api import LoggingTransaction
from twisted.internet.defer import ensureDeferred

from synapse_bum.database import Leases
from synapse_bum.deletion import Hold, put_hold, survey
from synapse_bum.homeserver.media_deletion import TOMBSTONE_MARKER
from synapse_bum.retention.classes import RetentionClass
from synapse_bum.retention.clock_record import ClockRecord
from synapse_bum.retention.media import stray_files
from synapse_bum.retention.media.stray_files import DAY_MS, LEASE, MIN_AGE_MS, TICK_MS, StrayFiles
from synapse_bum.testing import malware
from synapse_bum.testing.deletion_case import SERVER, DeletionTestCase

PICTURE = malware.png()
START_DAYS = 400
LOCAL_DAYS, REMOTE_DAYS = 90, 14
STRAYS = (
    "local_content/ab/cd/efgh",
    "local_thumbnails/ab/cd/efgh/32-32-image-png-crop",
    "url_cache/1970-01-02/efgh",
    "url_cache/ab/cd/efgh",
    "url_cache_thumbnails/1970-01-02/efgh/32-32-image-png-crop",
    "remote_content/remote.example/ab/cd/efgh",
    "remote_thumbnail/remote.example/ab/cd/efgh/32-32-image-png-crop",
    "remote_thumbnail/remote.example/ab/cd/efgh/32-32-image-png",
    "remote_content/gone.example/ab/cd/efgh",
)
NOT_OURS = ("local_content/README", "local_content/ab/cd/.nfs1/x", "lost+found/a", "remote_content/efgh", "tmp/x")


class StrayFilesTests(DeletionTestCase):
    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - the clock's module changed
        super().prepare(*reactor_clock_and_homeserver)
        self.classes = {RetentionClass.LOCAL_MEDIA: LOCAL_DAYS, RetentionClass.REMOTE_MEDIA: REMOTE_DAYS}
        self.reactor.advance(START_DAYS * DAY_MS / 1000)
        api, database = self.module._api, self.module.database
        self.leases = Leases(api, database)
        self.stray_files = StrayFiles(api, database, self.leases, cutoffs=self.cutoffs)
        self.pump()
        # As every run does.
        counted = ClockRecord(database, lambda: self.now_ms, lambda: self.reactor.seconds() * 1000)
        self.get_success(counted.look())

    async def cutoffs(self) -> Mapping[RetentionClass, int]:
        return {kind: self.now_ms - days * DAY_MS for kind, days in self.classes.items()}

    @property
    def now_ms(self) -> int:
        return int(self.clock.time_msec())

    def age(self, path: Path, days: float) -> None:
        written_s = self.now_ms / 1000 - days * DAY_MS / 1000
        os.utime(path, (written_s, written_s), follow_symlinks=False)

    def age_all(self, days: float) -> None:
        for name in self.files():
            self.age(self.store / name, days)

    def put(self, name: str, days: float = 300) -> Path:
        path = self.store / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"stray")
        self.age(path, days)
        return path

    def look(self) -> None:
        """Have it look, with the clock running for its pauses."""
        done = ensureDeferred(self.stray_files.tick())
        self.pump(0.05)
        self.get_success(done)

    def sql(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        def run(txn: LoggingTransaction) -> list[tuple[Any, ...]]:
            txn.execute(sql, parameters)
            return list(txn.fetchall()) if sql.startswith("SELECT") else []

        found: list[tuple[Any, ...]] = self.get_success(self.module.database.run("test_sql", run))
        return found

    def next_look_in_days(self) -> float:
        ((planned_ts,),) = self.sql("SELECT next_ts FROM synapse_bum_retention_stray_files")
        return (int(planned_ts) - self.now_ms) / DAY_MS

    def test_old_files_without_rows_go_from_every_folder_and_others_stay(self) -> None:
        mxc = self.upload(PICTURE)
        self.fetch("known")
        self.sql(
            "INSERT INTO local_media_repository (media_id, media_type, created_ts, url_cache, media_length)"
            " VALUES ('1970-01-02_known', 'image/png', 1, 'https://example', 5)"
        )
        self.put("url_cache/1970-01-02/known")
        self.put("url_cache_thumbnails/1970-01-02/known/32-32-image-png-crop")
        self.age_all(300)
        kept = self.files()
        for name in STRAYS:
            self.put(name)
        removed = REGISTRY.get_sample_value("synapse_bum_retention_stray_files_total") or 0
        with self.assertLogs(stray_files.logger, logging.INFO) as logs:
            self.look()
        assert self.files() == kept
        assert self.download(mxc).result["body"] == PICTURE
        assert REGISTRY.get_sample_value("synapse_bum_retention_stray_files_total") == removed + len(STRAYS)
        (line,) = logs.output
        assert f"Removed {len(STRAYS)} files without a row, {5 * len(STRAYS)} bytes" in line
        ((new,),) = self.sql("SELECT new FROM synapse_bum_audit WHERE action = 'retention.stray_files.remove'")
        assert f'"items":{len(STRAYS)}' in new.replace(" ", "")

    def test_nothing_younger_than_its_lifetime_goes(self) -> None:
        kept = [self.put("local_content/ab/cd/young", 89), self.put("remote_content/a.example/ab/cd/young", 13)]
        gone = [self.put("local_content/ab/cd/older", 91), self.put("remote_content/a.example/ab/cd/older", 15)]
        self.look()
        assert [path.exists() for path in (*kept, *gone)] == [True, True, False, False]

    def test_nothing_younger_than_a_week_goes_however_short_its_lifetime(self) -> None:
        self.classes = dict.fromkeys(self.classes, 1)
        week = MIN_AGE_MS / DAY_MS
        young, old = self.put("local_content/ab/cd/young", week - 0.1), self.put("local_content/ab/cd/older", week + 1)
        self.look()
        assert young.exists()
        assert not old.exists()

    def test_what_is_not_synapses_is_never_touched(self) -> None:
        kept = [self.put(name) for name in NOT_OURS]
        self.look()
        assert all(path.exists() for path in kept)

    def test_links_are_never_followed_and_never_removed(self) -> None:
        outside = Path(self.mktemp())  # type: ignore[no-untyped-call]
        victim = outside / "cd" / "efgh"
        victim.parent.mkdir(parents=True)
        victim.write_bytes(b"not in the media store")
        self.age(victim, 300)
        self.put("local_content/xy/cd/efgh")
        links = [self.store / name for name in ("local_content/ab", "remote_content", "local_content/xy/cd/link")]
        for link in links:
            link.symlink_to(outside.absolute() if link.name != "link" else victim.absolute())
            self.age(link, 300)
        (outside / "ab" / "cd").mkdir(parents=True)
        (outside / "ab" / "cd" / "efgh").write_bytes(b"would be remote_content/ab/...")
        self.look()
        assert victim.exists()
        assert (outside / "ab" / "cd" / "efgh").exists()
        assert all(link.is_symlink() for link in links)
        assert not (self.store / "local_content/xy/cd/efgh").exists()

    def test_a_database_that_is_not_of_this_media_store_removes_nothing(self) -> None:
        for number in range(80):
            self.put(f"local_content/ab/cd/known{number}")
            self.sql(
                "INSERT INTO local_media_repository (media_id, created_ts, media_length) VALUES (?, 1, 1)",
                f"abcdknown{number}",
            )
        strays = [self.put(f"local_content/ab/cd/stray{number}") for number in range(21)]
        with self.assertLogs(stray_files.logger, logging.WARNING) as logs:
            self.look()
        assert all(path.exists() for path in strays)
        assert "21 of 101 files" in logs.output[0]
        assert REGISTRY.get_sample_value("synapse_bum_retention_stray_files_disbelieved") == 1
        assert round(self.next_look_in_days()) == 7
        strays.pop().unlink()
        self.reactor.advance(7 * DAY_MS / 1000)
        self.look()
        assert not any(path.exists() for path in strays)
        assert REGISTRY.get_sample_value("synapse_bum_retention_stray_files_disbelieved") == 0

    def test_young_files_of_other_servers_testify_against_the_database(self) -> None:
        stray = self.put("remote_content/a.example/ab/cd/older")
        for number in range(150):
            self.put(f"remote_content/a.example/ab/cd/young{number}", 1)
        with self.assertLogs(stray_files.logger, logging.WARNING):
            self.look()
        assert stray.exists()

    def test_a_file_that_is_being_deleted_or_uploaded_is_not_meant(self) -> None:
        mxc = self.upload(PICTURE)
        self.age_all(300)
        before = self.files()
        with self.removal_stopped():
            self.delete(mxc)
            self.look()
        assert self.files() == before
        reserved = self.make_request("POST", "/_matrix/media/v1/create", access_token=self.alice_token)
        media_id = reserved.json_body["content_uri"].rpartition("/")[2]
        arriving = self.put(f"local_content/{media_id[:2]}/{media_id[2:4]}/{media_id[4:]}")
        self.reactor.advance(7 * DAY_MS / 1000)
        self.look()
        assert arriving.exists()

    def test_the_file_of_a_tombstone_goes(self) -> None:
        self.fetch("old")
        self.fetch("kept")
        self.age_all(300)
        self.sql("UPDATE remote_media_cache SET quarantined_by = ? WHERE media_id = 'old'", TOMBSTONE_MARKER)
        assert len(self.files()) == 2
        self.look()
        assert len(self.files()) == 1
        assert self.fetch("kept").code == HTTPStatus.OK
        assert self.fetched == ["old", "kept"]

    def test_what_an_earlier_download_left_goes(self) -> None:
        self.fetch("file")
        (before,) = self.files()
        self.sql("UPDATE remote_media_cache SET filesystem_id = 'abcdanother'")
        kept = self.put(f"remote_content/{SERVER}/ab/cd/another")
        self.age(self.store / before, 300)
        self.look()
        assert self.files() == [str(kept.relative_to(self.store))]

    def test_many_rows_of_a_server_are_read_in_pages(self) -> None:
        for number in range(7):
            self.fetch(f"file{number}")
        self.age_all(300)
        kept = self.files()
        self.put(f"remote_content/{SERVER}/ab/cd/stray")
        with (
            patch("synapse_bum.homeserver.stored_ids.REMOTE_PAGE", 2),
            patch.object(stray_files, "CHUNK", 2),
            patch.object(stray_files, "MAX_OLD_IDS", 3),
        ):
            self.look()
        assert self.files() == kept

    def test_rows_of_thumbnails_without_a_file_go_and_others_stay(self) -> None:
        self.put("remote_content/kept.example/ab/cd/efgh", 1)
        for server_name in ("gone.example", "kept.example", "last.example"):
            for width in (32, 96, 320):
                self.sql(
                    "INSERT INTO remote_media_cache_thumbnails (media_origin, media_id, thumbnail_width,"
                    " thumbnail_height, thumbnail_type, thumbnail_method, thumbnail_length, filesystem_id)"
                    " VALUES (?, 'media', ?, ?, 'image/png', 'scale', 5, 'abcdefgh')",
                    server_name,
                    width,
                    width,
                )
        self.sql(
            "INSERT INTO remote_media_cache (media_origin, media_id, created_ts, media_length, filesystem_id)"
            " VALUES ('kept.example', 'media', 1, 5, 'abcdefgh')"
        )
        with patch("synapse_bum.homeserver.stored_ids.REMOTE_PAGE", 2):
            self.look()
        assert self.sql("SELECT DISTINCT media_origin FROM remote_media_cache_thumbnails") == [("kept.example",)]
        assert self.count("remote_media_cache_thumbnails") == 3

    def test_a_hold_on_another_server_holds_its_files(self) -> None:
        held, free = self.put("remote_content/held.example/ab/cd/efgh"), self.put("remote_content/a.example/ab/cd/efgh")
        hold = Hold("@suspect:held.example", "a court asks", self.now_ms + DAY_MS, self.admin, self.now_ms)
        self.get_success(self.module.database.run("hold", put_hold, hold))
        self.look()
        assert held.exists()
        assert not free.exists()

    def test_a_hold_holds_though_the_system_clock_is_far_ahead(self) -> None:
        held, free = self.put("remote_content/held.example/ab/cd/efgh"), self.put("remote_content/a.example/ab/cd/efgh")
        hold = Hold("@suspect:held.example", "a court asks", self.now_ms + 10 * DAY_MS, self.admin, self.now_ms)
        self.get_success(self.module.database.run("hold", put_hold, hold))
        self.reactor.advance(20 * DAY_MS / 1000)
        self.look()
        assert held.exists()
        assert not free.exists()

    def test_nothing_goes_before_time_is_counted(self) -> None:
        stray = self.put("local_content/ab/cd/efgh")
        self.sql("DELETE FROM synapse_bum_retention_clock")
        self.look()
        assert stray.exists()

    def test_a_class_without_a_lifetime_is_left_alone(self) -> None:
        local, remote = self.put("local_content/ab/cd/efgh"), self.put("remote_content/a.example/ab/cd/efgh")
        self.classes = {}
        self.look()
        self.classes = {RetentionClass.REMOTE_MEDIA: 1}
        self.look()
        assert local.exists()
        assert not remote.exists()

    def test_it_looks_once_a_week(self) -> None:
        self.put("local_content/ab/cd/first")
        self.look()
        assert self.files() == []
        stray = self.put("local_content/ab/cd/efgh")
        self.reactor.advance(6.9 * DAY_MS / 1000)
        self.pump(0.05)
        self.look()
        assert stray.exists()
        self.reactor.advance(2 * TICK_MS / 1000 + 0.1 * DAY_MS / 1000)
        self.pump(0.05)
        assert not stray.exists(), "by itself"

    def test_a_clock_that_was_far_ahead_does_not_put_it_off_for_a_year(self) -> None:
        stray = self.put("local_content/ab/cd/efgh")
        self.sql("UPDATE synapse_bum_retention_stray_files SET next_ts = ?", self.now_ms + 365 * DAY_MS)
        self.look()
        assert not stray.exists()

    def test_what_can_not_be_removed_is_said_and_tried_again_tomorrow(self) -> None:
        stray = self.put("local_content/ab/cd/efgh")
        with (
            patch.object(Path, "unlink", side_effect=OSError(30, "Read-only file system")),
            self.assertLogs(stray_files.logger, logging.WARNING) as logs,
        ):
            self.look()
        assert "Read-only file system" in logs.output[0]
        assert self.sql("SELECT 1 FROM synapse_bum_audit WHERE action = 'retention.stray_files.remove'") == []
        assert round(self.next_look_in_days()) == 1
        self.reactor.advance(DAY_MS / 1000)
        self.look()
        assert not stray.exists()

    def test_what_is_too_much_for_once_goes_within_hours(self) -> None:
        for number in range(5):
            self.put(f"local_content/ab/cd/stray{number}")
        with patch.object(survey, "MAX_STRAYS", 3):
            self.look()
            assert len(self.files()) == 2
            self.reactor.advance(TICK_MS / 1000)
            self.look()
        assert self.files() == []

    def test_nothing_happens_while_another_process_does_it(self) -> None:
        stray = self.put("local_content/ab/cd/efgh")
        elsewhere = Leases(self.module._api, self.module.database)
        assert self.get_success(elsewhere.acquire(LEASE, 60_000)) is not None
        self.look()
        assert stray.exists()

    def test_a_lost_lease_ends_it_before_anything_is_removed(self) -> None:
        stray = self.put("local_content/ab/cd/efgh")
        done = ensureDeferred(self.stray_files.tick())
        self.sql("UPDATE synapse_bum_leases SET owner = 'another' WHERE name = ?", LEASE)
        with patch("synapse_bum.database.leases.Lease.held", new=False):
            self.pump(0.05)
            self.get_success(done)
        assert stray.exists()

    def test_a_folder_that_can_not_be_read_ends_it_before_anything_is_removed(self) -> None:
        stray = self.put("local_content/ab/cd/efgh")
        with (
            patch("os.scandir", side_effect=PermissionError(13, "Permission denied")),
            self.assertLogs(stray_files.logger, logging.WARNING) as logs,
        ):
            self.look()
        assert "Permission denied" in logs.output[0]
        assert stray.exists()
