"""Redactions as they are stored, and carrying one out in a database that nobody serves yet.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: `redactions` in `synapse/storage/schema/main`,
`_maybe_redact_event_row` in `synapse/storage/databases/main/events_worker.py`, which decides at each reading which
redactions count, `prune_event` in `synapse/events/utils.py`.
"""

import json
from typing import Final

import attr
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.events import make_event_from_dict
from synapse.events.utils import prune_event
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.homeserver.event_expiry import empty

# The partial index on `received_ts` of redactions that are not carried out on disk yet, which are those of the last
# week; then rows by unique indexes. Those that count without doubt: of the sender himself, or by a moderator, whose
# power was checked when the redaction came (then there is nothing to check again).
IN_FORCE: Final = (
    "SELECT r.redacts AS key, min(r.event_id) AS state FROM redactions AS r"
    " JOIN events AS x ON x.event_id = r.event_id JOIN event_json AS j ON j.event_id = r.event_id"
    " JOIN events AS e ON e.event_id = r.redacts WHERE NOT r.have_censored AND r.received_ts IS NOT NULL"
    " AND x.rejection_reason IS NULL AND x.room_id = e.room_id AND (x.sender = e.sender"
    " OR replace(j.internal_metadata, '\"recheck_redaction\":true', '') = j.internal_metadata) GROUP BY r.redacts"
)

# By unique indexes: one event.
_READ: Final = (
    "SELECT e.room_id, j.json, r.room_version FROM events AS e JOIN event_json AS j ON j.event_id = e.event_id"
    " JOIN rooms AS r ON r.room_id = e.room_id WHERE e.event_id = ?"
)
_IS_REDACTED: Final = "SELECT 1 FROM redactions WHERE redacts = ? AND event_id = ?"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class TakenAway:
    """An event as it was before its content was taken away.

    Attributes:
        room_id: of its room.
        sender: who sent it.
        text: its JSON.
    """

    room_id: str
    sender: str
    text: str = attr.ib(repr=False)


def carry_out(api: ModuleApi, txn: LoggingTransaction, event_id: str, redaction_id: str) -> TakenAway | None:
    """Takes the content of an event away for good, unless its redaction is stored too.

    Args:
        api: of the homeserver.
        txn: before the listeners.
        event_id: of the event.
        redaction_id: of the redaction.

    Returns:
        What was taken away; None when there was nothing.
    """
    txn.execute(_IS_REDACTED, (event_id, redaction_id))
    if txn.fetchone() is not None:
        return None
    txn.execute(_READ, (event_id,))
    row = txn.fetchone()
    if row is None:
        return None
    room_id, text, version_name = row
    event, version = json.loads(text), KNOWN_ROOM_VERSIONS.get(version_name)
    pruned = (
        {**event, "content": {}}
        if version is None
        else dict(prune_event(make_event_from_dict(event, version)).get_pdu_json())
    )
    if pruned.get("content") == event.get("content"):
        return None
    empty(api, txn, room_id, {event_id: json.dumps(pruned, allow_nan=False, separators=(",", ":"))})
    return TakenAway(room_id, str(event.get("sender", "")), text)
