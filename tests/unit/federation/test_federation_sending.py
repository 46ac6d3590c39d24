"""What the federation sender does when a server stops being a partner while an event is on its way to it."""

import asyncio
from collections.abc import Iterable
from unittest.mock import Mock

import pytest

from synapse_bum.homeserver.federation_sending import keep_sending_to_others


class Sender:
    """As Synapse's: asks who is allowed, waits, asks again, and takes it for granted that the answer is the same."""

    def __init__(self, allowed: set[str], closed_meanwhile: set[str]) -> None:
        self.allowed = allowed
        self.closed_meanwhile = closed_meanwhile
        self.sent: list[str] = []

    async def _send_pdu(self, event: object, destinations: Iterable[str]) -> None:
        chosen = [one for one in destinations if one in self.allowed]
        self.allowed -= self.closed_meanwhile
        for destination in sorted(chosen):
            queue = self._get_per_destination_queue(destination)
            assert queue is not None
            queue.send_pdu(event)

    def _get_per_destination_queue(self, destination: str) -> Mock | None:
        return Mock(send_pdu=lambda _: self.sent.append(destination)) if destination in self.allowed else None


def guarded(sender: Sender) -> Sender:
    api = Mock()
    api._hs.get_federation_sender.return_value = sender
    keep_sending_to_others(api, lambda name: name in sender.allowed)
    return sender


def test_the_others_get_the_event_when_one_stops_being_a_partner() -> None:
    sender = Sender({"a.example", "b.example", "c.example"}, {"b.example"})
    with pytest.raises(AssertionError):
        asyncio.run(sender._send_pdu("an event", ["a.example", "b.example", "c.example"]))
    sender = guarded(Sender({"a.example", "b.example", "c.example"}, {"b.example"}))
    asyncio.run(sender._send_pdu("an event", ["a.example", "b.example", "c.example"]))
    assert sender.sent == ["a.example", "c.example"]


def test_who_is_no_partner_has_no_queue_afterwards() -> None:
    sender = guarded(Sender({"a.example", "b.example"}, {"b.example"}))
    asyncio.run(sender._send_pdu("an event", ["a.example", "b.example"]))
    assert sender._get_per_destination_queue("b.example") is None
