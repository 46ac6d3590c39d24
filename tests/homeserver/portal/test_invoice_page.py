"""What a month costs, in the portal, with the storage module behind it."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from xml.etree import ElementTree as ET

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.rest import BASE
from synapse_bum.testing.portal_case import PortalTestCase

API = f"{BASE}/storage"
JUNE_29_2026_S = 1_782_691_200
DAY_S = 86_400
EVIL = "<script>alert('x')</script>"
ESCAPED = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"
SPACE = "\N{NO-BREAK SPACE}"
PARTIES: Mapping[str, Any] = {
    "contract": "V-4711",
    "address": "Amt für Beispiele\nBeispielweg 1",
    "seller": {
        "name": "Beispiel IT",
        "street": "Am Beispiel 2",
        "post_code": "53113",
        "city": "Bonn",
        "vat_id": "DE123456789",
        "contact": "Abrechnung",
        "phone": "+49 30 123456",
        "email": "rechnung@example.org",
    },
    "buyer": {
        "name": "Amt für Beispiele",
        "street": "Beispielweg 1",
        "post_code": "10115",
        "city": "Berlin",
        "leitweg_id": "04011000-1234512345-06",
    },
    "payment": {"iban": "DE89370400440532013000"},
}


def answer(content: Mapping[str, Any], status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, "application/json", "", json.dumps(content).encode())


class InvoicePageTestCase(PortalTestCase):
    """Two users at the end of June 2026."""

    storage: ClassVar[Mapping[str, Any]] = {}

    def default_config(self) -> dict[str, Any]:
        config = super().default_config()
        config["modules"].append({"module": "synapse_bum.storage.StorageModule", "config": dict(self.storage)})
        return config

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        self.reactor.advance(JUNE_29_2026_S)
        super().prepare(*reactor_clock_and_homeserver)

    def setUp(self) -> None:
        super().setUp()
        self.let_pass(20)
        self.scripted = self.homeserver_api.scripted
        self.browser.log_in()
        # The first count was made before the two were registered.
        self.browser.submit("storage/recount")
        self.let_pass(20)

    def let_pass(self, seconds: int, step: int = 2) -> None:
        for _ in range(seconds // step):
            self.reactor.advance(step)
            self.pump()


class MonthTestCase(InvoicePageTestCase):
    storage: ClassVar[Mapping[str, Any]] = {"invoice": {"contract": "V-4711", "address": EVIL}}

    def test_the_running_month_is_preliminary_and_its_lines_are_there(self) -> None:
        page = self.browser.get("invoice")
        assert self.browser.status == HTTPStatus.OK
        assert '<option value="2026-06" selected>Juni 2026</option>' in page
        assert "Vorläufig:" in page
        assert "Registrierte Nutzer, Stufe 1 bis 199" in page
        assert (
            f'<td class="number">50</td>\n<td class="number">2,50{SPACE}€</td>\n<td class="number">125,00{SPACE}€</td>'
            in page
        )
        assert f'<td class="number">0,00{SPACE}€</td>' in page
        assert f"127,00{SPACE}€" in page
        assert "50, die Mindestzahl dieser Preisstufe" in page
        assert "1 von 30" in page
        assert "V-4711" in page
        assert ESCAPED in page
        assert "<script" not in page

    def test_files_are_those_of_the_api_under_names_that_differ(self) -> None:
        names = set()
        for shape, beginning in (
            ("csv-de", '\ufeff"Monat";'),
            ("csv", '"month",'),
            ("text", "Abrechnung BundesMessenger"),
        ):
            self.browser.get(f"invoice/file?month=2026-06&format={shape}")
            assert self.browser.status == HTTPStatus.OK
            assert self.browser.channel.result["body"].decode().startswith(beginning)
            disposition = self.browser.header("Content-Disposition")
            assert disposition.startswith("attachment; ")
            names.add(disposition)
        assert len(names) == 3

    def test_months_without_data_and_addresses_typed_by_hand(self) -> None:
        page = self.browser.get("invoice?month=2026-05")
        assert "Mai 2026" in page
        assert "Für diesen Monat gibt es keine Daten." in page
        assert "<table" not in page
        assert "Dieser Monat hat noch nicht begonnen." in self.browser.get("invoice?month=2099-01")
        assert "Vorläufig:" in self.browser.get("invoice?month=%3Cscript%3E")
        for query in ("month=x&format=csv", "month=2026-06&format=json", "month=2026-06&format=xrechnung", ""):
            self.browser.get(f"invoice/file?{query}")
            assert self.browser.status == HTTPStatus.SEE_OTHER, query
        self.browser.get("invoice/file?month=2026-05&format=csv")
        assert "Für diesen Monat gibt es keine Daten." in self.browser.follow()

    def test_what_the_configuration_lacks_for_an_xrechnung_is_named(self) -> None:
        page = self.browser.get("invoice/xrechnung?month=2026-06")
        assert "XRechnung für Juni 2026" in page
        assert "noch nicht zu Ende gezählt" in page
        page = self.browser.get("invoice/xrechnung?month=2026-06&number=R-1")
        assert "invoice.buyer.leitweg_id" in page
        assert "invoice.seller.vat_id (or tax_number and registration). Bitte" in page
        assert 'value="R-1"' in page
        page = self.browser.get("invoice/xrechnung?month=2026-06&number=")
        assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert "Bitte füllen Sie dieses Feld aus." in page

    def test_nothing_was_counted_yet(self) -> None:
        self.scripted[f"GET {API}/history"] = answer({"history": [], "total": 0})
        page = self.browser.get("invoice")
        assert "noch keine Zählung" in page
        assert "<select" not in page

    def test_nothing_breaks_out_of_what_the_api_says(self) -> None:
        missing = f"an XRechnung needs more configuration; these keys are missing: {EVIL}"
        self.scripted[f"GET {API}/invoice?month=2026-06&format"] = answer(
            {"errcode": "M_UNKNOWN", "error": missing}, 409
        )
        page = self.browser.get(f"invoice/xrechnung?month=2026-06&number={EVIL.replace(' ', '+')}")
        assert page.count(ESCAPED) >= 1
        assert "<script" not in page

    def test_an_api_that_is_away_is_no_empty_invoice(self) -> None:
        self.scripted[f"GET {API}/invoice"] = OSError("away")
        for path in ("invoice", "invoice/file?month=2026-06&format=csv", "invoice/xrechnung?month=2026-06"):
            self.browser.get(path)
            assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE, path


class XRechnungTestCase(InvoicePageTestCase):
    storage: ClassVar[Mapping[str, Any]] = {"invoice": PARTIES}

    def test_it_comes_when_the_month_is_over_and_counted(self) -> None:
        page = self.browser.get("invoice/xrechnung?month=2026-06&number=R-2026-7")
        assert "Eine XRechnung gibt es ab dem 01.07.2026." in page
        self.let_pass(3 * DAY_S, step=7_200)
        self.browser.log_in()
        page = self.browser.get("invoice")
        assert page.index("Juli 2026") < page.index("Juni 2026")
        page = self.browser.get("invoice?month=2026-06")
        assert "Vorläufig" not in page
        page = self.browser.get("invoice/xrechnung?month=2026-06")
        assert "Zurzeit gibt es" not in page
        self.browser.get("invoice/xrechnung?month=2026-06&number=R-2026-7")
        assert self.browser.header("Content-Disposition") == 'attachment; filename="xrechnung-2026-06.xml"'
        root = ET.fromstring(self.browser.channel.result["body"])  # noqa: S314 - our own document
        assert root.findtext("{*}ID") == "R-2026-7"
