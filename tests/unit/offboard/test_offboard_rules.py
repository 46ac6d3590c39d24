"""Who may order what, and when."""

from typing import Any

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.cli.backup.runs import Run, new_run_id
from synapse_bum.cli.offboard import rules
from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.cli.offboard.journal import Journal
from synapse_bum.contract_end import Closing

pytestmark = pytest.mark.any_synapse

DAY_MS = 86_400_000
CLOSED = Journal("messenger.example", "0f", "Anna Amt", 30, 1_700_000_000_000)


@given(days=st.integers(1, 365), before_ms=st.integers(-10 * DAY_MS, 10 * DAY_MS))
def test_at_each_moment_it_can_be_opened_or_erased_and_never_both(days: int, before_ms: int) -> None:
    journal = attr.evolve(CLOSED, grace_days=days)
    closing = Closing("0f", 1_700_000_000_000, "Anna Amt", days)
    now = 1_700_000_000_000 + days * DAY_MS - before_ms
    if now < 1_700_000_000_000:
        return
    if before_ms > 0:
        rules.refuse_late(closing, now)
        with pytest.raises(OffboardError, match="nothing is erased before"):
            rules.refuse_early(journal, now)
    else:
        rules.refuse_early(journal, now)
        with pytest.raises(OffboardError, match="is over"):
            rules.refuse_late(closing, now)


@pytest.mark.parametrize(
    "journal", [attr.evolve(CLOSED, closed_ts=None), attr.evolve(CLOSED, reopened_ts=1_700_000_000_001)]
)
def test_what_is_not_closed_is_not_erased(journal: Journal) -> None:
    with pytest.raises(OffboardError, match="is not closed"):
        rules.refuse_early(journal, 2_000_000_000_000)


def test_a_clock_that_runs_backwards_is_noticed() -> None:
    with pytest.raises(OffboardError, match="the clock of this machine"):
        rules.refuse_early(CLOSED, 1_600_000_000_000)


@pytest.mark.parametrize("by", ["Anna Amt", "anna amt", "  ANNA   AMT "])
def test_writing_a_name_otherwise_makes_no_second_person(by: str) -> None:
    with pytest.raises(OffboardError, match="second person"):
        rules.refuse_same_person(CLOSED, by)
    rules.refuse_same_person(CLOSED, "Anna Amtmann")


def test_writing_a_letter_otherwise_makes_no_second_person() -> None:
    with pytest.raises(OffboardError, match="second person"):
        rules.refuse_same_person(attr.evolve(CLOSED, closed_by="J\u00f6rg Amt"), "Jo\u0308rg Amt")


def test_a_day_of_23_hours_makes_no_shorter_grace_period() -> None:
    """Days are counted as 24 hours: of the time that the closing names nothing is taken by summer time."""
    before_march = Closing("0f", 1_774_652_400_000, "Anna Amt", 2)  # 2026-03-28T00:00+01:00
    assert rules.shown_time(rules.end_of_grace(before_march)) == "2026-03-29T23:00:00Z"


@given(st.text())
def test_only_the_whole_name_confirms(text: str) -> None:
    if text == "messenger.example":
        return
    with pytest.raises(OffboardError, match="nothing was done"):
        rules.refuse_unconfirmed(text, "messenger.example")


MARKER = Closing("0f", 1_700_000_000_000, "Anna Amt", 30)


def test_the_database_confirms_what_the_journal_says() -> None:
    rules.refuse_another_closing(CLOSED, MARKER)


@pytest.mark.parametrize(
    "changed", [{"closed_ts": 1_600_000_000_000}, {"closed_by": "Berta Betrieb"}, {"grace_days": 1}]
)
def test_a_journal_that_says_otherwise_than_the_database_is_not_believed(changed: dict[str, Any]) -> None:
    with pytest.raises(OffboardError, match="the journal does not say what the database says"):
        rules.refuse_another_closing(attr.evolve(CLOSED, **changed), MARKER)


@pytest.mark.parametrize("marker", [None, attr.evolve(MARKER, closing_id="ff")])
def test_another_database_is_not_the_one_that_was_closed(marker: Closing | None) -> None:
    with pytest.raises(OffboardError, match="begins a new grace period"):
        rules.refuse_another_closing(CLOSED, marker)


def a_run(started_ts: int) -> Run:
    return Run(new_run_id(started_ts, "0123abcd"), started_ts, None, None)


@given(st.lists(st.integers(0, 1_699_999_999_999), max_size=3))
def test_backups_of_before_the_closing_may_go(started: list[int]) -> None:
    rules.refuse_backups_after(CLOSED, [a_run(one) for one in sorted(started)])


@pytest.mark.parametrize("started_ts", [1_700_000_000_000, 1_700_086_400_000])
def test_somebody_who_still_makes_backups_keeps_them(started_ts: int) -> None:
    """A restored copy has the name and the settings of the server that is in use."""
    runs = [a_run(1_699_000_000_000), a_run(started_ts)]
    with pytest.raises(OffboardError, match=f"1 backups .* {rules.shown_time(started_ts)}: is it in use somewhere"):
        rules.refuse_backups_after(CLOSED, runs)


def test_where_no_closing_is_known_no_backup_goes() -> None:
    with pytest.raises(OffboardError, match="are younger than the closing"):
        rules.refuse_backups_after(attr.evolve(CLOSED, closed_ts=None), [a_run(1)])
