"""Doubting a clamd that says OK to a descriptor, at the price of one tiny scan for many files.

Why: `clamd_protocol.CANARY`. A verdict counts only if a canary that was sent after it has lived, and none has died
since the scan began. Canaries fly one at a time, beside the scans, and each vouches for all verdicts that came before
it. One is sent when a scan begins, too, unless one has just lived: a temporary directory that is back at the end may
have been missing at the start.
"""

import logging
from collections.abc import Awaitable, Callable

import attr
from twisted.internet.defer import Deferred, ensureDeferred

from synapse_bum.database.error_text import traced

logger = logging.getLogger(__name__)

FRESH_S = 0.02
"""How long ago a canary may have lived for a scan to begin without another one."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Ticket:
    """When a scan began, counted in canaries.

    Attributes:
        sent: canaries that had been sent.
        returned: canaries that had come back.
    """

    sent: int
    returned: int


class Canaries:
    """The canaries of one clamd."""

    def __init__(self, fly: Callable[[], Awaitable[bool]], now_s: Callable[[], float]) -> None:
        """Prepare; nothing flies yet.

        Args:
            fly: sends one canary and says whether it lived.
            now_s: a clock in seconds.
        """
        self._fly = fly
        self._now_s = now_s
        self._last_lived_at: float | None = None
        self._sent = 0
        self._returned = 0
        self._last_dead = 0
        self._waiting: list[Deferred[None]] = []

    def scan_begins(self) -> Ticket:
        """Take note of a scan that clamd has just been asked for.

        Returns:
            A ticket for `vouch_for`.
        """
        ticket = Ticket(self._sent, self._returned)
        just_lived = self._last_lived_at is not None and self._now_s() - self._last_lived_at <= FRESH_S
        if self._sent == self._returned and not just_lived:
            self._send()
        return ticket

    async def vouch_for(self, ticket: Ticket) -> bool:
        """Say whether clamd was able to scan, after its verdict came.

        Args:
            ticket: of the scan.

        Returns:
            Whether all canaries lived that were in flight while the scan was, and one that was sent after its verdict.
        """
        wanted = self._sent
        while self._returned <= wanted:
            if self._sent == self._returned:
                self._send()
                continue
            turn: Deferred[None] = Deferred()
            self._waiting.append(turn)
            await turn
        return self._last_dead <= ticket.returned

    def _send(self) -> None:
        self._sent += 1
        ensureDeferred(self._send_and_wait())

    async def _send_and_wait(self) -> None:
        lived = False
        try:
            lived = await self._fly()
        except Exception as error:  # noqa: BLE001 - what nobody has foreseen
            logger.error("A canary could not be sent: %s", traced(error))
        self._returned = self._sent
        self._last_lived_at = self._now_s() if lived else None
        if not lived:
            self._last_dead = self._returned
        waiting, self._waiting = self._waiting, []
        for turn in waiting:
            turn.callback(None)
