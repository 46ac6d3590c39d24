"""A class of data in memory: items with an age, deleted as a run asks for it, with faults on command."""

from collections.abc import Callable
from typing import Final

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.database import Database, Lease
from synapse_bum.retention.classes import LARGE_CLASS, SAMPLE, Backlog, Batch, Item, RetentionClass, Step

SIZE: Final = 100
"""Bytes of each item."""


@attr.s(auto_attribs=True, eq=False)
class ScriptedPurger:
    """See `synapse_bum.retention.classes.Purger`.

    Attributes:
        database: in which deletions are confirmed.
        retention_class: that it stands for.
        items: age timestamps of what is there, ms since the epoch.
        batch_size: items in one batch.
        large: whether it says that it is large; None for the truth.
        fault: called before each batch; may raise, or change things.
        prepare_fault: called in each preparation, likewise.
        prepared: whether each preparation was thorough.
        failing: how many places each batch could not purge.
        steps: what runs have handed over.
    """

    database: Database
    retention_class: RetentionClass
    items: list[int] = attr.ib(factory=list)
    batch_size: int = 10
    large: bool | None = None
    fault: Callable[[], None] | None = None
    prepare_fault: Callable[[], None] | None = None
    prepared: list[bool] = attr.ib(factory=list)
    failing: int = 0
    steps: list[Step] = attr.ib(factory=list)

    async def prepare(self, cutoff_ts: int, lease: Lease, *, thorough: bool) -> None:
        """Take note of it."""
        del cutoff_ts
        if not lease.held:
            raise AssertionError("a preparation without the lease")
        self.prepared.append(thorough)
        if self.prepare_fault is not None:
            self.prepare_fault()

    async def backlog(self, cutoff_ts: int) -> Backlog:
        """What is expired."""
        expired = self._expired(cutoff_ts)
        return Backlog(len(expired), len(expired) * SIZE, min(expired, default=None))

    async def sample(self, cutoff_ts: int) -> list[Item]:
        """The oldest."""
        return [Item(f"mxc://test/{ts}", ts, SIZE) for ts in sorted(self._expired(cutoff_ts))[:SAMPLE]]

    async def is_large(self) -> bool:
        """Whether it is, or was said to be."""
        return len(self.items) >= LARGE_CLASS if self.large is None else self.large

    async def purge(self, step: Step) -> Batch:
        """Delete the oldest."""
        self.steps.append(step)
        if self.fault is not None:
            self.fault()
        if not step.lease.held:
            raise AssertionError("a batch without the lease")
        batch = sorted(self._expired(step.cutoff_ts))[: self.batch_size]

        def confirm(txn: LoggingTransaction) -> None:
            step.confirm(txn, len(batch), len(batch) * SIZE)

        await self.database.run("scripted_purge", confirm)
        for ts in batch:
            self.items.remove(ts)
        return Batch(len(batch), len(batch) * SIZE, more=bool(self._expired(step.cutoff_ts)), failed=self.failing)

    def _expired(self, cutoff_ts: int) -> list[int]:
        return [ts for ts in self.items if ts <= cutoff_ts]
