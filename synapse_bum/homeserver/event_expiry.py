"""Emptying events that must stay where they are: their content goes, as if they were redacted.

What stands at an end of a room's history, or above something that has to stay, can't be purged. Its JSON is pruned as
a redaction does it (room version's rules), so that its id, which is a hash of what is left, stays right and new events
can still follow it.

Redactions: Synapse takes a redacted event's content away on disk after `redaction_retention_period`, and hides it
until then because there is a row in `redactions`. Purging the redaction removes that row, so its target has to be
carried out on disk before (`carry_out`).

Run on Synapse 1.133.0 and 1.163.2: `synapse/storage/databases/main/censor_events.py` (`_censor_redactions`,
`expire_event`), `synapse/storage/databases/main/cache.py` (`_invalidate_caches_for_room_events_and_stream`, which makes
every process forget the room's events).
"""

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

import attr
from synapse.api.errors import SynapseError
from synapse.events import EventBase
from synapse.events.utils import prune_event
from synapse.module_api import ModuleApi
from synapse.storage.database import LoggingTransaction
from synapse.storage.databases.main.events_worker import EventRedactBehaviour, InvalidEventError

from synapse_bum.homeserver.room_history import forget_threads
from synapse_bum.homeserver.sql_lists import in_chunks, marks

logger = logging.getLogger(__name__)

_TRACES: Final = ("event_search", "event_relations", "event_labels", "event_expiry")
"""What repeats something of an event's content. By the index on event_id; `event_search` on SQLite has none, and is
read as a whole, as Synapse does when it purges."""


_UNREADABLE: Final = (InvalidEventError, SynapseError, LookupError, TypeError, ValueError, AttributeError)
"""What Synapse raises where it does not understand an event. Errors of the database are not among them."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class PendingRedaction:
    """A redaction that is not carried out on disk yet.

    Attributes:
        event_id: of the redaction.
        redacts: event id of what it means.
        sender: who sent that.
    """

    event_id: str
    redacts: str
    sender: str


async def pruned(api: ModuleApi, event_ids: Collection[str]) -> dict[str, str]:
    """The JSON that is left of some events.

    Of an event that Synapse can't read only content and unsigned are taken away: it is shown to nobody, and nothing
    can follow it, so that its hash does not matter.

    Returns:
        For each event id the JSON; those that are gone meanwhile are left out.
    """
    found: dict[str, str] = {}
    for event in await _readable(api, event_ids, EventRedactBehaviour.as_is):
        try:
            found[event.event_id] = _encoded(prune_event(event).get_pdu_json())
        except _UNREADABLE as error:
            logger.debug("Event %s can't be pruned: %s", event.event_id, type(error).__name__)
    missing = [event_id for event_id in event_ids if event_id not in found]
    if missing:
        left = await api._store.db_pool.runInteraction("synapse_bum_unreadable_events", _without_content, missing)
        if left:
            logger.warning("Synapse can't read %d expired events, %s among them", len(left), min(left))
        found.update(left)
    return found


def empty(api: ModuleApi, txn: LoggingTransaction, room_id: str, contents: Mapping[str, str]) -> None:
    """Put pruned JSON into the place of what was there, and remove what repeats it elsewhere.

    Args:
        api: of the homeserver.
        txn: a transaction.
        room_id: of all these events.
        contents: from `pruned`.
    """
    txn.execute_batch(
        "UPDATE event_json SET json = ? WHERE event_id = ?", [(text, event_id) for event_id, text in contents.items()]
    )
    for chunk in in_chunks(list(contents), 1):
        places = marks(len(chunk))
        for table in _TRACES:
            txn.execute(f"DELETE FROM {table} WHERE event_id IN ({places})", chunk)  # noqa: S608
        # Versions of before 2017 wrote the content here too.
        txn.execute(
            f"UPDATE events SET content = NULL, unrecognized_keys = NULL WHERE event_id IN ({places})"  # noqa: S608
            " AND (content IS NOT NULL OR unrecognized_keys IS NOT NULL)",
            chunk,
        )
    forget_threads(txn, room_id, list(contents))
    forget_cached(api, txn, room_id, contents)


def forget_cached(api: ModuleApi, txn: LoggingTransaction, room_id: str, event_ids: Collection[str]) -> None:
    """Have every process forget events after the commit: these in a cache that processes share, all of the room."""
    for event_id in event_ids:
        api._store.invalidate_get_event_cache_after_txn(txn, event_id)
    api._store._invalidate_caches_for_room_events_and_stream(txn, room_id)


def pending_redactions(txn: LoggingTransaction, redactions: Sequence[str]) -> list[PendingRedaction]:
    """Which of some redactions still hide something; by the unique indexes on event_id."""
    found: list[PendingRedaction] = []
    for chunk in in_chunks(redactions, 1):
        txn.execute(
            "SELECT r.event_id, r.redacts, e.sender FROM redactions AS r"  # noqa: S608
            " JOIN events AS e ON e.event_id = r.redacts"
            f" WHERE NOT r.have_censored AND r.event_id IN ({marks(len(chunk))})",
            chunk,
        )
        found += [PendingRedaction(*row) for row in txn.fetchall()]
    return found


async def redacted(api: ModuleApi, event_ids: Collection[str]) -> dict[str, str]:
    """The JSON that is left of those events among some that were redacted, and that Synapse can read."""
    return {
        event.event_id: _encoded(prune_event(event).get_pdu_json())
        for event in await _readable(api, event_ids, EventRedactBehaviour.redact)
        if event.internal_metadata.is_redacted()
    }


def carry_out(
    api: ModuleApi,
    txn: LoggingTransaction,
    room_id: str,
    redactions: Sequence[PendingRedaction],
    contents: Mapping[str, str],
) -> None:
    """Take the content of redacted events away on disk, as Synapse does some days after the redaction.

    A redaction that was not allowed changes nothing, and is noted as looked at.

    Args:
        api: of the homeserver.
        txn: a transaction.
        room_id: of the redactions; Synapse allows none in another room than its target.
        redactions: which to carry out.
        contents: from `redacted`.
    """
    targets = {redaction.redacts for redaction in redactions}
    empty(api, txn, room_id, {event_id: text for event_id, text in contents.items() if event_id in targets})
    txn.execute_batch(
        "UPDATE redactions SET have_censored = ? WHERE event_id = ?",
        [(True, redaction.event_id) for redaction in redactions],
    )


def present_events(txn: LoggingTransaction, event_ids: Sequence[str]) -> list[str]:
    """Which of some events are there; by the unique index on event_id."""
    present: list[str] = []
    for chunk in in_chunks(event_ids, 1):
        txn.execute(f"SELECT event_id FROM events WHERE event_id IN ({marks(len(chunk))})", chunk)  # noqa: S608
        present += [event_id for (event_id,) in txn.fetchall()]
    return present


async def _readable(
    api: ModuleApi, event_ids: Collection[str], redact_behaviour: EventRedactBehaviour
) -> list[EventBase]:
    """Those of some events that Synapse understands; one at a time where reading them together fails."""
    read = partial(api._store.get_events_as_list, redact_behaviour=redact_behaviour, allow_rejected=True)
    try:
        return list(await read(event_ids))
    except _UNREADABLE:
        found: list[EventBase] = []
    for event_id in event_ids:
        try:
            found += await read([event_id])
        except _UNREADABLE as error:
            logger.debug("Event %s can't be read: %s", event_id, type(error).__name__)
    return found


def _without_content(txn: LoggingTransaction, event_ids: Sequence[str]) -> dict[str, str]:
    """The raw JSON of those events that are there, without content; by the unique indexes on event_id."""
    left: dict[str, str] = {}
    for chunk in in_chunks(event_ids, 1):
        txn.execute(
            "SELECT e.event_id, j.json FROM events AS e LEFT JOIN event_json AS j ON j.event_id = e.event_id"  # noqa: S608
            f" WHERE e.event_id IN ({marks(len(chunk))})",
            chunk,
        )
        left.update((event_id, _blank(text)) for event_id, text in txn.fetchall())
    return left


def _blank(text: str | None) -> str:
    try:
        event = json.loads(text or "{}")
    except ValueError:
        event = None
    fields = event if isinstance(event, dict) else {}
    return _encoded({**{name: value for name, value in fields.items() if name != "unsigned"}, "content": {}})


def _encoded(event: Mapping[str, Any]) -> str:
    return json.dumps(event, allow_nan=False, separators=(",", ":"), default=_plain)


def _plain(value: object) -> dict[Any, Any]:
    """Frozen objects of Synapse as plain ones; what is neither is no event of Synapse's."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"an event holds a {type(value).__name__}")
