"""An invoice as German text that can be mailed as it is. Pure."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from synapse_bum.storage.invoice import german
from synapse_bum.storage.invoice.calculation import Invoice, Line
from synapse_bum.storage.invoice.document import Counted, Particulars
from synapse_bum.storage.invoice.price_list import SERVICE_POSITION
from synapse_bum.storage.invoice.readings import MinimumReading, TierReading
from synapse_bum.storage.month import StorageBasis, UsersBasis
from synapse_bum.storage.usage import CountConfig

WIDTH: Final = 78
"""Columns, at most: what a mail program quotes without wrapping it."""

_LABEL_WIDTH: Final = 24
_SMALLEST_DESCRIPTION: Final = 16
_GAP: Final = "  "
_RULE: Final = "-" * WIDTH

_USERS_BASES: Final = {
    UsersBasis.DISTINCT: "Nutzer sind alle, die im Lauf des Monats registriert waren, jeder einmal.",
    UsersBasis.PEAK: "Nutzer sind die des Tages, an dem die meisten registriert waren.",
    UsersBasis.END: "Nutzer sind die, die bei der letzten Zählung des Monats registriert waren.",
}
_STORAGE_BASES: Final = {
    StorageBasis.PEAK: "Speicher ist der des Tages mit der größten Erweiterung.",
    StorageBasis.MEAN: "Speicher ist der Mittelwert der täglichen Zählungen.",
    StorageBasis.END: "Speicher ist der bei der letzten Zählung des Monats.",
}


def as_text(invoice: Invoice, particulars: Particulars) -> str:
    """Writes the invoice as lines of at most 78 columns, each ended by a line feed."""
    blocks = (
        _title(invoice),
        _warning(particulars),
        _customer(particulars),
        _numbers(invoice, particulars.counted),
        _table(invoice),
        ["Alle Beträge sind Nettobeträge in Euro, ohne Umsatzsteuer."],
        ["So wurde gerechnet:", *_notes(invoice, particulars)],
    )
    return "\n\n".join("\n".join(block) for block in map(list, blocks) if block) + "\n"


def _title(invoice: Invoice) -> list[str]:
    month = german.month_name(invoice.month)
    title = "Abrechnung BundesMessenger"
    return [title + month.rjust(WIDTH - len(title)), "=" * WIDTH]


def _warning(particulars: Particulars) -> list[str]:
    if not particulars.preliminary:
        return []
    return ["VORLÄUFIG: Der Monat ist noch nicht zu Ende gezählt; alles kann sich ändern."]


def _customer(particulars: Particulars) -> list[str]:
    rows: list[str] = []
    if particulars.contract is not None:
        rows += _row("Vertrag", [particulars.contract])
    if particulars.address is not None:
        rows += _row("Anschrift", particulars.address.splitlines())
    return rows


def _numbers(invoice: Invoice, counted: Counted | None) -> list[str]:
    month, storage = invoice.month, invoice.storage
    locked = f", davon {german.whole(counted.locked_users)} gesperrt" if counted and counted.locked_users else ""
    rows = _row("Leistungszeitraum", [f"{german.day(month.first_day)} bis {german.day(german.last_day(month))}"])
    rows += _row("Registrierte Nutzer", [german.whole(invoice.users) + locked])
    if invoice.customer_users is not None:
        rows += _row("Nutzer insgesamt", [f"{german.whole(invoice.customer_users)} auf allen Servern des Kunden"])
    rows += _row("Belegter Speicher", [f"{german.gigabytes(storage.used_gb)} GB"])
    rows += _row("Enthaltener Speicher", [f"{german.gigabytes(storage.included_gb)} GB"])
    rows += _row("Erweiterung", [f"{german.whole(storage.extension_gb)} GB"])
    if counted is not None:
        rows += _row("Tage mit Zählung", [f"{counted.days_counted} von {counted.days}"])
    return rows


def _row(label: str, values: Sequence[str]) -> list[str]:
    """Writes a label and its value, which may be configured text with anything in it."""
    lines = [line for value in values for line in textwrap.wrap(_printable(value), WIDTH - _LABEL_WIDTH)] or [""]
    return [f"{'' if number else label:{_LABEL_WIDTH}}{line}".rstrip() for number, line in enumerate(lines)]


def _printable(content: str) -> str:
    return "".join(character for character in " ".join(content.split()) if character.isprintable())


def _table(invoice: Invoice) -> list[str]:
    header = ("Position", "Leistung", "Menge", "Einzelpreis", "Betrag")
    cells = [header, *map(_cells, invoice.lines)]
    total = f"{german.money(invoice.total)} EUR"
    position, quantity, price, amount = (max(len(row[column]) for row in cells) for column in (0, 2, 3, 4))
    description = max(
        _SMALLEST_DESCRIPTION, WIDTH - position - quantity - price - amount - len(_GAP) * (len(header) - 1)
    )

    def written(row: Sequence[str]) -> Iterator[str]:
        first, *more = textwrap.wrap(row[1], description)
        numbers = (row[2].rjust(quantity), row[3].rjust(price), row[4].rjust(amount))
        yield _GAP.join((row[0].ljust(position), first.ljust(description), *numbers))
        yield from (" " * position + _GAP + line for line in more)

    lines = [line for row in cells[1:] for line in written(row)]
    label = "Summe netto"
    return [*written(header), _RULE, *lines, _RULE, label + total.rjust(WIDTH - len(label))]


def _cells(line: Line) -> tuple[str, str, str, str, str]:
    return (
        line.position,
        line.description,
        german.whole(line.quantity),
        german.money(line.unit_price),
        german.money(line.amount),
    )


def _notes(invoice: Invoice, particulars: Particulars) -> Iterator[str]:
    for note in _sentences(invoice, particulars):
        yield from textwrap.wrap(note, WIDTH, initial_indent="- ", subsequent_indent="  ")


def _sentences(invoice: Invoice, particulars: Particulars) -> Iterator[str]:
    yield f"Es gilt die Preisliste ab {german.day(invoice.price_list.valid_from)}."
    yield from _sentences_of_tiers(invoice)
    counted = particulars.counted
    if counted is not None:
        yield _USERS_BASES[counted.users_basis]
        yield _STORAGE_BASES[counted.storage_basis]
    yield f"Ein GB sind {german.whole(particulars.gigabyte)} Byte; jedes angefangene GB über dem enthaltenen zählt."
    if counted is not None:
        yield f"Als Speicher zählen {_counted_kinds(counted.count)}. Datenbank und Sicherungen zählen nicht."


def _sentences_of_tiers(invoice: Invoice) -> Iterator[str]:
    if invoice.readings.tiers is TierReading.GRADUATED:
        yield "Die Preisstufen sind gestaffelt: Der Preis einer Stufe gilt für die Nutzer innerhalb der Stufe."
    else:
        yield "Die Preisstufe folgt aus der Gesamtzahl der Nutzer; ihr Preis gilt für alle Nutzer."
    if invoice.billed_users > invoice.users:
        minimum, first = german.whole(invoice.billed_users), invoice.lines[0].position
        if invoice.readings.minimum is MinimumReading.USERS_AND_SERVICE:
            yield f"In dieser Stufe werden mindestens {minimum} Nutzer berechnet, auch bei {SERVICE_POSITION}."
        else:
            yield f"In dieser Stufe werden mindestens {minimum} Nutzer berechnet; das gilt nur für {first}."


def _counted_kinds(count: CountConfig) -> str:
    kinds = []
    if count.local_media:
        kinds.append("hochgeladene Dateien")
    if count.remote_media:
        kinds.append("Kopien von Dateien anderer Server")
    if count.thumbnails and kinds:
        kinds.append("deren Vorschaubilder")
    return " und ".join(filter(None, (", ".join(kinds[:-1]), *kinds[-1:]))) or "keine Dateien"
