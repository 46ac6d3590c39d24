"""The mail that tells operators that the pool fills up, in German, as text and as HTML. Pure."""

import html
import textwrap
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Final
from zoneinfo import ZoneInfo

import attr

from synapse_bum.german import SWAPPED
from synapse_bum.storage.alerts.thresholds import percent
from synapse_bum.storage.usage import Pool

_WIDTH: Final = 76
_ONCE: Final = (
    "Diese Nachricht kommt für jede Schwelle einmal, und erst dann wieder, wenn die Belegung zwischendurch deutlich"
    " darunter lag."
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Notice:
    """What there is to tell.

    Attributes:
        reached_ts: when; ms since the epoch.
        thresholds: that were reached then, ascending; shares of the pool.
        pool: as it was then.
    """

    reached_ts: int
    thresholds: tuple[Decimal, ...]
    pool: Pool


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Mail:
    """One mail.

    Attributes:
        subject: one line.
        text: plain text.
        html: the same as a page.
    """

    subject: str
    text: str
    html: str


def write_mail(notice: Notice, server_name: str, timezone: ZoneInfo, hard_limit_bytes: int | None) -> Mail:
    """Write the mail about one notice.

    Args:
        notice: what there is to tell.
        server_name: of the homeserver.
        timezone: of the readers.
        hard_limit_bytes: beyond which uploads are refused; None when they never are.
    """
    subject = f"[{server_name}] Speicherplatz {_filled(notice.pool)}"
    opening = [
        "Guten Tag,",
        f"der Speicherplatz von {server_name} ist {_filled(notice.pool)}. {_reached(notice.thresholds)}",
    ]
    facts = _facts(notice, timezone)
    closing = [
        f"Wie es weitergeht: {_extension(notice.pool)} {_uploads(notice.pool, hard_limit_bytes)}",
        _ONCE,
    ]
    return Mail(subject, _as_text(opening, facts, closing), _as_html(subject, opening, facts, closing))


def _filled(pool: Pool) -> str:
    if not pool.included_bytes:
        return "belegt, ohne dass Speicherplatz inbegriffen ist"
    # Rounded down: nothing is said to be full before it is.
    share = (Decimal(100 * pool.used_bytes) / pool.included_bytes).quantize(Decimal("0.1"), ROUND_FLOOR)
    return f"zu {_german(f'{share:,f}')} % belegt"


def _reached(thresholds: tuple[Decimal, ...]) -> str:
    *others, last = [f"{_german(percent(each))} %" for each in thresholds]
    if not others:
        return f"Damit ist die Schwelle von {last} erreicht."
    return f"Damit sind die Schwellen von {', '.join(others)} und {last} erreicht."


def _facts(notice: Notice, timezone: ZoneInfo) -> list[tuple[str, str]]:
    pool = notice.pool
    when = datetime.fromtimestamp(notice.reached_ts / 1000, tz=timezone)
    return [
        ("Belegt", _gb(pool.used_bytes, pool)),
        ("Inbegriffen", f"{_gb(pool.included_bytes, pool)} (registrierte Konten: {_german(f'{pool.users:,}')})"),
        ("Frei", _gb(pool.free_bytes, pool)),
        ("Stand", f"{when:%d.%m.%Y, %H:%M} Uhr ({timezone.key})"),
        ("1 GB", f"{_german(f'{pool.gigabyte:,}')} Byte"),
    ]


def _extension(pool: Pool) -> str:
    if pool.extension_gb:
        return (
            f"Über den inbegriffenen Speicherplatz hinaus sind {_german(f'{pool.extension_gb:,}')} GB angefangen."
            " Die Erweiterung wird in Schritten von 1 GB abgerechnet."
        )
    return (
        "Wird mehr als der inbegriffene Speicherplatz belegt, wird er in Schritten von 1 GB erweitert, und die"
        " Erweiterung wird abgerechnet."
    )


def _uploads(pool: Pool, hard_limit_bytes: int | None) -> str:
    if hard_limit_bytes is None:
        return "Dateien werden weiterhin angenommen."
    return f"Was über {_gb(hard_limit_bytes, pool)} hinausginge, wird nicht mehr angenommen."


def _gb(size_bytes: int, pool: Pool) -> str:
    return _german(f"{Decimal(size_bytes) / pool.gigabyte:,.2f}") + " GB"


def _german(number: str) -> str:
    """A number with English separators in German ones."""
    return number.translate(SWAPPED)


def _as_text(opening: list[str], facts: list[tuple[str, str]], closing: list[str]) -> str:
    width = max(len(name) for name, _value in facts) + 2
    table = "\n".join(f"  {name + ':':<{width}}{value}" for name, value in facts)
    paragraphs = [*map(_wrapped, opening), table, *map(_wrapped, closing)]
    return "\n\n".join(paragraphs) + "\n"


def _wrapped(paragraph: str) -> str:
    return textwrap.fill(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _as_html(subject: str, opening: list[str], facts: list[tuple[str, str]], closing: list[str]) -> str:
    rows = "".join(
        f"<tr><th align='left'>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>\n" for name, value in facts
    )
    before, after = ("".join(f"<p>{html.escape(each)}</p>\n" for each in part) for part in (opening, closing))
    return (
        f"<!DOCTYPE html>\n<html lang='de'>\n<head><meta charset='utf-8'><title>{html.escape(subject)}</title></head>\n"
        f"<body>\n{before}<table cellpadding='4'>\n{rows}</table>\n{after}</body>\n</html>\n"
    )
