"""Charts: whatever is counted, everything stands inside the drawing and where it belongs."""

import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.portal.presentation import chart
from synapse_bum.portal.presentation.chart import HEIGHT, WIDTH, Chart, Series, draw, is_monthly, marked_days, nice_step

FIRST = dt.date(2026, 1, 1)
values = st.one_of(st.none(), st.integers(0, 2**63 - 1), st.integers(0, 30))


def days(count: int, first: dt.date = FIRST) -> list[dt.date]:
    """Days that follow each other."""
    return [first + dt.timedelta(days=number) for number in range(count)]


def drawn(*numbers: int | None) -> Chart:
    """A chart of one line that is there."""
    found = draw(days(len(numbers)), [Series("a", numbers)], str, lambda day, _monthly: day.isoformat())
    assert found is not None
    return found


@st.composite
def counted(draw_one: st.DrawFn) -> tuple[list[dt.date], list[Series]]:
    """Days with gaps, and up to three lines over them."""
    offsets = sorted(draw_one(st.sets(st.integers(0, 800), max_size=60)))
    found = [FIRST + dt.timedelta(days=offset) for offset in offsets]
    lines = draw_one(st.lists(st.lists(values, min_size=len(found), max_size=len(found)), min_size=1, max_size=3))
    return found, [Series(f"line{number}", tuple(line)) for number, line in enumerate(lines)]


@given(counted())
def test_every_point_is_inside_and_every_value_is_drawn_once(what: tuple[list[dt.date], list[Series]]) -> None:
    found_days, lines = what
    found = draw(found_days, lines, str, lambda day, _monthly: day.isoformat())
    known = [[value for value in line.values if value is not None] for line in lines]
    if not any(known):
        assert found is None
        return
    assert found is not None
    for curve, expected in zip(found.curves, known, strict=True):
        points = [point for run in curve.runs for point in run] + list(curve.dots)
        assert len(points) == len(expected)
        for point in points:
            assert found.left <= point.x <= found.right
            assert found.top <= point.y <= found.bottom
    for tick in found.rows:
        assert found.top <= tick.at <= found.bottom
    for tick in found.columns:
        assert found.left <= tick.at <= found.right
    places = [tick.at for tick in (*found.rows, *found.columns)]
    places += [place for curve in found.curves for run in curve.runs for point in run for place in (point.x, point.y)]
    assert all(math.isfinite(place) for place in places)
    assert "nan" not in "".join(line for curve in found.curves for line in curve.lines)


@given(st.integers(0, 2**63 - 1))
def test_the_grid_has_few_lines_and_reaches_the_largest_value(largest: int) -> None:
    step = nice_step(largest)
    assert step >= 1
    assert str(step).strip("0") in {"1", "2", "5"}
    assert 1 <= max(1, -(-largest // step)) <= 4


@given(st.integers(1, 800), st.dates(dt.date(2000, 1, 1), dt.date(2090, 1, 1)))
def test_at_most_seven_days_are_written_below(count: int, first: dt.date) -> None:
    marked = marked_days(days(count, first))
    assert 1 <= len(marked) <= 7
    assert marked == sorted(set(marked))
    if is_monthly(days(count, first)):
        assert {day.day for day in marked} == {1}


@pytest.mark.parametrize("count", [0, 5])
def test_nothing_known_is_no_chart(count: int) -> None:
    assert draw(days(count), [Series("a", (None,) * count)], str, lambda _day, _monthly: "") is None


def test_one_value_is_a_dot_in_the_middle() -> None:
    found = drawn(7)
    (curve,) = found.curves
    assert curve.runs == ()
    assert curve.dots[0].x == (found.left + found.right) / 2


def test_zeros_lie_on_the_ground() -> None:
    found = drawn(0, 0, 0)
    assert {point.y for point in found.curves[0].runs[0]} == {found.bottom}
    assert [tick.label for tick in found.rows] == ["0", "1"]


def test_the_largest_value_that_is_a_line_of_the_grid_is_at_the_top() -> None:
    found = drawn(0, 20)
    assert found.curves[0].runs[0][1].y == found.top
    assert [tick.label for tick in found.rows] == ["0", "5", "10", "15", "20"]


def test_a_day_that_is_not_known_is_a_gap_and_no_zero() -> None:
    found = drawn(5, 6, None, 7, 8, None, 9)
    (curve,) = found.curves
    assert [len(run) for run in curve.runs] == [2, 2]
    assert len(curve.dots) == 1
    assert len(curve.lines[0].split()) == 2


def test_days_that_are_missing_take_their_room() -> None:
    first, last = FIRST, FIRST + dt.timedelta(days=10)
    found = draw([first, FIRST + dt.timedelta(days=1), last], [Series("a", (1, 2, 3))], str, lambda day, _m: str(day))
    assert found is not None
    (run,), (dot,) = found.curves[0].runs, found.curves[0].dots
    assert run[1].x - run[0].x == pytest.approx((dot.x - run[0].x) / 10)


def test_four_hundred_days_are_written_as_months() -> None:
    found = draw(days(400), [Series("a", tuple(range(400)))], str, lambda day, monthly: f"{day} {monthly}")
    assert found is not None
    assert {column.label.split()[1] for column in found.columns} == {"True"}
    assert len(found.curves[0].runs[0]) == 400
    assert (found.width, found.height) == (WIDTH, HEIGHT)


def test_the_drawing_leaves_room_for_what_is_written() -> None:
    found = drawn(1, 2)
    assert found.left >= 60
    assert found.width - found.right >= 30
    assert chart.HEIGHT - found.bottom >= 30
