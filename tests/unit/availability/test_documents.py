"""The report as German text and CSV: what a customer reads, and what a spreadsheet does with it."""

from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.availability.calculation import Availability
from synapse_bum.availability.documents import WIDTH, Head, as_csv, as_text
from synapse_bum.availability.outages import Excuse, Outage, Source
from synapse_bum.availability.report import Report
from synapse_bum.months import Month
from synapse_bum.testing.berlin import berlin_ms

HEAD = Head("messenger.example", None, ZoneInfo("Europe/Berlin"))


def an_outage(begin: str, end: str | None, **fields: object) -> Outage:
    to_ts = None if end is None else berlin_ms(end)
    known: dict[str, object] = {"ticket": "INC-1", "excuse": None, "reason": "Störung", "source": Source.MEASURED}
    return Outage("id1", berlin_ms(begin), to_ts, **{**known, **fields}, created_by="x", created_ts=0, changed_ts=0)  # type: ignore[arg-type]


def a_report(*outages: Outage, out: int = 44, preliminary: bool = False) -> Report:
    found = Availability(44_700, out, 15, 60, Decimal("0.999"))
    return Report(Month(2026, 10), preliminary, found, 7, outages, berlin_ms("2026-11-01 08:00"))


def test_the_text_can_be_mailed_as_it_is() -> None:
    text = as_text(
        a_report(
            an_outage("2026-10-25 01:30", "2026-10-25 04:00"),
            an_outage("2026-10-26 01:30", None, ticket=None, excuse=Excuse.MAINTENANCE, source=Source.ENTERED),
        ),
        HEAD,
    )
    assert (
        text
        == """\
Verfügbarkeit BundesMessenger                                     Oktober 2026
==============================================================================

Server                            messenger.example
Zeitraum                          01.10.2026 bis 31.10.2026
Stand                             01.11.2026 08:00:00+01

Serviceminuten                    44.700
Ausfallminuten                    44 (höchstens 44)
Ausgenommene Minuten              15
Verfügbarkeit (Vertrag)           99,901565 %
Ziel                              99,900000 %, erreicht

Ausfallminuten gemessen           60
Verfügbarkeit (gemessen)          99,865771 %
Minuten ohne Messung              7

Beginn                  Ende                    Ticket         Ausnahme
------------------------------------------------------------------------------
25.10.2026 01:30:00+02  25.10.2026 04:00:00+01  INC-1          keine
  gemessen: Störung
26.10.2026 01:30:00+01  dauert an               keines         Wartung
  eingetragen: Störung

So wurde gerechnet:
- Verfügbarkeit = (Serviceminuten - Ausfallminuten) / Serviceminuten, an allen
  Tagen rund um die Uhr.
- Eine angefangene Minute zählt ganz, und jede Minute nur einmal, auch wenn
  mehrere Ausfälle in ihr liegen.
- Vertraglich zählen Ausfälle mit Ticket.
- Ausnahmen (Wartung, Auftraggeber, Dritte, höhere Gewalt) mindern
  Ausfallminuten, nie Serviceminuten.
- Gemessen sind alle bekannten Ausfälle, mit und ohne Ticket und ohne
  Ausnahmen.
- Anteile sind abgerundet; ob das Ziel erreicht ist, entscheiden die genauen
  Zahlen.
"""
    )


def test_a_missed_target_and_a_preliminary_month_are_said() -> None:
    text = as_text(a_report(out=45, preliminary=True), HEAD)
    assert "VORLÄUFIG" in text
    assert "99,899328 %" in text
    assert "VERFEHLT" in text
    assert "Keine Ausfälle." in text
    assert "Beginn des Dienstes               01.05.2026" in as_text(
        a_report(), Head("a", "01.05.2026", ZoneInfo("UTC"))
    )


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=500),
)
def test_whatever_operators_write_no_line_is_too_long_and_no_cell_is_a_formula(ticket: str, reason: str) -> None:
    report = a_report(an_outage("2026-10-25 01:30", None, ticket=ticket, reason=reason))
    assert max(map(len, as_text(report, HEAD).splitlines())) <= WIDTH
    csv = as_csv(report, HEAD)
    assert not any(f'"{sign}' in csv for sign in "=+@")


def test_the_csv_is_german() -> None:
    rows = as_csv(a_report(an_outage("2026-10-25 01:30", None)), HEAD).split("\r\n")
    assert rows[0].startswith('\ufeff"Art";"Kennung";"Beginn";')
    assert len({row.count(";") for row in rows if row}) == 1
    assert '"Verfügbarkeit vertraglich";"";"";"";"";"";"";"";;99,901565' in rows
    assert '"Ausfall";"id1";"25.10.2026 01:30:00+02";"";"INC-1";"";"Störung";"gemessen";;' in rows
    assert '"Stand";"endgültig"' in "\n".join(rows)
    assert '"Zielerreichung";"erreicht"' in "\n".join(rows)
