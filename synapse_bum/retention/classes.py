"""The three classes of data that the service deletes by age, and what a run asks of each.

A run (`runs/runner.py`) does not know how a class finds or deletes its items: it asks a `Purger`. One process asks,
under a lease, one thing at a time, and rests between two batches.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.database import Lease

LARGE_CLASS = 1_000
"""Items from which on a class counts as large: its first activation, or a shorter lifetime, has to be confirmed."""

SAMPLE = 10
"""Items that a dry run names for each class."""

ACTOR = "retention"
"""Who deletes, in the journal and the audit."""


class RetentionClass(Enum):
    """What is deleted by age; the values are those of the API, and labels of metrics."""

    MESSAGES = "messages"
    LOCAL_MEDIA = "local_media"
    REMOTE_MEDIA = "remote_media"

    @property
    def policy(self) -> str:
        """The policy that the journal of deletions names, and its metrics have as a label."""
        return f"retention:{self.value}"


class NotReadyError(Exception):
    """A class can't be purged now, because what must stay is not known yet; the text says why. The next run tries."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Backlog:
    """What is expired and still there; neither held nor protected.

    Attributes:
        items: how many.
        size_bytes: of them, thumbnails included; of messages their JSON.
        oldest_ts: age timestamp of the oldest, ms since the epoch; None when there is none.
    """

    items: int
    size_bytes: int
    oldest_ts: int | None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Item:
    """One item that a dry run names. Never any content.

    Attributes:
        target: mxc URI, or event id.
        ts: its age timestamp, ms since the epoch.
        size_bytes: of it.
    """

    target: str
    ts: int
    size_bytes: int

    def as_json(self, kind: RetentionClass) -> dict[str, Any]:
        """As a run shows it in its `sample`."""
        return {"kind": kind.value, "target": self.target, "ts": self.ts, "size_bytes": self.size_bytes}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Batch:
    """What one step of a run has deleted.

    Attributes:
        items: how many.
        size_bytes: of them.
        more: whether another step may find something; False ends the class for this run.
        where: for the log line, for example the room; None when there is nothing to say.
        failed: how many places (rooms, for example) could not be purged because of an error that was logged. Their
            items stay until the next run, and this one does not count as a success.
    """

    items: int
    size_bytes: int
    more: bool
    where: str | None = None
    failed: int = 0


Confirm = Callable[[LoggingTransaction, int, int], None]
"""Counts deleted items and bytes in the run's record; to be called in the transaction that deletes or confirms them."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Step:
    """What a run hands to a purger for one step.

    Attributes:
        run_id: for the audit rows.
        cutoff_ts: what has this age timestamp or an earlier one is expired; ms since the epoch.
        now_ms: the present by the clock that a jump of the system clock does not move: holds are asked by it.
        lease: ask `lease.held` before anything that must not happen twice.
        confirm: see `Confirm`.
    """

    run_id: str
    cutoff_ts: int
    now_ms: int
    lease: Lease
    confirm: Confirm


class Purger(Protocol):
    """How one class is purged. Everything in it is resumable: what a crash cuts off, the next run does."""

    @property
    def retention_class(self) -> RetentionClass:
        """Which class."""

    async def prepare(self, cutoff_ts: int, lease: Lease, *, thorough: bool) -> None:
        """Bring up to date what the class needs to know: what is new, what is protected.

        Args:
            cutoff_ts: of the run.
            lease: ends the work when it is lost.
            thorough: whether to look through everything, also what is usually learned on the way (an operator asked).

        Raises:
            NotReadyError: nothing may be deleted now.
        """

    async def backlog(self, cutoff_ts: int) -> Backlog:
        """Measure what is expired; works on every process, without a lease, and costs no more than the backlog."""

    async def sample(self, cutoff_ts: int) -> list[Item]:
        """The oldest expired items, at most `SAMPLE`."""

    async def is_large(self) -> bool:
        """Whether the class has `LARGE_CLASS` items or more, expired or not; does not count further than that."""

    async def purge(self, step: Step) -> Batch:
        """Delete some of what is expired: at most one batch, in transactions that nobody waits for.

        Items that can't be deleted now (a hold was set meanwhile) are passed over, and must not come again in this run:
        `more` is False when nothing is left that could be deleted.

        Raises:
            NotReadyError: nothing may be deleted now.
        """
