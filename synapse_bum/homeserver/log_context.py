"""Synapse's log contexts: waking or ending the work of others without losing one's own context.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2.
"""

from typing import TYPE_CHECKING, Any, TypeVar

from synapse.logging.context import PreserveLoggingContext

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

T = TypeVar("T")


def cancel(work: "Deferred[Any]") -> None:
    """Cancels work that was started with `run_in_background`; the caller keeps its own log context.

    A Deferred that ends leaves the context empty, as the rules for background work say. Called from inside another
    context that would lose the caller's.
    """
    with PreserveLoggingContext():
        work.cancel()


def fire(waiter: "Deferred[T]", result: "T") -> None:
    """Wakes who waits for a Deferred; the caller keeps its own log context."""
    with PreserveLoggingContext():
        waiter.callback(result)
