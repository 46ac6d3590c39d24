"""Many files at once: each is what it would have been alone, and none waits for ever because of another."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

from prometheus_client import REGISTRY
from synapse.media.storage_provider import StorageProvider
from synapse.module_api import LoggingTransaction
from twisted.internet.defer import Deferred

from synapse_bum.deletion import (
    After,
    Deletion,
    DeletionState,
    Hold,
    Kind,
    Plans,
    keeping,
    list_deletions,
    plan_many,
    put_hold,
    remover,
)
from synapse_bum.deletion.keeping import INTERVAL_MS, LIFETIME_MS
from synapse_bum.deletion.places import BUDGET_S, LAST_STEP_S
from synapse_bum.deletion.remover import FIRST_RETRY_MS, SETTLE_MS
from synapse_bum.homeserver import media
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.threads import Threads
from synapse_bum.testing.deletion_case import SERVER, DeletionTestCase


class BatchTestCase(DeletionTestCase):
    def uploads(self, count: int, *, token: str | None = None) -> list[str]:
        """Upload files that have no thumbnails; returns their media ids."""
        return [self.upload(b"x", "text/plain", token=token).rpartition("/")[2] for _ in range(count)]

    def delete_all(self, media_ids: Sequence[str], **wish: Any) -> Plans:  # noqa: ANN401 - the arguments of `delete_many`
        run = self.module.database.run("delete", self.module.delete_many, media_ids, **wish)
        plans: Plans = self.get_success(run)
        return plans

    def in_transaction(self, func: Callable[..., Any], *args: object) -> Any:  # noqa: ANN401 - what the function returns
        return self.get_success(self.module.database.run("test", func, *args))

    def states(self) -> dict[str, DeletionState]:
        rows, _total = self.get_success(self.module.database.run("list", list_deletions, 0, 2000))
        return {row.media_id: row.state for row in rows}

    def by_id(self) -> dict[str, Deletion]:
        return {row.media_id: row for row in self.journal()}


class PlanManyTests(BatchTestCase):
    def plan(self, files: Sequence[StoredMedia], after: After = After.DROP) -> Plans:
        def run(txn: LoggingTransaction) -> Plans:
            now_ms = self.clock.time_msec()
            return plan_many(txn, files, policy="example:rule", actor="a", reason=None, now_ms=now_ms, after=after)

        plans: Plans = self.in_transaction(run)
        return plans

    def stored(self, server_name: str, media_id: str) -> StoredMedia:
        found: StoredMedia | None = self.in_transaction(media.stored_media, server_name, media_id, "test")
        assert found is not None
        return found

    def test_each_file_has_the_outcome_it_would_have_alone(self) -> None:
        before, held, new, other = (*self.uploads(1), *self.uploads(1, token=self.bob_token), *self.uploads(2))
        self.fetch("far")
        with self.removal_stopped():
            (first,) = self.delete_all([before]).planned
            hold = Hold(self.bob, "court order", self.clock.time_msec() + 60_000, self.admin, 0)
            self.in_transaction(put_hold, hold)
            lost = StoredMedia("test", "lost", "lost", local=True, uploader=self.alice)
            files = [self.stored("test", media_id) for media_id in (new, held, before, other)]
            far = self.stored(SERVER, "far")
            plans = self.plan([files[0], far, lost, *files])
            assert [row.media_id for row in plans.planned] == [new, "far", other]
            assert [row.kind for row in plans.planned] == [Kind.LOCAL_MEDIA, Kind.REMOTE_MEDIA, Kind.LOCAL_MEDIA]
            assert plans.already == (first,)
            assert plans.held == ((files[1], hold),)
            assert plans.not_stored == (lost,)
            assert plans.size_bytes == 1 + len(b"from afar") + 1
            assert {row.id: row for row in self.journal()} == {row.id: row for row in (*plans.planned, first)}
            assert {row.state for row in plans.planned} == {DeletionState.HIDDEN}
            for media_id, code in ((new, 404), (other, 404), (before, 404), (held, 200)):
                assert self.download(f"mxc://test/{media_id}").code == code
            assert self.plan(files).planned == ()

    def test_a_hold_on_a_room_holds_them_all(self) -> None:
        media_ids = self.uploads(2)
        hold = Hold("!r:test", "court order", self.clock.time_msec() + 60_000, self.admin, 0)
        self.in_transaction(put_hold, hold)
        assert len(self.delete_all(media_ids, rooms=["!r:test"]).held) == 2
        assert self.journal() == []

    def test_nothing_is_planned_when_one_file_may_not_be(self) -> None:
        (media_id,) = self.uploads(1)
        self.fetch("far")
        files = [self.stored(SERVER, "far"), self.stored("test", media_id)]
        run = self.module.database.run(
            "test",
            lambda txn: plan_many(
                txn, files, policy="example:rule", actor="a", reason=None, now_ms=1, after=After.TOMBSTONE
            ),
        )
        self.get_failure(run, ValueError)
        assert self.journal() == []

    def test_no_files_are_no_plans(self) -> None:
        assert self.plan([]) == Plans((), (), (), ())

    def test_many_remote_files_of_many_servers_become_tombstones(self) -> None:
        def insert(txn: LoggingTransaction) -> None:
            txn.execute_batch(
                "INSERT INTO remote_media_cache (media_origin, media_id, media_type, created_ts, upload_name,"
                " media_length, filesystem_id, last_access_ts) VALUES (?, 'same', 'a/b', 0, 'n', 3, ?, 0)",
                [(f"{number}.example", f"file{number:04}") for number in range(700)],
            )

        self.in_transaction(insert)
        kept = StoredMedia("5.example", "same", "another", local=False)
        files = [StoredMedia(f"{n}.example", "same", f"file{n:04}", local=False) for n in range(700) if n != 5]
        plans = self.plan([kept, *files], After.TOMBSTONE)
        assert len(plans.planned) == 699
        assert plans.not_stored == (kept,)
        (self.store / "remote_content").mkdir(parents=True)
        self.settle()

        def marks(txn: LoggingTransaction) -> list[tuple[Any, ...]]:
            txn.execute(
                "SELECT quarantined_by, media_length, count(*) FROM remote_media_cache GROUP BY 1, 2 ORDER BY 3"
            )
            return txn.fetchall()

        assert self.in_transaction(marks) == [(None, 3, 1), ("synapse_bum:expired", 0, 699)]


class RemoveManyTests(BatchTestCase):
    def test_more_files_than_a_batch_holds_are_removed_in_one_turn_and_logged_together(self) -> None:
        media_ids = self.uploads(60)
        (kept,) = self.uploads(1)
        self.delete_all(media_ids)
        with self.assertLogs("synapse_bum.deletion.remover", "INFO") as logs:
            self.settle()
        assert set(self.states().values()) == {DeletionState.DROPPED}
        assert len(self.files()) == 1
        assert self.download(f"mxc://test/{kept}").code == 200
        lines = [record.getMessage() for record in logs.records if record.getMessage().startswith("Removed")]
        assert sum(int(line.split()[1]) for line in lines) == 60
        assert all("bytes (example:rule)" in line and " files, " in line for line in lines)

    def test_each_file_is_named_to_those_who_debug(self) -> None:
        media_ids = self.uploads(3)
        self.delete_all(media_ids)
        with self.assertLogs("synapse_bum.deletion.remover", "DEBUG") as logs:
            self.settle()
        named = {record.__dict__.get("target") for record in logs.records if record.levelno == logging.DEBUG}
        assert named == {f"mxc://test/{media_id}" for media_id in media_ids}

    def test_a_file_that_can_not_be_removed_keeps_no_other(self) -> None:
        media_ids = self.uploads(5)
        unlink = Path.unlink

        def read_only(path: Path, *, missing_ok: bool = False) -> None:
            if path.name == media_ids[2][4:]:
                raise OSError(30, "Read-only file system")
            unlink(path, missing_ok=missing_ok)

        self.delete_all(media_ids)
        with patch.object(Path, "unlink", read_only):
            self.settle()
            assert self.states() == dict.fromkeys(media_ids, DeletionState.DROPPED) | {
                media_ids[2]: DeletionState.HIDDEN
            }
            assert self.by_id()[media_ids[2]].error == "the media store: OSError: Read-only file system"
            assert REGISTRY.get_sample_value("synapse_bum_deletions_failing") == 1
        self.turn(FIRST_RETRY_MS * 8)
        assert self.states()[media_ids[2]] is DeletionState.DROPPED

    def test_a_disk_that_became_read_only_keeps_all_of_them_hidden_until_it_is_not(self) -> None:
        media_ids = self.uploads(5)
        self.delete_all(media_ids)
        with patch.object(Path, "unlink", side_effect=OSError(30, "Read-only file system")):
            self.settle()
        assert set(self.states().values()) == {DeletionState.HIDDEN}
        assert {self.download(f"mxc://test/{media_id}").code for media_id in media_ids} == {404}
        self.turn(FIRST_RETRY_MS * 8)
        assert set(self.states().values()) == {DeletionState.DROPPED}

    def test_a_transaction_that_fails_in_the_middle_of_a_batch_leaves_it_for_the_next_turn(self) -> None:
        media_ids = self.uploads(5)
        for step in ("next_jobs", "note_unlinked", "drop_unlinked"):
            fails = patch.object(remover, step, side_effect=ConnectionError("server closed the connection"))
            with fails, self.assertLogs("synapse_bum.deletion.remover", "WARNING"):
                self.delete_all(media_ids)
                self.settle()
                assert DeletionState.DROPPED not in self.states().values()
        self.settle()
        assert set(self.states().values()) == {DeletionState.DROPPED}


def provider(cls: type[object]) -> Mapping[str, Any]:
    return {
        "media_storage_providers": [
            {"module": f"{cls.__module__}.{cls.__name__}", "store_local": True, "store_remote": True, "config": {}}
        ]
    }


class HangingProvider(StorageProvider):
    """A storage provider that never answers for some files."""

    hangs: ClassVar[bool] = True
    deleted: ClassVar[list[str]] = []

    def __init__(self, hs: object, config: object) -> None:
        del hs, config

    @staticmethod
    def parse_config(config: object) -> object:
        return config

    async def store_file(self, path: str, file_info: object) -> None:
        """Keeps what no test looks at."""

    async def fetch(self, path: str, file_info: object) -> None:
        """Has nothing."""

    async def delete_file(self, path: str) -> None:
        if self.hangs:
            await Deferred[None]()
        self.deleted.append(path)


class HangingProviderTests(BatchTestCase):
    server: ClassVar[Mapping[str, Any]] = provider(HangingProvider)

    def test_the_file_it_hangs_on_is_given_up_and_the_others_are_put_off(self) -> None:
        media_ids = self.uploads(3)
        self.reactor.advance(SETTLE_MS / 1000)
        self.delete_all(media_ids)
        self.turn()
        for _ in range(int(LAST_STEP_S)):
            self.turn()
        rows = self.by_id()
        errors = sorted((row.error or "").partition(": ")[2] for row in rows.values())
        assert [error.partition(":")[0] for error in errors] == ["NotReached", "NotReached", "OutOfTimeError"]
        assert sorted(row.attempts for row in rows.values()) == [0, 0, 1]
        assert self.files() == [], "the media store was emptied all the same"
        assert REGISTRY.get_sample_value("synapse_bum_deletions_failing") == 3
        with patch.object(HangingProvider, "hangs", new=False):
            self.turn(FIRST_RETRY_MS)
            for _ in range(60):
                self.turn()
        assert set(self.states().values()) == {DeletionState.DROPPED}

    def test_a_file_that_is_planned_meanwhile_has_its_turn(self) -> None:
        first, second = self.uploads(2)
        self.delete_all([first])
        self.turn()
        self.delete_all([second])
        for _ in range(int(LAST_STEP_S) + 2):
            self.turn()
        assert [row.error is not None for row in self.journal()] == [False, True], "newest first: it waits"
        for _ in range(int(LAST_STEP_S) + 2):
            self.turn()
        assert [row.error is not None for row in self.journal()] == [True, True]
        with patch.object(HangingProvider, "hangs", new=False):
            for _ in range(int(LAST_STEP_S) + 60):
                self.turn()
        assert set(self.states().values()) == {DeletionState.DROPPED}


class HangingThreadTests(BatchTestCase):
    def test_a_place_that_hangs_is_left_alone_until_its_thread_is_back(self) -> None:
        media_ids = self.uploads(2)
        never: Deferred[None] = Deferred()
        asked = []

        async def hang(_threads: Threads, work: Callable[..., object], *args: Any) -> None:  # noqa: ANN401 - as the original
            asked.append((work, args))
            await never

        self.delete_all(media_ids[:1])
        with patch.object(Threads, "run", hang):
            self.turn()
            self.delete_all(media_ids[1:])
            for _ in range(int(BUDGET_S + LAST_STEP_S)):
                self.turn()
            for _ in range(20):
                self.turn()
            assert len(asked) == 1
            rows = self.by_id()
            assert {row.error for row in rows.values()} == {
                "the media store: Hangs: it has not answered for a long time"
            }
            assert REGISTRY.get_sample_value("synapse_bum_deletions_failing") == 2
        work, args = asked[0]
        work(*args)
        for _ in range(200):
            self.turn()
        assert set(self.states().values()) == {DeletionState.DROPPED}
        assert self.files() == []


class KeepingTests(BatchTestCase):
    def test_deletions_are_forgotten_after_their_lifetime_in_small_steps(self) -> None:
        media_ids = self.uploads(5)
        self.delete_all(media_ids)
        self.settle()
        assert set(self.states().values()) == {DeletionState.DROPPED}
        self.reactor.advance(LIFETIME_MS / 1000 - 120)
        self.turn(INTERVAL_MS)
        assert len(self.states()) in {0, 5}
        with patch.object(keeping, "_BATCH", 2):
            for _ in range(2):
                self.turn(INTERVAL_MS)
        assert self.states() == {}
