"""What a month's availability is said to mean."""

import datetime as dt
from typing import Any

import pytest

from synapse_bum.portal.language.formats import Formats
from synapse_bum.portal.language.texts import load
from synapse_bum.portal.presentation.availability_report import DIGITS, months_before, rounded_down, sayings

NBSP = "\N{NO-BREAK SPACE}"


def report(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - of JSON
    usual: dict[str, Any] = {
        "preliminary": False,
        "target_met": True,
        "outage_minutes": 35,
        "allowed_minutes": 44,
        "not_measured_minutes": 0,
        "outages": [],
    }
    return {**usual, **changes}


def test_months_over_the_turn_of_the_year() -> None:
    assert months_before(dt.date(2026, 2, 28), 4) == ["2026-02", "2026-01", "2025-12", "2025-11"]


@pytest.mark.parametrize(
    ("share", "written"),
    [
        (0.99921594, f"99,9215{NBSP}%"),
        (0.9989999, f"99,8999{NBSP}%"),
        (0.99999999, f"99,9999{NBSP}%"),
        (1, f"100,0000{NBSP}%"),
        (1.0, f"100,0000{NBSP}%"),
        (0, f"0,0000{NBSP}%"),
    ],
)
def test_nothing_is_said_to_be_reached_before_it_is(share: float, written: str) -> None:
    assert Formats("de").percent(rounded_down(share), DIGITS) == written


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, [("met", "success")]),
        ({"target_met": False}, [("missed", "error")]),
        ({"preliminary": True}, [("so_far_met", "info")]),
        ({"preliminary": True, "target_met": False}, [("so_far_missed", "error")]),
        ({"not_measured_minutes": 12}, [("met", "success"), ("not_measured", "warning")]),
        ({"outages": [{"ticket": None}, {"ticket": "INC-1"}]}, [("met", "success"), ("without_ticket", "warning")]),
    ],
)
def test_what_is_said(changes: dict[str, Any], kinds: list[tuple[str, str]]) -> None:
    said = sayings(report(**changes))
    assert [(saying.key.removeprefix("availability."), saying.kind) for saying in said] == kinds
    texts = load("de")
    assert all(saying.key in texts for saying in said)
