"""Months of the calendar, what can be said about them, and which numbers they are billed by."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.storage.month import (
    Basis,
    Month,
    MonthError,
    StorageBasis,
    UsersBasis,
    basis,
    check_has_data,
    day_of,
    is_preliminary,
)
from synapse_bum.storage.registered_users import UserCount
from synapse_bum.storage.snapshots import Snapshot
from synapse_bum.storage.usage import Stored, started

BERLIN = ZoneInfo("Europe/Berlin")
GB = 1_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
FEBRUARY = Month(2026, 2)

ZONES = [
    *("Europe/Berlin", "UTC", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Australia/Lord_Howe"),
    # The clock is put forward or back at midnight.
    *("America/Sao_Paulo", "Africa/Cairo", "America/Havana", "Asia/Beirut", "America/St_Johns"),
]
months = st.builds(Month, st.integers(1970, 2999), st.integers(1, 12))
zones = st.sampled_from(ZONES).map(ZoneInfo)


def a_snapshot(
    day: int = 1,
    *,
    users: int = 10,
    used: int = 0,
    included: int | None = None,
    gigabyte: int = GB,
    locked: int = 0,
) -> Snapshot:
    """A count of a day of February; one gigabyte for each user unless told."""
    included = users * gigabyte if included is None else included
    ts = FEBRUARY.bounds_ms(BERLIN)[0] + day * DAY_MS - 1
    return Snapshot(date(2026, 2, day), ts, users, locked, Stored(local_bytes=used), used, included, gigabyte)


def billed(
    *snapshots: Snapshot,
    users: UsersBasis = UsersBasis.DISTINCT,
    storage: StorageBasis = StorageBasis.PEAK,
    distinct: UserCount | None = None,
) -> Basis:
    return basis(FEBRUARY, snapshots, distinct or UserCount(1, 0), users, storage)


def gigabytes(found: Basis) -> tuple[float, float, int]:
    """What was used, what was included, and what is billed beyond it."""
    return float(found.used_gb), float(found.included_gb), found.extension_gb


@st.composite
def februaries(draw: st.DrawFn) -> list[Snapshot]:
    """Counts of some days of a month, in any order, some with another gigabyte."""
    days = draw(st.lists(st.integers(1, 28), min_size=1, max_size=28, unique=True))
    return [
        a_snapshot(
            day,
            users=draw(st.integers(0, 60_000)),
            used=draw(st.integers(0, 100_000 * GB)),
            gigabyte=draw(st.sampled_from([GB, GB, 2**30])),
        )
        for day in days
    ]


@pytest.mark.parametrize(
    ("text", "month"),
    [("2026-02", FEBRUARY), ("2024-12", Month(2024, 12)), ("1970-01", Month(1970, 1)), ("2999-12", Month(2999, 12))],
)
def test_a_month_is_read_and_written(text: str, month: Month) -> None:
    assert Month.parse(text) == month
    assert str(month) == text


@pytest.mark.parametrize(
    "text",
    [
        *("2026-13", "2026-00", "2026-1", "26-01", "٢٠٢٦-01", " 2026-01", "2026-01 ", "2026-01\n", ""),
        *("2026", "2026-01-01", "202601", "2026/01", "2026–01", "-026-01", "+2026-01", "2026-1a", "0000-01", "1969-12"),  # noqa: RUF001 - a dash is what people type
        *("3000-01", "9999-12", "10000-01", "January 2026", "2026-01\0", "x" * 10_000),
    ],
)
def test_what_is_no_month_is_refused_with_the_right_form(text: str) -> None:
    with pytest.raises(MonthError, match=r"is no month; write it as YYYY-MM, for example 2026-02$") as caught:
        Month.parse(text)
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


@given(st.text())
def test_any_text_is_a_month_or_refused(text: str) -> None:
    try:
        month = Month.parse(text)
    except MonthError:
        return
    assert str(month) == text


@given(months)
def test_every_month_survives_being_written(month: Month) -> None:
    assert Month.parse(str(month)) == month
    assert Month.of(month.first_day) == month


@pytest.mark.parametrize(
    ("month", "days"),
    [(Month(2026, 2), 28), (Month(2028, 2), 29), (Month(2000, 2), 29), (Month(2100, 2), 28), (Month(2026, 12), 31)],
)
def test_february_has_a_day_more_in_leap_years(month: Month, days: int) -> None:
    assert month.days == days
    begin_ms, end_ms = month.bounds_ms(ZoneInfo("UTC"))
    assert end_ms - begin_ms == days * DAY_MS


@pytest.mark.parametrize(("month", "hours"), [(Month(2026, 3), 31 * 24 - 1), (Month(2026, 10), 31 * 24 + 1)])
def test_months_with_a_change_of_the_clock_have_an_hour_less_or_more(month: Month, hours: int) -> None:
    begin_ms, end_ms = month.bounds_ms(BERLIN)
    assert end_ms - begin_ms == hours * HOUR_MS


def test_a_month_begins_at_midnight_of_its_zone() -> None:
    begin_ms, end_ms = Month(2026, 7).bounds_ms(BERLIN)
    assert begin_ms == datetime(2026, 7, 1, tzinfo=BERLIN).timestamp() * 1000
    assert datetime.fromtimestamp(end_ms / 1000, tz=ZoneInfo("UTC")).isoformat() == "2026-07-31T22:00:00+00:00"


@given(months, zones)
def test_months_follow_each_other_without_gaps(month: Month, zone: ZoneInfo) -> None:
    begin_ms, end_ms = month.bounds_ms(zone)
    assert month < month.next
    assert month.next.bounds_ms(zone)[0] == end_ms
    assert Month.of(day_of(begin_ms, zone)) == month
    assert Month.of(day_of(end_ms - 1, zone)) == month
    assert month.next.first_day - month.first_day == timedelta(days=month.days)


def test_a_day_is_that_of_the_zone() -> None:
    ts = Month(2026, 3).bounds_ms(BERLIN)[0]
    assert day_of(ts, BERLIN) == date(2026, 3, 1)
    assert day_of(ts - 1, BERLIN) == day_of(ts, ZoneInfo("UTC")) == date(2026, 2, 28)


@pytest.mark.parametrize(
    ("counted_ms", "now_ms", "preliminary"),
    [
        (-1, -1, True),
        (-1, 0, True),
        (-1, 20 * DAY_MS, True),
        (0, 0, False),
        (HOUR_MS, HOUR_MS, False),
        # Under a clock that was ahead: nobody knows when it really was.
        (400 * DAY_MS, HOUR_MS, True),
    ],
)
@pytest.mark.parametrize("zone", [BERLIN, ZoneInfo("UTC"), ZoneInfo("America/Havana")])
def test_a_month_is_preliminary_until_users_are_counted_after_its_end(
    *, counted_ms: int, now_ms: int, preliminary: bool, zone: ZoneInfo
) -> None:
    end_ms = FEBRUARY.bounds_ms(zone)[1]
    assert is_preliminary(FEBRUARY, end_ms + counted_ms, end_ms + now_ms, zone) is preliminary


def test_a_month_is_preliminary_as_long_as_users_were_never_counted() -> None:
    assert is_preliminary(FEBRUARY, None, FEBRUARY.bounds_ms(BERLIN)[1] + DAY_MS, BERLIN)


@pytest.mark.parametrize(
    ("month", "sentence"),
    [
        ("2026-07", "2026-07 has not begun yet"),
        ("2025-12", "there is no data for 2025-12: counts are kept since 2026-02-14"),
        ("2026-04", "no day of 2026-04 was counted, although counts are kept since 2026-02-14"),
    ],
)
def test_a_month_without_data_is_refused_with_the_reason(month: str, sentence: str) -> None:
    with pytest.raises(MonthError, match=sentence):
        check_has_data(Month.parse(month), [], date(2026, 2, 14), date(2026, 6, 30))


def test_before_the_first_count_there_is_nothing() -> None:
    with pytest.raises(MonthError, match="nothing has been counted yet"):
        check_has_data(FEBRUARY, [], None, date(2026, 2, 14))
    with pytest.raises(MonthError, match="has not begun yet"):
        check_has_data(FEBRUARY, [], None, date(2026, 1, 31))


def test_the_first_count_of_the_running_month_is_still_to_come() -> None:
    with pytest.raises(MonthError, match="2026-02 has not been counted yet: its first count comes shortly after its"):
        check_has_data(FEBRUARY, [], date(2026, 1, 5), date(2026, 2, 1))
    with pytest.raises(MonthError, match="no day of 2026-02 was counted"):
        check_has_data(FEBRUARY, [], date(2026, 1, 5), date(2026, 3, 1))


def test_the_first_month_is_counted_from_its_first_count_on() -> None:
    check_has_data(FEBRUARY, [a_snapshot(28)], date(2026, 2, 28), date(2026, 3, 1))


def test_the_published_example() -> None:
    found = billed(a_snapshot(28, users=960, used=1000 * GB), distinct=UserCount(960, 3))
    assert found == Basis(960, 3, Decimal(1000), Decimal(960), 40, days_counted=1, days=28)


@pytest.mark.parametrize(("used", "extension_gb"), [(10 * GB, 0), (10 * GB + 1, 1), (10 * GB - 1, 0), (11 * GB + 1, 2)])
@pytest.mark.parametrize("storage", StorageBasis)
def test_each_started_gigabyte_counts(used: int, extension_gb: int, storage: StorageBasis) -> None:
    found = billed(a_snapshot(used=used), storage=storage)
    assert found.extension_gb == extension_gb
    assert found.used_gb == Decimal(used) / GB


def test_one_days_peak_is_never_set_against_another_days_users() -> None:
    many_users = a_snapshot(1, users=1000, used=1000 * GB)
    few_users = a_snapshot(2, users=900, used=905 * GB)
    found = billed(many_users, few_users)
    assert gigabytes(found) == (905, 900, 5)


def test_among_equal_extensions_the_larger_storage_is_shown() -> None:
    found = billed(a_snapshot(1, users=5, used=GB), a_snapshot(2, users=5, used=3 * GB), a_snapshot(3, used=2 * GB))
    assert gigabytes(found) == (3, 5, 0)


def test_the_mean_does_not_let_days_below_the_pool_make_up_for_days_above() -> None:
    found = billed(a_snapshot(1, used=0), a_snapshot(2, used=20 * GB), storage=StorageBasis.MEAN)
    assert gigabytes(found) == (10, 10, 5)


def test_the_mean_is_rounded_up_once() -> None:
    days = [a_snapshot(day, used=10 * GB + (GB // 10 if day == 1 else 0)) for day in (1, 2, 3)]
    found = billed(*days, storage=StorageBasis.MEAN)
    assert found.extension_gb == 1
    assert found.used_gb == Decimal("10.033333333")


def test_the_end_is_the_last_day_whatever_the_order() -> None:
    first, last = a_snapshot(1, users=20, used=30 * GB, locked=2), a_snapshot(27, users=7, used=8 * GB, locked=1)
    found = billed(last, first, users=UsersBasis.END, storage=StorageBasis.END)
    assert found == Basis(7, 1, Decimal(8), Decimal(7), 1, days_counted=2, days=28)


def test_users_by_each_basis() -> None:
    days = [a_snapshot(1, users=5, locked=1), a_snapshot(2, users=9, locked=4), a_snapshot(3, users=7, locked=2)]
    found = {kind: billed(*days, users=kind, distinct=UserCount(12, 6)) for kind in UsersBasis}
    assert {kind.value: (of.users, of.locked_users) for kind, of in found.items()} == {
        "distinct": (12, 6),
        "peak": (9, 4),
        "end": (7, 2),
    }


def test_a_gigabyte_that_was_changed_within_the_month_counts_for_its_days() -> None:
    decimal, binary = a_snapshot(1, used=12 * GB), a_snapshot(2, used=12 * 2**30, gigabyte=2**30)
    for storage in StorageBasis:
        found = billed(decimal, binary, storage=storage)
        assert gigabytes(found) == (12, 10, 2)


def test_gaps_of_days_are_told() -> None:
    found = billed(*(a_snapshot(day) for day in (1, 5, 6, 28)))
    assert (found.days_counted, found.days) == (4, 28)


@given(februaries(), st.sampled_from(UsersBasis))
def test_the_order_of_the_days_does_not_matter(snapshots: list[Snapshot], users: UsersBasis) -> None:
    for storage in StorageBasis:
        assert billed(*snapshots, users=users, storage=storage) == billed(
            *reversed(snapshots), users=users, storage=storage
        )


@given(februaries())
def test_what_the_bases_have_in_common(snapshots: list[Snapshot]) -> None:
    peak, mean, end = (billed(*snapshots, users=UsersBasis.PEAK, storage=kind) for kind in StorageBasis)
    each = [started(day.used_bytes - day.included_bytes, day.gigabyte) for day in snapshots]
    assert peak.extension_gb == max(each)
    assert min(each) <= mean.extension_gb <= peak.extension_gb
    assert end.extension_gb in each
    assert peak.users == max(day.users for day in snapshots)
    for found in (peak, end):
        # What is shown is one day's, so the reader can reckon it: to within the rounding of what is shown.
        beyond = found.used_gb - found.included_gb
        assert found.extension_gb - 1 - Decimal("1e-8") < beyond or found.extension_gb == 0
        assert beyond <= found.extension_gb + Decimal("1e-8")


@given(st.integers(1, 28), st.integers(0, 1000), st.integers(0, 1000 * GB))
def test_a_month_of_equal_days_is_the_same_by_every_basis(count: int, users: int, used: int) -> None:
    days = [a_snapshot(day, users=users, used=used) for day in range(1, count + 1)]
    found = {
        billed(*days, users=by, storage=of, distinct=UserCount(users, 0)) for by in UsersBasis for of in StorageBasis
    }
    assert len(found) == 1
