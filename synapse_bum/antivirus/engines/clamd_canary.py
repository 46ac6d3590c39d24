"""Doubting a clamd that says OK to a descriptor, at the price of one tiny scan for many files.

Why: `clamd_protocol.CANARY`. A verdict counts only if a canary that was sent after its scan had begun has lived.
Canaries fly one at a time, beside the scans: while one scan runs, its canary comes back before it does; while many run,
each canary vouches for all that had begun before it.
"""

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred, ensureDeferred


class Canaries:
    """The canaries of one clamd."""

    def __init__(self, fly: Callable[[], Awaitable[bool]]) -> None:
        """Prepare; nothing flies yet.

        Args:
            fly: sends one canary and says whether it lived; must not raise.
        """
        self._fly = fly
        self._sent = 0
        self._returned = 0
        self._lived = False
        self._waiting: list[Deferred[None]] = []

    def scan_begins(self) -> int:
        """Take note of a scan that clamd has just been asked for.

        Returns:
            A ticket for `vouch_for`.
        """
        ticket = self._sent
        if self._sent == self._returned:
            self._send()
        return ticket

    async def vouch_for(self, ticket: int) -> bool:
        """Say whether clamd was able to scan, after its verdict came.

        Args:
            ticket: of the scan.

        Returns:
            Whether the last canary that was sent after the scan had begun lived.
        """
        while self._returned <= ticket:
            if self._sent == self._returned:
                self._send()
                continue
            turn: Deferred[None] = Deferred()
            self._waiting.append(turn)
            await turn
        return self._lived

    def _send(self) -> None:
        self._sent += 1
        ensureDeferred(self._send_and_wait())

    async def _send_and_wait(self) -> None:
        lived = False
        try:
            lived = await self._fly()
        finally:
            self._lived = lived
            self._returned = self._sent
            waiting, self._waiting = self._waiting, []
            for turn in waiting:
                turn.callback(None)
