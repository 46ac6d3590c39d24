"""The invoice as people and programs read it: JSON, CSV and German text."""

import csv
import io
import json
from decimal import Decimal

import attr
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synapse_bum.csv_cells import as_meant
from synapse_bum.storage.invoice.calculation import Invoice, StorageUse, calculate, extension_gb, parse_item
from synapse_bum.storage.invoice.csv_document import Decimals, as_csv
from synapse_bum.storage.invoice.document import Counted, Particulars, as_json
from synapse_bum.storage.invoice.price_list import OWN_LIST
from synapse_bum.storage.invoice.readings import MinimumReading, Readings, TierReading
from synapse_bum.storage.invoice.text_document import WIDTH, as_text
from synapse_bum.storage.month import Month, StorageBasis, UsersBasis
from synapse_bum.storage.usage import CountConfig

COUNTED = Counted(
    users_basis=UsersBasis.DISTINCT,
    storage_basis=StorageBasis.PEAK,
    count=CountConfig(),
    locked_users=3,
    days_counted=30,
    days=30,
    preliminary=False,
)
CUSTOMER = Particulars("V-4711/2026", "Bundesamt für Beispiele\nMusterstraße 1\n10115 Berlin", counted=COUNTED)


def an_invoice(
    users: int = 960,
    used_gb: str = "1000",
    *items: str,
    customer_users: int | None = None,
    readings: Readings = Readings(),  # noqa: B008 - frozen
) -> Invoice:
    used, included = Decimal(used_gb), Decimal(users)
    return calculate(
        Month(2026, 6),
        users,
        StorageUse(used, included, extension_gb(used, included)),
        OWN_LIST,
        customer_users=customer_users,
        items=[parse_item(item) for item in items],
        readings=readings,
    )


EXAMPLE_TEXT = """\
Abrechnung BundesMessenger                                           Juni 2026
==============================================================================

Vertrag                 V-4711/2026
Anschrift               Bundesamt für Beispiele
                        Musterstraße 1
                        10115 Berlin

Leistungszeitraum       01.06.2026 bis 30.06.2026
Registrierte Nutzer     960, davon 3 gesperrt
Belegter Speicher       1.000 GB
Enthaltener Speicher    960 GB
Erweiterung             40 GB
Tage mit Zählung        30 von 30

Position  Leistung                                Menge  Einzelpreis    Betrag
------------------------------------------------------------------------------
ML.1b     Registrierte Nutzer, Stufe 501 bis 999    960         2,00  1.920,00
ML.2      Speichererweiterung je angefangenes GB     40         0,40     16,00
ML.3      Service je registrierten Nutzer           960         1,00    960,00
------------------------------------------------------------------------------
Summe netto                                                       2.896,00 EUR

Alle Beträge sind Nettobeträge in Euro, ohne Umsatzsteuer.

So wurde gerechnet:
- Es gilt die Preisliste ab 01.01.2024.
- Die Preisstufe folgt aus der Gesamtzahl der Nutzer; ihr Preis gilt für alle
  Nutzer.
- Nutzer sind alle, die im Lauf des Monats registriert waren, jeder einmal.
- Speicher ist der des Tages mit der größten Erweiterung.
- Ein GB sind 1.000.000.000 Byte; jedes angefangene GB über dem enthaltenen
  zählt.
- Als Speicher zählen hochgeladene Dateien, Kopien von Dateien anderer Server
  und deren Vorschaubilder. Datenbank und Sicherungen zählen nicht.
"""


class TestText:
    def test_the_published_example(self) -> None:
        assert as_text(an_invoice(), CUSTOMER) == EXAMPLE_TEXT

    def test_numbers_that_were_given_by_hand_claim_nothing_about_counting(self) -> None:
        text = as_text(an_invoice(), Particulars())
        assert "Vertrag" not in text
        assert "Zählung" not in text
        assert "Sicherungen" not in text
        assert "Summe netto" + "2.896,00 EUR".rjust(WIDTH - 11) in text

    def test_a_running_month_is_preliminary(self) -> None:
        counted = attr.evolve(COUNTED, preliminary=True, days_counted=12)
        text = as_text(an_invoice(), attr.evolve(CUSTOMER, counted=counted))
        assert "VORLÄUFIG: Der Monat ist noch nicht zu Ende" in text
        assert "Tage mit Zählung        12 von 30\n" in text
        assert "VORLÄUFIG" not in EXAMPLE_TEXT

    def test_the_minimum_and_items(self) -> None:
        text = as_text(an_invoice(7, "7.000000001", "ELO.1=1", "AL.3=7.5", customer_users=10), CUSTOMER)
        assert "ML.1      Registrierte Nutzer, Stufe 1 bis 199       50         2,50    125,00\n" in text
        assert "ML.2      Speichererweiterung je angefangenes GB      1         0,40      0,40\n" in text
        assert "ML.3      Service je registrierten Nutzer             7         1,00      7,00\n" in text
        assert "ELO.1     Einmalige Leistung                          1       250,00    250,00\n" in text
        assert "AL.3      Arbeit je angefangene Stunde (2026)         8       137,00  1.096,00\n" in text
        assert "mindestens 50 Nutzer berechnet; das gilt nur für\n  ML.1.\n" in text
        assert "Nutzer insgesamt        10 auf allen Servern des Kunden\n" in text
        assert "Belegter Speicher       7,001 GB\n" in text

    def test_space_of_any_kind_in_configured_text_is_one_space(self) -> None:
        text = as_text(an_invoice(), Particulars("V\t1\u2003 2\x1b[31m", "Amt\u2028Berlin"))
        assert (
            "Vertrag                 V 1 2[31m\nAnschrift               Amt\n                        Berlin\n" in text
        )

    def test_other_readings_are_said(self) -> None:
        readings = Readings(tiers=TierReading.GRADUATED, minimum=MinimumReading.USERS_AND_SERVICE)
        counted = attr.evolve(
            COUNTED,
            users_basis=UsersBasis.PEAK,
            storage_basis=StorageBasis.MEAN,
            count=CountConfig(remote_media=False),
            locked_users=0,
        )
        particulars = Particulars(gigabyte=2**30, counted=counted)
        text = " ".join(as_text(an_invoice(7, "1", readings=readings), particulars).split())
        assert "Die Preisstufen sind gestaffelt" in text
        assert "auch bei ML.3" in text
        assert "Nutzer sind die des Tages, an dem die meisten registriert waren." in text
        assert "Mittelwert" in text
        assert "zählen hochgeladene Dateien und deren Vorschaubilder." in text
        assert "Ein GB sind 1.073.741.824 Byte" in text
        assert "gesperrt" not in text

    @pytest.mark.parametrize(
        ("count", "kinds"),
        [
            (
                CountConfig(),
                "hochgeladene Dateien, Kopien von Dateien anderer Server und deren Vorschaubilder",
            ),
            (CountConfig(thumbnails=False), "hochgeladene Dateien und Kopien von Dateien anderer Server"),
            (CountConfig(local_media=False), "Kopien von Dateien anderer Server und deren Vorschaubilder"),
            (CountConfig(local_media=False, remote_media=False), "keine Dateien"),
        ],
    )
    def test_what_counts_as_stored(self, count: CountConfig, kinds: str) -> None:
        particulars = Particulars(counted=attr.evolve(COUNTED, count=count))
        assert f"Als Speicher zählen {kinds}." in " ".join(as_text(an_invoice(), particulars).split())

    @given(
        contract=st.text(),
        address=st.text(),
        users=st.integers(0, 99_999_999),
        used_gb=st.integers(0, 999_999_999),
        readings=st.builds(Readings, tiers=st.sampled_from(TierReading), minimum=st.sampled_from(MinimumReading)),
    )
    @example("V" * 300, "\tA\x1b[31m\u202e \nB\u2028C", 99_999_999, 999_999_999, Readings(tiers=TierReading.GRADUATED))
    def test_no_line_is_too_long_for_a_mail_or_ends_in_a_space(
        self, contract: str, address: str, users: int, used_gb: int, readings: Readings
    ) -> None:
        particulars = Particulars(contract, address, counted=COUNTED)
        items = ["ELO.1=999999999", "AL.1=999999999"]
        text = as_text(an_invoice(users, str(used_gb), *items, readings=readings), particulars)
        lines = text.split("\n")
        assert max(map(len, lines)) <= WIDTH == 78
        assert all(line == line.rstrip() and (line.isprintable() or not line) for line in lines)
        assert text.endswith("\n")
        assert "\n\n\n" not in text


class TestJson:
    def test_the_published_example(self) -> None:
        shown = as_json(an_invoice(), CUSTOMER)
        assert json.loads(json.dumps(shown)) == {
            "month": "2026-06",
            "users": 960,
            "billed_users": 960,
            "storage": {"used_gb": 1000, "included_gb": 960, "extension_gb": 40},
            "lines": [
                {
                    "position": "ML.1b",
                    "description": "Registrierte Nutzer, Stufe 501 bis 999",
                    "quantity": 960,
                    "unit_price": "2.00",
                    "amount": "1920.00",
                },
                {
                    "position": "ML.2",
                    "description": "Speichererweiterung je angefangenes GB",
                    "quantity": 40,
                    "unit_price": "0.40",
                    "amount": "16.00",
                },
                {
                    "position": "ML.3",
                    "description": "Service je registrierten Nutzer",
                    "quantity": 960,
                    "unit_price": "1.00",
                    "amount": "960.00",
                },
            ],
            "currency": "EUR",
            "net": True,
            "total": "2896.00",
            "preliminary": False,
            "contract": "V-4711/2026",
            "address": "Bundesamt für Beispiele\nMusterstraße 1\n10115 Berlin",
            "customer_users": None,
            "price_list_valid_from": "2024-01-01",
            "gigabyte": 1_000_000_000,
            "readings": {"tiers": "whole", "minimum": "users"},
            "users_basis": "distinct",
            "storage_basis": "peak",
            "locked_users": 3,
            "days_counted": 30,
            "days": 30,
        }

    def test_one_byte_is_seen(self) -> None:
        assert as_json(an_invoice(960, "960.000000001"), Particulars())["storage"] == {
            "used_gb": 960.000000001,
            "included_gb": 960,
            "extension_gb": 1,
        }

    def test_rates_in_whole_euros_have_two_decimals_too(self) -> None:
        line = as_json(an_invoice(960, "0", "AL.3=1"), Particulars())["lines"][3]
        assert (line["unit_price"], line["amount"]) == ("137.00", "137.00")


def read_csv(text: str, delimiter: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


class TestCsv:
    def test_for_machines(self) -> None:
        rows = read_csv(as_csv(an_invoice(), CUSTOMER), ",")
        assert [(row["position"], row["quantity"], row["unit_price"], row["amount"]) for row in rows] == [
            ("ML.1b", "960", "2.00", "1920.00"),
            ("ML.2", "40", "0.40", "16.00"),
            ("ML.3", "960", "1.00", "960.00"),
            ("total", "", "", "2896.00"),
        ]
        assert {(row["month"], row["contract"], row["currency"]) for row in rows} == {("2026-06", "V-4711/2026", "EUR")}
        assert rows[0]["address"] == "Bundesamt für Beispiele, Musterstraße 1, 10115 Berlin"

    def test_for_a_german_spreadsheet(self) -> None:
        text = as_csv(an_invoice(), CUSTOMER, Decimals.COMMA)
        assert text.encode().startswith(b"\xef\xbb\xbf")
        rows = read_csv(text[1:], ";")
        assert [(row["Position"], row["Menge"], row["Einheit"], row["Betrag netto"]) for row in rows] == [
            ("ML.1b", "960", "Nutzer", "1920,00"),
            ("ML.2", "40", "GB", "16,00"),
            ("ML.3", "960", "Nutzer", "960,00"),
            ("Summe", "", "", "2896,00"),
        ]
        assert {(row["Vertrag"], row["Vorläufig"]) for row in rows} == {("V-4711/2026", "nein")}

    def test_numbers_are_bare_and_text_is_quoted(self) -> None:
        row = as_csv(an_invoice(), Particulars(), Decimals.COMMA).split("\r\n")[1]
        assert row.endswith('"Registrierte Nutzer, Stufe 501 bis 999";960;"Nutzer";2,00;1920,00;"EUR"')

    @pytest.mark.parametrize("decimals", Decimals)
    def test_a_running_month_is_preliminary(self, decimals: Decimals) -> None:
        particulars = Particulars(counted=attr.evolve(COUNTED, preliminary=True))
        assert ('"true"' if decimals is Decimals.POINT else '"ja"') in as_csv(an_invoice(), particulars, decimals)

    @pytest.mark.parametrize("decimals", Decimals)
    @pytest.mark.parametrize(
        "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", "\n=1+1", "\uff1d1+1", '=HYPERLINK("https://evil.example")']
    )
    def test_no_configured_text_is_a_formula(self, text: str, decimals: Decimals) -> None:
        written = as_csv(an_invoice(), Particulars(text, text), decimals).lstrip("\ufeff")
        columns = ("contract", "address") if decimals is Decimals.POINT else ("Vertrag", "Anschrift")
        for row in read_csv(written, "," if decimals is Decimals.POINT else ";"):
            assert [row[column][0] for column in columns] in (["'", "'"], ["'", ","])

    @pytest.mark.parametrize("decimals", Decimals)
    @given(contract=st.text(), address=st.text())
    @example(contract='a";=1+1;"', address="b,=1+1")
    def test_text_stays_in_its_cell(self, contract: str, address: str, decimals: Decimals) -> None:
        written = as_csv(an_invoice(), Particulars(contract, address), decimals).lstrip("\ufeff")
        rows = list(csv.reader(io.StringIO(written, newline=""), delimiter=";" if decimals is Decimals.COMMA else ","))
        assert {len(row) for row in rows} == {11}
        assert {as_meant(row[1]) for row in rows[1:]} == {contract}

    def test_rows_end_as_rfc_4180_says(self) -> None:
        text = as_csv(an_invoice(), CUSTOMER)
        assert text.count("\r\n") == text.count("\n") == 5
        assert text.endswith("\r\n")
