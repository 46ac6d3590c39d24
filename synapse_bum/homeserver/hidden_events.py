"""Events that are stored and shown to nobody: whoever reads one gets what a redaction would have left of it.

Synapse decides at one place, whenever it reads an event from the database, whether it was redacted. What that place
says counts for clients, other servers, notifications, search results and threads; who asks for the event as it is
(purges, redactions themselves) still gets it. Nothing is written, so it can be taken back.

Run on Synapse 1.133.0 and 1.163.2: `_maybe_redact_event_row` and `_get_event_cache` in
`synapse/storage/databases/main/events_worker.py`.
"""

from typing import Any, Final, Protocol

from synapse.events import EventBase
from synapse.events.utils import prune_event
from synapse.module_api import ModuleApi

_DOOR: Final = "_maybe_redact_event_row"


class IsHidden(Protocol):
    """Says of a message (never of a state event) whether it is hidden now; quick, without the database."""

    def __call__(self, *, room_id: str, sender: str, position: int, origin_ts: int) -> bool:
        """Decides.

        Args:
            room_id: of its room.
            sender: user id.
            position: in the stream of events; negative when it was fetched from the past.
            origin_ts: when it was sent, as its sender's server says; ms since the epoch.
        """


def hide_events(api: ModuleApi, is_hidden: IsHidden) -> None:
    """Hides messages from now on; to be called in a module's `__init__`, once."""
    store = api._store
    decide = getattr(store, _DOOR)

    def decide_here(event: EventBase, *redactions: Any, **more: Any) -> EventBase | None:  # noqa: ANN401 - Synapse's
        redacted: EventBase | None = decide(event, *redactions, **more)
        if redacted is not None or event.is_state():
            return redacted
        hidden = is_hidden(
            room_id=event.room_id,
            sender=event.sender,
            position=event.internal_metadata.stream_ordering or 0,
            origin_ts=event.origin_server_ts,
        )
        return prune_event(event) if hidden else None

    setattr(store, _DOOR, decide_here)


def decide_anew(api: ModuleApi) -> None:
    """Has this process read every event again: what `is_hidden` says has changed."""
    api._store._get_event_cache.clear()
