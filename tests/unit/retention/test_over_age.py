"""Which messages are over age when a process starts."""

import pytest

from synapse_bum.retention.messages.over_age import OverAge

pytestmark = pytest.mark.any_synapse

OVER_AGE = OverAge(1_000, behind=10, old=frozenset({12}), kept=frozenset({"!held:a.example", "@held:a.example"}))


@pytest.mark.parametrize(
    ("position", "origin_ts", "expected"),
    [
        (1, 500, True),
        # What counts is when it came, not what its sender says.
        (10, 5_000, True),
        (12, 5_000, True),
        (11, 500, False),
        (13, 500, False),
        # From the past: as old as its sender says.
        (-5, 1_000, True),
        (-5, 1_001, False),
    ],
)
def test_a_message_is_hidden_by_when_it_came(position: int, origin_ts: int, expected: object) -> None:
    found = OVER_AGE.is_hidden(
        room_id="!room:a.example", sender="@alice:a.example", position=position, origin_ts=origin_ts
    )
    assert found is expected


@pytest.mark.parametrize(
    ("room_id", "sender"), [("!held:a.example", "@alice:a.example"), ("!room:a.example", "@held:a.example")]
)
def test_what_is_on_hold_is_shown(room_id: str, sender: str) -> None:
    assert not OVER_AGE.is_hidden(room_id=room_id, sender=sender, position=1, origin_ts=1)
