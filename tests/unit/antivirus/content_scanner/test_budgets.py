"""What one requester, and all together, may use."""

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred

from synapse_bum.antivirus.content_scanner.budgets import (
    HOUR_MS,
    KEYS_PER_HOUR,
    MAX_REMEMBERED,
    MAX_WAITING_PER_USER,
    KeyLimit,
    ScanBudget,
)

MXC = "mxc://a.example/file"


class Scans:
    """Scans in a budget, each until it is told to end."""

    def __init__(self, plaintext_bytes: int = 100, scans_per_user: int = 2) -> None:
        self.in_use = 0
        self.budget = ScanBudget(
            plaintext_bytes=plaintext_bytes,
            scans_per_user=scans_per_user,
            in_use=lambda used: setattr(self, "in_use", used),
        )
        self.running: list[str] = []
        self._ends: dict[str, Deferred[None]] = {}

    def begin(self, name: str, user: str, size: int) -> "Deferred[Any]":
        self._ends[name] = Deferred()

        async def scan() -> None:
            async with self.budget.turn(user), self.budget.room(size):
                self.running.append(name)
                await self._ends[name]
                self.running.remove(name)

        return ensureDeferred(scan())

    def end(self, name: str) -> None:
        self._ends[name].callback(None)


def test_so_many_at_a_time_for_each_user() -> None:
    scans = Scans()
    for name in ("a1", "a2", "a3"):
        scans.begin(name, "a", 1)
    scans.begin("b1", "b", 1)
    assert scans.running == ["a1", "a2", "b1"]
    scans.end("a1")
    assert scans.running == ["a2", "b1", "a3"]


def test_plaintext_is_bounded_and_given_out_in_order() -> None:
    scans = Scans(plaintext_bytes=100)
    scans.begin("large", "a", 70)
    scans.begin("second", "b", 50)
    scans.begin("small", "c", 10)
    assert scans.running == ["large"]
    assert scans.in_use == 70
    scans.end("large")
    assert scans.running == ["second", "small"]
    assert scans.in_use == 60
    scans.end("second")
    scans.end("small")
    assert scans.in_use == 0


def test_a_file_above_the_whole_budget_is_scanned_alone() -> None:
    scans = Scans(plaintext_bytes=100)
    scans.begin("huge", "a", 1000)
    scans.begin("small", "b", 1)
    assert scans.running == ["huge"]
    scans.end("huge")
    assert scans.running == ["small"]


def test_who_gives_up_leaves_the_queue() -> None:
    scans = Scans(plaintext_bytes=100)
    scans.begin("first", "a", 100)
    second = scans.begin("second", "b", 100)
    scans.begin("third", "c", 100)
    errors: list[Any] = []
    second.addErrback(errors.append)
    second.cancel()
    assert errors
    assert errors[0].check(CancelledError)
    scans.end("first")
    assert scans.running == ["third"]
    scans.end("third")
    assert scans.in_use == 0


def test_a_scan_that_fails_gives_everything_back() -> None:
    scans = Scans(plaintext_bytes=100, scans_per_user=1)

    async def fail() -> None:
        async with scans.budget.turn("a"), scans.budget.room(100):
            raise RuntimeError

    failed = ensureDeferred(fail())
    failed.addErrback(lambda failure: failure.trap(RuntimeError))
    scans.begin("next", "a", 100)
    assert scans.running == ["next"]


def test_one_user_may_not_queue_without_end() -> None:
    scans = Scans(scans_per_user=1)
    for number in range(MAX_WAITING_PER_USER):
        scans.begin(str(number), "a", 1)
    assert not scans.budget.is_full_for("a")
    scans.begin("last", "a", 1)
    assert scans.budget.is_full_for("a")
    assert not scans.budget.is_full_for("b")
    for name in (*map(str, range(MAX_WAITING_PER_USER)), "last"):
        scans.end(name)
    assert not scans.budget.is_full_for("a")


class TestKeyLimit:
    """Keys that one requester tries on one file."""

    def test_so_many_in_an_hour(self) -> None:
        keys = KeyLimit()
        assert all(keys.allows("@a:x", MXC, f"key{number}", 0) for number in range(KEYS_PER_HOUR))
        assert not keys.allows("@a:x", MXC, "one more", 0)
        assert keys.allows("@a:x", MXC, "key0", 1)
        assert keys.allows("@b:x", MXC, "one more", 0)
        assert keys.allows("@a:x", "mxc://a.example/other", "one more", 0)

    def test_after_an_hour_they_count_no_more(self) -> None:
        keys = KeyLimit()
        for number in range(KEYS_PER_HOUR):
            keys.allows("@a:x", MXC, f"key{number}", number)
        assert not keys.allows("@a:x", MXC, "one more", HOUR_MS - 1)
        assert keys.allows("@a:x", MXC, "one more", HOUR_MS)
        assert not keys.allows("@a:x", MXC, "and one more", HOUR_MS)

    def test_memory_is_bounded(self) -> None:
        keys = KeyLimit()
        for number in range(MAX_REMEMBERED + 100):
            keys.allows(f"@{number}:x", MXC, "key", 0)
            for refused in range(3):
                keys.allows("@busy:x", MXC, f"{number} {refused}", 0)
        assert len(keys._tried) == MAX_REMEMBERED
        assert max(map(len, keys._tried.values())) <= KEYS_PER_HOUR


@pytest.mark.parametrize("amount", [1, 2, 5])
def test_users_without_scans_are_forgotten(amount: int) -> None:
    scans = Scans()
    for number in range(amount):
        scans.begin(str(number), f"user{number}", 1)
        scans.end(str(number))
    assert scans.budget._users == {}
