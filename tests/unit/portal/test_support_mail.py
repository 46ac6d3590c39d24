"""Mails about reports: who reads them knows what is due when, and nobody's words break out of them."""

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.portal.support.mail import write_mail
from synapse_bum.portal.support.outbox import MailKind
from synapse_bum.portal.support.reaction import Category
from synapse_bum.portal.support.tickets import Ticket

REPORTED = Ticket(
    "5F51397B",
    Category.NORMAL,
    "Keine Dateien.\nSeit heute.",
    "Erika Muster, 030 1",
    None,
    "@boss:a.example",
    1_795_438_800_000,
)
CONFIRMED = attr.evolve(
    REPORTED, confirmed_by="@op:a.example", confirmed_ts=1_795_446_000_000, due_ts=1_795_514_400_000
)
ANSWERED = attr.evolve(CONFIRMED, answered_by="@op:a.example", answered_ts=1_795_447_000_000, answer="Wir sind dran.")


def test_a_report_says_what_is_wrong_and_who_can_be_asked() -> None:
    mail = write_mail(MailKind.REPORTED, REPORTED, "a.example")
    assert mail.subject == "[a.example] Störung gemeldet: 5F51397B (Kategorie 2)"
    for form in (mail.text, mail.html):
        assert "Erika Muster, 030 1" in form
        assert "23.11.2026, 14:00 Uhr von @boss:a.example" in form
        assert "Reaktion bis" not in form
    assert "> Keine Dateien.\n> Seit heute." in mail.text


def test_a_confirmation_says_until_when_somebody_reacts() -> None:
    mail = write_mail(MailKind.CONFIRMED, CONFIRMED, "a.example")
    for form in (mail.text, mail.html):
        assert "24.11.2026, 11:00 Uhr" in form
        assert "23.11.2026, 16:00 Uhr von @op:a.example" in form


def test_an_answer_is_in_the_mail() -> None:
    mail = write_mail(MailKind.ANSWERED, ANSWERED, "a.example")
    assert "> Wir sind dran." in mail.text
    assert "Wir sind dran." in mail.html


@given(st.text(), st.text(), st.sampled_from(MailKind))
def test_peoples_words_are_never_markup_and_never_in_the_subject(text: str, contact: str, kind: MailKind) -> None:
    ticket = attr.evolve(ANSWERED, text=text + "<b>", contact=contact + "<i>", answer="</p>" + text)
    mail = write_mail(kind, ticket, "a.example")
    assert "\n" not in mail.subject
    assert mail.subject.endswith(": 5F51397B (Kategorie 2)")
    assert "<b>" not in mail.html
    assert "<i>" not in mail.html
    assert mail.html.count("</p>") == 4


@pytest.mark.parametrize("category", Category)
def test_the_mail_names_the_category(category: Category) -> None:
    assert (
        f"(Kategorie {category.value})"
        in write_mail(MailKind.REPORTED, attr.evolve(REPORTED, category=category), "a.example").subject
    )
