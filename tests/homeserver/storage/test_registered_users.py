"""Who is registered, by the rows that Synapse writes itself: every kind of user, and who came and went in the month."""

from synapse.module_api import LoggingTransaction
from synapse.rest import admin
from synapse.rest.client import login, register
from synapse.types import UserID
from tests.unittest import HomeserverTestCase, override_config

from synapse_bum.database import Database
from synapse_bum.storage import registered_users
from synapse_bum.storage.registered_users import UserCount, UserRule
from synapse_bum.storage.users_tables import USERS

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
EVERYBODY = UserRule()
WITHOUT_LOCKED = UserRule(count_locked=False)


class UsersTestCase(HomeserverTestCase):
    servlets = [admin.register_servlets, login.register_servlets, register.register_servlets]

    def prepare(self, *_reactor_clock_and_homeserver: object) -> None:
        self.database = Database(self.hs.get_module_api(), USERS)
        self.store = self.hs.get_datastores().main
        self.boss = self.register_user("boss", "secret", admin=True)
        self.boss_token = self.login("boss", "secret")

    @property
    def now_ms(self) -> int:
        return self.clock.time_msec()

    def let_pass(self, ms: int) -> None:
        self.reactor.advance(ms / 1000)

    def update(self, rule: UserRule = EVERYBODY, *, now_ms: int | None = None) -> UserCount:
        now_ms = self.now_ms if now_ms is None else now_ms
        return self.get_success(self.database.run("test", registered_users.update, rule, now_ms))

    def an_hour_later(self, rule: UserRule = EVERYBODY) -> UserCount:
        self.let_pass(HOUR_MS)
        return self.update(rule)

    def distinct(self, from_ts: int, to_ts: int) -> UserCount:
        return self.get_success(self.database.run("test", registered_users.distinct_users, from_ts, to_ts))

    def counted(self) -> set[str]:
        """The localparts of those who are registered now."""

        def read(txn: LoggingTransaction) -> list[tuple[str]]:
            txn.execute("SELECT user_id FROM synapse_bum_storage_users WHERE until_ts IS NULL")
            return list(txn.fetchall())

        rows = self.get_success(self.database.run("test", read))
        return {UserID.from_string(user_id).localpart for (user_id,) in rows}

    def a_user(self, name: str, **fields: object) -> str:
        """Make a user through Synapse's admin API."""
        user_id = f"@{name}:test"
        self.change(user_id, password="secret", **fields)
        return user_id

    def change(self, user_id: str, **fields: object) -> None:
        channel = self.make_request("PUT", f"/_synapse/admin/v2/users/{user_id}", fields, self.boss_token)
        assert channel.code in {200, 201}, channel.result

    def deactivate(self, user_id: str) -> None:
        self.change(user_id, deactivated=True)

    def reactivate(self, user_id: str) -> None:
        self.change(user_id, deactivated=False, password="secret")

    def suspend(self, user_id: str) -> None:
        channel = self.make_request("PUT", f"/_synapse/admin/v1/suspend/{user_id}", {"suspend": True}, self.boss_token)
        assert channel.code == 200, channel.result


class KindTests(UsersTestCase):
    @override_config({"allow_guest_access": True})
    def test_each_kind_of_user(self) -> None:
        self.a_user("plain")
        self.change(self.a_user("locked"), locked=True)
        self.suspend(self.a_user("suspended"))
        shadow_banned = self.a_user("shadow_banned")
        self.get_success(self.store.set_shadow_banned(UserID.from_string(shadow_banned), shadow_banned=True))
        back = self.a_user("reactivated")
        self.deactivate(back)
        self.reactivate(back)

        self.a_user("bot", user_type="bot")
        self.a_user("support", user_type="support")
        self.deactivate(self.a_user("deactivated"))
        channel = self.make_request("POST", "/_matrix/client/v3/register?kind=guest", {})
        assert channel.code == 200, channel.result
        self.get_success(self.store.register_user("@bridged:test", appservice_id="bridge"))
        unapproved = UserID.from_string(self.a_user("unapproved"))
        self.get_success(self.store.update_user_approval_status(unapproved, approved=False))

        counts = {"boss", "plain", "locked", "suspended", "shadow_banned", "reactivated"}
        assert self.update() == UserCount(users=len(counts), locked=1)
        assert self.counted() == counts
        assert self.distinct(self.now_ms, self.now_ms + 1) == UserCount(len(counts), 1)

        assert self.an_hour_later(WITHOUT_LOCKED) == UserCount(len(counts) - 1, 0)
        assert self.counted() == counts - {"locked"}

    def test_who_changes_his_kind(self) -> None:
        user_id = self.a_user("robot")
        assert self.update().users == 2
        self.change(user_id, user_type="bot")
        assert self.an_hour_later().users == 1
        self.change(user_id, user_type=None)
        assert self.an_hour_later().users == 2

    def test_who_waited_for_approval_counts_from_the_count_that_saw_it(self) -> None:
        self.update()
        user_id = UserID.from_string(self.a_user("new"))
        self.get_success(self.store.update_user_approval_status(user_id, approved=False))
        assert self.an_hour_later().users == 1
        self.get_success(self.store.update_user_approval_status(user_id, approved=True))
        waited_until_ms = self.now_ms
        assert self.an_hour_later().users == 2
        assert self.distinct(0, waited_until_ms + 1).users == 1

    def test_exceptions_by_user_id_and_by_pattern(self) -> None:
        for name in ("monitor", "monitor2", "svc-mail", "svc-x", "Svc-y", "team1", "team12", "a.b", "axb"):
            self.get_success(self.store.register_user(f"@{name}:test"))
        rule = UserRule(exclude=("@monitor:test", "@svc-*:test", "@team?:test", "@a.b:test"))
        assert self.update(rule) == UserCount(5, 0)
        assert self.counted() == {"boss", "monitor2", "Svc-y", "team12", "axb"}

    def test_many_exceptions(self) -> None:
        names = [f"svc-{number}" for number in range(1_100)]
        for name in names:
            self.get_success(self.store.register_user(f"@{name}:test"))
        assert self.update().users == 1_101
        assert self.update(UserRule(exclude=("@svc-*:test",))).users == 1
        assert self.update(UserRule(exclude=tuple(f"@{name}:test" for name in names[1:]))).users == 2


class DistinctTests(UsersTestCase):
    def test_nothing_is_known_before_the_first_count(self) -> None:
        assert self.get_success(self.database.run("test", registered_users.counted_ts)) is None
        assert self.distinct(0, self.now_ms + DAY_MS) == UserCount(0, 0)
        for _count in range(2):
            self.let_pass(HOUR_MS)
            self.update()
            assert self.get_success(self.database.run("test", registered_users.counted_ts)) == self.now_ms

    def test_who_was_gone_before_the_first_count_is_nobody(self) -> None:
        self.deactivate(self.a_user("gone"))
        self.let_pass(HOUR_MS)
        begin_ms = self.now_ms
        assert self.update().users == 1
        assert self.an_hour_later().users == 1
        assert self.distinct(0, begin_ms + DAY_MS).users == 1

    def test_created_and_deleted_in_the_month_counts_in_it(self) -> None:
        begin_ms = self.now_ms
        self.update()
        user_id = self.a_user("short")
        assert self.an_hour_later().users == 2
        self.deactivate(user_id)
        assert self.an_hour_later().users == 1
        self.let_pass(DAY_MS)
        next_ms = self.now_ms
        assert self.update().users == 1
        assert self.distinct(begin_ms, next_ms).users == 2
        assert self.distinct(next_ms, next_ms + DAY_MS).users == 1

    def test_created_and_deleted_between_two_counts_counts_in_the_month(self) -> None:
        begin_ms = self.now_ms
        self.update()
        self.let_pass(60_000)
        self.deactivate(self.a_user("shorter"))
        created_ms = self.now_ms
        for _ in range(3):
            assert self.an_hour_later().users == 1
        assert self.distinct(begin_ms, self.now_ms + 1).users == 2
        assert self.distinct(created_ms + 1, self.now_ms + 1).users == 1

    def test_in_the_very_second_of_a_count(self) -> None:
        second_ms = self.now_ms // 1000 * 1000
        self.update()
        self.deactivate(self.a_user("fast"))
        self.an_hour_later()
        assert self.distinct(second_ms, self.now_ms).users == 2

    def test_who_is_excepted_or_no_user_does_not_count_between_two_counts_either(self) -> None:
        rule = UserRule(exclude=("@svc-*:test",), count_locked=False)
        begin_ms = self.now_ms
        self.update(rule)
        self.let_pass(60_000)
        self.deactivate(self.a_user("svc-a"))
        self.deactivate(self.a_user("bot", user_type="bot"))
        locked = self.a_user("locked")
        self.deactivate(locked)
        self.get_success(self.store.set_user_locked_status(locked, locked=True))
        self.an_hour_later(rule)
        assert self.distinct(begin_ms, self.now_ms).users == 1

    def test_who_came_in_a_month_and_was_first_seen_in_the_next_counts_in_both(self) -> None:
        self.update()
        self.let_pass(60_000)
        self.a_user("late")
        self.let_pass(60_000)
        next_ms = self.now_ms
        self.an_hour_later()
        assert self.distinct(0, next_ms).users == 2
        assert self.distinct(next_ms, next_ms + DAY_MS).users == 2

    def test_who_was_last_seen_in_a_month_does_not_count_in_the_next(self) -> None:
        user_id = self.a_user("leaving")
        self.update()
        self.let_pass(60_000)
        next_ms = self.now_ms
        self.deactivate(user_id)
        self.an_hour_later()
        assert self.distinct(0, next_ms).users == 2
        assert self.distinct(next_ms, next_ms + DAY_MS).users == 1

    def test_a_reactivated_user_counts_again_and_once(self) -> None:
        begin_ms = self.now_ms
        user_id = self.a_user("back")
        self.update()
        self.deactivate(user_id)
        self.an_hour_later()
        self.let_pass(DAY_MS)
        away_ms = self.now_ms
        self.update()
        self.let_pass(DAY_MS)
        self.reactivate(user_id)
        assert self.an_hour_later().users == 2
        assert self.distinct(begin_ms, begin_ms + HOUR_MS).users == 2
        assert self.distinct(away_ms, away_ms + HOUR_MS).users == 1
        assert self.distinct(begin_ms, self.now_ms + 1) == UserCount(2, 0)

    def test_a_past_month_keeps_its_number_of_locked_users(self) -> None:
        begin_ms = self.now_ms
        user_id = self.a_user("careless")
        self.update()
        self.let_pass(DAY_MS)
        second_ms = self.now_ms
        self.change(user_id, locked=True)
        assert self.an_hour_later() == UserCount(2, 1)
        self.let_pass(DAY_MS)
        third_ms = self.now_ms
        self.change(user_id, locked=False)
        assert self.an_hour_later() == UserCount(2, 0)
        assert self.distinct(begin_ms, second_ms) == UserCount(2, 0)
        assert self.distinct(second_ms, third_ms) == UserCount(2, 1)
        assert self.distinct(third_ms, self.now_ms + 1) == UserCount(2, 0)
        assert self.distinct(begin_ms, self.now_ms + 1) == UserCount(2, 0)

    def test_locked_users_that_no_longer_count_stay_in_the_past(self) -> None:
        begin_ms = self.now_ms
        self.change(self.a_user("locked"), locked=True)
        self.update()
        self.let_pass(DAY_MS)
        second_ms = self.now_ms
        assert self.update(WITHOUT_LOCKED) == UserCount(1, 0)
        assert self.distinct(begin_ms, second_ms) == UserCount(2, 1)
        assert self.distinct(second_ms, self.now_ms + 1) == UserCount(1, 0)

    def test_an_exception_that_is_made_later_holds_from_then_on(self) -> None:
        rule = UserRule(exclude=("@monitor:test",))
        begin_ms = self.now_ms
        self.a_user("monitor")
        assert self.update().users == 2
        self.let_pass(DAY_MS)
        second_ms = self.now_ms
        assert self.update(rule).users == 1
        self.let_pass(DAY_MS)
        third_ms = self.now_ms
        assert self.update().users == 2
        assert self.distinct(begin_ms, second_ms).users == 2
        assert self.distinct(second_ms, third_ms).users == 1
        assert self.distinct(third_ms, third_ms + 1).users == 2

    def test_what_is_too_old_is_dropped_and_who_is_registered_stays(self) -> None:
        begin_ms = self.now_ms
        user_id = self.a_user("gone")
        self.update()
        self.deactivate(user_id)
        self.let_pass(DAY_MS)
        self.update()
        self.get_success(self.database.run("test", registered_users.drop_older, self.now_ms))
        assert self.distinct(begin_ms, begin_ms + HOUR_MS).users == 1
        assert self.an_hour_later().users == 1


class ClockTests(UsersTestCase):
    def test_a_clock_that_was_ahead_when_counting_began(self) -> None:
        self.a_user("early")
        self.update(now_ms=self.now_ms + 400 * DAY_MS)
        self.let_pass(HOUR_MS)
        right_ms = self.now_ms
        self.deactivate(self.a_user("short"))
        assert self.an_hour_later().users == 2
        assert self.get_success(self.database.run("test", registered_users.counted_ts)) == self.now_ms
        assert self.an_hour_later().users == 2
        assert self.distinct(right_ms, self.now_ms).users == 2

    def test_who_comes_or_goes_while_the_clock_goes_back_a_day_is_counted_once(self) -> None:
        leaving = self.a_user("leaving")
        self.let_pass(2 * DAY_MS)
        self.update()
        self.update(now_ms=self.now_ms + DAY_MS)
        self.let_pass(60_000)
        self.a_user("coming")
        self.deactivate(self.a_user("short"))
        self.deactivate(leaving)
        assert self.an_hour_later().users == 2
        month = self.now_ms - DAY_MS, self.now_ms + 1
        assert self.distinct(*month).users == 4
        assert self.distinct(self.now_ms + 1, self.now_ms + 2 * DAY_MS).users == 2
        assert self.an_hour_later().users == 2

    def test_an_update_in_the_same_millisecond_changes_nothing(self) -> None:
        self.a_user("somebody")
        assert self.update() == self.update() == UserCount(2, 0)
        assert self.distinct(0, self.now_ms + 1).users == 2
