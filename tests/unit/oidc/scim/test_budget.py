"""How many people may lose access within an hour."""

import sqlite3
from collections.abc import Iterator

import pytest

from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.oidc.scim.budget import HOUR_MS, spend
from synapse_bum.oidc.tables import OIDC

NOW_MS = 1_700_000_000_000
LIMIT = 3


@pytest.fixture
def cursor() -> Iterator[sqlite3.Cursor]:
    connection = sqlite3.connect(":memory:")
    cursor = connection.cursor()
    migrate(cursor, Dialect.SQLITE, (OIDC,))
    yield cursor
    connection.close()


def test_so_many_people_and_no_more(cursor: sqlite3.Cursor) -> None:
    assert [spend(cursor, "idp", str(number), LIMIT, NOW_MS + number) for number in range(LIMIT)] == [None] * LIMIT
    assert spend(cursor, "idp", "one too many", LIMIT, NOW_MS + 10) == HOUR_MS - 10
    assert spend(cursor, "other", "one too many", LIMIT, NOW_MS + 10) is None
    assert spend(cursor, "idp", "one too many", LIMIT, NOW_MS + HOUR_MS) is None


def test_one_person_counts_once_within_the_hour(cursor: sqlite3.Cursor) -> None:
    for number in range(100):
        assert spend(cursor, "idp", "flapping", LIMIT, NOW_MS + number) is None
    for name in ("second", "third"):
        assert spend(cursor, "idp", name, LIMIT, NOW_MS + 200) is None
    assert spend(cursor, "idp", "fourth", LIMIT, NOW_MS + 200) is not None
    assert spend(cursor, "idp", "flapping", LIMIT, NOW_MS + 200) is None


def test_after_an_hour_he_counts_again(cursor: sqlite3.Cursor) -> None:
    assert spend(cursor, "idp", "flapping", 1, NOW_MS) is None
    assert spend(cursor, "idp", "other", 1, NOW_MS + HOUR_MS) is None
    assert spend(cursor, "idp", "flapping", 1, NOW_MS + HOUR_MS) is not None
