"""Statistics: users, rooms, messages and storage over time, as charts, as tables and as a file."""

import datetime as dt
from typing import Any, Final

import attr

from synapse_bum.portal import csv_cells
from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.homeserver_api.outcomes import NotOfferedError
from synapse_bum.portal.language.formats import moment
from synapse_bum.portal.language.texts import Texts
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation import chart
from synapse_bum.portal.presentation.chart import Chart, Series
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.statistics import calendar_days, periods
from synapse_bum.portal.statistics.periods import Column, Row, Sum
from synapse_bum.portal.visit import Visit

_MOST_DAYS: Final = 1_000


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Part:
    """One section of the page.

    Attributes:
        name: `users`, `rooms`, `messages` or `storage`.
        offered: whether the server counts this at all.
        chart: None when nothing was counted yet.
        columns: of the table.
        rows: of the table, the latest first.
    """

    name: str
    offered: bool
    chart: Chart | None
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @property
    def adds_up(self) -> bool:
        """Whether the numbers of a row depend on how many of its days are counted."""
        return any(column.sum is not Sum.LAST for column in self.columns)

    @property
    def latest(self) -> tuple[Column, dt.date, int] | None:
        """The last number of the first column that has one."""
        return next(((column, *column.latest) for column in self.columns if column.latest is not None), None)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Counts:
    """All that is known, by what it is about; None for what the server does not count."""

    users: tuple[Column, ...]
    rooms: tuple[Column, ...]
    messages: tuple[Column, ...]
    storage: tuple[Column, ...] | None

    @property
    def parts(self) -> dict[str, tuple[Column, ...] | None]:
        """Columns by the name of their section."""
        return attr.asdict(self, recurse=False)


async def _show(visit: Visit) -> Reply:
    span = periods.span_of(visit.query.text("span"))
    counts = await _counts(visit, span)
    length = periods.length_of(span)
    parts = [_part(name, columns, length, visit) for name, columns in counts.parts.items()]
    return visit.show("statistics/charts.html", parts=parts, span=span, spans=periods.SPANS, length=length.value)


async def _download(visit: Visit) -> Reply:
    counts = await _counts(visit, periods.span_of(visit.query.text("span")))
    columns = [column for part in counts.parts.values() for column in part or ()]
    head = [visit.t("statistics.day"), *(visit.t(f"{column.name}_csv") for column in columns)]
    lines = [
        [day.isoformat(), *(_cell(column.values.get(day)) for column in columns)] for day in periods.days_of(columns)
    ]
    today = calendar_days.day_of(visit.now_ms).isoformat()
    return visit.file(csv_cells.write([head, *lines]), csv_cells.CSV_TYPE, f"statistik-{today}.csv")


async def _counts(visit: Visit, span: str) -> Counts:
    today = calendar_days.day_of(visit.now_ms)
    from_ts = max(0, calendar_days.begin_ms(today - dt.timedelta(days=int(span))))
    asked = {"from_ts": from_ts, "limit": _MOST_DAYS}
    own = (await visit.server.get(BUM + "/portal/statistics", query=asked))["statistics"]
    stored: list[dict[str, Any]] | None
    try:
        stored = (await visit.server.get(BUM + "/storage/history", query=asked))["history"]
    except NotOfferedError:
        stored = None
    active = (_own("active_users", own, Sum.PEAK),) if visit.config.show_activity else ()
    registered = _own("registered_users", own, Sum.LAST) if stored is None else _stored("users", stored)
    return Counts(
        users=(registered, *active),
        rooms=(_own("rooms", own, Sum.LAST),),
        messages=(_own("messages", own, Sum.TOTAL), _own("sent_messages", own, Sum.TOTAL)),
        storage=None if stored is None else (_stored("used_bytes", stored), _stored("included_bytes", stored)),
    )


def _part(name: str, columns: tuple[Column, ...] | None, length: periods.Length, visit: Visit) -> Part:
    """Makes a section of the page; None for columns that the server does not have."""
    if columns is None:
        return Part(name, offered=False, chart=None, columns=(), rows=())
    days = periods.days_of(columns)
    series = [Series(column.name, tuple(column.values.get(day) for day in days)) for column in columns]
    texts, formats = visit.t, visit.formats
    write = formats.size if columns[0].is_size else formats.number
    drawing = chart.draw(days, series, write, lambda day, monthly: _column_label(texts, day, monthly=monthly))
    return Part(name, offered=True, chart=drawing, columns=columns, rows=tuple(periods.rows(columns, length)))


def _column_label(texts: Texts, day: dt.date, *, monthly: bool) -> str:
    values = {"day": f"{day:%d}", "month": f"{day:%m}", "year": f"{day:%Y}"}
    return texts("statistics.axis_month" if monthly else "statistics.axis_day", **values)


def _own(name: str, days: list[dict[str, Any]], how: Sum) -> Column:
    return Column(f"statistics.{name}", {dt.date.fromisoformat(day["day"]): day[name] for day in days}, how)


def _stored(name: str, days: list[dict[str, Any]]) -> Column:
    values = {moment(day["ts"]).date(): day[name] for day in days}
    return Column(f"statistics.{name}", values, Sum.LAST, is_size=name.endswith("_bytes"))


def _cell(value: int | None) -> str:
    return "" if value is None else str(value)


PAGES = (
    Page("statistics", area=Area.APPLICATION, title="statistics.title", show=_show, menu=30),
    Page("statistics/csv", area=Area.APPLICATION, title="statistics.download", show=_download),
)
