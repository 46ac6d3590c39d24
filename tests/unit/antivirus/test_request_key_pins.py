"""Which process may start with which request secret."""

import sqlite3
from collections.abc import Iterator

import pytest

from synapse_bum.antivirus.content_scanner.request_key_pins import ACCEPTED_MS, Pins, Standing, pin, read_pins, standing
from synapse_bum.antivirus.content_scanner.secrets import refusal
from synapse_bum.antivirus.tables import ANTIVIRUS
from synapse_bum.database.schema import Dialect, migrate

NOON = 1_800_000_000_000
IN_TIME = NOON + ACCEPTED_MS - 1
TOO_LATE = NOON + ACCEPTED_MS


@pytest.fixture
def cursor() -> Iterator[sqlite3.Cursor]:
    connection = sqlite3.connect(":memory:")
    found = connection.cursor()
    migrate(found, Dialect.SQLITE, [ANTIVIRUS])
    yield found
    connection.close()


@pytest.mark.parametrize(
    ("public_key", "pins", "now_ms", "expected"),
    [
        ("a", Pins(None, {}), NOON, Standing.NEW),
        ("a", Pins("a", {}), NOON, Standing.CURRENT),
        ("b", Pins("a", {}), NOON, Standing.NEW),
        ("a", Pins("b", {"a": NOON}), IN_TIME, Standing.PREVIOUS),
        ("a", Pins("b", {"a": NOON}), TOO_LATE, Standing.REFUSED),
        ("c", Pins("b", {"a": NOON}), IN_TIME, Standing.REFUSED),
        ("c", Pins("b", {"a": NOON}), TOO_LATE, Standing.NEW),
        ("b", Pins("b", {"a": NOON}), TOO_LATE, Standing.CURRENT),
        ("a", Pins("c", {"a": NOON - ACCEPTED_MS, "b": NOON}), NOON, Standing.REFUSED),
    ],
)
def test_the_table(public_key: str, pins: Pins, now_ms: int, expected: Standing) -> None:
    assert standing(public_key, pins, now_ms) is expected


def test_a_change_process_by_process(cursor: sqlite3.Cursor) -> None:
    """The first process with the new secret changes it; the others follow within a day."""
    assert pin(cursor, "old", NOON - 1) == (Standing.NEW, Pins(None, {}))
    assert pin(cursor, "old", NOON - 1)[0] is Standing.CURRENT
    assert pin(cursor, "new", NOON) == (Standing.NEW, Pins("old", {}))
    assert pin(cursor, "old", IN_TIME)[0] is Standing.PREVIOUS
    assert pin(cursor, "new", IN_TIME)[0] is Standing.CURRENT
    assert pin(cursor, "old", TOO_LATE)[0] is Standing.REFUSED
    assert read_pins(cursor) == Pins("new", {"old": NOON})


def test_three_files_are_no_change(cursor: sqlite3.Cursor) -> None:
    for public_key in ("first", "second"):
        pin(cursor, public_key, NOON)
    assert pin(cursor, "third", NOON)[0] is Standing.REFUSED
    assert read_pins(cursor).current == "second"


def test_the_sentence_says_what_to_do_and_until_when_it_waits() -> None:
    said = refusal(Pins("b", {"a": NOON}), IN_TIME)
    assert "`config.content_scanner.request_secret_path`" in said
    assert "put the same one into the file of each process" in said
    assert "wait until 2027-01-16 08:00 UTC" in said
    assert "wait" not in refusal(Pins("b", {"a": NOON}), TOO_LATE)
