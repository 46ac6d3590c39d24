"""Runs of the retention: by schedule, dry, confirmed, and under a clock that jumps."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from synapse_bum.retention.classes import RetentionClass
from synapse_bum.testing.runs_case import DAY_MS, RUNS, START_MS, YEAR_MS, RunTestCase
from synapse_bum.testing.scripted_purger import SIZE


class ScheduleTestCase(RunTestCase):
    def test_what_is_expired_goes_by_itself_and_nothing_else(self) -> None:
        purger = self.messages(400, 366, 364, 1)
        self.turn()
        assert len(purger.items) == 2
        run = self.seen()
        assert (run["state"], run["deleted"]["messages"], run["deleted"]["bytes"]) == ("done", 2, 2 * SIZE)
        assert run["progress"] == {"done": 2, "total": 2}

    def test_an_hour_later_it_runs_again(self) -> None:
        purger = self.messages(364.99)
        self.turn()
        assert len(purger.items) == 1
        self.turn(0.5)
        assert len(purger.items) == 1
        self.turn(1)
        assert purger.items == []

    def test_a_clock_that_went_back_does_not_stop_the_schedule(self) -> None:
        self.turn()
        self.offset_ms -= YEAR_MS
        self.turn(1)
        assert self.ask("GET", RUNS, self.boss).json_body["total"] == 2

    def test_a_clock_that_was_ahead_and_is_back_starts_one_run_an_hour(self) -> None:
        self.turn()
        self.offset_ms += YEAR_MS
        self.turn(1)
        self.offset_ms -= YEAR_MS
        before = self.ask("GET", RUNS, self.boss).json_body["total"]
        for _ in range(20):
            self.turn()
        assert self.ask("GET", RUNS, self.boss).json_body["total"] <= before + 1

    def test_scheduled_runs_that_found_nothing_do_not_fill_the_audit(self) -> None:
        for _ in range(3):
            self.turn(1)
        assert not [action for action in self.audited() if action.startswith("retention.")]

    def test_an_operator_has_everything_looked_through(self) -> None:
        self.turn()
        self.asked()
        self.turn()
        assert self.purgers[RetentionClass.MESSAGES].prepared == [False, True]


class DryRunTestCase(RunTestCase):
    def test_it_counts_and_names_the_oldest_and_deletes_nothing(self) -> None:
        purger = self.messages(500, 400, 1)
        before = list(purger.items)
        run_id = self.asked(dry_run=True)
        self.turn()
        run = self.seen(run_id)
        assert (run["state"], run["dry_run"]) == ("done", True)
        assert run["deleted"]["messages"] == 2
        assert run["deleted"]["bytes"] == 2 * SIZE
        assert [entry["kind"] for entry in run["sample"]] == ["messages", "messages"]
        assert run["sample"][0]["ts"] < run["sample"][1]["ts"]
        assert purger.items == before

    def test_only_the_wanted_classes(self) -> None:
        self.messages(500)
        self.fill(RetentionClass.LOCAL_MEDIA, 500)
        run_id = self.asked(classes=["local_media"], dry_run=False)
        self.turn()
        assert self.seen(run_id)["deleted"] == {"messages": 0, "local_media": 1, "remote_media": 0, "bytes": SIZE}


class DryConfigurationTestCase(RunTestCase):
    more: ClassVar[Mapping[str, Any]] = {"dry_run": True}

    def test_nothing_is_deleted_whatever_is_asked(self) -> None:
        purger = self.messages(500)
        self.turn()
        assert self.ask("POST", RUNS, self.boss, content={"dry_run": False}).code == HTTPStatus.CONFLICT
        self.asked(confirm=True)
        self.turn()
        assert len(purger.items) == 1
        assert {run["dry_run"] for run in self.ask("GET", RUNS, self.boss).json_body["runs"]} == {True}


class ConfirmationTestCase(RunTestCase):
    def test_the_first_run_over_a_large_class_waits(self) -> None:
        purger = self.messages(*([400.0] * 1000))
        other = self.fill(RetentionClass.LOCAL_MEDIA, 100)
        self.turn()
        assert len(purger.items) == 1000
        assert other.items == []
        run = self.seen()
        assert (run["state"], run["needs_confirmation"]) == ("needs_confirmation", ["messages"])
        self.asked(confirm=True)
        self.turn()
        assert purger.items == []
        assert self.seen()["state"] == "done"

    def test_what_was_confirmed_stays_confirmed_where_a_part_failed(self) -> None:
        purger = self.messages(*([400.0] * 1000))
        purger.failing = 1
        self.asked(confirm=True)
        self.turn()
        assert (self.seen()["state"], self.status()["messages"]["last_success_ts"]) == ("failed", None)
        purger = self.messages(*([400.0] * 1000))
        purger.failing = 0
        self.turn(1)
        assert purger.items == []
        assert self.seen()["state"] == "done"

    def test_a_run_without_the_word_does_not_help(self) -> None:
        purger = self.messages(*([400.0] * 1000))
        run_id = self.asked()
        self.turn()
        assert len(purger.items) == 1000
        assert self.seen(run_id)["state"] == "needs_confirmation"

    def test_once_confirmed_it_needs_nobody(self) -> None:
        self.messages(*([400.0] * 1000))
        self.asked(confirm=True)
        self.turn()
        purger = self.messages(*([400.0] * 1000))
        self.turn(1)
        assert purger.items == []

    def test_a_small_class_that_grew_needs_nobody(self) -> None:
        self.messages(1)
        self.turn()
        purger = self.messages(*([400.0] * 1000))
        self.turn(1)
        assert purger.items == []

    def test_365s_by_mistake_deletes_only_what_a_year_would(self) -> None:
        self.messages(1)
        self.turn()
        purger = self.messages(*([400.0] * 10), *([1.0] * 1000))
        self.configure({"messages": "365s"})
        self.turn(1)
        assert len(purger.items) == 1000
        run = self.seen()
        assert (run["state"], run["deleted"]["messages"]) == ("needs_confirmation", 10)
        self.turn(1)
        assert len(purger.items) == 1000
        self.configure({"messages": "1y"})
        self.turn(1)
        assert self.seen()["state"] == "done"

    def test_a_confirmation_for_one_class_is_none_for_another(self) -> None:
        messages, files = self.messages(*([400.0] * 1000)), self.fill(RetentionClass.LOCAL_MEDIA, *([100.0] * 1000))
        self.asked(confirm=True, classes=["local_media"])
        self.turn()
        assert (len(messages.items), len(files.items)) == (1000, 0)


class ClockTestCase(RunTestCase):
    def test_a_year_ahead_deletes_nothing_early_and_nothing_is_lost_when_it_is_back(self) -> None:
        purger = self.messages(366, 100)
        self.turn()
        self.offset_ms += YEAR_MS
        for _ in range(5):
            self.turn(1)
        self.asked()
        self.turn()
        assert len(purger.items) == 1
        self.offset_ms -= YEAR_MS
        self.turn(1)
        assert len(purger.items) == 1

    def test_a_year_ahead_during_a_restart_deletes_nothing_early(self) -> None:
        purger = self.messages(366, 100)
        self.turn()
        self.offset_ms += YEAR_MS
        self.configure(self.lifetimes)
        self.turn(1)
        assert len(purger.items) == 1

    def test_holds_are_asked_by_the_clock_that_can_be_trusted(self) -> None:
        purger = self.messages(400)
        self.turn()
        self.offset_ms += YEAR_MS
        purger.items = [START_MS - 2 * YEAR_MS]
        self.turn(1)
        assert purger.items == []
        assert purger.steps[-1].now_ms < START_MS + DAY_MS

    def test_an_operator_may_say_that_the_clock_is_right(self) -> None:
        purger = self.messages(366, 100)
        self.turn()
        self.offset_ms += YEAR_MS
        self.turn(1)
        self.asked(confirm=True)
        self.turn()
        assert purger.items == []

    def test_a_dry_run_confirms_no_clock(self) -> None:
        purger = self.messages(366, 100)
        self.turn()
        self.offset_ms += YEAR_MS
        self.asked(confirm=True, dry_run=True)
        self.turn()
        self.turn(1)
        assert len(purger.items) == 1
