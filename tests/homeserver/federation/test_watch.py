"""What one process tells operators for all: metrics, and partners that end soon."""

import logging
import math

from synapse_bum.federation import metrics
from synapse_bum.federation.watch import TICK_MS
from synapse_bum.testing.federation_case import FederationTestCase

DAY_MS = 86_400_000


class WatchTestCase(FederationTestCase):
    federation = {"partners": {"fixed.example": {}}}

    def look(self) -> None:
        self.reactor.advance(TICK_MS / 1000)
        self.pump()

    def value(self, source: str) -> float:
        found: float = metrics.PARTNERS.labels(source=source)._value.get()
        return found

    def test_partners_are_counted_by_source(self) -> None:
        self.add("a.example")
        self.add("over.example", valid_until_ts=self.now_ms() - 1)
        self.look()
        assert (self.value("static"), self.value("managed"), self.value("signed_list")) == (1, 1, 0)
        assert metrics.LOADED._value.get() == 1
        assert abs(metrics.LAST_CHANGE._value.get() - self.now_ms() / 1000) < 120
        assert math.isnan(metrics.LIST_AGE._value.get())

    def test_who_ends_soon_is_counted_and_logged_once_a_day(self) -> None:
        self.add("soon.example", valid_until_ts=self.now_ms() + 13 * DAY_MS)
        self.add("later.example", valid_until_ts=self.now_ms() + 16 * DAY_MS)
        with self.assertLogs("synapse_bum.federation.watch", logging.WARNING) as logged:
            self.look()
            self.look()
            assert metrics.EXPIRING._value.get() == 1
            self.reactor.advance(DAY_MS / 1000)
            self.look()
        assert [record.getMessage() for record in logged.records] == [
            "The partner soon.example ends in 13.0 days; nobody is kicked then",
            "The partner soon.example ends in 12.0 days; nobody is kicked then",
        ]
