"""What one process says of the backlog and of a paused rescan ends when another process takes the duty over."""

import asyncio
import math
from collections.abc import Callable
from unittest.mock import AsyncMock, Mock

import pytest

from synapse_bum.antivirus import metrics
from synapse_bum.antivirus.stored.backlog import Backlog
from synapse_bum.antivirus.stored.rescan import Rescan
from synapse_bum.database import Outcome


def a_backlog(leases: Mock) -> Backlog:
    return Backlog(Mock(), Mock(), leases, Mock(), Mock(), enforcer=Mock(), births=Mock())


def a_rescan(leases: Mock) -> Rescan:
    clock = Mock(return_value=0.0)
    return Rescan(Mock(), Mock(), leases, Mock(), signature_version=Mock(), on_signature_update=False, now_s=clock)


@pytest.mark.parametrize("make", [a_backlog, a_rescan])
def test_a_process_without_the_lease_says_nothing(make: Callable[[Mock], Backlog | Rescan]) -> None:
    leases = Mock()
    duty = make(leases)
    gauge = metrics.UNSCANNED if isinstance(duty, Backlog) else metrics.RESCAN_PAUSED
    for outcome, said in (
        (Outcome.DONE, 3.0),
        (Outcome.HELD_ELSEWHERE, math.nan),
        (Outcome.LOST, math.nan),
        (OSError("the database is away"), math.nan),
    ):
        gauge.set(3)
        leases.run_while_held = AsyncMock(side_effect=[outcome])
        asyncio.run(duty.tick())
        assert gauge._value.get() == pytest.approx(said, nan_ok=True)
