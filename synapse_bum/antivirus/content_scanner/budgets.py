"""What one requester and all of them together may use of this process: scans at a time, plaintext in memory, keys.

Each process counts for itself, as Synapse's own rate limits do.
"""

import contextlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from typing import Final

import attr
from synapse.module_api import make_deferred_yieldable
from twisted.internet.defer import Deferred

from synapse_bum.homeserver import log_context

KEYS_PER_HOUR: Final = 5
"""Keys that one requester may try on one file within an hour: the right one and some mistakes."""

HOUR_MS: Final = 3_600_000

MAX_REMEMBERED: Final = 20_000
"""Pairs of requester and file whose keys are remembered; the longest unused are forgotten first."""

MAX_WAITING_PER_USER: Final = 100
"""Scans of one requester that may wait for his earlier ones."""


class KeyLimit:
    """Counts the keys that a requester tries on a file: each is a scan of the whole file."""

    def __init__(self) -> None:
        self._tried: OrderedDict[tuple[str, str], dict[str, int]] = OrderedDict()

    def allows(self, user_id: str, mxc: str, binding: str, now_ms: int) -> bool:
        """Count one more key, unless there were too many; the same key again is no further one.

        Args:
            user_id: of the requester.
            mxc: of the file.
            binding: stands for the key, see `key_verdicts.binding_of`.
            now_ms: ms since the epoch.
        """
        pair = (user_id, mxc)
        recent = {key: ts for key, ts in self._tried.pop(pair, {}).items() if now_ms - ts < HOUR_MS}
        allowed = binding in recent or len(recent) < KEYS_PER_HOUR
        if allowed:
            recent.setdefault(binding, now_ms)
        self._tried[pair] = recent
        if len(self._tried) > MAX_REMEMBERED:
            self._tried.popitem(last=False)
        return allowed


@attr.s(auto_attribs=True, slots=True)
class _Queue:
    """A resource of a fixed amount, given out in the order of asking."""

    free: int
    waiting: deque[tuple[int, "Deferred[None]"]] = attr.ib(factory=deque, init=False)

    async def take(self, amount: int) -> None:
        """Wait until so much is free, and take it."""
        if not self.waiting and amount <= self.free:
            self.free -= amount
            return
        entry: tuple[int, Deferred[None]] = (amount, Deferred(lambda _: self._give_up(entry)))
        self.waiting.append(entry)
        await make_deferred_yieldable(entry[1])

    def give(self, amount: int) -> None:
        """Give back, and wake those whose turn it is."""
        self.free += amount
        self._wake()

    def _give_up(self, entry: "tuple[int, Deferred[None]]") -> None:
        self.waiting.remove(entry)
        self._wake()

    def _wake(self) -> None:
        while self.waiting and self.waiting[0][0] <= self.free:
            amount, waiter = self.waiting.popleft()
            self.free -= amount
            log_context.fire(waiter, None)


class ScanBudget:
    """Turns for scans of decrypted files."""

    def __init__(self, *, plaintext_bytes: int, scans_per_user: int, in_use: Callable[[int], None]) -> None:
        """Prepare.

        Args:
            plaintext_bytes: of all decrypted files together. They are memory of the process's cgroup, although not of
                its resident set.
            scans_per_user: at a time.
            in_use: is told how many bytes are in use now.
        """
        self._total_bytes = plaintext_bytes
        self._bytes = _Queue(plaintext_bytes)
        self._scans_per_user = scans_per_user
        self._users: dict[str, _Queue] = {}
        self._in_use = in_use

    def is_full_for(self, user_id: str) -> bool:
        """Whether so many scans of this requester wait already that he may not ask for more."""
        queue = self._users.get(user_id)
        return queue is not None and len(queue.waiting) >= MAX_WAITING_PER_USER

    @contextlib.asynccontextmanager
    async def room(self, size: int) -> AsyncIterator[None]:
        """Wait for memory, in the order of asking.

        Args:
            size: of the decrypted file in bytes, at most the whole budget.
        """
        amount = min(size, self._total_bytes)
        await self._bytes.take(amount)
        try:
            self._in_use(self._total_bytes - self._bytes.free)
            yield
        finally:
            self._bytes.give(amount)
            self._in_use(self._total_bytes - self._bytes.free)

    @contextlib.asynccontextmanager
    async def turn(self, user_id: str) -> AsyncIterator[None]:
        """Wait for the requester's turn; nobody waits for the turns of others."""
        queue = self._users.setdefault(user_id, _Queue(self._scans_per_user))
        await queue.take(1)
        try:
            yield
        finally:
            queue.give(1)
            if queue.free == self._scans_per_user and not queue.waiting:
                self._users.pop(user_id, None)
