"""Nobody changes, removes or slips in an audit row without breaking the chain."""

import hashlib
import logging
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.audit import AUDIT, Entry, Row, Selection, append, read_page, verify
from synapse_bum.audit.chain import START_HASH, Head, first_broken, link
from synapse_bum.audit.table import drop_older
from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate

TEXTS = st.text(max_size=6)
DETAILS = st.none() | TEXTS | st.dictionaries(TEXTS, TEXTS | st.integers() | st.booleans() | st.none(), max_size=3)
ENTRIES = st.builds(
    Entry,
    ts=st.integers(0, 10**13),
    actor=TEXTS,
    action=TEXTS,
    target=TEXTS,
    old=DETAILS,
    new=DETAILS,
    reason=st.none() | TEXTS,
)
CHAINS = st.lists(ENTRIES, min_size=1, max_size=6)


class Cursor(sqlite3.Cursor):
    """A plain cursor that runs what shall come after the commit at once."""

    def call_after(self, callback: Callable[..., object], *args: object, **kwargs: object) -> None:
        callback(*args, **kwargs)


def chain_of(entries: list[Entry], dropped: int = 0) -> tuple[Head, list[Row]]:
    rows: list[Row] = []
    for row_id, entry in enumerate(entries, 1):
        rows.append(link(entry, row_id, rows[-1].hash if rows else START_HASH))
    anchor = rows[dropped - 1].hash if dropped else START_HASH
    return Head(len(rows), rows[-1].hash, dropped, anchor), rows[dropped:]


@given(CHAINS, st.data())
def test_a_chain_is_whole_whatever_was_dropped_from_its_start(entries: list[Entry], data: st.DataObject) -> None:
    assert first_broken(*chain_of(entries, data.draw(st.integers(0, len(entries))))) is None


@given(CHAINS, st.data())
def test_a_changed_field_is_found_at_its_row(entries: list[Entry], data: st.DataObject) -> None:
    head, rows = chain_of(entries)
    index = data.draw(st.integers(0, len(rows) - 1))
    field = data.draw(st.sampled_from([field.name for field in attr.fields(Row)]))
    old = getattr(rows[index], field)
    new: Any = data.draw((st.integers() if field in {"id", "ts"} else TEXTS).filter(lambda value: value != old))
    changed: dict[str, Any] = {field: new}
    rows[index] = attr.evolve(rows[index], **changed)
    assert first_broken(head, rows) == index + 1


@given(CHAINS, st.data())
def test_a_missing_row_is_found(entries: list[Entry], data: st.DataObject) -> None:
    head, rows = chain_of(entries)
    index = data.draw(st.integers(0, len(rows) - 1))
    del rows[index]
    assert first_broken(head, rows) == index + 1


@given(CHAINS, ENTRIES, st.data())
def test_a_row_that_was_slipped_in_is_found(entries: list[Entry], entry: Entry, data: st.DataObject) -> None:
    head, rows = chain_of(entries)
    index = data.draw(st.integers(0, len(rows)))
    slipped = link(entry, index + 1, rows[index - 1].hash if index else START_HASH)
    if rows[index : index + 1] == [slipped]:
        return
    rows.insert(index, slipped)
    assert first_broken(head, rows) in {index + 1, index + 2}


@given(CHAINS)
def test_two_rows_that_changed_places_are_found(entries: list[Entry]) -> None:
    head, rows = chain_of([*entries, Entry(1, "a", "b", "c")])
    rows[0], rows[-1] = rows[-1], rows[0]
    assert first_broken(head, rows) == 1


def test_a_rewritten_history_does_not_end_in_the_known_hash() -> None:
    head, _rows = chain_of([Entry(1, "a", "b", "c"), Entry(2, "a", "b", "c")])
    _head, rewritten = chain_of([Entry(1, "x", "b", "c"), Entry(2, "a", "b", "c")])
    assert first_broken(head, rewritten) == 2


def test_the_hash_is_over_canonical_json_and_stays_the_same_in_every_version() -> None:
    entry = Entry(1, "@a:b", "antivirus.release", "mxc://b/c", {"b": 1, "a": "ä"}, "released", "false alarm")
    assert link(entry, 1, START_HASH).old == '{"a":"\\u00e4","b":1}'
    assert link(entry, 1, START_HASH).hash == link(attr.evolve(entry, old={"a": "ä", "b": 1}), 1, START_HASH).hash
    written = (
        '{"action":"antivirus.release","actor":"@a:b","id":7,"new":"\\"released\\"",'
        '"old":"{\\"a\\":\\"\\\\u00e4\\",\\"b\\":1}","prev_hash":"00ff","reason":"false alarm",'
        '"target":"mxc://b/c","ts":1}'
    )
    assert link(entry, 7, "00ff").hash == hashlib.sha256(written.encode()).hexdigest()


def test_what_the_api_shows() -> None:
    row = link(Entry(1, "@a:b", "x", "mxc://b/c", {"a": [1]}, "released", None), 1, START_HASH)
    assert row.as_json() == {
        "ts": 1,
        "actor": "@a:b",
        "action": "x",
        "target": "mxc://b/c",
        "old": {"a": [1]},
        "new": "released",
        "reason": None,
        "hash": row.hash,
    }


@pytest.fixture
def cursor() -> Iterator[Cursor]:
    connection = sqlite3.connect(":memory:")
    opened = connection.cursor(Cursor)
    migrate(opened, Dialect.SQLITE, (AUDIT,))
    yield opened
    connection.close()


def entry(number: int, action: str = "x") -> Entry:
    return Entry(number, f"@a{number}:b", action, "target")


def test_rows_are_read_newest_first_and_filtered(cursor: Cursor) -> None:
    rows = [append(cursor, entry(number, "even" if number % 2 == 0 else "odd")) for number in range(10)]
    assert read_page(cursor, Selection(0, 100)) == (rows[::-1], 10)
    assert read_page(cursor, Selection(2, 3)) == (rows[::-1][2:5], 10)
    assert read_page(cursor, Selection(0, 2, action="odd")) == ([rows[9], rows[7]], 5)
    assert read_page(cursor, Selection(0, 9, since_ts=7, action="odd")) == ([rows[9], rows[7]], 2)
    assert read_page(cursor, Selection(0, 9, since_ts=99)) == ([], 0)


def test_old_rows_are_dropped_in_batches_and_the_rest_verifies(cursor: Cursor) -> None:
    for number in range(10):
        append(cursor, entry(number))
    assert drop_older(cursor, 7, 4) == 4
    assert verify(cursor) is None
    assert drop_older(cursor, 7, 4) == 3
    assert drop_older(cursor, 7, 4) == 0
    assert verify(cursor) is None
    assert [row.ts for row in read_page(cursor, Selection(0, 9))[0]] == [9, 8, 7]
    assert drop_older(cursor, 99, 100) == 3
    append(cursor, entry(11))
    assert verify(cursor) is None
    assert read_page(cursor, Selection(0, 9))[0][0].id == 11


def test_a_row_that_is_young_keeps_those_after_it(cursor: Cursor) -> None:
    for ts in (1, 9, 2, 3):
        append(cursor, entry(ts))
    assert drop_older(cursor, 5, 100) == 1
    assert verify(cursor) is None


@pytest.mark.parametrize(
    ("tampering", "broken"),
    [
        ("UPDATE synapse_bum_audit SET reason = 'x' WHERE id = 1500", 1500),
        ("DELETE FROM synapse_bum_audit WHERE id = 3", 3),
        ("DELETE FROM synapse_bum_audit WHERE id = 2000", 2000),
        ("DELETE FROM synapse_bum_audit WHERE id > 2100", 2101),
        ("DELETE FROM synapse_bum_audit", 1),
        ("UPDATE synapse_bum_audit_head SET hash = 'x'", 2500),
        ("UPDATE synapse_bum_audit_head SET dropped_hash = 'x'", 1),
        ("UPDATE synapse_bum_audit_head SET id = 2499", 2500),
    ],
)
def test_tampering_with_the_tables_is_found(
    cursor: Cursor, tampering: str, broken: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="synapse_bum.audit")
    for number in range(2_500):
        append(cursor, entry(number))
    assert verify(cursor) is None
    cursor.execute(tampering)
    assert verify(cursor) == broken


def test_one_log_line_per_row_with_its_hash(cursor: Cursor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="synapse_bum.audit")
    done = Entry(5, "@op:b", "antivirus.release", "mxc://b/c", "blocked", {"state": "released"}, "two\nlines\0")
    row = append(cursor, done)
    (record,) = caplog.records
    assert record.name == "synapse_bum.audit"
    assert "\n" not in record.getMessage()
    assert "antivirus.release" in record.getMessage()
    assert "mxc://b/c" in record.getMessage()
    assert record.__dict__["hash"] == row.hash
    assert record.__dict__["actor"] == "@op:b"
    assert row.reason == "two\nlines\ufffd"
    assert verify(cursor) is None
