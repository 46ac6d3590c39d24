"""Strangers fill neither the log nor the metrics."""

import logging

import pytest

from synapse_bum.federation.denials import Denials, Direction
from synapse_bum.federation.metrics import DENIALS


def counted(server: str, direction: str = "in") -> float:
    return sum(
        sample.value
        for family in DENIALS.collect()
        for sample in family.samples
        if sample.name.endswith("_total") and sample.labels == {"direction": direction, "server": server}
    )


def test_only_who_was_a_partner_is_named() -> None:
    denials, before = Denials(), counted("other")
    for number in range(1_000):
        denials.note(f"stranger{number}.example", Direction.IN, once_partners={"once.example"}, now_ms=0)
    for _ in range(3):
        denials.note("once.example", Direction.IN, once_partners={"once.example"}, now_ms=0)
    assert counted("other") - before == 1_000
    assert counted("once.example") == 3
    assert counted("stranger0.example") == 0


def test_the_log_says_each_once_and_few_at_all(caplog: pytest.LogCaptureFixture) -> None:
    denials = Denials()
    with caplog.at_level(logging.INFO, "synapse_bum.federation.denials"):
        for _ in range(100):
            denials.note("a.example", Direction.OUT, once_partners=(), now_ms=1_000)
        assert [record.getMessage() for record in caplog.records] == [
            "Nothing went out to `a.example`: it is no partner"
        ]
        for number in range(100):
            denials.note(f"b{number}.example", Direction.IN, once_partners=(), now_ms=2_000)
        denials.note(None, Direction.IN, once_partners=(), now_ms=2_000)
    assert len(caplog.records) == 10
    caplog.clear()
    with caplog.at_level(logging.INFO, "synapse_bum.federation.denials"):
        denials.note(None, Direction.IN, once_partners=(), now_ms=61_000)
    assert len(caplog.records) == 1
