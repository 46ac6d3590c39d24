"""What comes while the system clock is behind is not deleted when it is right again, but when its time is over."""

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from synapse.module_api import LoggingTransaction
from tests.unittest import HomeserverTestCase

from synapse_bum.database import Database
from synapse_bum.homeserver.clock_lags import CLOCK_LAGS_TABLE, last_stored_outside
from synapse_bum.homeserver.message_listing import stream_end
from synapse_bum.retention.clock_record import ClockRecord
from synapse_bum.testing.local_media_case import LocalMediaTestCase
from synapse_bum.testing.message_case import MessageTestCase
from synapse_bum.testing.remote_media_case import RemoteMediaTestCase

DAY_MS = 86_400_000
BEHIND_MS = 500 * DAY_MS


class WrongClock:
    """The system clock of a homeserver in a test, and the record of it that a run keeps."""

    def __init__(self, database: Database, case: HomeserverTestCase) -> None:
        self._reactor, self._get_success = case.reactor, case.get_success
        # Its module changed between versions of Synapse.
        self._clock_class = type(case.hs.get_clock())
        self.behind_ms = 0
        self.record = ClockRecord(database, self.wall_ms, self._real_ms)
        self._database = database

    def _real_ms(self) -> int:
        return int(self._reactor.seconds() * 1000)

    def wall_ms(self) -> int:
        return self._real_ms() - self.behind_ms

    def look(self) -> None:
        self._get_success(self.record.look())

    def restart(self) -> None:
        self.record.forget()

    def lags(self) -> list[tuple[int, ...]]:
        def read(txn: LoggingTransaction) -> list[tuple[int, ...]]:
            txn.execute(f"SELECT * FROM {CLOCK_LAGS_TABLE} ORDER BY id")  # noqa: S608
            return list(txn.fetchall())

        found: list[tuple[int, ...]] = self._get_success(self._database.run("test", read))
        return found

    def fall_behind(self) -> AbstractContextManager[object]:
        """Put the clock back; while entered, Synapse stores what comes with its time."""
        self.look()
        self.behind_ms = BEHIND_MS
        return patch.object(self._clock_class, "time_msec", lambda _clock: self.wall_ms())

    def correct(self) -> None:
        """Put the clock right."""
        self.behind_ms = 0
        self.look()


class MessageTests(MessageTestCase):
    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - as in the class above
        super().prepare(*reactor_clock_and_homeserver)
        self.wrong = WrongClock(self.database, self)

    def lagging(self) -> list[str]:
        """Send messages while the clock is behind."""
        with self.wrong.fall_behind():
            # The first before anybody looks at the clock.
            sent = [self.sent("early")]
            self.wrong.look()
            self.reactor.advance(3 * 3600)
            sent.append(self.sent("late"))
        self.wrong.correct()
        return sent

    def sent(self, body: str) -> str:
        event_id: str = self.helper.send(self.room, body, tok=self.alice_token)["event_id"]
        return event_id

    def test_messages_of_a_lag_live_as_long_as_others_from_its_end_on(self) -> None:
        lagging = self.lagging()
        received = [self.column("events", "received_ts", event_id=event_id)[0] for event_id in lagging]
        assert max(received) < self.cutoff_ts, "they do look old"
        self.send("after")
        self.run_once(thorough=True)
        assert self.backlog() == 0
        assert [(self.content_of(event_id) or {}).get("body") for event_id in lagging] == ["early", "late"]
        self.reactor.advance(366 * DAY_MS / 1000)
        self.send("much later")
        self.run_once("another")
        assert not any(self.content_of(event_id) for event_id in lagging)

    def test_messages_that_really_are_old_go_all_the_same(self) -> None:
        old = [self.send(f"old{n}", days=500) for n in range(2)]
        for _ in range(150):
            self.send_young()
        self.lagging()
        self.run_once(thorough=True)
        assert not any(self.content_of(event_id) for event_id in old)

    def send_young(self) -> None:
        self.sent("young")

    def test_what_is_fetched_from_the_past_in_a_lag_is_as_old_as_its_sender_says(self) -> None:
        latest = self.sent("latest")
        self.join_remote()
        with self.wrong.fall_behind():
            self.wrong.look()
            young = self.backfill(latest, -BEHIND_MS / DAY_MS + 100)
            old = self.backfill(latest, -BEHIND_MS / DAY_MS + 450, "older")
        self.wrong.correct()
        self.run_once(thorough=True)
        assert self.content_of(young)
        assert not self.content_of(old)

    def test_a_restart_in_a_lag_goes_on_with_it(self) -> None:
        with self.wrong.fall_behind():
            self.wrong.look()
            self.wrong.restart()
            self.reactor.advance(3600)
            sent = self.sent("after the restart")
            self.wrong.look()
        self.wrong.correct()
        assert len(self.wrong.lags()) == 1
        self.run_once(thorough=True)
        assert self.content_of(sent)

    def test_a_clock_that_is_right_leaves_nothing(self) -> None:
        for _ in range(3):
            self.wrong.look()
            self.reactor.advance(3600)
        assert self.wrong.lags() == []

    def test_the_end_of_what_was_stored_before_is_found_from_the_end_of_the_stream(self) -> None:
        before = self.in_database(stream_end)
        with self.wrong.fall_behind():
            self.sent("lagging")
            now_ms = self.wrong.wall_ms()
        found = self.in_database(lambda txn: last_stored_outside(txn, now_ms - DAY_MS, now_ms + DAY_MS))
        assert found == before


class LocalMediaTests(LocalMediaTestCase):
    def test_files_of_a_lag_live_as_long_as_others_from_its_end_on(self) -> None:
        wrong = WrongClock(self.module.database, self)
        self.reactor.advance(1000 * DAY_MS / 1000)
        with wrong.fall_behind():
            lagging = [self.upload(b"early")]
            wrong.look()
            self.reactor.advance(3 * 3600)
            lagging.append(self.upload(b"late"))
        wrong.correct()
        old = self.an_old_file(BEHIND_MS // DAY_MS - 100)
        self.get_ready()
        assert self.get_success(self.purger.backlog(self.cutoff_ts)).items == 1
        assert len(self.get_success(self.purger.sample(self.cutoff_ts))) == 1
        assert self.purge() == 1
        assert self.left([*lagging, old]) == lagging
        self.reactor.advance(89 * DAY_MS / 1000)
        assert self.purge("almost") == 0
        self.reactor.advance(2 * DAY_MS / 1000)
        assert self.purge("later") == 2


class RemoteMediaTests(RemoteMediaTestCase):
    def test_files_of_a_lag_live_as_long_as_others_from_its_end_on(self) -> None:
        wrong = WrongClock(self.module.database, self)
        self.days_pass(1000)
        self.receive("old")
        self.days_pass(15)
        with wrong.fall_behind():
            self.receive("early")
            wrong.look()
            self.reactor.advance(3 * 3600)
            self.receive("late")
        wrong.correct()
        assert self.backlog()[0] == 1
        assert len(self.get_success(self.purger.sample(self.cutoff))) == 1
        self.forget_index()
        assert self.backlog()[0] == 1, "measured without the index"
        assert self.run_purger() == 1
        assert self.row("old") != self.row("early")
        self.days_pass(13)
        assert self.run_purger() == 0
        self.days_pass(1.5)
        assert self.run_purger() == 2
