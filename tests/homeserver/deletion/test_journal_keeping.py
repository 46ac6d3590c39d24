"""Old deletions are forgotten every hour; when that fails, it is said and tried again."""

from unittest.mock import patch

from synapse_bum.deletion import journal
from synapse_bum.deletion.keeping import INTERVAL_MS
from synapse_bum.testing.deletion_case import DeletionTestCase


class JournalKeeperTests(DeletionTestCase):
    def test_a_failure_is_a_warning_and_the_next_turn_tries_again(self) -> None:
        with patch.object(journal, "drop_older", side_effect=[RuntimeError("the database is away"), 0]) as forget:
            with self.assertLogs("synapse_bum.deletion.keeping", "WARNING") as logged:
                self.turn(INTERVAL_MS)
            assert "the database is away" in logged.output[0]
            assert forget.call_count == 1
            self.turn(INTERVAL_MS)
            assert forget.call_count == 2
