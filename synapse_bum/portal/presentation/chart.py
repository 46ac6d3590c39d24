"""A chart of lines over days: where everything stands in the drawing. Pure geometry, no text and no colour of its own.

The value 0 is always at the bottom: a scale that begins elsewhere makes small changes look large. A day without a value
is a gap in the line, never a zero.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import attr

WIDTH: Final = 720
HEIGHT: Final = 300
LEFT: Final = 92
RIGHT: Final = 44
TOP: Final = 20
BOTTOM: Final = 44

_ROWS: Final = 4
"""About how many lines of the grid there are above 0."""
_COLUMNS: Final = 6
_MONTHLY_FROM_DAYS: Final = 100
_DAY: Final = dt.timedelta(days=1)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Series:
    """One line of a chart.

    Attributes:
        name: key of its name in the catalogue.
        values: by day, in the order of the days; none is below 0. None where nothing is known.
    """

    name: str
    values: tuple[int | None, ...]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Tick:
    """A line of the grid: where it is, and what is written beside it."""

    at: float
    label: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Point:
    """A place in the drawing, from its upper left corner."""

    x: float
    y: float


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Curve:
    """How one series is drawn.

    Attributes:
        name: key of its name in the catalogue.
        runs: points that are joined, of two or more days in a row.
        dots: days whose neighbours have no value.
    """

    name: str
    runs: tuple[tuple[Point, ...], ...]
    dots: tuple[Point, ...]

    @property
    def lines(self) -> list[str]:
        """The runs as SVG's `points`."""
        return [" ".join(f"{point.x:.1f},{point.y:.1f}" for point in run) for run in self.runs]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Chart:
    """A whole drawing; sizes are those of its own units."""

    curves: tuple[Curve, ...]
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def draw(
    days: Sequence[dt.date],
    series: Sequence[Series],
    row_label: Callable[[int], str],
    column_label: Callable[[dt.date, bool], str],
) -> Chart | None:
    """Draws some lines over the same days.

    Args:
        days: ascending, each once; there may be gaps.
        series: with one value for each of the days.
        row_label: writes a value.
        column_label: writes a day; as a month, when the second argument says so.

    Returns:
        the drawing; None when there is no value at all.
    """
    values = [value for line in series for value in line.values if value is not None]
    if not values:
        return None
    step = nice_step(max(values))
    top_value = step * max(1, -(-max(values) // step))

    def y_of(value: int) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (value / top_value)

    x_of = _horizontally(days)
    return Chart(
        tuple(_curve(line, days, x_of, y_of) for line in series),
        tuple(Tick(y_of(value), row_label(value)) for value in range(0, top_value + 1, step)),
        tuple(Tick(x_of(day), column_label(day, is_monthly(days))) for day in marked_days(days)),
    )


def nice_step(largest: int) -> int:
    """The distance of the grid's lines: 1, 2 or 5 times a power of ten, so that about four reach the largest value."""
    step = 1
    while step * _ROWS < largest:
        for factor in (2, 5, 10):
            if step * factor * _ROWS >= largest or factor == 10:
                step *= factor
                break
    return step


def is_monthly(days: Sequence[dt.date]) -> bool:
    """Whether the days are so many that months are written below them."""
    return bool(days) and (days[-1] - days[0]).days >= _MONTHLY_FROM_DAYS


def marked_days(days: Sequence[dt.date]) -> list[dt.date]:
    """The days that are written below the chart, at most seven."""
    if not days:
        return []
    first, last = days[0], days[-1]
    every = [first + number * _DAY for number in range((last - first).days + 1)]
    if is_monthly(days):
        every = [day for day in every if day.day == 1]
    stride = max(1, -(-len(every) // _COLUMNS))
    return every[::stride]


def _horizontally(days: Sequence[dt.date]) -> Callable[[dt.date], float]:
    span = (days[-1] - days[0]).days
    room = WIDTH - LEFT - RIGHT

    def x_of(day: dt.date) -> float:
        return LEFT + room * ((day - days[0]).days / span if span else 0.5)

    return x_of


def _curve(
    series: Series, days: Sequence[dt.date], x_of: Callable[[dt.date], float], y_of: Callable[[int], float]
) -> Curve:
    found = [
        tuple(Point(x_of(day), y_of(value)) for day, value in run)
        for run in _runs(zip(days, series.values, strict=True))
    ]
    return Curve(
        series.name,
        tuple(run for run in found if len(run) > 1),
        tuple(run[0] for run in found if len(run) == 1),
    )


def _runs(values: Iterator[tuple[dt.date, int | None]]) -> Iterator[list[tuple[dt.date, int]]]:
    """Values of days that follow each other without a gap."""
    run: list[tuple[dt.date, int]] = []
    for day, value in values:
        if run and (value is None or day != run[-1][0] + _DAY):
            yield run
            run = []
        if value is not None:
            run.append((day, value))
    if run:
        yield run
