"""Runs of the retention that are cut off, fail or are cancelled, and how they are asked for."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from synapse_bum.retention.classes import NotReadyError, RetentionClass
from synapse_bum.testing.runs_case import DAY_MS, RUNS, START_MS, YEAR_MS, RunTestCase
from synapse_bum.testing.scripted_purger import SIZE


class FaultTestCase(RunTestCase):
    def test_one_class_that_fails_does_not_stop_the_others(self) -> None:
        def fail() -> None:
            raise RuntimeError("no space left")

        broken, files = self.messages(400), self.fill(RetentionClass.LOCAL_MEDIA, 100)
        broken.fault = fail
        self.turn()
        assert files.items == []
        run = self.seen()
        assert (run["state"], run["error"]) == ("failed", "messages: RuntimeError: no space left")
        assert self.status()["messages"]["last_success_ts"] is None
        broken.fault = None
        self.turn(1)
        assert broken.items == []

    def test_what_is_not_known_yet_is_not_deleted(self) -> None:
        def wait() -> None:
            raise NotReadyError("the protected files are not known yet")

        purger = self.messages(400)
        purger.fault = wait
        self.turn()
        assert self.seen()["error"] == "messages: the protected files are not known yet"

    def test_a_run_that_was_cut_off_is_gone_on_with_and_counts_right(self) -> None:
        purger = self.messages(*([400.0] * 50))
        batches = 0

        def die_once() -> None:
            nonlocal batches
            batches += 1
            if batches == 3:
                raise KeyboardInterrupt

        purger.fault = die_once
        run_id = self.asked()
        self.turn()
        assert [type(error) for error in self.died] == [KeyboardInterrupt]
        assert self.seen(run_id)["state"] == "running"
        assert len(purger.items) == 30
        self.configure(self.lifetimes)
        self.turn(0.1)
        run = self.seen(run_id)
        assert (run["state"], run["deleted"]["messages"]) == ("done", 50)
        assert run["progress"] == {"done": 50, "total": 50}

    def test_a_dry_run_that_was_cut_off_counts_nothing_twice(self) -> None:
        def die_once() -> None:
            files.prepare_fault = None
            raise KeyboardInterrupt

        self.messages(400, 401)
        files = self.fill(RetentionClass.LOCAL_MEDIA, 100)
        files.prepare_fault = die_once
        run_id = self.asked(dry_run=True)
        self.turn()
        assert [type(error) for error in self.died] == [KeyboardInterrupt]
        self.configure(self.lifetimes)
        self.turn(0.1)
        run = self.seen(run_id)
        assert run["state"] == "done"
        assert run["deleted"] == {"messages": 2, "local_media": 1, "remote_media": 0, "bytes": 3 * SIZE}
        assert run["progress"] == {"done": 3, "total": 3}
        assert len(run["sample"]) == 3

    def test_it_can_be_cancelled_on_the_way(self) -> None:
        purger = self.messages(*([400.0] * 50))
        run_id = self.asked()

        def cancel() -> None:
            purger.fault = None
            channel = self.ask("DELETE", f"{RUNS}/{run_id}", self.boss)
            assert channel.code == HTTPStatus.OK

        purger.fault = cancel
        self.turn()
        assert len(purger.items) == 40
        assert self.seen(run_id)["state"] == "cancelled"
        assert self.ask("DELETE", f"{RUNS}/{run_id}", self.boss).code == HTTPStatus.CONFLICT

    def test_the_lease_is_taken_by_one_of_two(self) -> None:
        first = self.runner
        purger = self.messages(*([400.0] * 50))
        self.configure(self.lifetimes)
        second = self.runner

        def the_other_looks_too() -> None:
            self.wait_for(second)

        purger.fault = the_other_looks_too
        self.runner = first
        self.turn()
        assert purger.items == []
        assert self.seen()["deleted"]["messages"] == 50


class RouteTestCase(RunTestCase):
    lifetimes: ClassVar[Mapping[str, str]] = {"messages": "1y", "remote_media": "14d"}

    def test_the_status_says_what_should_be_gone(self) -> None:
        self.messages(400, 366.5, 2)
        status = self.status()
        age_ms = status["messages"].pop("oldest_age_ms")
        assert 0 <= age_ms - 400 * DAY_MS < 1_000
        assert status["messages"] == {
            "lifetime_ms": YEAR_MS,
            "backlog_items": 2,
            "backlog_bytes": 2 * SIZE,
            "last_success_ts": None,
        }
        assert status["local_media"]["lifetime_ms"] is None
        self.turn()
        status = self.status()
        assert status["messages"]["backlog_items"] == status["messages"]["oldest_age_ms"] == 0
        assert status["messages"]["last_success_ts"] >= START_MS

    def test_bodies_are_read_strictly(self) -> None:
        wrong: dict[str, object] = {
            "dry_runn": True,
            "dry_run": "yes",
            "classes": ["files"],
            "confirm": None,
        }
        for name, value in wrong.items():
            error = self.refused(self.ask("POST", RUNS, self.boss, content={name: value}), 400, "M_INVALID_PARAM")
            assert name in error
        for classes in ([], ["messages", "messages"], ["local_media"]):
            channel = self.ask("POST", RUNS, self.boss, content={"classes": classes})
            error = self.refused(channel, 400, "M_INVALID_PARAM")
            assert "classes" in error

    def test_who_may_what(self) -> None:
        assert self.ask("POST", RUNS, self.user, content={}).code == HTTPStatus.FORBIDDEN
        assert self.ask("GET", RUNS, self.user).code == HTTPStatus.FORBIDDEN
        assert self.ask("GET", f"{RUNS}/nothing", self.boss).code == HTTPStatus.NOT_FOUND
        assert self.ask("DELETE", f"{RUNS}/nothing", self.boss).code == HTTPStatus.NOT_FOUND

    def test_a_script_in_a_loop_does_not_fill_the_table(self) -> None:
        codes = {self.ask("POST", RUNS, self.boss, content={}).code for _ in range(25)}
        assert codes == {HTTPStatus.ACCEPTED, HTTPStatus.CONFLICT}
        assert self.ask("GET", RUNS, self.boss).json_body["total"] == 20

    def test_runs_of_operators_are_audited(self) -> None:
        self.asked()
        self.turn()
        assert [action for action in self.audited() if action.startswith("retention.run")] == [
            "retention.run.queued",
            "retention.run.running",
            "retention.run.done",
        ]
