"""When it is looked for orphans, and what happens to a run on the way."""

from http import HTTPStatus
from unittest.mock import patch

from prometheus_client import REGISTRY

from synapse_bum.database import Leases
from synapse_bum.storage.orphans import metrics
from synapse_bum.storage.orphans.duty import DAY_MS, INTERVAL_MS, LEASE, NOTE_EVERY_MS
from synapse_bum.testing.orphan_case import ORPHANS, OrphanTestCase


class RunTests(OrphanTestCase):
    def test_it_looks_once_a_week_by_itself_and_only_looks(self) -> None:
        stray = self.put("local_content/ab/cd/efgh")
        self.work()
        self.work()
        runs = self.ask("GET").json_body
        assert (runs["total"], runs["runs"][0]["dry_run"], runs["runs"][0]["started_by"]) == (1, True, None)
        assert stray.exists()
        self.reactor.advance((INTERVAL_MS - DAY_MS) / 1000)
        self.work()
        assert self.ask("GET").json_body["total"] == 1
        self.reactor.advance(2 * DAY_MS / 1000)
        self.work()
        runs = self.ask("GET").json_body
        assert [run["state"] for run in runs["runs"]] == ["done", "done"]

    def test_the_metrics_are_those_of_the_last_look(self) -> None:
        self.put("local_content/ab/cd/efgh")
        self.work()
        names = ("orphan_files", "orphan_file_bytes", "orphan_rows", "orphan_look_complete")
        assert [REGISTRY.get_sample_value(f"synapse_bum_storage_{name}") for name in names] == [1, 5, 0, 1]
        assert REGISTRY.get_sample_value("synapse_bum_storage_orphan_last_look_timestamp_seconds") is not None
        metrics.nothing_is_known()
        self.begin(self.leases)
        self.work()
        assert REGISTRY.get_sample_value("synapse_bum_storage_orphan_files") == 1, "also after a restart"

    def test_nothing_happens_while_another_process_does_it(self) -> None:
        elsewhere = Leases(self.module._api, self.module.database)
        assert self.get_success(elsewhere.acquire(LEASE, 60_000)) is not None
        run_id = self.queue()
        self.work()
        assert self.run_of(run_id)["state"] == "queued"
        value = REGISTRY.get_sample_value("synapse_bum_storage_orphan_files")
        assert value is None or value != value, "not a number"  # noqa: PLR0124 - NaN alone differs from itself

    def test_a_run_that_was_cut_off_is_begun_anew_and_counts_nothing_twice(self) -> None:
        run_id = self.queue(dry_run=False)
        self.put("local_content/ab/cd/efgh")
        self.sql("UPDATE synapse_bum_storage_orphan_runs SET state = 'running', attempts = 1, removed_files = 3")
        self.work()
        run = self.run_of(run_id)
        assert (run["state"], run["removed"]["files"]) == ("done", 4)
        assert run["report"]["looked_at"]["files"] == 1

    def test_a_run_that_never_ends_is_given_up(self) -> None:
        run_id = self.queue()
        self.sql("UPDATE synapse_bum_storage_orphan_runs SET state = 'running', attempts = 5")
        self.work()
        run = self.run_of(run_id)
        assert (run["state"], run["report"]) == ("failed", None)
        assert "never came to its end" in run["error"]

    def test_a_failure_of_the_database_leaves_the_run_for_the_next_turn(self) -> None:
        self.put("local_content/ab/cd/efgh")
        run_id = self.queue()
        with patch("synapse_bum.homeserver.stored_ids.stored_local", side_effect=RuntimeError("gone")):
            self.work()
        assert self.run_of(run_id)["state"] == "running"
        self.work()
        assert self.run_of(run_id)["state"] == "done"

    def test_a_run_can_be_cancelled_before_and_while_it_runs(self) -> None:
        run_id = self.queue()
        assert self.ask("DELETE", f"{ORPHANS}/{run_id}").code == HTTPStatus.OK
        assert self.ask("DELETE", f"{ORPHANS}/{run_id}").code == HTTPStatus.CONFLICT
        for number in range(9):
            self.put(f"local_content/ab/cd/stray{number}")
        run_id = self.queue()
        with (
            patch("synapse_bum.storage.orphans.file_side.CHUNK", 1),
            patch("synapse_bum.storage.orphans.look.PAUSE_S", NOTE_EVERY_MS / 1000),
        ):
            turn = self.tick()
            self.reactor.advance(0.1)
            assert self.run_of(run_id)["state"] == "running"
            assert self.ask("DELETE", f"{ORPHANS}/{run_id}").code == HTTPStatus.OK
            self.reactor.advance(NOTE_EVERY_MS / 1000)
            self.reactor.advance(NOTE_EVERY_MS / 1000)
            self.get_success(turn)
        run = self.run_of(run_id)
        assert run["state"] == "cancelled"
        assert run["finished_ts"] is not None

    def test_only_so_many_wait_and_only_administrators_ask(self) -> None:
        for _ in range(5):
            self.queue()
        assert self.ask("POST", dry_run=True).code == HTTPStatus.CONFLICT
        assert self.ask("POST", token=self.bob_token, dry_run=True).code == HTTPStatus.FORBIDDEN
        assert self.ask("GET", token=self.bob_token).code == HTTPStatus.FORBIDDEN
        assert self.ask("GET", f"{ORPHANS}/0123456789abcdef").code == HTTPStatus.NOT_FOUND
        assert self.ask("POST", dry_run="no").code == HTTPStatus.BAD_REQUEST
