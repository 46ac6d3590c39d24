"""The index by age: whatever way a file comes here, its time is known; and what the index says is never believed."""

from http import HTTPStatus
from unittest.mock import patch

from synapse.module_api import LoggingTransaction
from twisted.internet.defer import ensureDeferred

from synapse_bum.homeserver.media_deletion import HIDDEN_MARKER, TOMBSTONE_MARKER
from synapse_bum.retention.media import remote_index, remote_media
from synapse_bum.testing.deletion_case import SERVER
from synapse_bum.testing.remote_media_case import DAY_MS, PICTURE, RemoteMediaTestCase


class IndexTests(RemoteMediaTestCase):
    def test_an_arrival_is_noted_at_once(self) -> None:
        self.receive("file")
        assert self.index() == {"file"}

    def test_an_arrival_that_can_not_be_noted_is_delivered_and_found_by_the_walk(self) -> None:
        with patch.object(remote_index, "note", side_effect=RuntimeError("the database is away")):
            self.receive("file")
        assert self.index() == set()
        self.days_pass(15)
        assert self.run_purger() == 1

    def test_files_from_before_the_module_are_found(self) -> None:
        for number in range(7):
            self.receive(f"old{number}")
        self.forget_index()
        self.days_pass(15)
        assert self.backlog()[0] == 7, "measured before the first walk"
        with patch.object(remote_index, "PAGE", 2):
            self.prepare_all_pages()
        assert len(self.index()) == 7
        assert self.backlog()[0] == 7
        assert sum(batch.items for batch in self.purge()) == 7

    def prepare_all_pages(self, *, thorough: bool = False) -> None:
        """`prepare` rests between two pages, so the clock has to run meanwhile."""
        prepared = ensureDeferred(self.purger.prepare(self.cutoff, self.lease, thorough=thorough))
        self.pump(0.01)
        self.get_success(prepared)

    def test_a_walk_that_was_cut_off_goes_on_where_it_was(self) -> None:
        for number in range(5):
            self.receive(f"old{number}")
        self.forget_index()
        with patch.object(remote_index, "PAGE", 2), patch.object(remote_media, "SMALL_TABLE", 0):
            self.get_success(self.purger._walk_page())
            assert self.index() == {"old0", "old1"}
            self.purger = self.make_purger()
            self.prepare_all_pages()
        assert len(self.index()) == 5

    def test_a_row_that_is_written_behind_the_walk_is_found_by_the_next(self) -> None:
        for name in ("b1", "b2", "b3"):
            self.receive(name)
        self.forget_index()
        with patch.object(remote_index, "PAGE", 2), patch.object(remote_media, "SMALL_TABLE", 0):
            self.get_success(self.purger._walk_page())
            with patch.object(remote_index, "note"):
                self.receive("a")
            self.prepare_all_pages()
            assert self.index() == {"b1", "b2", "b3"}
            self.prepare_all_pages(thorough=True)
        assert self.index() == {"a", "b1", "b2", "b3"}

    def test_a_large_table_is_walked_in_the_background_within_a_day(self) -> None:
        for number in range(4):
            self.receive(f"old{number}")
        with patch.object(remote_index, "PAGE", 2), patch.object(remote_media, "SMALL_TABLE", 0):
            self.prepare_all_pages()
            with patch.object(remote_index, "note"):
                self.receive("missed")
            self.prepare_all_pages()
            assert "missed" not in self.index(), "no run walks a large table"
            for _ in range(24):
                self.days_pass(1 / 24)
            assert "missed" in self.index()

    def test_an_index_that_nobody_kept_is_not_believed(self) -> None:
        self.prepare_run()
        with patch.object(remote_index, "note"):
            self.receive("missed")
        with patch.object(remote_media, "SMALL_TABLE", 0):
            self.days_pass(15)
            assert self.backlog()[0] == 1
            self.prepare_all_pages()
            assert self.index() == {"missed"}

    def test_tombstones_and_hidden_rows_are_not_taken_in(self) -> None:
        for name in ("tombstone", "hidden", "file"):
            self.receive(name)
        self.sql("UPDATE remote_media_cache SET quarantined_by = ? WHERE media_id = 'tombstone'", TOMBSTONE_MARKER)
        self.sql("UPDATE remote_media_cache SET quarantined_by = ? WHERE media_id = 'hidden'", HIDDEN_MARKER)
        self.forget_index()
        self.days_pass(15)
        assert self.backlog()[0] == 1
        self.prepare_run()
        assert self.index() == {"file"}

    def test_the_time_in_synapses_row_counts_and_not_that_in_the_index(self) -> None:
        self.receive("file")
        self.days_pass(15)
        self.prepare_run()
        now_ms = int(self.clock.time_msec())
        self.sql("UPDATE remote_media_cache SET created_ts = ?", now_ms)
        assert self.backlog()[0] == 0
        assert sum(batch.items for batch in self.purge()) == 0
        assert self.ask("file").code == HTTPStatus.OK
        assert self.sql("SELECT created_ts FROM synapse_bum_retention_remote_media") == [(now_ms,)]
        self.sql("UPDATE remote_media_cache SET created_ts = 1")
        assert self.run_purger() == 1

    def test_a_file_from_before_1970_is_found_and_goes(self) -> None:
        for media_id, created_ts in (("one", -1), ("other", -90 * DAY_MS)):
            self.receive(media_id)
            self.sql("UPDATE remote_media_cache SET created_ts = ? WHERE media_id = ?", created_ts, media_id)
        self.forget_index()
        self.days_pass(15)
        assert self.run_purger() == 2

    def test_a_file_that_comes_while_its_entry_is_dropped_stays_in_the_index(self) -> None:
        self.receive("file")

        def late(txn: LoggingTransaction) -> None:
            (entry,) = remote_index.read(txn, remote_index.START, 1 << 60, 10)
            remote_index.note(txn, SERVER, "file", entry.position.created_ts + 1)
            remote_index.forget(txn, [entry.position])

        self.get_success(self.module.database.run("late", late))
        assert self.index() == {"file"}


class ThumbnailTests(RemoteMediaTestCase):
    def test_thumbnails_whose_rows_name_an_earlier_download_go_with_the_file(self) -> None:
        self.receive("file", PICTURE, "image/png")
        self.sql("UPDATE remote_media_cache_thumbnails SET filesystem_id = 'an-earlier-download'")
        self.days_pass(15)
        ((thumbnails,),) = self.sql("SELECT SUM(thumbnail_length) FROM remote_media_cache_thumbnails")
        assert self.backlog()[1] == len(PICTURE) + thumbnails
        assert self.run_purger() == 1
        assert self.confirmed == [(1, len(PICTURE) + thumbnails)]
        assert self.count("remote_media_cache_thumbnails") == 0
        assert self.files() == []
