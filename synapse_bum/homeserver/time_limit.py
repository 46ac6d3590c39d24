"""Waiting for something that may never end.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: `synapse/logging/context.py`.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from synapse.logging.context import PreserveLoggingContext, make_deferred_yieldable, run_in_background
from synapse.module_api import ModuleApi
from twisted.internet.defer import Deferred
from typing_extensions import ParamSpec

from synapse_bum.homeserver.log_context import cancel
from synapse_bum.homeserver.reactor import reactor_of

P = ParamSpec("P")
R = TypeVar("R")


class OutOfTimeError(Exception):
    """It took longer than it was given."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s")


async def within(
    api: ModuleApi, seconds: float, function: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs
) -> R:
    """Await something, but only for so long.

    What took too long is cancelled, and no longer waited for even when it does not heed that. `Deferred.addTimeout`
    would wait for it.

    Args:
        api: of the homeserver.
        seconds: how long.
        function: what to call; its answer is awaited.
        *args: for the function.
        **kwargs: for the function.

    Raises:
        OutOfTimeError: it took longer.
        Exception: whatever the function raised.
    """
    work: Deferred[R] = run_in_background(function, *args, **kwargs)
    result: Deferred[R] = Deferred(lambda _: cancel(work))

    def give_up() -> None:
        with PreserveLoggingContext():
            result.errback(OutOfTimeError(seconds))
        cancel(work)

    timer = reactor_of(api).callLater(seconds, give_up)

    def end(outcome: Any) -> None:  # noqa: ANN401 - a result or a failure
        if timer.active():
            timer.cancel()
        if not result.called:
            result.callback(outcome)

    work.addBoth(end)
    return await make_deferred_yieldable(result)
