"""What the mails about a report say, in German, as text and as HTML. Pure.

People's own words are in them: as plain text, and escaped in the HTML; never in the subject.
"""

import html
import textwrap
from typing import Final

import attr

from synapse_bum.portal.language.formats import Formats
from synapse_bum.portal.support.outbox import MailKind
from synapse_bum.portal.support.reaction import Category
from synapse_bum.portal.support.tickets import Ticket

_WIDTH: Final = 76
_FORMATS: Final = Formats("de")
_SUBJECTS: Final = {
    MailKind.REPORTED: "Störung gemeldet",
    MailKind.CONFIRMED: "Störung bestätigt",
    MailKind.ANSWERED: "Antwort auf die Störungsmeldung",
}
_CATEGORIES: Final = {
    Category.URGENT: "1 (Reaktion innerhalb von zwei Stunden, rund um die Uhr)",
    Category.NORMAL: (
        "2 (Reaktion innerhalb von vier Stunden, Montag bis Freitag von 8 bis 17 Uhr außer an bundesweiten Feiertagen)"
    ),
}
_NEXT: Final = {
    MailKind.REPORTED: "Die Reaktionszeit beginnt, wenn ein Betreiber die Meldung im Verwaltungsportal bestätigt.",
    MailKind.CONFIRMED: "Die Meldung ist bestätigt. Damit hat die Reaktionszeit begonnen.",
    MailKind.ANSWERED: "Die Meldung ist beantwortet.",
}


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


def write_mail(kind: MailKind, ticket: Ticket, server_name: str) -> Mail:
    """Writes a mail.

    Args:
        kind: what it tells of.
        ticket: of which.
        server_name: of the homeserver.
    """
    subject = f"[{server_name}] {_SUBJECTS[kind]}: {ticket.ticket_id} (Kategorie {ticket.category.value})"
    opening = ["Guten Tag,", _NEXT[kind]]
    facts = _facts(ticket)
    words = [("Was gemeldet wurde", ticket.text)]
    if ticket.answer is not None:
        words.append(("Antwort", ticket.answer))
    return Mail(subject, _as_text(opening, facts, words), _as_html(subject, opening, facts, words))


def _facts(ticket: Ticket) -> list[tuple[str, str]]:
    facts = [
        ("Meldung", ticket.ticket_id),
        ("Kategorie", _CATEGORIES[ticket.category]),
        ("Gemeldet", f"{_FORMATS.time(ticket.reported_ts)} von {ticket.reported_by}"),
        ("Ansprechpartner", ticket.contact),
    ]
    if ticket.confirmed_ts is not None:
        facts.append(("Bestätigt", f"{_FORMATS.time(ticket.confirmed_ts)} von {ticket.confirmed_by}"))
        facts.append(("Reaktion bis", _FORMATS.time(ticket.due_ts)))
    if ticket.answered_ts is not None:
        facts.append(("Beantwortet", f"{_FORMATS.time(ticket.answered_ts)} von {ticket.answered_by}"))
    return facts


def _as_text(opening: list[str], facts: list[tuple[str, str]], words: list[tuple[str, str]]) -> str:
    table = "\n".join(_wrapped(f"{name}: {value}", indent="  ") for name, value in facts)
    quoted = [f"{name}:\n\n{_quoted(value)}" for name, value in words]
    return "\n\n".join([*map(_wrapped, opening), table, *quoted]) + "\n"


def _wrapped(paragraph: str, indent: str = "") -> str:
    return textwrap.fill(
        paragraph,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=2 * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _quoted(text: str) -> str:
    """People's own lines; the mark keeps them apart from ours."""
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def _as_html(subject: str, opening: list[str], facts: list[tuple[str, str]], words: list[tuple[str, str]]) -> str:
    rows = "".join(
        f"<tr><th align='left' valign='top'>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>\n"
        for name, value in facts
    )
    before = "".join(f"<p>{html.escape(each)}</p>\n" for each in opening)
    after = "".join(
        f"<h2>{html.escape(name)}</h2>\n<p>{'<br>'.join(map(html.escape, value.splitlines()))}</p>\n"
        for name, value in words
    )
    return (
        f"<!DOCTYPE html>\n<html lang='de'>\n<head><meta charset='utf-8'><title>{html.escape(subject)}</title></head>\n"
        f"<body>\n{before}<table cellpadding='4'>\n{rows}</table>\n{after}</body>\n</html>\n"
    )
