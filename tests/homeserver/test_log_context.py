"""Waking and ending the work of others leaves one's own log context alone."""

from collections.abc import Callable

from synapse.logging.context import current_context
from synapse.module_api import make_deferred_yieldable, run_in_background
from tests.unittest import HomeserverTestCase, logcontext_clean
from twisted.internet.defer import CancelledError, Deferred

from synapse_bum.database import Component, Database, Lease, Leases, Migration, Outcome
from synapse_bum.homeserver import log_context

EXAMPLE = Component("example", (Migration.both(1, "CREATE TABLE synapse_bum_example (a INTEGER NOT NULL)"),))


@logcontext_clean
class LogContextTestCase(HomeserverTestCase):
    def in_a_context(self, work: Callable[[], object]) -> None:
        """Runs something as a background process of Synapse does, and looks whether it kept its context."""
        kept: list[bool] = []

        async def process() -> None:
            mine = current_context()
            result = work()
            if isinstance(result, Deferred):
                await make_deferred_yieldable(result)
            kept.append(bool(mine) and current_context() is mine)

        self.hs.get_module_api().delayed_background_call(0, process, desc="test")
        self.pump(1)
        assert kept == [True]

    def test_who_is_woken_does_not_take_the_context_away(self) -> None:
        waiter: Deferred[int] = Deferred()
        got: list[int] = []

        async def wait() -> None:
            got.append(await make_deferred_yieldable(waiter))

        def wake() -> None:
            run_in_background(wait)
            log_context.fire(waiter, 5)

        self.in_a_context(wake)
        assert got == [5]

    def test_who_is_cancelled_does_not_take_the_context_away(self) -> None:
        ended: list[bool] = []

        async def wait() -> None:
            try:
                await make_deferred_yieldable(Deferred())
            except CancelledError:
                ended.append(True)

        self.in_a_context(lambda: log_context.cancel(run_in_background(wait)))
        assert ended == [True]

    def test_the_end_of_a_lease_is_written_in_the_context_of_its_holder(self) -> None:
        api = self.hs.get_module_api()
        leases = Leases(api, Database(api, EXAMPLE))
        outcomes: list[Outcome] = []

        async def work(lease: Lease) -> None:
            assert lease.held

        async def duty() -> None:
            outcomes.append(await leases.run_while_held("duty", 30_000, work))

        with self.assertNoLogs("synapse.storage", "WARNING"):
            self.in_a_context(lambda: run_in_background(duty))
        assert outcomes == [Outcome.DONE]
