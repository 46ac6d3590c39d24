"""The shortcuts of `quick_homeservers` lead to the same database, and to the same order of what a clock calls."""

import random
import re
import unittest
from collections.abc import Mapping
from unittest.mock import patch

from synapse.storage.database import LoggingDatabaseConnection
from tests import server
from tests.unittest import HomeserverTestCase
from twisted.internet.task import Clock

Rows = Mapping[str, list[str]]


class _Homeserver(HomeserverTestCase):
    rows: Rows

    def runTest(self) -> None:  # noqa: N802 - unittest's name
        def read(connection: LoggingDatabaseConnection) -> Rows:
            rows = connection.cursor()
            rows.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")
            found = {"schema": list(map(repr, rows.fetchall()))}
            rows.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (name,) in rows.fetchall():
                rows.execute(f'SELECT * FROM "{name}"')  # noqa: S608 - a name from the schema
                found[name] = sorted(map(_without_times, rows.fetchall()))
            return found

        self.rows = self.get_success(self.hs.get_datastores().main.db_pool.runWithConnection(read))


def _without_times(row: tuple[object, ...]) -> str:
    """The schema writes when it was made, by the clock of the machine."""
    return re.sub(r"\b[12]\d{12}\b", "<ms>", repr(row))


def _rows_of_a_new_homeserver() -> Rows:
    case, result = _Homeserver("runTest"), unittest.TestResult()
    case.run(result)  # type: ignore[no-untyped-call]
    assert result.wasSuccessful(), [*result.errors, *result.failures]
    return case.rows


class SharedDatabaseTest(HomeserverTestCase):
    def test_a_later_homeserver_has_the_database_that_it_would_have_made_itself(self) -> None:
        with patch.object(server, "PREPPED_SQLITE_DB_CONN", None):
            made_anew = _rows_of_a_new_homeserver()
        assert made_anew["background_updates"] == []
        assert len(made_anew["applied_schema_deltas"]) > 50
        assert _rows_of_a_new_homeserver() == made_anew


class ClockTest(HomeserverTestCase):
    def test_what_waits_is_called_by_its_time_wherever_it_was_moved(self) -> None:
        numbers = random.Random(1)  # noqa: S311 - nothing is secret here
        clock, called = Clock(), list[int]()
        times = {}
        for number in range(300):
            call = clock.callLater(10 + 50 * numbers.random(), called.append, number)
            if number % 3 == 0:
                call.delay(30 * numbers.random())
            if number % 5 == 0:
                call.reset(5 + 90 * numbers.random())
            times[number] = call.getTime()
        clock.advance(200)
        assert called == sorted(times, key=times.__getitem__)
