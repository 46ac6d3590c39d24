"""Finding messages by age in Synapse's tables, along the stream and in one room; nothing is changed here.

The stream runs upwards with what arrives, and downwards, below zero, with what is fetched from the past. Upwards the
age nearly grows with it, so that a moment has a position; downwards it means nothing.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: table `events` with its unique index on
`stream_ordering` and `events_room_stream (room_id, stream_ordering)`, `event_json` with its unique index on `event_id`.
"""

from collections.abc import Callable, Collection
from typing import Final

import attr
from synapse.storage.database import LoggingTransaction
from synapse.storage.engines import PostgresEngine

from synapse_bum.homeserver.message_age import AGE_TS, IS_MESSAGE
from synapse_bum.homeserver.sql_lists import marks

IS_EMPTIED: Final = "x.room_id = e.room_id AND x.event_id = e.event_id AND x.stream_ordering = e.stream_ordering"
"""SQL: whether the row `x` of emptied messages means the row `e` of `events`. An event that was purged and is fetched
again has another position, and its content."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class RoomAge:
    """A room, and the age timestamp (ms since the epoch) of the oldest message that was found in it."""

    room_id: str
    oldest_ts: int


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        event_id: of it.
        event_type: of it.
        sender: of it.
        stream_ordering: unique on this server.
        depth: its topological ordering.
        age_ts: see `message_age`.
        size_bytes: of its JSON.
        is_emptied: whether its content is gone already.
    """

    event_id: str
    event_type: str
    sender: str
    stream_ordering: int
    depth: int
    age_ts: int
    size_bytes: int
    is_emptied: bool = attr.ib(converter=bool)  # SQLite has no booleans


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Part:
    """Some messages, named by SQL over the row `e` of `events`.

    Attributes:
        source: what stands after FROM; has a table `events AS e`.
        where: a condition.
        parameters: of the condition.
    """

    source: str
    where: str
    parameters: tuple[str | int, ...]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Total:
    """How many messages, bytes of their JSON, and the age timestamp of the oldest (None without any)."""

    count: int
    size_bytes: int
    oldest_ts: int | None


def json_bytes(txn: LoggingTransaction) -> str:
    """SQL: the bytes of a message's JSON in the row `j`; PostgreSQL knows them without reading the text."""
    is_postgres = isinstance(txn.database_engine, PostgresEngine)
    return "COALESCE(octet_length(j.json), 0)" if is_postgres else "COALESCE(length(CAST(j.json AS BLOB)), 0)"


def stream_end(txn: LoggingTransaction) -> int:
    """The newest position, 0 without events; the end of the unique index."""
    txn.execute("SELECT max(stream_ordering) FROM events")
    row = txn.fetchone()
    return max(0, row[0] or 0) if row else 0


def position_at(txn: LoggingTransaction, ts: int) -> int:
    """The last position upwards whose event had been received at a moment; about 40 lookups in the unique index.

    Clocks step back now and then, so a few events beyond it may be older, and a few before it younger.

    Args:
        txn: a transaction.
        ts: ms since the epoch.
    """

    def first_from(low: int, high: int) -> tuple[int, int] | None:
        txn.execute(
            f"SELECT e.stream_ordering, {AGE_TS} FROM events AS e"  # noqa: S608
            " WHERE e.stream_ordering >= ? AND e.stream_ordering <= ? ORDER BY e.stream_ordering LIMIT 1",
            (low, high),
        )
        row = txn.fetchone()
        return None if row is None else (row[0], row[1])

    return last_at(first_from, stream_end(txn), ts)


def last_at(first_from: Callable[[int, int], tuple[int, int] | None], end: int, ts: int) -> int:
    """Search for the last position that is not younger than a moment. Pure.

    Args:
        first_from: the first (position, timestamp) from one position up to another; None when there is none.
        end: the last position.
        ts: the moment.

    Returns:
        0 when everything is younger.
    """
    low, high = 0, end
    while low < high:
        middle = (low + high + 1) // 2
        found = first_from(middle, high)
        if found is None or found[1] > ts:
            high = middle - 1
        else:
            low = found[0]
    return low


def page_end(txn: LoggingTransaction, after: int, upto: int, limit: int) -> int | None:
    """The position of the last of some events upwards; a range of the unique index. None when there is none."""
    txn.execute(
        "SELECT max(p.stream_ordering) FROM (SELECT stream_ordering FROM events"
        " WHERE stream_ordering > ? AND stream_ordering <= ? ORDER BY stream_ordering LIMIT ?) AS p",
        (after, upto, limit),
    )
    row = txn.fetchone()
    return row[0] if row else None


def page_end_downwards(txn: LoggingTransaction, before: int, limit: int) -> int | None:
    """The position of the last of some events downwards; a range of the unique index. None when there is none."""
    txn.execute(
        "SELECT min(p.stream_ordering) FROM (SELECT stream_ordering FROM events"
        " WHERE stream_ordering < ? ORDER BY stream_ordering DESC LIMIT ?) AS p",
        (before, limit),
    )
    row = txn.fetchone()
    return row[0] if row else None


def rooms_in_range(
    txn: LoggingTransaction, low: int, high: int, *, emptied: str, cutoff_ts: int | None
) -> list[RoomAge]:
    """The rooms of the messages in a range of the stream; reads every event in it.

    Args:
        txn: a transaction.
        low: the first position.
        high: the last one.
        emptied: name of the table (room_id, event_id, stream_ordering) with the messages that do not count any more.
        cutoff_ts: only messages as old as this; None for all.
    """
    is_old = "" if cutoff_ts is None else f" AND {AGE_TS} <= ?"
    txn.execute(
        f"SELECT e.room_id, min({AGE_TS}) FROM events AS e WHERE e.stream_ordering >= ? AND e.stream_ordering <= ?"  # noqa: S608
        f" AND {IS_MESSAGE} AND {_not_in(emptied)}{is_old} GROUP BY e.room_id",
        (low, high, *(() if cutoff_ts is None else (cutoff_ts,))),
    )
    return [RoomAge(*row) for row in txn.fetchall()]


def oldest_from_the_past(txn: LoggingTransaction, room_id: str, *, emptied: str) -> int | None:
    """The age timestamp of the oldest message of a room that was fetched from the past; None when there is none.

    Reads the part of `events_room_stream` below zero: all that was fetched in this room and is there still.
    """
    txn.execute(
        f"SELECT min({AGE_TS}) FROM events AS e WHERE e.room_id = ? AND e.stream_ordering < 0"  # noqa: S608
        f" AND {IS_MESSAGE} AND {_not_in(emptied)}",
        (room_id,),
    )
    row = txn.fetchone()
    return row[0] if row else None


def lowest_messages(txn: LoggingTransaction, room_id: str, limit: int, *, emptied: str) -> list[Message]:
    """The messages of a room with the least depth, those that do not count any more included.

    A range of `events_order_room (room_id, topological_ordering, stream_ordering)` from its beginning, as Synapse's
    own purge reads it; state events among them are passed over.
    """
    txn.execute(
        f"{_select(txn, emptied)} WHERE e.room_id = ? AND {IS_MESSAGE}"
        " ORDER BY e.topological_ordering, e.stream_ordering LIMIT ?",
        (room_id, limit),
    )
    return [Message(*row) for row in txn.fetchall()]


def expired_messages(
    txn: LoggingTransaction,
    room_id: str,
    after: int,
    upto: int,
    cutoff_ts: int,
    limit: int,
    *,
    emptied: str,
    without_senders: Collection[str],
) -> list[Message]:
    """The messages of a room that are old enough and have their content, along the stream.

    A range of `events_room_stream`; below `upto` there is little else than such messages and state events, unless much
    was fetched from the past.

    Args:
        txn: a transaction.
        room_id: of the room.
        after: position after which to begin.
        upto: the last position.
        cutoff_ts: ms since the epoch.
        limit: at most so many.
        emptied: name of the table (room_id, event_id, stream_ordering) with the messages that do not count any more.
        without_senders: see `total`.
    """
    is_free, parameters = _not_of(without_senders)
    txn.execute(
        f"{_select(txn, emptied)} WHERE e.room_id = ? AND e.stream_ordering > ? AND e.stream_ordering <= ?"
        f" AND {AGE_TS} <= ? AND x.event_id IS NULL AND {IS_MESSAGE}{is_free} ORDER BY e.stream_ordering LIMIT ?",
        (room_id, after, upto, cutoff_ts, *parameters, limit),
    )
    return [Message(*row) for row in txn.fetchall()]


def emptied_page(
    txn: LoggingTransaction, after: tuple[str, str], limit: int, *, emptied: str
) -> list[tuple[str, str, bool]]:
    """Room id and event id of emptied messages, and whether they are still there; along the table's primary key.

    Args:
        txn: a transaction.
        after: room id and event id after which to begin.
        limit: at most so many.
        emptied: name of the table (room_id, event_id, stream_ordering).
    """
    txn.execute(
        f"SELECT x.room_id, x.event_id, EXISTS (SELECT 1 FROM events AS e WHERE {IS_EMPTIED}) FROM {emptied} AS x"  # noqa: S608
        " WHERE (x.room_id, x.event_id) > (?, ?) ORDER BY x.room_id, x.event_id LIMIT ?",
        (*after, limit),
    )
    return [(room_id, event_id, bool(is_there)) for room_id, event_id, is_there in txn.fetchall()]


def total(
    txn: LoggingTransaction,
    part: Part,
    cutoff_ts: int,
    *,
    emptied: str,
    without_rooms: Collection[str],
    without_senders: Collection[str],
) -> Total:
    """Count the expired messages of a part; costs what the part's range holds.

    Args:
        txn: a transaction.
        part: which messages.
        cutoff_ts: ms since the epoch.
        emptied: name of the table (room_id, event_id, stream_ordering) with the messages that do not count any more.
        without_rooms: rooms that do not count; few.
        without_senders: senders whose messages do not count, nor the redactions that hide them; few.
    """
    where, parameters = _expired(part, cutoff_ts, emptied, without_rooms, without_senders)
    txn.execute(
        f"SELECT count(*), COALESCE(sum({json_bytes(txn)}), 0), min({AGE_TS}) FROM {part.source}"  # noqa: S608
        f" LEFT JOIN event_json AS j ON j.event_id = e.event_id WHERE {where}",
        parameters,
    )
    count, size_bytes, oldest_ts = txn.fetchall()[0]
    # PostgreSQL's sum is a decimal number.
    return Total(count, int(size_bytes), oldest_ts)


def oldest(
    txn: LoggingTransaction,
    part: Part,
    cutoff_ts: int,
    limit: int,
    *,
    emptied: str,
    without_rooms: Collection[str],
    without_senders: Collection[str],
) -> list[tuple[str, int, int]]:
    """Event id, age timestamp and bytes of the oldest expired messages of a part; see `total`."""
    where, parameters = _expired(part, cutoff_ts, emptied, without_rooms, without_senders)
    txn.execute(
        f"SELECT e.event_id, {AGE_TS}, {json_bytes(txn)} FROM {part.source}"  # noqa: S608
        f" LEFT JOIN event_json AS j ON j.event_id = e.event_id WHERE {where} ORDER BY 2, 1 LIMIT ?",
        (*parameters, limit),
    )
    return list(txn.fetchall())


def old_positions(txn: LoggingTransaction, after: int, upto: int, cutoff_ts: int) -> frozenset[int]:
    """The positions upwards of events that are old enough; reads a range of the unique index.

    Args:
        txn: a transaction.
        after: position after which to begin.
        upto: the last position.
        cutoff_ts: ms since the epoch.
    """
    txn.execute(
        f"SELECT e.stream_ordering FROM events AS e WHERE e.stream_ordering > ? AND e.stream_ordering <= ?"  # noqa: S608
        f" AND {AGE_TS} <= ?",
        (after, upto, cutoff_ts),
    )
    return frozenset(position for (position,) in txn.fetchall())


def has_messages(txn: LoggingTransaction, number: int) -> bool:
    """Whether there are so many messages of any age; stops counting there, but reads state events that lie before."""
    txn.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM events AS e WHERE {IS_MESSAGE} LIMIT ?) AS p",  # noqa: S608
        (number,),
    )
    row = txn.fetchone()
    return row is not None and row[0] >= number


def _select(txn: LoggingTransaction, emptied: str) -> str:
    return (
        f"SELECT e.event_id, e.type, e.sender, e.stream_ordering, e.topological_ordering, {AGE_TS}, {json_bytes(txn)},"  # noqa: S608
        " x.event_id IS NOT NULL FROM events AS e LEFT JOIN event_json AS j ON j.event_id = e.event_id"
        f" LEFT JOIN {emptied} AS x ON {IS_EMPTIED}"
    )


def _not_in(emptied: str) -> str:
    return f"NOT EXISTS (SELECT 1 FROM {emptied} AS x WHERE {IS_EMPTIED})"  # noqa: S608


def _expired(
    part: Part, cutoff_ts: int, emptied: str, rooms: Collection[str], senders: Collection[str]
) -> tuple[str, tuple[str | int, ...]]:
    where = f"{part.where} AND {IS_MESSAGE} AND {AGE_TS} <= ? AND {_not_in(emptied)}"
    if rooms:
        where += f" AND e.room_id NOT IN ({marks(len(rooms))})"
    is_free, free_parameters = _not_of(senders)
    return where + is_free, (*part.parameters, cutoff_ts, *rooms, *free_parameters)


def _not_of(senders: Collection[str]) -> tuple[str, tuple[str, ...]]:
    """A condition and its parameters; asks for redactions by the unique indexes on event_id."""
    if not senders:
        return "", ()
    places = marks(len(senders))
    is_free = (
        f" AND e.sender NOT IN ({places}) AND NOT EXISTS (SELECT 1 FROM redactions AS d"  # noqa: S608
        " JOIN events AS t ON t.event_id = d.redacts"
        f" WHERE d.event_id = e.event_id AND NOT d.have_censored AND t.sender IN ({places}))"
    )
    return is_free, (*senders, *senders)
