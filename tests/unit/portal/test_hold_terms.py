"""Holds are named by their last day, in Germany's calendar."""

import pytest

from synapse_bum.portal.forms.form import Complaint
from synapse_bum.portal.presentation.hold_terms import (
    day_complaint,
    end_saying,
    last_day,
    scope,
    target_complaint,
    until_ms,
)
from synapse_bum.retention.holds_api import MAX_YEARS

NEW_YEAR_2027 = 1_798_758_000_000  # 2027-01-01T00:00:00+01:00
DAY_MS = 86_400_000


class TestDays:
    @pytest.mark.parametrize("day", ["2026-12-31", "2027-03-28", "2027-10-31", "2028-02-29"])
    def test_a_hold_covers_its_last_day_to_the_end_and_comes_back_as_it_was_typed(self, day: str) -> None:
        until = until_ms(day)
        assert last_day(until) == day
        assert last_day(until + 1) > day
        assert end_saying(until) == "holds.until_day"

    def test_the_end_is_midnight_in_germany(self) -> None:
        assert until_ms("2026-12-31") == NEW_YEAR_2027

    def test_an_end_within_a_day_is_named_as_a_moment_and_stays_when_its_day_does(self) -> None:
        noon = NEW_YEAR_2027 + DAY_MS // 2
        assert end_saying(noon) == "holds.until_moment"
        assert until_ms("2027-01-01", noon) == noon
        assert until_ms("2027-01-02", noon) == NEW_YEAR_2027 + 2 * DAY_MS

    def test_today_is_the_first_day_that_can_be_chosen(self) -> None:
        assert day_complaint("2026-12-31", NEW_YEAR_2027) == Complaint("holds.form.over")
        assert day_complaint("2027-01-01", NEW_YEAR_2027) is None
        assert day_complaint("0026-01-01", NEW_YEAR_2027) == Complaint("holds.form.over")

    def test_what_is_taken_is_within_the_limit_of_the_api(self) -> None:
        assert day_complaint("2126-12-30", NEW_YEAR_2027) is None
        assert until_ms("2126-12-30") <= NEW_YEAR_2027 + MAX_YEARS * 36_525 * DAY_MS // 100
        assert day_complaint("9999-12-31", NEW_YEAR_2027) == Complaint("holds.form.too_far", {"years": MAX_YEARS})


class TestTargets:
    @pytest.mark.parametrize(
        "target", ["@anna:server.example", "!room:server.example", "!" + "a" * 43, "@<script>:server.example"]
    )
    def test_users_and_rooms(self, target: str) -> None:
        assert target_complaint(target) is None

    @pytest.mark.parametrize(
        ("value", "key"),
        [
            ("anna", "holds.form.no_target"),
            ("@anna", "holds.form.no_target"),
            ("anna@server.example", "holds.form.no_target"),
            ("#lage:server.example", "holds.form.alias"),
            ("../holds", "holds.form.no_target"),
        ],
    )
    def test_what_is_neither_is_explained(self, value: str, key: str) -> None:
        assert target_complaint(value) == Complaint(key)

    def test_how_much_a_hold_holds(self) -> None:
        assert scope("@anna:own.example", "own.example").key == "holds.scope_user"
        assert scope("!room:own.example", "own.example").key == "holds.scope_room"
        stranger = scope("@anna:far.example:8448", "own.example")
        assert (stranger.key, stranger.values) == ("holds.scope_stranger", {"server": "far.example:8448"})
