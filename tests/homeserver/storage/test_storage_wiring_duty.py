"""The duty of the storage module: what is counted when, and what a count that fails or is cut off leaves behind."""

from datetime import date
from http import HTTPStatus

from prometheus_client import REGISTRY

from synapse_bum.rest import BASE
from synapse_bum.storage import snapshots
from synapse_bum.storage.duty import LEASE
from synapse_bum.storage.recounts import MAX_QUEUED
from synapse_bum.storage.snapshots import Snapshot
from synapse_bum.storage.usage import NOTHING
from synapse_bum.testing.storage_case import StorageTestCase

HOUR_S, DAY_S = 3_600, 86_400
JUNE_2026_S = 1_781_000_000
ELSEWHERE = "another process"


def _failures() -> float:
    return REGISTRY.get_sample_value("synapse_bum_storage_failures_total") or 0


class DutyTestCase(StorageTestCase):
    begin_s = JUNE_2026_S

    def change_behind_its_back(self, size_bytes: int) -> None:
        """Changes the size of alice's file in a way that only a full recount can find."""
        self.execute("UPDATE local_media_repository SET media_length = ? WHERE user_id = ?", size_bytes, self.alice)

    def give_lease_to_another(self) -> None:
        """Has another process hold the lease, by the clock of the test and by that on the wall."""
        until_ms = 4_000_000_000_000
        self.execute("DELETE FROM synapse_bum_leases WHERE name = ?", LEASE)
        self.execute(
            "INSERT INTO synapse_bum_leases (name, owner, expires_ts) VALUES (?, ?, ?)", LEASE, ELSEWHERE, until_ms
        )


class TestClock(DutyTestCase):
    """What happens without anybody's asking."""

    def test_all_is_counted_anew_each_day(self) -> None:
        self.upload(b"a" * 500, "text/plain")
        self.advance(2 * HOUR_S)
        self.change_behind_its_back(900)
        self.advance(2 * HOUR_S)
        assert self.answer("usage")["local_bytes"] == 500, "an update only looks at what came and went"
        self.advance(DAY_S, step=HOUR_S)
        assert self.answer("usage")["local_bytes"] == 900
        assert REGISTRY.get_sample_value("synapse_bum_storage_drift_bytes", {"kind": "local"}) == 400

    def test_what_nobody_may_ask_for_any_more_is_forgotten(self) -> None:
        forgotten = self.recount()["run_id"]
        for day in (date(2023, 6, 1), date(2024, 9, 1), date(2026, 6, 1)):
            self._counted_on(day)
        for name, until in (("long", date(2023, 6, 1)), ("lately", date(2026, 6, 1))):
            self.execute(
                "INSERT INTO synapse_bum_storage_users (user_id, locked, from_ts, until_ts) VALUES (?, 0, 0, ?)",
                f"@{name}:test",
                _ms(until),
            )
        self.execute("UPDATE synapse_bum_storage_recounts SET finished_ts = ?", _ms(date(2023, 6, 1)))
        kept = self.recount()["run_id"]
        history = self.answer("history")["history"]
        assert [day["ts"] for day in history][:-1] == [_ms(date(2024, 9, 1)), _ms(date(2026, 6, 1))]
        gone = self.rows("SELECT user_id FROM synapse_bum_storage_users WHERE until_ts IS NOT NULL")
        assert gone == [("@lately:test",)]
        assert self.ask(f"recount/{forgotten}").code == HTTPStatus.NOT_FOUND
        assert self.answer(f"recount/{kept}")["state"] == "done"

    def _counted_on(self, day: date) -> None:
        snapshot = Snapshot(day, _ms(day), 3, 0, NOTHING, 0, 3_000, 1_000)
        pool = self.hs.get_datastores().main.db_pool
        self.get_success(pool.runInteraction("test", snapshots.write, snapshot))

    def test_only_one_process_counts_and_the_others_say_no_number(self) -> None:
        self.advance(2 * HOUR_S)
        assert REGISTRY.get_sample_value("synapse_bum_storage_registered_users") == 3
        self.give_lease_to_another()
        as_of_ts = self.answer("usage")["as_of_ts"]
        self.advance(3 * HOUR_S)
        assert self.answer("usage")["as_of_ts"] == as_of_ts
        value = REGISTRY.get_sample_value("synapse_bum_storage_registered_users")
        assert value is None or value != value, "not a number"  # noqa: PLR0124 - NaN alone differs from itself


def _ms(day: date) -> int:
    """Some hours into a day."""
    return (day - date(1970, 1, 1)).days * DAY_S * 1_000 + 6 * HOUR_S * 1_000


class TestFailedCounts(DutyTestCase):
    """A count is all or nothing, and comes again."""

    def test_a_count_that_is_cut_off_at_its_last_step_leaves_nothing(self) -> None:
        """As of a process that is killed: the database undoes a transaction that was not committed."""
        kept, gone = self.upload(b"a" * 500, "text/plain"), self.upload(b"b" * 70, "text/plain")
        self.advance(2 * HOUR_S)
        before = self._all_that_is_known()
        with self.counts_fail():
            self.upload(b"c" * 3_000, "text/plain", token=self.bob_token)
            self.delete(gone)
            self.advance(2 * HOUR_S)
            self.fetch("far", b"d" * 900)
            self.register_user("carol", "pass")
            self.advance(2 * HOUR_S)
            assert self._all_that_is_known() == before
        self.advance(HOUR_S)
        usage = self.answer("usage")
        assert (usage["local_bytes"], usage["remote_bytes"], usage["users"]) == (3_500, 900, 4)
        assert {name: usage[name] for name in self.summed()} == self.summed()
        assert self.recount()["drift_bytes"] == {"local": 0, "remote": 0, "thumbnails": 0}
        assert self.download(kept).code == HTTPStatus.OK

    def _all_that_is_known(self) -> object:
        return (
            self.answer("usage"),
            self.answer("users?order_by=used_bytes"),
            self.answer("history"),
            sorted(self.rows("SELECT user_id, from_ts FROM synapse_bum_storage_users")),
        )

    def test_a_failing_count_is_tried_again_soon_but_not_at_each_turn(self) -> None:
        self.recount()
        with self.counts_fail():
            self.advance(HOUR_S - 600)
            before = _failures()
            self.advance(630, step=2)
            assert 1 <= _failures() - before <= 2
            before = _failures()
            self.advance(300, step=2)
            assert 4 <= _failures() - before <= 6
        missed_ms = self.now_ms
        self.advance(90, step=2)
        assert self.answer("usage")["as_of_ts"] > missed_ms, "as soon as it can be counted, it is"


class TestRecounts(DutyTestCase):
    """Recounts that somebody has asked for."""

    def test_one_that_fails_says_why_in_one_line_and_the_next_one_works(self) -> None:
        self.advance(10)
        with self.counts_fail():
            run_id = self.queue_recount()
            self.advance(10)
            failed = self.answer(f"recount/{run_id}")
        assert (failed["state"], failed["drift_bytes"]) == ("failed", None)
        assert failed["finished_ts"] is not None
        assert "synapse_bum_storage_alerts" in failed["error"]
        assert "\n" not in failed["error"]
        assert self.recount()["state"] == "done"
        assert self.answer(f"recount/{run_id}") == failed

    def test_one_that_was_cut_off_is_begun_anew(self) -> None:
        """It was begun by a process that is dead now."""
        self.upload(b"a" * 500, "text/plain")
        self.advance(2 * HOUR_S)
        self.change_behind_its_back(900)
        self.execute(
            "INSERT INTO synapse_bum_storage_recounts (run_id, state, started_by, created_ts, started_ts)"
            " VALUES ('cutoff', 'running', ?, 1, 2)",
            self.admin,
        )
        self.advance(10)
        found = self.answer("recount/cutoff")
        assert (found["state"], found["drift_bytes"]) == ("done", {"local": 400, "remote": 0, "thumbnails": 0})

    def test_only_so_many_may_wait(self) -> None:
        self.advance(10)
        self.give_lease_to_another()
        waiting = [self.queue_recount() for _ in range(MAX_QUEUED)]
        refused = self.ask("recount", "POST")
        assert refused.code == HTTPStatus.CONFLICT
        assert f"{MAX_QUEUED} recounts" in refused.json_body["error"]
        assert {self.answer(f"recount/{run_id}")["state"] for run_id in waiting} == {"queued"}
        self.execute("DELETE FROM synapse_bum_leases WHERE name = ?", LEASE)
        self.advance(60, step=2)
        assert {self.answer(f"recount/{run_id}")["state"] for run_id in waiting} == {"done"}
        assert self.recount()["state"] == "done"

    def test_whoever_asked_for_one_stands_in_the_audit(self) -> None:
        recount = self.recount()
        channel = self.make_request("GET", f"{BASE}/audit?action=storage.recount", access_token=self.admin_token)
        assert channel.code == HTTPStatus.OK, channel.json_body
        [entry] = channel.json_body["audit"]
        assert recount["run_id"] in entry.values()
        assert self.admin in entry.values()
