"""Invoices over the end of a month and over the end of what is kept: nobody is billed by half of what is known."""

import sqlite3
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.storage import StorageModule, registered_users, snapshots
from synapse_bum.storage.billing import bill
from synapse_bum.storage.counting import forget_old
from synapse_bum.storage.invoice.price_list import InvoiceError
from synapse_bum.storage.invoice_files import electronic_file
from synapse_bum.storage.month import Month, MonthError, day_of
from synapse_bum.storage.recounts import RECOUNTS
from synapse_bum.storage.snapshots import Snapshot
from synapse_bum.storage.snapshots_tables import SNAPSHOTS
from synapse_bum.storage.usage import Stored
from synapse_bum.storage.users_tables import USERS

BERLIN = ZoneInfo("Europe/Berlin")
DAY_MS: Final = 86_400_000
GB: Final = 1_000_000_000
CONFIG = StorageModule.parse_config({})
PARTIES: Final = {
    "contract": "V-1",
    "seller": {
        "name": "Betrieb GmbH",
        "street": "Königsallee 1",
        "post_code": "40212",
        "city": "Düsseldorf",
        "vat_id": "DE123456789",
        "contact": "Rechnungsstelle",
        "phone": "+49 211 123456",
        "email": "rechnung@betrieb.example",
    },
    "buyer": {
        "name": "Amt",
        "street": "Postfach 12 34",
        "post_code": "01067",
        "city": "Dresden",
        "leitweg_id": "04011000-1234512345-06",
    },
    "payment": {"iban": "DE02120300000000202051"},
}
JANUARY = Month(2026, 1)


def at(text: str) -> int:
    """A moment in Berlin, in ms since the epoch."""
    return int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp() * 1000)


class Server:
    """Synapse's table of users, and ours."""

    def __init__(self) -> None:
        self.txn = sqlite3.connect(":memory:").cursor()
        self.txn.execute(
            "CREATE TABLE users (name TEXT UNIQUE, creation_ts BIGINT, upgrade_ts BIGINT,"
            " is_guest SMALLINT DEFAULT 0 NOT NULL, appservice_id TEXT, user_type TEXT,"
            " deactivated SMALLINT DEFAULT 0 NOT NULL, approved BOOLEAN, locked BOOLEAN DEFAULT FALSE NOT NULL)"
        )
        migrate(self.txn, Dialect.SQLITE, [USERS, SNAPSHOTS, RECOUNTS])
        self._made = 0

    def add_users(self, number: int, now_ms: int) -> None:
        self._made += number
        names = range(self._made - number, self._made)
        self.txn.executemany(
            "INSERT INTO users (name, creation_ts) VALUES (?, ?)", [(f"@u{n}:test", now_ms // 1000) for n in names]
        )

    def count(self, now_ms: int, used_bytes: int = 0) -> None:
        """What the accounting does every hour."""
        users = registered_users.update(self.txn, CONFIG.user_rule, now_ms)
        stored = Stored(local_bytes=used_bytes)
        pool = CONFIG.pool(users.users, stored)
        snapshots.write(
            self.txn,
            Snapshot(
                day_of(now_ms, BERLIN),
                now_ms,
                users.users,
                users.locked,
                stored,
                pool.used_bytes,
                pool.included_bytes,
                pool.gigabyte,
            ),
        )

    def billed(self, month: Month, now_ms: int) -> tuple[int, str, bool]:
        """How many users, what it costs, and whether that may still change."""
        invoice, particulars = bill(self.txn, CONFIG, month, now_ms)
        return invoice.users, str(invoice.total), particulars.preliminary


@pytest.fixture
def server() -> Server:
    return Server()


def test_the_last_hour_of_a_month_is_on_its_invoice_before_that_is_final(server: Server) -> None:
    server.add_users(199, at("2026-01-05T08:00"))
    server.count(at("2026-01-31T23:30"))
    server.add_users(5, at("2026-01-31T23:45"))
    assert server.billed(JANUARY, at("2026-02-01T00:05")) == (199, "696.50", True)
    server.count(at("2026-02-01T00:30"))
    final = (204, "663.00", False)
    assert server.billed(JANUARY, at("2026-02-01T00:31")) == final
    server.add_users(50, at("2026-02-01T00:40"))
    server.count(at("2026-02-01T01:30"))
    assert server.billed(JANUARY, at("2026-02-03T00:00")) == final


def test_an_xrechnung_has_to_wait_until_the_numbers_are_final(server: Server) -> None:
    config = StorageModule.parse_config({"invoice": PARTIES})
    server.add_users(199, at("2026-01-05T08:00"))
    server.count(at("2026-01-31T23:30"))

    def content(now_ms: int) -> bytes:
        invoice, particulars = bill(server.txn, config, JANUARY, now_ms)
        return electronic_file(invoice, particulars, config.invoice, "R-1", day_of(now_ms, BERLIN)).content

    with pytest.raises(InvoiceError, match="2026-01 had not ended on 2026-01-31"):
        content(at("2026-01-31T23:45"))
    with pytest.raises(InvoiceError, match="the invoice of 2026-01 is preliminary until users are counted after"):
        content(at("2026-02-01T00:05"))
    server.count(at("2026-02-01T00:30"))
    assert b"696.50" in content(at("2026-02-01T00:30"))


def test_an_outage_over_the_end_of_a_month_keeps_it_preliminary(server: Server) -> None:
    server.add_users(60, at("2026-01-05T08:00"))
    server.count(at("2026-01-20T12:00"))
    server.add_users(500, at("2026-01-25T12:00"))
    users, _total, preliminary = server.billed(JANUARY, at("2026-02-02T12:00"))
    assert (users, preliminary) == (60, True)
    server.count(at("2026-02-03T12:00"))
    users, _total, preliminary = server.billed(JANUARY, at("2026-02-03T12:00"))
    assert (users, preliminary) == (560, False)


def test_a_count_under_a_clock_that_was_ahead_ends_no_month(server: Server) -> None:
    server.add_users(60, at("2026-01-05T08:00"))
    server.count(at("2026-01-20T12:00"))
    server.count(at("2027-01-20T12:00"))
    assert server.billed(JANUARY, at("2026-02-02T12:00"))[2]
    server.count(at("2026-02-02T12:30"))
    assert not server.billed(JANUARY, at("2026-02-02T12:30"))[2]


@pytest.mark.parametrize("now", ["2026-02-01T00:00", "2026-02-15T12:00", "2026-02-28T23:59"])
def test_the_oldest_month_is_kept_whole(server: Server, now: str) -> None:
    server.add_users(300, at("2024-01-01T08:00"))
    for day in range(40):
        # The peak is on the first of February, and half of the users leave on the second.
        server.count(at("2024-01-20T12:00") + day * DAY_MS, used_bytes=400 * GB if day == 12 else GB)
        if day == 13:
            server.txn.execute("UPDATE users SET deactivated = 1 WHERE name < '@u2'")
    february = Month(2024, 2)
    before = server.billed(february, at(now))
    assert before[0] == 300
    forget_old(server.txn, CONFIG, at(now))
    assert server.billed(february, at(now)) == before
    with pytest.raises(MonthError, match="there is no data for 2024-01: counts are kept since 2024-02-01"):
        server.billed(Month(2024, 1), at(now))


def test_a_month_goes_as_a_whole_when_it_is_two_years_old(server: Server) -> None:
    server.add_users(3, at("2024-01-01T08:00"))
    for day in range(60):
        server.count(at("2024-01-20T12:00") + day * DAY_MS)
    forget_old(server.txn, CONFIG, at("2026-03-01T00:00"))
    with pytest.raises(MonthError, match="there is no data for 2024-02: counts are kept since 2024-03-01"):
        server.billed(Month(2024, 2), at("2026-03-01T00:00"))
