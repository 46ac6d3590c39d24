"""How large the next transaction is, by how long the last one took. Pure.

A transaction of Synapse's purge holds locks that others may wait for at its end, and leaves work for the reactor (each
deleted event is taken out of caches). Both grow with its size.
"""

from typing import Final

FIRST: Final = 250
LEAST: Final = 100
"""Smaller ones are hardly quicker: a purge has some 40 statements, whatever its size."""


class Pace:
    """The size of transactions, in messages."""

    def __init__(self, most: int, *, slow_ms: float) -> None:
        """Begin with small ones.

        Args:
            most: messages in one transaction.
            slow_ms: a transaction that takes longer is too large; one that takes less than half may be larger.
        """
        self._most = most
        self._slow_ms = slow_ms
        self.size = min(FIRST, most)

    def learn(self, messages: int, ms: float) -> None:
        """Take note of a transaction.

        Args:
            messages: that it deleted.
            ms: that it took.
        """
        if ms > self._slow_ms:
            self.size = max(min(LEAST, self._most), self.size // 2)
        elif ms < self._slow_ms / 2 and messages >= self.size:
            self.size = min(self._most, self.size * 3 // 2 + 1)
