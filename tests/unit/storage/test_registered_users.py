"""The record of registered users against a plain account of who was registered when, over any order of events."""

import sqlite3
from collections.abc import Iterator

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.storage import registered_users
from synapse_bum.storage.registered_users import UserCount, UserRule, excluded_by
from synapse_bum.storage.users_tables import USERS

HOUR_MS = 3_600_000
BEGIN_MS = 1_800_000_000_000
SYNAPSES_TABLE = (
    "CREATE TABLE users (name TEXT UNIQUE, creation_ts BIGINT, upgrade_ts BIGINT, is_guest SMALLINT DEFAULT 0 NOT NULL,"
    " appservice_id TEXT, user_type TEXT, deactivated SMALLINT DEFAULT 0 NOT NULL, approved BOOLEAN,"
    " locked BOOLEAN DEFAULT FALSE NOT NULL)"
)
NAMES = [f"@{name}:test" for name in ("a", "b", "svc-c", "svc-d")]


@attr.s(auto_attribs=True)
class Account:
    """One user, and at which moments he was really registered.

    Attributes:
        is_open: not deactivated.
        locked: by an administrator.
        spans: from when until when he was not deactivated; ms since the epoch.
    """

    is_open: bool
    locked: bool
    spans: list[list[int]]


class Server:
    """Synapse's table of users, our record of it, and the truth."""

    def __init__(self) -> None:
        self.txn = sqlite3.connect(":memory:").cursor()
        self.txn.execute(SYNAPSES_TABLE)
        migrate(self.txn, Dialect.SQLITE, [USERS])
        self.now_ms = BEGIN_MS
        self.accounts: dict[str, Account] = {}
        self.seen: list[tuple[int, set[str]]] = []

    def let_pass(self, ms: int) -> None:
        self.now_ms += ms
        for account in self.accounts.values():
            if account.is_open:
                account.spans[-1][1] = self.now_ms

    def open_or_close(self, name: str) -> None:
        account = self.accounts.get(name)
        if account is None:
            self.accounts[name] = Account(is_open=True, locked=False, spans=[[self.now_ms, self.now_ms]])
            self.txn.execute("INSERT INTO users (name, creation_ts) VALUES (?, ?)", (name, self.now_ms // 1000))
            return
        account.is_open = not account.is_open
        if account.is_open:
            account.spans.append([self.now_ms, self.now_ms])
        self.txn.execute("UPDATE users SET deactivated = ? WHERE name = ?", (not account.is_open, name))

    def lock_or_unlock(self, name: str) -> None:
        if name in self.accounts:
            self.accounts[name].locked = not self.accounts[name].locked
            self.txn.execute("UPDATE users SET locked = ? WHERE name = ?", (self.accounts[name].locked, name))

    def count(self, rule: UserRule) -> None:
        found = registered_users.update(self.txn, rule, self.now_ms)
        expected = {
            name: account
            for name, account in self.accounts.items()
            if account.is_open
            and not (rule.exclude and name.startswith("@svc-"))
            and (rule.count_locked or not account.locked)
        }
        assert found == UserCount(len(expected), sum(account.locked for account in expected.values()))
        self.seen.append((self.now_ms, set(expected)))

    def open_rows(self) -> list[str]:
        self.txn.execute("SELECT user_id FROM synapse_bum_storage_users WHERE until_ts IS NULL")
        return sorted(user_id for (user_id,) in self.txn.fetchall())

    def rows(self) -> list[tuple[str, int, int | None]]:
        # Two counts of the same millisecond leave two rows that begin in it.
        self.txn.execute(
            "SELECT user_id, from_ts, until_ts FROM synapse_bum_storage_users"
            " ORDER BY user_id, from_ts, COALESCE(until_ts, ?)",
            (2**62,),
        )
        return list(self.txn.fetchall())


rules = st.sampled_from([UserRule(), UserRule(("@svc-*:test",)), UserRule(count_locked=False)])
events = st.lists(
    st.one_of(
        st.tuples(st.just("open_or_close"), st.sampled_from(NAMES)),
        st.tuples(st.just("lock_or_unlock"), st.sampled_from(NAMES)),
        st.tuples(st.just("let_pass"), st.integers(1, 60).map(lambda minutes: minutes * 60_000)),
        st.tuples(st.just("count"), rules),
    ),
    max_size=40,
)


@given(events)
def test_every_count_is_right_and_every_span_is_between_what_was_seen_and_what_was_true(
    story: list[tuple[str, object]],
) -> None:
    server = Server()
    server.count(UserRule())
    for act, argument in story:
        getattr(server, act)(argument)
    server.let_pass(HOUR_MS)
    server.count(UserRule())
    assert server.open_rows() == sorted(server.seen[-1][1])

    counts = [ts for ts, _names in server.seen]
    for from_ts in (BEGIN_MS, *counts):
        to_ts = from_ts + 2 * HOUR_MS
        found = registered_users.distinct_users(server.txn, from_ts, to_ts).users
        seen: set[str] = set().union(*(names for ts, names in server.seen if from_ts <= ts < to_ts))
        # Between two counts that have seen him somebody is taken to be registered.
        before = max((ts for ts in counts if ts < from_ts), default=from_ts)
        after = min((ts for ts in counts if ts >= to_ts), default=to_ts)
        true = {
            name
            for name, account in server.accounts.items()
            if any(begin <= after and end >= before for begin, end in account.spans)
        }
        assert len(seen) <= found <= len(true)


@given(events)
def test_the_rows_of_a_user_follow_each_other(story: list[tuple[str, object]]) -> None:
    server = Server()
    server.count(UserRule())
    for act, argument in story:
        getattr(server, act)(argument)
    until: dict[str, int | None] = {}
    for user_id, from_ts, until_ts in server.rows():
        former = until.get(user_id, 0)
        assert former is not None
        assert former <= from_ts <= server.now_ms
        assert until_ts is None or from_ts <= until_ts <= server.now_ms
        until[user_id] = until_ts


@given(st.lists(st.integers(-48, 48), min_size=1, max_size=12), st.data())
def test_whatever_the_clock_does_the_number_of_now_is_right(hours: list[int], data: st.DataObject) -> None:
    server = Server()
    for step in hours:
        for name in data.draw(st.sets(st.sampled_from(NAMES))):
            server.open_or_close(name)
        server.now_ms = BEGIN_MS + step * HOUR_MS
        server.count(UserRule())
        now = registered_users.distinct_users(server.txn, server.now_ms, server.now_ms + 1)
        assert now.users >= len(server.seen[-1][1])


@pytest.mark.parametrize(
    ("pattern", "named", "others"),
    [
        ("@bot:test", ["@bot:test"], ["@Bot:test", "@bot2:test", "@abot:test", "@bot:test2", "x@bot:test"]),
        ("@svc-*:test", ["@svc-:test", "@svc-mail:test"], ["@svc:test", "@svc-mail:other"]),
        ("@team?:test", ["@team1:test"], ["@team:test", "@team12:test"]),
        ("@*:test", ["@a:test", "@b:c:test"], ["@a:test.example"]),
        ("@a.b[c]+:test", ["@a.b[c]+:test"], ["@axb[c]+:test", "@a.bc:test", "@a.bcc:test"]),
    ],
)
def test_patterns(pattern: str, named: list[str], others: list[str]) -> None:
    is_excluded = excluded_by([pattern, "@unused:test"])
    assert all(map(is_excluded, named))
    assert not any(map(is_excluded, others))


def test_no_pattern_names_nobody() -> None:
    assert not any(map(excluded_by([]), ["@a:test", ":", "a"]))


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.txn.connection.close()


def test_only_changes_are_written(server: Server) -> None:
    for name in NAMES:
        server.open_or_close(name)
    server.count(UserRule())
    changes = server.txn.connection.total_changes
    server.let_pass(HOUR_MS)
    server.count(UserRule())
    # The time of the count.
    assert server.txn.connection.total_changes == changes + 1


def test_who_came_and_went_is_found_although_the_clock_has_gone_back_a_day(server: Server) -> None:
    server.let_pass(48 * HOUR_MS)
    server.count(UserRule())
    server.let_pass(HOUR_MS)
    server.open_or_close("@a:test")
    server.open_or_close("@a:test")
    server.now_ms -= 24 * HOUR_MS
    server.count(UserRule())
    assert registered_users.distinct_users(server.txn, BEGIN_MS, BEGIN_MS + 72 * HOUR_MS).users == 1
