"""One piece of work for all who ask at the same time."""

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred

from synapse_bum.antivirus.content_scanner.shared_work import InterruptedWorkError, SharedWork


def start(shared: SharedWork[str], key: str, work: Callable[[], "Deferred[str]"]) -> tuple[list[Any], "Deferred[Any]"]:
    results: list[Any] = []
    deferred = ensureDeferred(shared.run(key, work))
    deferred.addBoth(results.append)
    return results, deferred


def test_all_get_the_result_of_one() -> None:
    shared: SharedWork[str] = SharedWork()
    begun: list[Deferred[str]] = []

    def work() -> "Deferred[str]":
        begun.append(Deferred())
        return begun[-1]

    (first, _), (second, _), (other, _) = start(shared, "a", work), start(shared, "a", work), start(shared, "b", work)
    assert len(begun) == 2
    begun[0].callback("clean")
    assert (first, second, other) == (["clean"], ["clean"], [])
    begun[1].callback("infected")
    assert other == ["infected"]
    start(shared, "a", work)
    assert len(begun) == 3


def test_all_get_the_error_of_one() -> None:
    shared: SharedWork[str] = SharedWork()
    begun: Deferred[str] = Deferred()
    (first, _), (second, _) = start(shared, "a", lambda: begun), start(shared, "a", lambda: begun)
    begun.errback(ValueError("no"))
    for results in (first, second):
        with pytest.raises(ValueError, match="no"):
            results[0].raiseException()


def test_when_who_works_is_stopped_the_others_know_nothing() -> None:
    shared: SharedWork[str] = SharedWork()
    begun: Deferred[str] = Deferred()
    (first, working), (second, _) = start(shared, "a", lambda: begun), start(shared, "a", lambda: begun)
    working.cancel()
    assert first[0].check(CancelledError)
    assert second[0].check(InterruptedWorkError)
