"""The chain of the audit is verified every day by one process, and who has changed a row by hand is noticed."""

from unittest.mock import patch

from synapse.module_api import LoggingTransaction
from tests.unittest import HomeserverTestCase

from synapse_bum.audit import AUDIT, Entry, append, metrics, table
from synapse_bum.audit.chain_watch import INTERVAL_BROKEN_MS, INTERVAL_MS, LEASE, ChainWatch
from synapse_bum.database import Database, Leases

NEVER = "nan"


class ChainWatchTestCase(HomeserverTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.api = self.hs.get_module_api()
        self.database = Database(self.api, AUDIT)
        self.watch = ChainWatch(self.api, self.database)
        for number in range(5):
            self.get_success(self.database.run("test", append, Entry(number, "@boss:test", "example.done", "it")))
        batches = patch.object(table, "_VERIFY_BATCH", 2)
        batches.start()
        self.addCleanup(batches.stop)
        self.addCleanup(metrics.nothing_is_known)

    def sql(self, statement: str, *values: object) -> None:
        def execute(txn: LoggingTransaction) -> None:
            txn.execute(statement, values)

        self.get_success(self.database.run("test", execute))

    def look(self, after_ms: int = 0) -> str:
        """Lets time pass, has it look, and returns what the metric says then."""
        now_ms = self.api.get_current_time_msec() + after_ms
        with patch.object(self.api, "get_current_time_msec", lambda: now_ms):
            self.get_success(self.watch.tick())
        return f"{metrics.CHAIN_BROKEN._value.get():g}"

    def test_a_row_that_was_changed_by_hand_is_named_until_it_is_mended(self) -> None:
        assert self.look() == "0"
        self.sql("UPDATE synapse_bum_audit SET actor = '@nobody:test' WHERE id = 4")
        assert self.look(INTERVAL_MS - 1) == "0"
        with self.assertLogs("synapse_bum.audit.chain_watch", "ERROR") as logged:
            assert self.look(INTERVAL_MS) == "1"
        assert "from row 4 on" in logged.output[0]
        self.sql("UPDATE synapse_bum_audit SET actor = '@boss:test' WHERE id = 4")
        assert self.look(INTERVAL_MS + INTERVAL_BROKEN_MS) == "0"

    def test_rows_that_were_removed_from_the_end_are_missed(self) -> None:
        self.sql("DELETE FROM synapse_bum_audit WHERE id = 5")
        with self.assertLogs("synapse_bum.audit.chain_watch", "ERROR"):
            assert self.look() == "1"

    def test_rows_that_are_dropped_with_age_in_the_middle_of_a_look_are_not_missed(self) -> None:
        first = self.get_success(self.database.run("test", table.verify_batch, None))
        self.get_success(self.database.run("test", table.drop_older, 4, 10))
        assert self.get_success(self.database.run("test", table.verify_batch, first.end)).broken_id is None

    def test_who_does_not_verify_says_nothing(self) -> None:
        other = Leases(self.api, self.database)
        lease = self.get_success(other.acquire(LEASE, 60_000))
        assert lease is not None
        assert self.look() == NEVER
        self.get_success(other.release(lease))
        assert self.look() == "0"

    def test_a_database_that_is_away_is_a_warning(self) -> None:
        with (
            patch.object(self.database, "run", side_effect=RuntimeError("the database is away\nsecret row")),
            self.assertLogs("synapse_bum.audit.chain_watch", "WARNING") as logged,
        ):
            assert self.look() == NEVER
        assert logged.output[0].endswith("RuntimeError: the database is away")
