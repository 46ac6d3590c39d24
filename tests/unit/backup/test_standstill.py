"""A program that stands still for ever is ended; one that is only slow is not."""

import os
import signal
from typing import Any

import attr
import pytest

from synapse_bum.cli.backup.programs import run_program
from synapse_bum.cli.backup.standstill import Activity, Standstill

pytestmark = pytest.mark.any_synapse

BEFORE = Activity(said_lines=3, transferred_bytes=5_000_000, cpu_s=20.0)


def run(script: str, longest_s: float = 2.5) -> tuple[int, bool]:
    done = run_program(["/bin/sh", "-c", script], dict(os.environ), longest_standstill_s=longest_s)
    return done.status, done.stood_still


def test_one_that_does_nothing_any_more_is_interrupted() -> None:
    assert run("exec sleep 60") == (-signal.SIGINT, True)


def test_one_that_says_something_goes_on() -> None:
    assert run("for turn in 1 2 3 4 5; do echo one more try >&2; sleep 1; done") == (0, False)


def test_one_that_writes_goes_on() -> None:
    content = "x" * 70_000
    assert run(f"for turn in 1 2 3 4 5; do echo {content}; sleep 1; done") == (0, False)


@pytest.mark.parametrize(
    ("change", "goes_on"),
    [
        ({}, False),
        # It refreshes its lock, and says how far it is.
        ({"transferred_bytes": 5_009_000, "cpu_s": 21.5}, False),
        ({"said_lines": 4}, True),
        ({"transferred_bytes": 5_065_536}, True),
        ({"cpu_s": 30.0}, True),
    ],
)
def test_what_counts_as_activity(change: dict[str, Any], *, goes_on: bool) -> None:
    assert attr.evolve(BEFORE, **change).goes_on_since(BEFORE) is goes_on


def test_small_steps_add_up() -> None:
    standstill = Standstill(300)
    steps = [attr.evolve(BEFORE, transferred_bytes=BEFORE.transferred_bytes + turn * 1_000) for turn in range(1_000)]
    assert not any(standstill.is_reached(turn, step) for turn, step in enumerate(steps))


def test_it_is_counted_from_the_last_activity() -> None:
    standstill = Standstill(300)
    later = attr.evolve(BEFORE, said_lines=4)
    looks = [(0, BEFORE), (299, BEFORE), (299.5, later), (599, later), (599.5, later)]
    assert [standstill.is_reached(*look) for look in looks] == [False, False, False, False, True]


def test_one_that_cannot_be_seen_may_go_on() -> None:
    standstill = Standstill(300)
    looks = [(0, BEFORE), (200, None), (400, BEFORE), (699, BEFORE), (700, BEFORE)]
    assert [standstill.is_reached(*look) for look in looks] == [False, False, False, False, True]
    assert Activity.of(2**22, 0) is None
