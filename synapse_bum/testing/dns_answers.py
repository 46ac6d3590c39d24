"""Answers of a DNS server, as bytes."""

from collections.abc import Sequence
from typing import Any

from twisted.names import dns


def srv_answer(targets: Sequence[tuple[str, int]], code: int = dns.OK, *, is_cut: bool = False) -> bytes:
    """Write an answer to a question for SRV records.

    Args:
        targets: host and port, the best first.
        code: of the error, 0 for none.
        is_cut: whether it says that it is longer than this.
    """
    answer = dns.Message(1, answer=1, rCode=code, trunc=int(is_cut))
    for number, (host, port) in enumerate(targets):
        payload: Any = dns.Record_SRV(priority=number, weight=5, port=port, target=host.encode("ascii"))
        answer.answers.append(dns.RRHeader("_matrix-fed._tcp.messenger.example", dns.SRV, dns.IN, 60, payload))
    received: bytes = answer.toStr()
    return received
