"""Alerts in a homeserver: log, metric, and a mail through Synapse's mailer that comes once, whatever fails."""

import email
import email.policy
from collections.abc import Mapping
from typing import Any, ClassVar
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import REGISTRY
from synapse.module_api import LoggingTransaction
from synapse.server import HomeServer
from tests.unittest import HomeserverTestCase
from twisted.internet.defer import Deferred, fail, succeed

from synapse_bum.config import SetupError
from synapse_bum.database import Database
from synapse_bum.storage.alerts import Alerts, check_mail
from synapse_bum.storage.alerts.alerts import LOOK_EVERY_MS, SEND_SECONDS
from synapse_bum.storage.alerts.outbox import MAX_AGE_MS, RETRY_MS
from synapse_bum.storage.usage import Pool

OPERATORS = "betrieb@example.org"
WITH_MAIL: Mapping[str, Any] = {"email": {"notif_from": "BundesMessenger <messenger@bum.example>", "smtp_host": "x"}}


class AlertsTestCase(HomeserverTestCase):
    """A pool of 1000 bytes, and thresholds of 80 and 100 %.

    Attributes:
        alert_email: value of the key; set by subclasses.
        answer: what the mail server does with the next mails: a Deferred, made anew for each.
        mails: that it was given: who gets it, and the bytes.
    """

    alert_email: ClassVar[str | None] = OPERATORS

    def default_config(self) -> dict[str, Any]:
        return {**super().default_config(), **WITH_MAIL}

    def prepare(self, _reactor: object, _clock: object, homeserver: HomeServer) -> None:
        self.mails: list[tuple[str, bytes]] = []
        self.answer: Any = lambda: succeed(None)

        async def send(
            _reactor: object, _host: str, _port: int, _sender: str, to: str, message: bytes, **_: object
        ) -> None:
            self.mails.append((to, message))
            await self.answer()

        homeserver.get_send_email_handler()._sendmail = send  # type: ignore[assignment]
        self.database = Database(homeserver.get_module_api())
        self.alerts = self.new_alerts()

    def new_alerts(self) -> Alerts:
        """What a process has after its start."""
        return Alerts(
            self.hs.get_module_api(),
            self.database,
            alert_at=[0.8, 1.0],
            email=self.alert_email,
            timezone=ZoneInfo("Europe/Berlin"),
            hard_limit_bytes=None,
        )

    def update(self, used_bytes: int) -> None:
        """What the accounting does when it has counted."""

        def count(txn: LoggingTransaction) -> None:
            self.alerts.note(txn, Pool(1, used_bytes, 1000, 1000), self.clock.time_msec())

        self.get_success(self.database.run_on_snapshot("test", count))

    def deliver(self) -> None:
        self.get_success(self.alerts.deliver())

    def wait(self, ms: int) -> None:
        self.reactor.advance(ms / 1000 + 1)

    def waiting(self) -> int:
        def read(txn: LoggingTransaction) -> int:
            txn.execute("SELECT COUNT(*) FROM synapse_bum_storage_alert_mails")
            row = txn.fetchone()
            assert row is not None
            return int(row[0])

        return self.get_success(self.database.run("test", read))

    def reached(self, threshold: str) -> float | None:
        return REGISTRY.get_sample_value("synapse_bum_storage_threshold_reached", {"threshold": threshold})


class TellingTests(AlertsTestCase):
    """Everything works."""

    def test_a_threshold_is_said_by_log_metric_and_mail_once(self) -> None:
        with self.assertLogs("synapse_bum.storage.alerts", "WARNING") as logged:
            self.update(800)
        assert [record.getMessage() for record in logged.records] == [
            "The storage pool has reached 80 %: 800 bytes used of 1000"
        ]
        assert (self.reached("80"), self.reached("100")) == (1, 0)
        self.deliver()
        with self.assertNoLogs("synapse_bum.storage.alerts", "WARNING"):
            self.update(810)
            self.wait(RETRY_MS)
            self.deliver()
        assert len(self.mails) == 1
        assert self.waiting() == 0

    def test_the_mail_is_one_that_a_mail_program_can_read(self) -> None:
        self.update(800)
        self.deliver()
        [(to, sent)] = self.mails
        assert to == OPERATORS
        message = email.message_from_bytes(sent, policy=email.policy.default)
        assert message["Subject"] == "[test] Speicherplatz zu 80,0 % belegt"
        assert message["From"] == "BundesMessenger <messenger@bum.example>"
        bodies = {part.get_content_type(): part.get_content() for part in message.walk() if not part.is_multipart()}
        assert set(bodies) == {"text/plain", "text/html"}
        for body in bodies.values():
            assert "für jede Schwelle" in body
            assert "abgerechnet" in body

    def test_a_restart_tells_nothing_again(self) -> None:
        self.update(800)
        self.deliver()
        self.alerts = self.new_alerts()
        self.update(800)
        self.wait(RETRY_MS)
        self.deliver()
        assert len(self.mails) == 1

    def test_thresholds_that_are_reached_together_come_in_one_mail(self) -> None:
        with self.assertLogs("synapse_bum.storage.alerts", "WARNING") as logged:
            self.update(1000)
        assert len(logged.records) == 2
        self.deliver()
        assert len(self.mails) == 1

    def test_usage_that_falls_is_said_and_makes_the_threshold_news_again(self) -> None:
        self.update(800)
        with self.assertLogs("synapse_bum.storage.alerts", "INFO") as logged:
            self.update(700)
        assert "below 80 % again" in logged.records[0].getMessage()
        assert self.reached("80") == 0
        self.update(800)
        self.deliver()
        assert len(self.mails) == 2

    def test_an_update_that_is_rolled_back_tells_nothing(self) -> None:
        def count(txn: LoggingTransaction) -> None:
            self.alerts.note(txn, Pool(1, 800, 1000, 1000), self.clock.time_msec())
            raise OSError("the connection is closed")

        with self.assertNoLogs("synapse_bum.storage.alerts", "WARNING"):
            self.get_failure(self.database.run_on_snapshot("test", count), OSError)
        self.deliver()
        assert self.mails == []
        self.update(800)
        self.deliver()
        assert len(self.mails) == 1

    def test_who_does_not_keep_the_ledger_says_nothing_in_the_metrics(self) -> None:
        self.update(800)
        self.alerts.nothing_is_known()
        value = self.reached("80")
        assert value is not None
        assert value != value  # noqa: PLR0124 - not a number


class FailingTests(AlertsTestCase):
    """A mail server that fails."""

    def test_a_mail_that_was_refused_is_sent_later_and_once(self) -> None:
        self.update(800)
        self.answer = lambda: fail(OSError("connection refused\nDETAIL: alice has a secret"))
        with self.assertLogs("synapse_bum.storage.alerts", "WARNING") as logged:
            self.deliver()
        assert logged.records[0].getMessage().endswith("it is tried again: OSError: connection refused")
        self.answer = lambda: succeed(None)
        self.deliver()
        assert len(self.mails) == 1
        self.wait(RETRY_MS)
        self.deliver()
        assert len(self.mails) == 2
        self.wait(RETRY_MS)
        self.deliver()
        assert (len(self.mails), self.waiting()) == (2, 0)

    def test_a_mail_server_that_never_answers_is_not_waited_for(self) -> None:
        self.update(800)
        self.answer = Deferred
        work: Deferred[None] = Deferred.fromCoroutine(self.alerts.deliver())
        self.pump()
        assert not work.called
        self.reactor.advance(SEND_SECONDS + 1)
        self.pump()
        self.successResultOf(work)
        assert self.waiting() == 1

    def test_two_processes_do_not_send_the_same_mail(self) -> None:
        self.update(800)
        other = self.new_alerts()
        self.answer = Deferred
        first: Deferred[None] = Deferred.fromCoroutine(self.alerts.deliver())
        self.pump()
        self.get_success(other.deliver())
        assert len(self.mails) == 1
        self.reactor.advance(SEND_SECONDS + 1)
        self.pump()
        self.successResultOf(first)

    def test_a_mail_that_was_sent_and_could_not_be_crossed_off_is_not_sent_again(self) -> None:
        self.update(800)
        run = self.database.run

        def failing(desc: str, *arguments: Any) -> Any:  # noqa: ANN401 - as the method
            if desc == "synapse_bum_storage_mail_sent":
                raise OSError("the connection is closed")
            return run(desc, *arguments)

        with patch.object(self.database, "run", failing):
            self.get_failure(self.alerts.deliver(), OSError)
        self.wait(RETRY_MS)
        self.deliver()
        assert (len(self.mails), self.waiting()) == (1, 0)

    def test_a_mail_of_another_process_is_found_within_a_minute(self) -> None:
        self.deliver()
        other = self.new_alerts()
        self.update(800)
        self.get_success(other.deliver())
        assert len(self.mails) == 1
        self.update(1000)
        self.wait(LOOK_EVERY_MS)
        self.get_success(other.deliver())
        assert len(self.mails) == 2

    def test_a_mail_that_nobody_could_send_for_a_week_is_given_up(self) -> None:
        self.update(800)
        self.wait(MAX_AGE_MS)
        with self.assertLogs("synapse_bum.storage.alerts", "WARNING") as logged:
            self.deliver()
        assert "Gave up on 1 mails" in logged.records[0].getMessage()
        assert (self.mails, self.waiting()) == ([], 0)


class WithoutAddressTests(AlertsTestCase):
    """Nobody wants a mail."""

    alert_email: ClassVar[str | None] = None

    def test_log_and_metric_are_all(self) -> None:
        with self.assertLogs("synapse_bum.storage.alerts", "WARNING"):
            self.update(800)
        self.deliver()
        assert (self.mails, self.waiting()) == ([], 0)


class CheckTests(HomeserverTestCase):
    """A homeserver.yaml without a section `email`."""

    def test_an_address_stops_the_start_with_a_sentence(self) -> None:
        with pytest.raises(SetupError, match=r"`config\.alert_email`.*`email`.*`notif_from`.*remove `alert_email`"):
            check_mail(self.hs.get_module_api(), OPERATORS)

    def test_no_address_needs_no_mail_server(self) -> None:
        check_mail(self.hs.get_module_api(), None)


class CheckWithMailTests(AlertsTestCase):
    """A homeserver.yaml with a section `email`."""

    def test_an_address_is_fine(self) -> None:
        check_mail(self.hs.get_module_api(), OPERATORS)
