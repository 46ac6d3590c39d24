"""When the ledger is brought up to date, and how often."""

import itertools
from unittest.mock import patch

from synapse_bum.storage.duty import TICK_MS
from synapse_bum.testing.storage_case import StorageTestCase

MIDNIGHT_IN_BERLIN_S = 23 * 3_600


class TestAccounting(StorageTestCase):
    """The duty, by the clock and on demand."""

    def test_one_count_answers_all_who_wait(self) -> None:
        self.advance(10)
        run_ids = [self.ask("recount", "POST").json_body["run_id"] for _ in range(3)]
        ticks = itertools.count(self.clock.time_msec() + 1)
        # A clock that moves on while something is counted.
        with (
            patch.object(self.hs.get_module_api(), "get_current_time_msec", lambda: next(ticks)),
            self.assertLogs("synapse_bum.storage.duty", "INFO") as logs,
        ):
            self.reactor.advance(2 * TICK_MS / 1000)
            self.pump()
        assert {self.answer(f"recount/{run_id}")["state"] for run_id in run_ids} == {"done"}
        assert len([line for line in logs.output if "Counted all" in line]) == 1, logs.output

    def test_each_day_has_its_count_from_its_beginning(self) -> None:
        self.advance(10)
        self.advance(MIDNIGHT_IN_BERLIN_S - self.reactor.seconds() - 60, step=3_000)
        assert len(self.answer("history")["history"]) == 1
        self.advance(70, step=10)
        assert len(self.answer("history")["history"]) == 2
