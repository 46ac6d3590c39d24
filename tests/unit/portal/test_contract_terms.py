"""When the contract can end: six months, then month by month, with a month's notice."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.portal.presentation.contract_terms import contract_terms, last_notice, month_after, term_end

DAY = dt.timedelta(days=1)
days = st.dates(dt.date(2020, 1, 1), dt.date(2060, 12, 31))


def day(written: str) -> dt.date:
    return dt.date.fromisoformat(written)


@pytest.mark.parametrize(
    ("begin", "months", "end"),
    [
        ("2026-10-01", 6, "2027-03-31"),
        ("2026-08-15", 6, "2027-02-14"),
        ("2026-08-31", 6, "2027-02-28"),
        ("2027-08-31", 6, "2028-02-29"),
        ("2027-08-30", 6, "2028-02-29"),
        ("2026-08-29", 6, "2027-02-28"),
        ("2026-03-31", 6, "2026-09-30"),
        ("2026-08-31", 7, "2027-03-30"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2026-12-01", 1, "2026-12-31"),
    ],
)
def test_the_last_day_of_a_term(begin: str, months: int, end: str) -> None:
    assert term_end(day(begin), months) == day(end)


@pytest.mark.parametrize(
    ("begin", "today", "next_end", "earliest_end", "notice_until"),
    [
        # Before the six months are over.
        ("2026-10-01", "2026-09-01", "2027-03-31", "2027-03-31", "2027-02-28"),
        ("2026-10-01", "2026-11-23", "2027-03-31", "2027-03-31", "2027-02-28"),
        ("2026-10-01", "2027-02-28", "2027-03-31", "2027-03-31", "2027-02-28"),
        ("2026-10-01", "2027-03-01", "2027-03-31", "2027-04-30", "2027-03-31"),
        ("2026-10-01", "2027-03-31", "2027-03-31", "2027-04-30", "2027-03-31"),
        # Afterwards, month by month.
        ("2026-10-01", "2027-04-01", "2027-04-30", "2027-05-31", "2027-04-30"),
        ("2026-10-15", "2027-06-14", "2027-06-14", "2027-07-14", "2027-06-14"),
        ("2026-10-15", "2027-06-15", "2027-07-14", "2027-08-14", "2027-07-14"),
        # The end of a short month, in a common year and in a leap year.
        ("2026-08-31", "2027-01-31", "2027-02-28", "2027-02-28", "2027-01-31"),
        ("2027-08-31", "2028-01-31", "2028-02-29", "2028-02-29", "2028-01-31"),
        ("2027-08-31", "2028-02-01", "2028-02-29", "2028-03-30", "2028-02-29"),
    ],
)
def test_the_earliest_end(begin: str, today: str, next_end: str, earliest_end: str, notice_until: str) -> None:
    terms = contract_terms(day(begin), day(today))
    found = (terms.next_end, terms.earliest_end, terms.notice_until)
    assert found == (day(next_end), day(earliest_end), day(notice_until))
    assert terms.minimum_end == term_end(day(begin), 6)


@given(days, days)
def test_notice_today_is_in_time_and_no_earlier_term_would_do(begin: dt.date, today: dt.date) -> None:
    terms = contract_terms(begin, today)
    assert terms.earliest_end >= terms.minimum_end
    assert month_after(today) <= terms.earliest_end
    assert terms.notice_until >= today
    ends = [term_end(begin, months) for months in range(6, 600)]
    assert terms.earliest_end == min(end for end in ends if end >= month_after(today))
    assert terms.next_end == min(end for end in ends if end >= today)


@given(days)
def test_a_day_after_the_last_one_is_too_late_for_notice(end: dt.date) -> None:
    assert month_after(last_notice(end)) <= end < month_after(last_notice(end) + DAY)


@given(days, st.integers(1, 120))
def test_terms_follow_each_other_without_a_gap_of_more_than_a_month(begin: dt.date, months: int) -> None:
    first, second = term_end(begin, months), term_end(begin, months + 1)
    assert 28 <= (second - first).days <= 31
