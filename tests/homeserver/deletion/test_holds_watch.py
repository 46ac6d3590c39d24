"""Operators see in time that a hold ends, because what it kept is deleted afterwards."""

from unittest.mock import patch

from synapse_bum.deletion import Hold, metrics, put_hold
from synapse_bum.deletion.holds_watch import TICK_MS, WARN_MS
from synapse_bum.testing.deletion_case import DeletionTestCase


class HoldsWatchTests(DeletionTestCase):
    def test_holds_in_force_and_those_that_end_soon_are_counted(self) -> None:
        now_ms = self.hs.get_module_api().get_current_time_msec() + TICK_MS
        for name, until_ts in (("ended", now_ms), ("soon", now_ms + WARN_MS), ("later", now_ms + WARN_MS + 10_000)):
            hold = Hold(f"!{name}:test", "a court order", until_ts, "@admin:test", 1)
            self.get_success(self.module.database.run("test", put_hold, hold))
        self.turn(TICK_MS)
        assert (metrics.HOLDS._value.get(), metrics.HOLDS_ENDING._value.get()) == (2, 1)

    def test_a_failure_is_a_warning_without_what_the_database_quotes(self) -> None:
        with (
            patch("synapse_bum.deletion.holds.count_in_force", side_effect=RuntimeError("away\nsecret row")),
            self.assertLogs("synapse_bum.deletion.holds_watch", "WARNING") as logged,
        ):
            self.turn(TICK_MS)
        assert logged.output[0].endswith("RuntimeError: away")
