"""What the ledger says is what Synapse's tables say, whatever Synapse, its administrators or we do; on both databases.

Every `update` and `recount` of the test case compares with the rows of Synapse's tables.
"""

from http import HTTPStatus
from typing import Any
from unittest.mock import patch

from synapse.module_api import LoggingTransaction
from synapse.server import HomeServer
from tests.unittest import override_config

from synapse_bum.deletion import After, keeping, tally
from synapse_bum.homeserver.media import watch_remote_downloads
from synapse_bum.storage import ledger
from synapse_bum.storage.ledger import UserOrder
from synapse_bum.storage.usage import CountConfig, UserStored
from synapse_bum.testing.deletion_case import SERVER
from synapse_bum.testing.ledger_case import HOUR_MS, MINUTE_MS, PICTURE, LedgerTestCase

A_YEAR = 366 * 24 * 60


class KilledError(Exception):
    """The process dies."""


class UploadTests(LedgerTestCase):
    def test_nothing_is_stored_at_first_and_nothing_is_known_before_the_first_count(self) -> None:
        assert self.get_success(self.database.run("read", ledger.read)) is None
        assert self.update().local_files == 0
        found = self.get_success(self.database.run("read", ledger.read))
        assert found is not None
        assert (found.as_of_ts, found.recounted_ts, found.drift_bytes) == (self.now_ms, self.now_ms, None)

    def test_a_new_upload_counts_with_its_thumbnails_at_once_and_for_ever(self) -> None:
        self.update()
        self.upload(PICTURE)
        first = self.update()
        assert (first.local_files, first.local_bytes) == (1, len(PICTURE))
        assert first.local_thumbnail_bytes > 0
        for minutes in (5, 6, 60, 61, 1):
            self.minutes_pass(minutes)
            assert self.update() == first
        self.assert_no_drift()

    def test_the_same_bytes_twice_are_two_files(self) -> None:
        self.old_upload(b"the same")
        self.old_upload(b"the same", token=self.bob_token)
        assert self.update().local_bytes == 2 * len(b"the same")

    def test_a_reserved_id_counts_once_something_is_uploaded_to_it_hours_later(self) -> None:
        self.update()
        created = self.make_request("POST", "/_matrix/media/v1/create", access_token=self.alice_token)
        path = created.json_body["content_uri"].removeprefix("mxc://")
        self.minutes_pass(30)
        assert self.update().local_files == 0
        self.minutes_pass(10 * 60)
        self.update()
        done = self.make_request(
            "PUT",
            f"/_matrix/media/v3/upload/{path}",
            content=PICTURE,
            access_token=self.alice_token,
            shorthand=False,
            content_type=b"image/png",
            custom_headers=[("Content-Length", str(len(PICTURE)))],
        )
        assert done.code == HTTPStatus.OK, done.json_body
        assert self.update().local_bytes == len(PICTURE)
        self.minutes_pass(90)
        self.update()
        self.assert_no_drift()

    @override_config({"dynamic_thumbnails": True})
    def test_a_thumbnail_that_is_made_later_counts(self) -> None:
        mxc = self.old_upload().removeprefix("mxc://")
        before = self.update().local_thumbnail_bytes
        made = self.get(f"/_matrix/client/v1/media/thumbnail/{mxc}?width=7&height=7&method=scale")
        assert made.code == HTTPStatus.OK
        assert self.update().local_thumbnail_bytes > before
        self.assert_no_drift()

    def test_an_upload_by_an_uploader_without_a_name_counts(self) -> None:
        self.update()
        for user_id in (None, ""):
            self.execute(
                "INSERT INTO local_media_repository (media_id, media_length, created_ts, user_id) VALUES (?, 5, ?, ?)",
                f"nobody{user_id}",
                self.now_ms,
                user_id,
            )
        for minutes in (1, 30, 60):
            self.minutes_pass(minutes)
            assert self.update().local_bytes == 10
        self.assert_no_drift()


class DeletionTests(LedgerTestCase):
    def test_a_file_that_we_delete_counts_until_it_is_gone(self) -> None:
        mxc = self.old_upload()
        kept = self.upload(b"kept")
        with self.removal_stopped():
            self.delete(mxc)
            assert self.update().local_files == 2
        self.settle()
        assert self.download(kept).code == HTTPStatus.OK
        after = self.update()
        assert (after.local_files, after.local_bytes, after.local_thumbnail_bytes) == (1, len(b"kept"), 0)
        self.assert_no_drift()

    def test_a_file_that_comes_and_goes_between_two_updates_leaves_nothing(self) -> None:
        self.update()
        mxc = self.upload(PICTURE)
        self.minutes_pass(20)
        self.delete(mxc)
        self.settle()
        assert self.update().local_files == 0
        self.assert_no_drift()

    def test_a_tombstone_counts_nothing(self) -> None:
        self.old_copy()
        self.delete(f"mxc://{SERVER}/afar", after=After.TOMBSTONE)
        self.settle()
        assert self.update().remote_files == 0
        self.minutes_pass(61)
        self.update()
        self.assert_no_drift()

    def test_a_copy_that_is_dropped_and_fetched_again_counts_once(self) -> None:
        self.old_copy()
        self.delete(f"mxc://{SERVER}/afar")
        self.settle()
        assert self.fetch("afar", b"another file by now").code == HTTPStatus.OK
        assert self.update().remote_bytes == len(b"another file by now")
        self.minutes_pass(30)
        self.update()
        self.assert_no_drift()

    def test_the_administrators_own_deletions_are_seen(self) -> None:
        # Synapse believes no time of 1970.
        self.minutes_pass(A_YEAR)
        name = self.hs.hostname
        mxcs = [self.old_upload(), self.old_upload(b"second"), self.old_upload(b"third", token=self.bob_token)]
        media_id = mxcs[0].rpartition("/")[2]
        self.as_admin("DELETE", f"/_synapse/admin/v1/media/{name}/{media_id}")
        assert self.update().local_files == 2
        self.as_admin("DELETE", f"/_synapse/admin/v1/users/{self.alice}/media")
        assert self.update().local_files == 1
        self.as_admin("POST", f"/_synapse/admin/v1/media/delete?before_ts={self.now_ms + HOUR_MS}")
        assert self.update().local_files == 0
        self.assert_no_drift()

    def test_quarantine_changes_nothing(self) -> None:
        mxc = self.old_upload()
        self.old_copy()
        before = self.update()
        self.as_admin("POST", f"/_synapse/admin/v1/media/quarantine/{mxc.removeprefix('mxc://')}", {})
        self.as_admin("POST", f"/_synapse/admin/v1/media/quarantine/{SERVER}/afar", {})
        assert self.update() == before

    def test_a_purge_of_the_cache_of_copies_is_seen(self) -> None:
        self.minutes_pass(A_YEAR)
        self.old_copy("one")
        self.old_copy("two")
        self.as_admin("POST", f"/_synapse/admin/v1/purge_media_cache?before_ts={self.now_ms + HOUR_MS}")
        assert self.update().remote_files == 0
        self.assert_no_drift()

    @override_config({"media_retention": {"local_media_lifetime": "2h", "remote_media_lifetime": "2h"}})
    def test_synapses_own_retention_is_seen(self) -> None:
        self.old_upload()
        self.old_copy()
        self.update()
        for _ in range(5):
            self.minutes_pass(61)
            self.update()
        after = self.update()
        assert (after.local_files, after.remote_files) == (0, 0)
        self.assert_no_drift()

    def test_old_previews_that_synapse_drops_are_seen(self) -> None:
        media_id = self.old_upload().rpartition("/")[2]
        self.get_success(self.hs.get_datastores().main.delete_url_cache_media([media_id]))
        assert self.update().local_files == 0
        self.assert_no_drift()


class RefetchTests(LedgerTestCase):
    def make_homeserver(self, *reactor_and_clock: object) -> HomeServer:
        """Has another module drop stale rows before a file is fetched, as the antivirus does."""

        async def no(_server: str, _media_id: str) -> bool:
            return False

        homeserver = super().make_homeserver(*reactor_and_clock)
        watch_remote_downloads(homeserver.get_module_api(), no, no)
        return homeserver

    def test_a_copy_that_is_lost_and_fetched_again_counts_once(self) -> None:
        self.old_copy("lost", b"the first time")
        for path in self.store.glob("remote_content/**/*"):
            if path.is_file():
                path.unlink()
        assert self.fetch("lost", b"the second time").code == HTTPStatus.OK
        assert self.update().remote_bytes == len(b"the second time")
        self.minutes_pass(30)
        self.update()
        self.assert_no_drift()


class ExactnessTests(LedgerTestCase):
    def test_an_update_that_dies_half_way_loses_nothing(self) -> None:
        mxc = self.old_upload()
        self.upload(b"new")
        self.as_admin("DELETE", f"/_synapse/admin/v1/media/{mxc.removeprefix('mxc://')}")
        self.minutes_pass(11)

        def die(txn: LoggingTransaction, *, full: bool) -> None:
            (ledger.recount if full else ledger.advance)(self.api, txn, self.now_ms)
            raise KilledError

        for full in (False, True):
            self.get_failure(self.database.run_on_snapshot("test", die, full=full), KilledError)
        assert self.update().local_bytes == len(b"new")
        self.assert_no_drift()

    def test_a_recount_finds_and_says_what_was_changed_past_everybody(self) -> None:
        media_id = self.old_upload().rpartition("/")[2]
        self.old_copy(content=b"x" * 100)
        thumbnails = self.update().thumbnail_bytes
        self.execute("DELETE FROM local_media_repository WHERE media_id = ?", media_id)
        self.execute("UPDATE remote_media_cache SET media_length = media_length + 7")
        drift = {"local": -len(PICTURE), "remote": 7, "thumbnails": -thumbnails}
        assert self.recount().drift_bytes == drift
        found = self.get_success(self.database.run("read", ledger.read))
        assert found is not None
        assert found.drift_bytes == drift
        self.assert_no_drift()

    def test_a_clock_that_is_set_back_costs_a_recount_and_nothing_else(self) -> None:
        self.upload(b"before")
        later = self.now_ms + 24 * HOUR_MS
        self.get_success(self.database.run_on_snapshot("test", lambda txn: ledger.advance(self.api, txn, later)))
        self.upload(b"after")
        for minutes in (0, 5, 20, 60):
            self.minutes_pass(minutes)
            self.update()
        self.assert_no_drift()

    def test_what_was_missed_while_nobody_noted_is_counted_anew(self) -> None:
        mxc = self.old_upload()
        self.execute("UPDATE synapse_bum_deletion_tally_period SET is_read = 0")
        self.delete(mxc)
        self.settle()
        assert self.rows("SELECT * FROM synapse_bum_deletion_tally") == []
        self.get_success(self.database.run("begin", tally.begin_reading))
        assert self.update().local_files == 0

    def test_a_ledger_whose_notes_nobody_began_becomes_exact_by_itself(self) -> None:
        self.execute("UPDATE synapse_bum_deletion_tally_period SET is_read = 0, period = 0")
        mxc = self.old_upload()
        self.delete(mxc)
        self.settle()
        assert self.update().local_files == 0
        assert self.update().local_files == 0

    def test_notes_that_nobody_reads_for_a_week_are_dropped_and_noting_ends(self) -> None:
        mxc = self.old_upload()
        self.delete(mxc)
        self.settle()
        assert len(self.rows("SELECT * FROM synapse_bum_deletion_tally")) == 1
        self.get_success(self.database.run("drop", tally.drop_unread, self.now_ms, 10))
        assert len(self.rows("SELECT * FROM synapse_bum_deletion_tally")) == 1
        self.minutes_pass(tally.UNREAD_FOR_MS / MINUTE_MS + keeping.INTERVAL_MS / MINUTE_MS)
        assert self.rows("SELECT * FROM synapse_bum_deletion_tally") == []
        assert self.get_success(self.database.run("period", tally.period)) is None
        assert self.update().local_files == 0

    def test_nothing_is_noted_where_nobody_counts(self) -> None:
        self.execute("UPDATE synapse_bum_deletion_tally_period SET is_read = 0")
        mxc = self.upload(PICTURE)
        self.delete(mxc)
        self.settle()
        assert self.rows("SELECT * FROM synapse_bum_deletion_tally") == []

    def test_a_file_is_served_and_deleted_although_its_change_can_not_be_noted(self) -> None:
        mxc = self.old_upload()
        with (
            patch.object(tally, "note_changes", side_effect=KilledError("away")),
            self.assertLogs("synapse_bum.storage.ledger.watching", "WARNING") as logged,
        ):
            self.as_admin("DELETE", f"/_synapse/admin/v1/media/{mxc.removeprefix('mxc://')}")
        assert "could not be noted" in logged.output[0]
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        self.recount()


class ListTests(LedgerTestCase):
    def listed(self, **wanted: Any) -> tuple[list[UserStored], int]:  # noqa: ANN401 - as `list_users`
        defaults: dict[str, Any] = {
            "order_by": UserOrder.USED_BYTES,
            "descending": True,
            "count": CountConfig(),
            "offset": 0,
            "limit": 10,
        }
        found: tuple[list[UserStored], int] = self.get_success(
            self.database.run("list", lambda txn: ledger.list_users(txn, **{**defaults, **wanted}))
        )
        return found

    def test_users_are_listed_by_what_they_have_uploaded(self) -> None:
        self.old_upload(b"one")
        self.old_upload(b"two")
        self.old_upload(b"x" * 50, token=self.bob_token)
        alice, bob = UserStored(self.alice, 2, 6, 0), UserStored(self.bob, 1, 50, 0)
        assert self.listed() == ([bob, alice], 2)
        assert self.listed(descending=False) == ([alice, bob], 2)
        assert self.listed(order_by=UserOrder.USER_ID) == ([bob, alice], 2)
        assert self.listed(order_by=UserOrder.FILES) == ([alice, bob], 2)
        assert self.listed(offset=1, limit=1) == ([alice], 2)

    def test_thumbnails_that_do_not_count_do_not_sort(self) -> None:
        self.old_upload(PICTURE)
        alice = self.get_success(self.database.run("user", ledger.user_bytes, self.alice))
        assert alice.thumbnail_bytes > 1
        self.old_upload(b"x" * (len(PICTURE) + 1), token=self.bob_token)
        assert [user.user_id for user in self.listed()[0]] == [self.alice, self.bob]
        count = CountConfig(thumbnails=False)
        assert [user.user_id for user in self.listed(count=count)[0]] == [self.bob, self.alice]
