"""The reactor, and the border between Synapse's log contexts and code that knows nothing of them.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: `synapse/logging/context.py`.
"""

import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from synapse.logging.context import PreserveLoggingContext, make_deferred_yieldable
from synapse.module_api import ModuleApi
from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from typing_extensions import ParamSpec

P = ParamSpec("P")
R = TypeVar("R")


def reactor_of(api: ModuleApi) -> ReactorBase:
    """The reactor that this homeserver runs on (a fake one in tests)."""
    return cast("ReactorBase", api._hs.get_reactor())


async def outside_log_context(function: Callable[P, Coroutine[Any, Any, R]], *args: P.args, **kwargs: P.kwargs) -> R:
    """Await code that uses plain Deferreds from code that runs in a log context of Synapse.

    Without this the context of the request would leak into the reactor and be charged with whatever runs next.
    """
    with PreserveLoggingContext():
        deferred: Deferred[R] = ensureDeferred(function(*args, **kwargs))
    return await make_deferred_yieldable(deferred)


def before_shutdown(api: ModuleApi, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Have something done when the process is told to stop, while the database can still be reached."""

    def stop() -> "Deferred[None]":
        done: Deferred[None] = Deferred()

        async def finish() -> None:
            try:
                await function()
            finally:
                with PreserveLoggingContext():
                    done.callback(None)

        # In a log context of its own, which a trigger of the reactor has not.
        api.delayed_background_call(0, finish, desc="synapse_bum_shutdown")
        return done

    reactor_of(api).addSystemEventTrigger("before", "shutdown", stop)


def monotonic_ms(api: ModuleApi) -> float:
    """A clock that only counts: ms since some moment, whatever is done to the system clock.

    A reactor that has a time of its own (`twisted.internet.task.Clock`, as fake ones) has no other.
    """
    reactor = api._hs.get_reactor()
    return (reactor.seconds() if isinstance(reactor, Clock) else time.monotonic()) * 1000
