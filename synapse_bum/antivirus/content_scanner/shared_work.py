"""One piece of work for all who ask for the same thing at the same time."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeAlias, TypeVar

import attr
from synapse.module_api import make_deferred_yieldable
from twisted.internet.defer import CancelledError, Deferred

from synapse_bum.homeserver import log_context

T = TypeVar("T")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Done(Generic[T]):
    result: T


_Outcome: TypeAlias = "_Done[T] | Exception"


class InterruptedWorkError(Exception):
    """Who did the work for others was stopped; nothing is known."""


class SharedWork(Generic[T]):
    """Work by key: the first who asks does it, the others wait for his result."""

    def __init__(self) -> None:
        self._running: dict[str, list[Deferred[_Outcome[T]]]] = {}

    async def run(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do a piece of work, or wait for who does it already.

        Args:
            key: what it is about.
            work: does it; must not depend on who asks.

        Raises:
            InterruptedWorkError: who did it was stopped.
            Exception: whatever the work raised.
        """
        waiters = self._running.get(key)
        if waiters is not None:
            waiter: Deferred[_Outcome[T]] = Deferred()
            waiters.append(waiter)
            outcome = await make_deferred_yieldable(waiter)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome.result
        return await self._do(key, work)

    async def _do(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        waiters = self._running[key] = []
        outcome: _Outcome[T] = InterruptedWorkError()
        try:
            result = await work()
            outcome = _Done(result)
        except CancelledError:
            raise
        except Exception as error:
            outcome = error
            raise
        finally:
            del self._running[key]
            for waiter in waiters:
                log_context.fire(waiter, outcome)
        return result
