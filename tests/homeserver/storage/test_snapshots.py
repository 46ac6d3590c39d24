"""Snapshots in a homeserver's own database: what unit tests show on SQLite holds on PostgreSQL as well."""

from collections.abc import Callable
from datetime import date
from typing import TypeVar

from tests.unittest import HomeserverTestCase

from synapse_bum.database import Database
from synapse_bum.storage import snapshots
from synapse_bum.storage.snapshots import Snapshot
from synapse_bum.storage.snapshots_tables import SNAPSHOTS
from synapse_bum.storage.usage import Stored

R = TypeVar("R")

LARGE = 2**50
EVERYTHING = date(1970, 1, 1), date(2999, 12, 31)


def a_count(day: int, ts: int, users: int = 1) -> Snapshot:
    return Snapshot(date(2026, 2, day), ts, users, 1, Stored(1, LARGE, 2, 3, 4, 5), LARGE + 1, LARGE + 2, 10**9)


class SnapshotTests(HomeserverTestCase):
    def prepare(self, *_reactor_clock_and_homeserver: object) -> None:
        self.database = Database(self.hs.get_module_api(), SNAPSHOTS)

    def run_in_database(self, func: Callable[..., R], *args: object) -> R:
        return self.get_success(self.database.run("test", func, *args))

    def test_the_last_count_of_a_day_stands_for_it(self) -> None:
        assert self.run_in_database(snapshots.first) is None
        for count in (a_count(1, 10), a_count(2, 20), a_count(2, 30, users=2), a_count(1, 5, users=3)):
            self.run_in_database(snapshots.write, count)
        counts = [a_count(1, 10), a_count(2, 30, users=2)]
        assert self.run_in_database(snapshots.read, *EVERYTHING) == counts
        assert self.run_in_database(snapshots.read, date(2026, 2, 1), date(2026, 2, 2)) == counts[:1]
        assert self.run_in_database(snapshots.first) == counts[0]

    def test_pages_and_dropping(self) -> None:
        counts = [a_count(day, day * 10) for day in range(1, 6)]
        for count in counts:
            self.run_in_database(snapshots.write, count)
        assert self.run_in_database(snapshots.list_history, 20, 50, 1, 1) == (counts[2:3], 3)
        self.run_in_database(snapshots.drop_older, date(2026, 2, 4))
        assert self.run_in_database(snapshots.read, *EVERYTHING) == counts[3:]
