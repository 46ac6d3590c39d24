"""What stands in the storage module's configuration reaches those whom it concerns: limit, alerts, counts, invoices."""

import email
import email.policy
import xml.etree.ElementTree as ET
from datetime import date
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import pytest
from synapse.server import HomeServer
from tests.server import FakeChannel
from tests.unittest import HomeserverTestCase

from synapse_bum.config import SetupError
from synapse_bum.storage import StorageModule, snapshots
from synapse_bum.storage.snapshots import Snapshot
from synapse_bum.storage.usage import NOTHING
from synapse_bum.testing import malware
from synapse_bum.testing.storage_case import StorageTestCase

JUNE_9_2026_S = 1_781_000_000
JUNE_29_2026_S = 1_782_727_200
DAY_S = 86_400
OPERATORS = "betrieb@example.org"


class TestLimit(StorageTestCase):
    """2000 bytes for all, and half of them for one user."""

    storage = {"gigabyte": 1_000, "included_gb_per_user": 0, "hard_limit_gb": 2, "hard_limit_user_share": 0.5}

    def test_what_does_not_fit_is_refused_until_there_is_room_again(self) -> None:
        self.advance(10)
        mine = self.upload(b"a" * 900, "text/plain")
        assert "your share" in self._refused(101, self.alice_token)
        self.upload(b"b" * 900, "text/plain", token=self.bob_token)
        assert "is full" in self._refused(201, self.admin_token)
        self.delete(mine)
        self.settle()
        self.advance(70, step=10)
        self.upload(b"c" * 900, "text/plain")

    def test_what_is_counted_is_not_reserved_any_more(self) -> None:
        self.advance(10)
        self.upload(b"a" * 900, "text/plain")
        self.advance(70, step=10)
        assert self.answer("usage")["used_bytes"] == 900
        self.upload(b"b" * 900, "text/plain", token=self.bob_token)
        self.advance(70, step=10)
        self.upload(b"c" * 200, "text/plain", token=self.admin_token)
        self._refused(1, self.bob_token)

    def _refused(self, size_bytes: int, token: str) -> str:
        channel: FakeChannel = self.make_request(
            "POST",
            "/_matrix/media/v3/upload",
            b"x" * size_bytes,
            access_token=token,
            shorthand=False,
            content_type=b"text/plain",
        )
        assert channel.code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE, channel.json_body
        return str(channel.json_body["error"])


class TestAlerts(StorageTestCase):
    """A pool of 3000 bytes, of which operators hear at half."""

    storage = {
        "gigabyte": 1_000,
        "alert_at": [0.5],
        "alert_email": OPERATORS,
        "hard_limit_gb": 7,
        "hard_limit_user_share": 1,
        "timezone": "Atlantic/Azores",
    }
    server = {"email": {"notif_from": "BundesMessenger <messenger@bum.example>", "smtp_host": "x"}}

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - the clock's module changed
        self.mails: list[tuple[str, bytes]] = []

        async def send(
            _reactor: object, _host: str, _port: int, _sender: str, to: str, message: bytes, **_: object
        ) -> None:
            self.mails.append((to, message))

        self.hs.get_send_email_handler()._sendmail = send  # type: ignore[assignment]
        super().prepare(*reactor_clock_and_homeserver)

    def test_operators_get_one_mail_when_the_pool_fills(self) -> None:
        self.advance(10)
        self.upload(b"a" * 1_400, "text/plain")
        self.advance(3_700)
        assert self.mails == []
        self.upload(b"b" * 200, "text/plain")
        self.advance(3 * 3_700)
        [(to, sent)] = self.mails
        assert to == OPERATORS
        message = email.message_from_bytes(sent, policy=email.policy.default)
        body = message.get_body(("plain",))
        assert body is not None
        said = " ".join(body.get_content().split())
        assert "Schwelle von 50 % erreicht" in said
        assert "Was über 7,00 GB hinausginge" in said
        assert "Atlantic/Azores" in said


class TestMailWithoutMailServer(HomeserverTestCase):
    """A homeserver whose configuration has no section `email`."""

    def prepare(self, _reactor: object, _clock: object, homeserver: HomeServer) -> None:
        self.api = homeserver.get_module_api()

    def test_an_address_that_nothing_can_be_sent_to_is_refused_at_the_start(self) -> None:
        config = StorageModule.parse_config({"alert_email": OPERATORS})
        with pytest.raises(SetupError, match="no section `email`"):
            StorageModule(config, self.api)


class TestCounts(StorageTestCase):
    """Who and what counts."""

    storage = {
        "gigabyte": 1_000,
        "included_gb_per_user": 2.5,
        "exclude_users": ["@bob:*"],
        "count": {"remote_media": False, "thumbnails": False},
        "update_interval": "10m",
    }

    def test_only_what_is_set_counts(self) -> None:
        self.advance(10)
        picture = malware.png(64, 64)
        self.upload(picture)
        self.fetch("far", b"x" * 900)
        self.advance(660, step=60)
        usage = self.answer("usage")
        assert (usage["users"], usage["included_bytes"]) == (2, 5_000)
        assert usage["used_bytes"] == len(picture) == usage["local_bytes"]
        assert usage["remote_bytes"] == 900

    def test_orphans_can_be_asked_for(self) -> None:
        assert self.answer("orphans")["total"] == 0


class InvoiceTestCase(StorageTestCase):
    """On the 9th of June 2026; two days before, there were more users and more was stored."""

    begin_s = JUNE_9_2026_S

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - the clock's module changed
        super().prepare(*reactor_clock_and_homeserver)
        self.recount()
        self._counted_on(date(2026, 6, 2), users=300, used_bytes=340_000)
        self._counted_on(date(2026, 6, 3), users=250, used_bytes=280_000)

    def _counted_on(self, day: date, *, users: int, used_bytes: int) -> None:
        ts = (day - date(1970, 1, 1)).days * DAY_S * 1_000
        snapshot = Snapshot(day, ts, users, 0, NOTHING, used_bytes, users * 1_000, 1_000)
        pool = self.hs.get_datastores().main.db_pool
        self.get_success(pool.runInteraction("test", snapshots.write, snapshot))

    def lines(self) -> dict[str, tuple[int, str]]:
        """Quantity and price by position."""
        invoice = self.answer("invoice?month=2026-06")
        return {line["position"]: (line["quantity"], line["unit_price"]) for line in invoice["lines"]}


class TestDefaultBasis(InvoiceTestCase):
    storage = {"gigabyte": 1_000}

    def test_distinct_users_and_the_largest_extension_are_billed(self) -> None:
        assert self.lines() == {"ML.1": (50, "2.50"), "ML.2": (40, "0.40"), "ML.3": (3, "1.00")}


class TestPeakAndEnd(InvoiceTestCase):
    storage = {"gigabyte": 1_000, "users_basis": "peak", "storage_basis": "end"}

    def test_the_most_users_and_the_last_storage_are_billed(self) -> None:
        assert self.lines() == {"ML.1a": (300, "2.25"), "ML.2": (0, "0.40"), "ML.3": (300, "1.00")}


class TestEndAndMean(InvoiceTestCase):
    storage = {
        "gigabyte": 1_000,
        "users_basis": "end",
        "storage_basis": "mean",
        "customer_users": 501,
    }

    def test_the_last_users_by_the_step_of_the_customer_and_the_mean_storage_are_billed(self) -> None:
        users = {"ML.1b": (3, "2.00"), "ML.3": (3, "1.00")}
        assert self.lines() == {**users, "ML.2": (24, "0.40")}, "40, 30 and 0 beyond the pool, on three days"


class TestReadings(InvoiceTestCase):
    storage = {"gigabyte": 1_000, "users_basis": "peak", "readings": {"tiers": "graduated"}}

    def test_each_step_has_its_own_price(self) -> None:
        lines = self.lines()
        assert (lines["ML.1"], lines["ML.1a"]) == ((199, "2.50"), (101, "2.25"))


class TestMinimum(InvoiceTestCase):
    storage = {"gigabyte": 1_000, "readings": {"minimum": "users_and_service"}}

    def test_the_minimum_holds_for_the_service_as_well(self) -> None:
        assert self.lines()["ML.3"] == (50, "1.00")


class TestOwnPrices(InvoiceTestCase):
    storage = {
        "gigabyte": 1_000,
        "price_list": [
            {
                "valid_from": "2026-01-01",
                "users": [{"position": "OWN.1", "from_users": 1, "price": 3.5}],
                "storage": 0.55,
                "service": 0,
            }
        ],
    }

    def test_prices_are_those_of_the_operator(self) -> None:
        assert self.lines() == {"OWN.1": (3, "3.50"), "ML.2": (40, "0.55"), "ML.3": (3, "0.00")}


class TestXRechnung(StorageTestCase):
    """A month that has just ended, and an invoice that an authority can book."""

    begin_s = JUNE_29_2026_S
    storage = {
        "invoice": {
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
    }

    def test_it_comes_when_the_month_is_over_and_counted(self) -> None:
        self.advance(10)
        assert self._asked().code == HTTPStatus.CONFLICT
        self.advance(3 * DAY_S, step=3_600)
        channel = self._asked()
        assert channel.code == HTTPStatus.OK, channel.json_body
        assert channel.headers.getRawHeaders("Content-Type") == ["application/xml"]
        root = ET.fromstring(channel.result["body"])  # noqa: S314 - our own document
        texts = {element.tag.rpartition("}")[2]: element.text for element in root.iter()}
        assert root.tag.endswith("}Invoice")
        assert root.findtext("{*}ID") == "R-2026-7"
        assert texts["BuyerReference"] == "04011000-1234512345-06"
        assert Decimal(texts["PayableAmount"] or "") == Decimal("152.32"), "128.00 and 19 %"
        assert self.answer("invoice?month=2026-06")["total"] == "128.00"

    def test_contract_and_address_stand_in_the_text(self) -> None:
        self.recount()
        written = self.ask("invoice?month=2026-06&format=text").result["body"].decode()
        assert "V-4711" in written
        assert "Beispielweg 1" in written

    def _asked(self) -> FakeChannel:
        return self.ask("invoice?month=2026-06&format=xrechnung&number=R-2026-7")
