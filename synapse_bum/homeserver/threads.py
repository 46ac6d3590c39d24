"""Threads of our own, so that long work of ours never waits behind Synapse's, nor Synapse's behind ours.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from synapse.logging.context import PreserveLoggingContext
from synapse.module_api import ModuleApi, make_deferred_yieldable
from twisted.internet.base import ReactorBase
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from typing_extensions import ParamSpec

from synapse_bum.homeserver.reactor import reactor_of

P = ParamSpec("P")
R = TypeVar("R")


class Threads:
    """A bounded pool of threads that ends with the reactor."""

    def __init__(self, api: ModuleApi, name: str, size: int) -> None:
        """Prepare the pool.

        Args:
            api: of the homeserver.
            name: of the threads.
            size: at most so many; they are started when they are needed.
        """
        self._reactor = reactor_of(api)
        # The clock of tests is no real reactor and has its threads run in the caller's.
        self._pool: Any = self._reactor.getThreadPool()
        if isinstance(self._reactor, ReactorBase):
            self._pool = ThreadPool(minthreads=0, maxthreads=size, name=name)
            self._reactor.callWhenRunning(self._pool.start)
            self._reactor.addSystemEventTrigger("during", "shutdown", self._stop)

    def _stop(self) -> None:
        if self._pool.started:
            self._pool.stop()

    def begin(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Have a blocking function run in one of the threads; nobody waits for it or learns of its end."""
        with PreserveLoggingContext():
            deferToThreadPool(self._reactor, self._pool, function, *args, **kwargs)

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a blocking function in one of the threads, in the caller's log context.

        A caller that is cancelled does not stop the function.
        """
        return await make_deferred_yieldable(deferToThreadPool(self._reactor, self._pool, function, *args, **kwargs))
