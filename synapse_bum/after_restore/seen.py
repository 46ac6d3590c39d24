"""What was last told of each thing, and what has changed since.

A hash join of the things of a source with what is known of them: at 10,000 accounts some 10 ms, whoever changed
whatever. What a source tells only of ends is kept by name alone, for as long as the log says that it is gone. Of a
password its hash's cost and salt are kept (`stored_accounts.PASSWORD_SALT`), never the hash itself.
"""

from collections.abc import Iterable
from typing import Final

from synapse_bum.after_restore.lines import State
from synapse_bum.after_restore.source import Logged, Source, stored
from synapse_bum.database import Cursor

# Reads all things of the source, and by the primary key all that is known of it.
_CHANGED: Final = (
    "SELECT l.key, l.state, s.state FROM ({live}) AS l LEFT JOIN synapse_bum_recovery_seen AS s"
    " ON s.source = ? AND s.key = l.key WHERE s.state IS NULL OR s.state <> l.state LIMIT ?"
)
# A join would look for each key through all that there is, on SQLite.
_GONE: Final = (
    "SELECT g.key FROM (SELECT key FROM synapse_bum_recovery_seen WHERE source = ?"
    " EXCEPT SELECT l.key FROM ({live}) AS l) AS g LIMIT ?"
)
_KNOWS_ANY: Final = "SELECT 1 FROM synapse_bum_recovery_seen WHERE source = ? LIMIT 1"
_UNKNOWN: Final = (
    "SELECT l.key FROM ({live}) AS l LEFT JOIN synapse_bum_recovery_seen AS s ON s.source = ? AND s.key = l.key"
    " WHERE s.key IS NULL"
)
# By primary key.
_PUT: Final = (
    "INSERT INTO synapse_bum_recovery_seen (source, key, state) VALUES (?, ?, ?)"
    " ON CONFLICT (source, key) DO UPDATE SET state = excluded.state"
)
_DROP: Final = "DELETE FROM synapse_bum_recovery_seen WHERE source = ? AND key = ?"
# All rows of the source.
_TELL_AGAIN: Final = "UPDATE synapse_bum_recovery_seen SET state = ? WHERE source = ?"
_NOTE_END: Final = (
    "INSERT INTO synapse_bum_recovery_seen (source, key, state) VALUES (?, ?, '') ON CONFLICT (source, key) DO NOTHING"
)

_UNTOLD: Final = "\x02"
"""In the place of a state: it has to be told once more, and its end too. No source has such a state."""

AGAIN: Final[State] = {}
"""What is told of a thing that had ended and is there again, by a source that tells only ends."""


def take_changes(txn: Cursor, source: Source, limit: int) -> tuple[list[tuple[str, str]], bool]:
    """Finds what has to be told, and notes it as told: in the transaction that owes it to the log.

    Args:
        txn: in a transaction.
        source: whose things.
        limit: at most so many changes and so many ends.

    Returns:
        Key and state, as `source.stored` writes it, of what has to be told; and whether there may be more.
    """
    told: list[tuple[str, str]] = []
    txn.execute(_CHANGED.format(live=source.live), (source.name, limit))
    changed = txn.fetchall()
    txn.execute(_GONE.format(live=source.live), (source.name, limit))
    gone = txn.fetchall()
    for key, state, before in changed:
        txn.execute(_PUT, (source.name, key, state))
        if not source.tells_only_ends:
            told.append((key, stored(source.state_of(state))))
        elif before is not None:
            # Another thing has its name now.
            told += [(key, stored(None)), (key, stored(AGAIN))]
        elif _had_ended(txn, source, key):
            told.append((key, stored(AGAIN)))
    for (key,) in gone:
        txn.execute(_DROP, (source.name, key))
        if source.tells_ends:
            told.append((key, stored(None)))
        if source.tells_only_ends:
            txn.execute(_NOTE_END, (_ended(source), key))
    return told, limit in {len(changed), len(gone)}


def unknown_keys(txn: Cursor, source: Source) -> list[str]:
    """Things that came so shortly before a backup that their end may never have been told.

    None where nothing was ever told: the backup is older than the recovery module, or its tables were left behind when
    the homeserver moved to another database. Then this says nothing about a thing.
    """
    txn.execute(_KNOWS_ANY, (source.name,))
    if txn.fetchone() is None:
        return []
    txn.execute(_UNKNOWN.format(live=source.live), (source.name,))
    return [key for (key,) in txn.fetchall()]


def tell_again(txn: Cursor, source: Source) -> None:
    """Has everything of a source told once more, and the end of what goes before it was."""
    txn.execute(_TELL_AGAIN, (_UNTOLD, source.name))


def note_ends(txn: Cursor, source: Source, logged: Iterable[Logged]) -> None:
    """Notes what the log says of a source that tells only ends: what had ended and comes again is to be told."""
    if source.tells_only_ends:
        for each in logged:
            if each.state is None:
                txn.execute(_NOTE_END, (_ended(source), each.key))


def _had_ended(txn: Cursor, source: Source, key: str) -> bool:
    """Whether the end of a thing was told, and is its last word."""
    txn.execute(_DROP, (_ended(source), key))
    return txn.rowcount == 1


def _ended(source: Source) -> str:
    """Under which name the told ends of a source are kept: apart, so that no comparison reads them."""
    return f"{source.name} ended"
