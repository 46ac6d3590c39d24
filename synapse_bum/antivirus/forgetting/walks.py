"""Walks over the tables that say something of files, a page at a time: which rows serve nothing any more.

Each walk follows a primary key or the index on (server_name, media_id), and asks for each row one or two unique indexes
of Synapse (`homeserver/row_conditions.py`): about 20 ms for a page of a thousand rows. How far it has come stands in
`synapse_bum_antivirus_walks`.

A page is read first, in a query of its own within each statement, and Synapse's tables are asked about its rows only:
otherwise PostgreSQL reads those whole.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.antivirus.events.links import MAX_LINKS
from synapse_bum.antivirus.forgetting.purposes import LinkFacts, link_serves, names_serve, state_serves
from synapse_bum.database import Cursor
from synapse_bum.homeserver.row_conditions import HAS_BYTES, HAS_EVENT, IS_STORED

PAGE: Final = 1_000
"""Rows that are looked at in one transaction."""

LINKS_OF_A_PAGE: Final = 1_000
"""The same of links; more than the three lists of `MAX_LINKS` that one file may have."""

Position: TypeAlias = tuple[str, str]
"""Server name and media id of the row that was looked at last; of releases, hash and signature."""

START: Final[Position] = ("", "")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Kept:
    """What holds keep.

    Attributes:
        people: user ids; what they have sent is kept.
        rooms: room ids; what was sent there is kept.
    """

    people: frozenset[str] = frozenset()
    rooms: frozenset[str] = frozenset()


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Look:
    """Where a walk looks, and what it goes by.

    Attributes:
        own_name: our server's name.
        after: the end of the page before.
        now_ms: ms since the epoch.
        kept: by holds.
    """

    own_name: str
    after: Position
    now_ms: int
    kept: Kept = attr.ib(factory=Kept)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Page:
    """What a walk has found.

    Attributes:
        keys: of the rows that serve nothing any more, as the walk's `forget` wants them.
        end: where the next page begins; None after the last one.
    """

    keys: Sequence[tuple[str, ...]]
    end: Position | None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Walk:
    """One table.

    Attributes:
        name: also the label of the metric.
        look: reads a page.
        forget: what becomes of rows, by their keys; one statement by an index for each.
        names_people: whether its rows do, so that holds keep some.
        changes_findings: whether it changes findings or releases, so that it has to wait for its turn.
    """

    name: str
    look: Callable[[LoggingTransaction, Look], Page]
    forget: str
    names_people: bool = False
    changes_findings: bool = False


def _looks_at_states(table: str, written: str, rows: str = "ALL") -> Callable[[LoggingTransaction, Look], Page]:
    """Makes the look at a table whose rows go with their file.

    Args:
        table: with `server_name` and `media_id`.
        written: expression of the time of writing of a row of `t`, see `state_serves`.
        rows: `DISTINCT` where a file may have several.
    """
    query = (
        f"SELECT t.server_name, t.media_id, {IS_STORED}, t.written FROM (SELECT {rows} t.server_name, t.media_id,"  # noqa: S608
        f" {written} AS written FROM {table} AS t WHERE (t.server_name, t.media_id) > (?, ?)"
        " ORDER BY t.server_name, t.media_id LIMIT ?) AS t ORDER BY t.server_name, t.media_id"
    )

    def look(txn: LoggingTransaction, at: Look) -> Page:
        txn.execute(query, (at.own_name, *at.after, PAGE))
        rows = txn.fetchall()
        useless = [
            (server_name, media_id)
            for server_name, media_id, is_stored, written_ts in rows
            if not state_serves(is_stored=bool(is_stored), written_ts=written_ts, now_ms=at.now_ms)
        ]
        return Page(useless, _end(rows, PAGE))

    return look


_LINKS: Final = (
    f"SELECT t.server_name, t.media_id, t.event_id, t.room_id, t.sender, t.vouched_by, {IS_STORED}, {HAS_EVENT},"  # noqa: S608
    " EXISTS (SELECT 1 FROM synapse_bum_antivirus_findings AS f WHERE f.server_name = t.server_name"
    " AND f.media_id = t.media_id AND f.state IN ('blocked', 'block_failed'))"
    " FROM (SELECT * FROM synapse_bum_antivirus_links WHERE (server_name, media_id) > (?, ?)"
    " ORDER BY server_name, media_id, event_id LIMIT ?) AS t ORDER BY t.server_name, t.media_id"
)


def _look_at_links(txn: LoggingTransaction, at: Look) -> Page:
    txn.execute(_LINKS, (at.own_name, *at.after, LINKS_OF_A_PAGE))
    rows = txn.fetchall()
    end = None
    if len(rows) == LINKS_OF_A_PAGE:
        # The last file may have more links: the next page begins with it.
        rows = [row for row in rows if row[:2] != rows[-1][:2]]
        end = (rows[-1][0], rows[-1][1])
    lists = Counter((server_name, media_id, word) for server_name, media_id, _, _, _, word, *_ in rows)
    useless = []
    for server_name, media_id, event_id, room_id, sender, word, is_stored, has_event, is_blocked in rows:
        facts = LinkFacts(
            is_stored=bool(is_stored),
            has_event=bool(has_event),
            is_blocked=bool(is_blocked),
            is_list_full=lists[server_name, media_id, word] >= MAX_LINKS,
            is_on_hold=room_id in at.kept.rooms or sender in at.kept.people,
        )
        if not link_serves(facts):
            useless.append((server_name, media_id, event_id))
    return Page(useless, end)


def _looks_at_names(query: str) -> Callable[[LoggingTransaction, Look], Page]:
    """Makes the look at a table whose rows stay without the people in them.

    Args:
        query: gives two columns of the key, whether the file is here, the time of writing in ms since the epoch, and
            people; its parameters are the position and `PAGE`, and before them our server's name where `IS_STORED` asks
            for it.
    """

    def look(txn: LoggingTransaction, at: Look) -> Page:
        own_name = (at.own_name,) if IS_STORED in query else ()
        txn.execute(query, (*own_name, *at.after, PAGE))
        rows = txn.fetchall()
        useless = [
            (first, second)
            for first, second, is_stored, written_ts, *people in rows
            if not names_serve(
                is_stored=bool(is_stored),
                written_ts=written_ts,
                now_ms=at.now_ms,
                is_on_hold=not at.kept.people.isdisjoint(people),
            )
        ]
        return Page(useless, _end(rows, PAGE))

    return look


def _end(rows: Sequence[Sequence[Any]], limit: int) -> Position | None:
    return (rows[-1][0], rows[-1][1]) if len(rows) == limit else None


_OF_FILE: Final = "WHERE server_name = ? AND media_id = ?"

WALKS: Final = (
    Walk(
        "verdicts",
        _looks_at_states(
            "synapse_bum_antivirus_verdicts",
            "CASE WHEN t.scanned_ts > t.noted_ts THEN t.scanned_ts ELSE t.noted_ts END",
        ),
        f"DELETE FROM synapse_bum_antivirus_verdicts {_OF_FILE}",  # noqa: S608
    ),
    Walk(
        "key_verdicts",
        _looks_at_states("synapse_bum_antivirus_key_verdicts", "CAST(NULL AS BIGINT)", "DISTINCT"),
        f"DELETE FROM synapse_bum_antivirus_key_verdicts {_OF_FILE}",  # noqa: S608
    ),
    Walk(
        "held",
        _looks_at_states("synapse_bum_antivirus_held", "t.since_ts"),
        f"DELETE FROM synapse_bum_antivirus_held {_OF_FILE}",  # noqa: S608
    ),
    Walk(
        "links",
        _look_at_links,
        f"DELETE FROM synapse_bum_antivirus_links {_OF_FILE} AND event_id = ?",  # noqa: S608
        names_people=True,
    ),
    Walk(
        "findings",
        _looks_at_names(
            f"SELECT t.server_name, t.media_id, {IS_STORED}, t.found_ts, t.uploader, t.reporter"  # noqa: S608
            " FROM (SELECT * FROM synapse_bum_antivirus_findings WHERE (server_name, media_id) > (?, ?)"
            " AND (uploader IS NOT NULL OR reporter IS NOT NULL) ORDER BY server_name, media_id LIMIT ?) AS t"
            " ORDER BY t.server_name, t.media_id"
        ),
        f"UPDATE synapse_bum_antivirus_findings SET uploader = NULL, reporter = NULL {_OF_FILE}",  # noqa: S608
        names_people=True,
        changes_findings=True,
    ),
    Walk(
        "releases",
        _looks_at_names(
            f"SELECT t.sha256, t.signature, {HAS_BYTES}, t.released_ts, t.released_by"  # noqa: S608
            " FROM (SELECT * FROM synapse_bum_antivirus_exemptions WHERE (sha256, signature) > (?, ?)"
            " AND (released_by <> '' OR reason <> '') ORDER BY sha256, signature LIMIT ?) AS t"
            " ORDER BY t.sha256, t.signature"
        ),
        "UPDATE synapse_bum_antivirus_exemptions SET released_by = '', reason = '' WHERE sha256 = ? AND signature = ?",
        names_people=True,
        changes_findings=True,
    ),
)


def forget(txn: LoggingTransaction, walk: Walk, at: Look) -> Page:
    """Look at a page and forget what serves nothing, in one transaction that writes down how far that is."""
    page = walk.look(txn, at)
    if page.keys:
        txn.execute_batch(walk.forget, page.keys)
    write_position(txn, walk, page.end, at.now_ms)
    return page


def read_position(txn: Cursor, walk: Walk, now_ms: int, rest_ms: int) -> Position | None:
    """Where a walk goes on, by primary key; None when it was at its end less than `rest_ms` ago."""
    txn.execute(
        "SELECT server_name, media_id, finished_ts FROM synapse_bum_antivirus_walks WHERE kind = ?", (_kind(walk),)
    )
    row = txn.fetchone()
    if row is None:
        return START
    server_name, media_id, finished_ts = row
    if finished_ts is None:
        return server_name, media_id
    return None if 0 <= now_ms - finished_ts < rest_ms else START


def write_position(txn: Cursor, walk: Walk, end: Position | None, now_ms: int) -> None:
    """Write down how far a walk has come, by primary key; None when it is at its end."""
    txn.execute(
        "INSERT INTO synapse_bum_antivirus_walks (kind, server_name, media_id, finished_ts) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (kind) DO UPDATE SET server_name = excluded.server_name, media_id = excluded.media_id,"
        " finished_ts = excluded.finished_ts",
        (_kind(walk), *(end or START), now_ms if end is None else None),
    )


def forget_deferred(txn: Cursor) -> int:
    """Forget redactions whose file was on hold and is gone; the whole table, which holds what is on hold.

    Returns:
        How many there were.
    """
    txn.execute(
        "DELETE FROM synapse_bum_antivirus_redactions_deferred AS t WHERE NOT EXISTS"
        " (SELECT 1 FROM local_media_repository AS m WHERE m.media_id = t.media_id)"
    )
    return max(0, txn.rowcount)


def _kind(walk: Walk) -> str:
    return f"forgetting {walk.name}"
