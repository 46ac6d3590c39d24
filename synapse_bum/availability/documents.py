"""The report of a month in each format: German text that can be mailed, and CSV. Pure."""

import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from typing import Final

import attr

from synapse_bum import german
from synapse_bum.availability.outages import Excuse, Source
from synapse_bum.availability.report import Report
from synapse_bum.csv_cells import END_OF_ROW, quoted

WIDTH: Final = 78
"""Columns, at most: what a mail program quotes without wrapping it."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LABEL_WIDTH: Final = 34
_RULE: Final = "-" * WIDTH
_EXCUSES: Final = {
    Excuse.MAINTENANCE: "Wartung",
    Excuse.CUSTOMER: "Auftraggeber",
    Excuse.THIRD_PARTY: "Dritte",
    Excuse.FORCE_MAJEURE: "Höhere Gewalt",
}
_SOURCES: Final = {Source.ENTERED: "eingetragen", Source.MEASURED: "gemessen"}
_COLUMNS: Final = (
    "Art",
    "Kennung",
    "Beginn",
    "Ende",
    "Ticket",
    "Ausnahme",
    "Grund",
    "Quelle",
    "Minuten",
    "Anteil in Prozent",
)
_NOTES: Final = (
    "Verfügbarkeit = (Serviceminuten - Ausfallminuten) / Serviceminuten, an allen Tagen rund um die Uhr.",
    "Eine angefangene Minute zählt ganz, und jede Minute nur einmal, auch wenn mehrere Ausfälle in ihr liegen.",
    "Vertraglich zählen Ausfälle mit Ticket.",
    "Ausnahmen (Wartung, Auftraggeber, Dritte, höhere Gewalt) mindern Ausfallminuten, nie Serviceminuten.",
    "Gemessen sind alle bekannten Ausfälle, mit und ohne Ticket und ohne Ausnahmen.",
    "Anteile sind abgerundet; ob das Ziel erreicht ist, entscheiden die genauen Zahlen.",
)


class ReportFormat(Enum):
    """How a report is written; the values are those of the API."""

    JSON = "json"
    CSV = "csv"
    TEXT = "text"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Head:
    """What a document says beside the report.

    Attributes:
        server_name: of the homeserver.
        service_begin: first day of the service as text, None when it was always there.
        zone: in which times are written.
    """

    server_name: str
    service_begin: str | None
    zone: tzinfo


def as_text(report: Report, head: Head) -> str:
    """Writes a report as German text with lines of at most 78 columns, each ended by a line feed."""
    blocks = (
        _title(report),
        _warning(report),
        _numbers(report, head),
        _outages(report, head.zone),
        ["So wurde gerechnet:", *_wrapped(_NOTES)],
    )
    return "\n\n".join("\n".join(block) for block in map(list, blocks) if block) + "\n"


def as_csv(report: Report, head: Head) -> str:
    """Writes a report as German CSV: a row for the month, then one for each outage.

    Returns:
        rows with `;` between the cells, decimals with a comma, that end with CR and LF. In answers it is UTF-8 with a
        byte order mark, without which Excel takes it for Windows-1252.
    """
    found = report.availability
    rows = [[quoted(name) for name in _COLUMNS]]
    for kind, minutes, share in (
        ("Serviceminuten", found.service_minutes, None),
        ("Ausfallminuten", found.outage_minutes, None),
        ("ausgenommene Minuten", found.excused_minutes, None),
        ("Ausfallminuten gemessen", found.measured_outage_minutes, None),
        ("Minuten ohne Messung", report.not_measured_minutes, None),
        ("Verfügbarkeit vertraglich", None, found.availability),
        ("Verfügbarkeit gemessen", None, found.measured_availability),
        ("Ziel", None, found.target),
    ):
        numbers = ("" if minutes is None else str(minutes), "" if share is None else _percent(share))
        rows.append([quoted(kind), *_empty(7), *numbers])
    for outage in report.outages:
        excuse = "" if outage.excuse is None else _EXCUSES[outage.excuse]
        cells = (
            "Ausfall",
            outage.outage_id,
            _moment(outage.from_ts, head.zone),
            "" if outage.to_ts is None else _moment(outage.to_ts, head.zone),
            outage.ticket or "",
            excuse,
            outage.reason or "",
            _SOURCES[outage.source],
        )
        rows.append([*map(quoted, cells), "", ""])
    state = "vorläufig" if report.preliminary else "endgültig"
    met = "erreicht" if found.target_met else "verfehlt"
    for kind, content in (("Monat", str(report.month)), ("Stand", state), ("Zielerreichung", met)):
        rows.append([quoted(kind), quoted(content), *_empty(6), "", ""])
    return "\ufeff" + "".join(";".join(row) + END_OF_ROW for row in rows)


def _empty(cells: int) -> list[str]:
    return [quoted("")] * cells


def _title(report: Report) -> list[str]:
    title, month = "Verfügbarkeit BundesMessenger", german.month_name(report.month)
    return [title + month.rjust(WIDTH - len(title)), "=" * WIDTH]


def _warning(report: Report) -> list[str]:
    if not report.preliminary:
        return []
    return ["VORLÄUFIG: Der Monat ist nicht zu Ende, oder ein Ausfall hat kein Ende."]


def _numbers(report: Report, head: Head) -> Iterator[str]:
    found = report.availability
    yield _row("Server", head.server_name)
    yield _row("Zeitraum", f"{german.day(report.month.first_day)} bis {german.day(german.last_day(report.month))}")
    if head.service_begin is not None:
        yield _row("Beginn des Dienstes", head.service_begin)
    yield _row("Stand", _moment(report.as_of_ts, head.zone))
    yield ""
    yield _row("Serviceminuten", german.whole(found.service_minutes))
    yield _row("Ausfallminuten", f"{german.whole(found.outage_minutes)} (höchstens {found.allowed_minutes})")
    yield _row("Ausgenommene Minuten", german.whole(found.excused_minutes))
    yield _row("Verfügbarkeit (Vertrag)", f"{_percent(found.availability)} %")
    yield _row("Ziel", f"{_percent(found.target)} %, {'erreicht' if found.target_met else 'VERFEHLT'}")
    yield ""
    yield _row("Ausfallminuten gemessen", german.whole(found.measured_outage_minutes))
    yield _row("Verfügbarkeit (gemessen)", f"{_percent(found.measured_availability)} %")
    yield _row("Minuten ohne Messung", german.whole(report.not_measured_minutes))


def _outages(report: Report, zone: tzinfo) -> Iterator[str]:
    if not report.outages:
        yield "Keine Ausfälle."
        return
    yield f"{'Beginn':<24}{'Ende':<24}{'Ticket':<15}Ausnahme"
    yield _RULE
    for outage in report.outages:
        end = "dauert an" if outage.to_ts is None else _moment(outage.to_ts, zone)
        excuse = "keine" if outage.excuse is None else _EXCUSES[outage.excuse]
        ticket = "keines" if outage.ticket is None else _printable(outage.ticket)
        line = f"{_moment(outage.from_ts, zone):<24}{end:<24}"
        if len(ticket) < 15:
            yield f"{line}{ticket:<15}{excuse}"
        else:
            yield f"{line}{'':<15}{excuse}"
            yield from textwrap.wrap(f"Ticket: {ticket}", WIDTH, initial_indent="  ", subsequent_indent="  ")
        reason = _SOURCES[outage.source] + ("" if outage.reason is None else f": {_printable(outage.reason)}")
        yield from textwrap.wrap(reason, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _row(label: str, value: str) -> str:
    return f"{label:{_LABEL_WIDTH}}{value}"[:WIDTH]


def _wrapped(sentences: Sequence[str]) -> Iterator[str]:
    for sentence in sentences:
        yield from textwrap.wrap(sentence, WIDTH, initial_indent="- ", subsequent_indent="  ")


def _printable(content: str) -> str:
    return "".join(character for character in " ".join(content.split()) if character.isprintable())


def _moment(ts_ms: int, zone: tzinfo) -> str:
    """Writes a moment with its hours from UTC, for example `25.10.2026 02:30:00+01`: in autumn an hour comes twice."""
    local = (_EPOCH + timedelta(milliseconds=ts_ms)).astimezone(zone)
    return f"{local:%d.%m.%Y %H:%M:%S}{f'{local:%z}'[:3]}"


def _percent(share: Decimal) -> str:
    """Writes a share in percent with six decimals, for example `99,930555`: all that `Availability` rounds down to."""
    return f"{share * 100:.6f}".replace(".", ",")
