"""Purging the lower end of a room's history by Synapse's own means, one transaction at a time.

Synapse's `purge_history` is a transaction that deletes all messages below a depth, and then the state groups that
nothing needs any more. Here both are apart, so that the transaction can also check, in the same snapshot, that nothing
below the depth has to stay, and write down what it did.

What the purge leaves, by the tables of both versions: `events`, `event_json`, `event_auth`, `event_edges`,
`event_relations`, `event_search`, `event_push_actions`, `event_to_state_groups`, `redactions` and `rejections` lose
their rows; `event_txn_id_device_id`, `thread_subscriptions` and `un_partial_stated_event_stream` follow by foreign
key. We remove the rows of `event_labels`, `event_expiry`, `event_push_actions_staging` and `threads`. What else names
such an event has no content of it: receipts, `event_reports` (the reporter's words; a record of moderation),
`stream_ordering_to_exterm`, `ex_outlier_stream`, `event_failed_pull_attempts`, `application_services_txns`, and
`sticky_events`, which Synapse removes when their hours are over. `federation_inbound_events_staging` holds events that
were not looked at yet: what lies there as long as a lifetime goes too (`drop_staged`).

Run on Synapse 1.133.0 and 1.163.2: `synapse/storage/databases/main/purge_events.py` (`_purge_history_txn`),
`synapse/storage/controllers/purge_events.py` (`purge_history`), `synapse/handlers/pagination.py`.
"""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from synapse.module_api import ModuleApi
from synapse.storage.database import LoggingTransaction
from synapse.storage.engines import PostgresEngine
from synapse.storage.engines._base import IsolationLevel
from synapse.types import RoomStreamToken

from synapse_bum.homeserver.sql_lists import in_chunks, marks

R = TypeVar("R")

PURGE_LOCK: Final = "purge_pagination_lock"
"""`PURGE_PAGINATION_LOCK_NAME` of `synapse.handlers.pagination`, which can't be imported before all of Synapse is."""

# Each by (room_id): one row, or the few ends of a room's history. An end without its event is none to wait for.
_PINNED: Final = tuple(
    f"SELECT min(e.topological_ordering) FROM {table} AS p JOIN events AS e ON {on} WHERE p.room_id = ?"  # noqa: S608
    for table, on in (
        ("event_forward_extremities", "e.event_id = p.event_id"),
        ("sliding_sync_joined_rooms", "e.stream_ordering = p.event_stream_ordering"),
        ("partial_state_events", "e.event_id = p.event_id"),
    )
)
LOCK_TRIES: Final = 6
LOCK_PAUSE_S: Final = 0.2
"""Who reads the past holds the lock for the length of a request."""

_FORGOTTEN: Final = ("event_labels", "event_expiry", "event_push_actions_staging")
"""Tables with an index on event_id that Synapse's purge leaves out."""


async def run_in_one_snapshot(api: ModuleApi, desc: str, func: Callable[[LoggingTransaction], R], *, frozen: str) -> R:
    """Run a function in a transaction that sees nothing of what others commit meanwhile.

    An event that somebody stores meanwhile is neither checked nor purged.

    Args:
        api: of the homeserver.
        desc: a short name without variable parts.
        func: gets the transaction; may be called again after a conflict with others.
        frozen: a table that nobody changes until the commit, and of which the newest state is seen.

    Returns:
        What the function returned, after the commit.
    """
    on_postgres = isinstance(api._store.db_pool.engine, PostgresEngine)

    def attempt(txn: LoggingTransaction) -> R:
        for callbacks in (txn.after_callbacks, txn.async_after_callbacks):
            if callbacks is not None:
                callbacks.clear()
        # LOCK TABLE takes no snapshot yet, so whoever changed the table before is seen.
        txn.execute(f"LOCK TABLE {frozen} IN SHARE MODE" if on_postgres else "BEGIN IMMEDIATE")
        return func(txn)

    return await api._store.db_pool.runInteraction(desc, attempt, isolation_level=IsolationLevel.REPEATABLE_READ)


@asynccontextmanager
async def lock(api: ModuleApi, room_id: str) -> AsyncIterator[bool]:
    """The lock that Synapse's own purges hold, and that keeps clients from fetching the past of a room meanwhile.

    Yields:
        False when somebody else has it, also a second later; then we hold none.
    """
    found = None
    for tried in range(LOCK_TRIES):
        if tried:
            await api.sleep(LOCK_PAUSE_S)
        found = await api._store.try_acquire_read_write_lock(PURGE_LOCK, room_id, write=True)
        if found is not None:
            break
    if found is None:
        yield False
        return
    try:
        async with found:
            yield True
    finally:
        # Who waits for it learns at once, and does not have to look again and again.
        api._hs.get_worker_locks_handler().notify_lock_released(PURGE_LOCK, room_id)


def pinned_depths(txn: LoggingTransaction, room_id: str) -> list[int]:
    """Depths at which events stand that Synapse can't do without: ends of the history, and what foreign keys name."""
    depths: list[int] = []
    for query in _PINNED:
        txn.execute(query, (room_id,))
        depths += [depth for (depth,) in txn.fetchall() if depth is not None]
    return depths


def purge_below(api: ModuleApi, txn: LoggingTransaction, room_id: str, depth: int, going: Sequence[str]) -> list[int]:
    """Delete all messages of a room below a depth; state events stay.

    Args:
        api: of the homeserver.
        txn: of `run_in_one_snapshot`.
        room_id: of the room.
        depth: the least that stays; at most that of the newest end of the room's history.
        going: the event ids below it, for the tables that Synapse leaves out.

    Returns:
        State groups that may be needed no more: for `release_state_groups`, after the commit.
    """
    for chunk in in_chunks(going, 1):
        for table in _FORGOTTEN:
            txn.execute(f"DELETE FROM {table} WHERE event_id IN ({marks(len(chunk))})", chunk)  # noqa: S608
    forget_threads(txn, room_id, going)
    token = RoomStreamToken(topological=depth, stream=0)
    return sorted(api._store._purge_history_txn(txn, room_id, token, True))  # noqa: FBT003 - Synapse's argument


def forget_threads(txn: LoggingTransaction, room_id: str, roots: Sequence[str]) -> None:
    """Take threads out of a room's list; by the unique index on (room_id, thread_id)."""
    for chunk in in_chunks(roots, 1):
        txn.execute(
            f"DELETE FROM threads WHERE room_id = ? AND thread_id IN ({marks(len(chunk))})",  # noqa: S608
            (room_id, *chunk),
        )


async def release_state_groups(api: ModuleApi, state_groups: Collection[int]) -> None:
    """Have state groups deleted later, as far as nothing needs them; those that are gone already are no error."""
    controllers = api._hs.get_storage_controllers()
    unneeded = await controllers.purge_events._find_unreferenced_groups(set(state_groups))
    if unneeded:
        await controllers.purge_events.stores.state_deletion.mark_state_groups_as_pending_deletion(unneeded)


def drop_staged(txn: LoggingTransaction, room_id: str, cutoff_ts: int) -> None:
    """Drop received events that Synapse has not looked at since; a range of the index on (room_id, received_ts)."""
    txn.execute(
        "DELETE FROM federation_inbound_events_staging WHERE room_id = ? AND received_ts <= ?", (room_id, cutoff_ts)
    )
