"""Files go 90 days after their upload, whoever uploaded or read them; nothing younger, protected or held goes."""

import errno
from http import HTTPStatus
from unittest.mock import patch

from synapse_bum import deletion
from synapse_bum.deletion import delete_hold
from synapse_bum.deletion.folders import Folder
from synapse_bum.homeserver.media_deletion import HIDDEN_MARKER
from synapse_bum.retention.classes import Backlog, NotReadyError
from synapse_bum.retention.media.unremoved import REMOVED_WITHIN_MS
from synapse_bum.testing.local_media_case import DAY_MS, PICTURE, LocalMediaTestCase


class AgeTests(LocalMediaTestCase):
    def test_a_file_goes_with_everything_that_belongs_to_it_and_a_younger_one_stays(self) -> None:
        old, young = self.an_old_file(150), self.an_old_file(89)
        assert self.purge() == 1
        assert self.download(old).code == HTTPStatus.NOT_FOUND
        self.settle()
        assert self.left([young]) == [young]
        assert self.count("local_media_repository") == 1
        assert [name for name in self.files() if name.startswith("local_content")] == [
            f"local_content/{young.rpartition('/')[2][:2]}/{young.rpartition('/')[2][2:4]}/{young.rpartition('/')[2][4:]}"
        ]

    def test_reading_a_file_does_not_prolong_its_life(self) -> None:
        mxc = self.an_old_file(150)
        self.execute("UPDATE local_media_repository SET last_access_ts = ?", self.now_ms - 30 * DAY_MS)
        assert self.download(mxc).code == HTTPStatus.OK
        self.purge()
        assert self.left([mxc]) == []

    def test_the_last_moment_counts_as_expired_and_the_next_does_not(self) -> None:
        at, behind = self.upload(PICTURE), self.upload(PICTURE)
        for mxc, ts in ((at, self.cutoff_ts), (behind, self.cutoff_ts + 1)):
            self.execute(
                "UPDATE local_media_repository SET created_ts = ? WHERE media_id = ?", ts, mxc.rpartition("/")[2]
            )
        cutoff_ts = self.cutoff_ts
        with patch.object(type(self), "cutoff_ts", cutoff_ts):
            self.purge()
        assert self.left([at, behind]) == [behind]

    def test_files_of_nobody_and_of_removed_users_go(self) -> None:
        orphan, of_removed, of_empty = self.an_old_file(), self.an_old_file(), self.an_old_file()
        for mxc, uploader in ((orphan, None), (of_removed, "@gone:test"), (of_empty, "")):
            self.execute(
                "UPDATE local_media_repository SET user_id = ? WHERE media_id = ?", uploader, mxc.rpartition("/")[2]
            )
        assert self.purge() == 3
        assert self.left([orphan, of_removed, of_empty]) == []

    def test_url_previews_quarantined_and_quarantine_proof_files_go(self) -> None:
        preview, quarantined, proof = self.an_old_file(), self.an_old_file(), self.an_old_file()
        for mxc, change in (
            (preview, "url_cache = 'https://example.org/'"),
            (quarantined, "quarantined_by = '@mod:test'"),
            (proof, "safe_from_quarantine = (1 = 1)"),
        ):
            self.execute(
                f"UPDATE local_media_repository SET {change} WHERE media_id = ?",  # noqa: S608
                mxc.rpartition("/")[2],
            )
        assert self.purge() == 3
        assert {row.url_cache for row in self.journal()} == {True, False}

    def test_a_reserved_id_without_a_file_is_left_to_synapse(self) -> None:
        self.execute(
            "INSERT INTO local_media_repository (media_id, created_ts, user_id, safe_from_quarantine, authenticated)"
            " VALUES ('reserved', ?, ?, (1 = 0), (1 = 0))",
            self.cutoff_ts - DAY_MS,
            self.alice,
        )
        assert self.purge() == 0
        assert self.count("local_media_repository") == 1
        assert self.get_success(self.purger.backlog(self.cutoff_ts)) == Backlog(0, 0, None)

    def test_nothing_goes_before_it_was_read_what_is_protected(self) -> None:
        mxc = self.an_old_file()
        self.get_failure(self.purger.purge(self.step()), NotReadyError)
        self.get_failure(self.purger.backlog(self.cutoff_ts), NotReadyError)
        self.get_failure(self.purger.sample(self.cutoff_ts), NotReadyError)
        assert self.left([mxc]) == [mxc]


class BatchTests(LocalMediaTestCase):
    batch_size = 2

    def test_a_run_goes_on_batch_by_batch_and_ends(self) -> None:
        mxcs = [
            self.an_old_file(150 - n, token=token) for n in range(3) for token in (self.alice_token, self.bob_token)
        ]
        self.get_ready()
        batches = [self.batch() for _ in range(5)]
        assert [(batch.items, batch.more) for batch in batches[:3]] == [(2, True)] * 3
        assert [batch.items for batch in batches[3:]] == [0, 0]
        assert not batches[4].more
        assert self.left(mxcs) == []
        assert self.purge("next run") == 0

    def test_each_batch_is_counted_and_audited_once(self) -> None:
        for _ in range(3):
            self.an_old_file()
        self.purge()
        size = len(PICTURE)
        assert [items for items, _ in self.confirmed] == [2, 1]
        assert self.audited() == [
            ("run", {"kind": "local_media", "items": items, "bytes": size_bytes})
            for items, size_bytes in self.confirmed
        ]
        thumbnails = sum(row.thumbnail_bytes for row in self.journal())
        assert sum(size_bytes for _, size_bytes in self.confirmed) == 3 * size + thumbnails
        assert {(row.policy, row.actor) for row in self.journal()} == {("retention:local_media", "retention")}

    def test_files_of_the_same_moment_all_go(self) -> None:
        mxcs = [self.an_old_file() for _ in range(5)]
        self.execute("UPDATE local_media_repository SET created_ts = ?", self.cutoff_ts)
        self.purge()
        assert self.left(mxcs) == []

    def test_what_stays_does_not_stand_in_the_way(self) -> None:
        self.hold(self.alice)
        held = [self.an_old_file() for _ in range(5)]
        free = self.an_old_file(token=self.bob_token)
        assert self.purge() == 1
        assert self.left([*held, free]) == held

    def test_a_crash_before_the_commit_deletes_and_counts_nothing_and_the_next_run_does_it(self) -> None:
        mxc = self.an_old_file()
        self.get_ready()
        with patch("synapse_bum.retention.media.local_media.audit.append", side_effect=OSError("gone")):
            self.get_failure(self.purger.purge(self.step()), OSError)
        assert self.left([mxc]) == [mxc]
        assert (self.confirmed, self.journal()) == ([], [])
        self.protected, self.purger = self.new_purger()
        assert self.purge() == 1
        assert len(self.confirmed) == 1

    def test_a_crash_after_the_commit_leaves_the_rest_to_the_next_process(self) -> None:
        mxcs = [self.an_old_file() for _ in range(3)]
        with self.removal_stopped():
            self.get_ready()
            assert self.batch().items == 2
            self.protected, self.purger = self.new_purger()
            assert self.purge() == 1
        self.settle()
        assert self.left(mxcs) == []
        assert (self.files(), self.count("local_media_repository")) == ([], 0)
        assert sum(items for items, _ in self.confirmed) == 3

    def test_a_file_that_is_being_deleted_is_not_looked_at_again(self) -> None:
        mxc = self.an_old_file()
        with self.removal_stopped():
            assert self.purge() == 1
            assert self.rows("SELECT quarantined_by FROM local_media_repository") == [(HIDDEN_MARKER,)]
            with patch.object(deletion, "plan_many", wraps=deletion.plan_many) as planning:
                assert self.purge("next") == 0
                assert all(call.args[1] == [] for call in planning.call_args_list)
        assert self.left([mxc]) == []


class HoldTests(LocalMediaTestCase):
    batch_size = 1

    def test_a_hold_that_is_set_during_a_run_counts_from_the_next_batch(self) -> None:
        mxcs = [self.an_old_file(150), self.an_old_file(140), self.an_old_file(130)]
        self.get_ready()
        assert self.batch().items == 1
        self.hold(self.alice)
        assert self.purge_on() == 0
        assert self.left(mxcs) == mxcs[1:]
        self.in_transaction(delete_hold, self.alice)
        assert self.purge("next") == 2

    def test_a_hold_on_a_room_holds_the_files_of_whoever_was_there(self) -> None:
        room_id = self.helper.create_room_as(self.bob, tok=self.bob_token)
        self.helper.join(room_id, self.alice, tok=self.alice_token)
        self.helper.leave(room_id, self.alice, tok=self.alice_token)
        of_alice, of_admin = self.an_old_file(), self.an_old_file(token=self.admin_token)
        self.hold(room_id)
        assert self.purge() == 1
        assert self.left([of_alice, of_admin]) == [of_alice]


class MeasureTests(LocalMediaTestCase):
    def backlog(self) -> Backlog:
        backlog: Backlog = self.get_success(self.purger.backlog(self.cutoff_ts))
        return backlog

    def test_the_backlog_counts_what_should_be_gone(self) -> None:
        oldest = self.an_old_file(200)
        orphan, held, avatar = self.an_old_file(150), self.an_old_file(token=self.bob_token), self.an_old_file()
        self.an_old_file(10)
        self.execute("UPDATE local_media_repository SET user_id = NULL WHERE media_id = ?", orphan.rpartition("/")[2])
        self.set_avatar(avatar)
        self.hold(self.bob)
        self.get_ready()
        assert self.left([held, avatar]) == [held, avatar]
        thumbnails = self.rows(
            "SELECT COALESCE(sum(thumbnail_length), 0) FROM local_media_repository_thumbnails WHERE media_id IN (?, ?)",
            *(mxc.rpartition("/")[2] for mxc in (oldest, orphan)),
        )
        (oldest_ts,) = min(self.rows("SELECT created_ts FROM local_media_repository"))
        assert self.backlog() == Backlog(2, 2 * len(PICTURE) + thumbnails[0][0], oldest_ts)
        self.purge()
        assert self.backlog() == Backlog(0, 0, None)

    def test_the_backlog_counts_what_can_not_be_removed(self) -> None:
        self.an_old_file()
        self.get_ready()
        expected = self.backlog()
        assert expected.items == 1
        with patch.object(Folder, "remove", side_effect=OSError(errno.EROFS, "Read-only file system")):
            self.purge_on()
            self.settle()
            assert self.backlog() == expected
        self.reactor.advance(DAY_MS / 1000)
        self.settle()
        assert self.backlog() == Backlog(0, 0, None)

    def test_the_backlog_counts_what_nobody_removes(self) -> None:
        self.an_old_file()
        self.get_ready()
        with self.removal_stopped():
            self.purge_on()
            assert self.backlog().items == 0, "it is just on its way"
            self.reactor.advance(REMOVED_WITHIN_MS / 1000)
            assert self.backlog().items == 1

    def test_the_sample_names_the_oldest(self) -> None:
        mxcs = [
            self.an_old_file(100 + 7 * n % 12, token=self.alice_token if n % 2 else self.bob_token) for n in range(12)
        ]
        self.get_ready()
        sample = self.get_success(self.purger.sample(self.cutoff_ts))
        by_age = sorted(range(12), key=lambda n: -(7 * n % 12))
        assert [item.target for item in sample] == [mxcs[n] for n in by_age[:10]]
        assert [item.size_bytes for item in sample] == [len(PICTURE)] * 10

    def test_a_class_is_large_from_a_thousand_files_on(self) -> None:
        self.in_transaction(
            lambda txn: txn.execute_batch(
                "INSERT INTO local_media_repository"
                " (media_id, created_ts, user_id, media_length, safe_from_quarantine, authenticated)"
                " VALUES (?, 0, '@many:test', 1, (1 = 0), (1 = 0))",
                [(f"many{n}",) for n in range(999)],
            )
        )
        assert self.get_success(self.purger.is_large()) is False
        self.upload(PICTURE)
        assert self.get_success(self.purger.is_large()) is True
