"""Events that were redacted after the backup: their content is taken away again.

The redaction itself, an event, is as lost as all others of after the backup, so this is done on disk. What is on hold
is kept apart, where nobody is served from, until the hold ends.
"""

from collections.abc import Sequence

from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.after_restore import LATER_MS, Done, Logged, State
from synapse_bum.database import Component
from synapse_bum.deletion import DELETION, held_rooms, held_users
from synapse_bum.homeserver import stored_redactions
from synapse_bum.recovery import owed
from synapse_bum.recovery.tables import RECOVERY


class Redactions:
    """The source of redacted events; to be registered behind `Holds`."""

    name = "redactions"
    every_ms = LATER_MS
    summary = None
    tells_only_ends = False
    # After a week Synapse carries them out on disk, and they are no longer among those that are looked at.
    tells_ends = False
    ends_unknown = False
    components: Sequence[Component] = (DELETION, RECOVERY)
    live = stored_redactions.IN_FORCE

    def __init__(self, api: ModuleApi) -> None:
        self._api = api

    def state_of(self, state: str) -> State:
        """What stands in the log for a redacted event. Pure."""
        return {"by": state}

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Takes contents away; one audit row says how many, since there may be thousands."""
        now_ms = self._api.get_current_time_msec()
        rooms, senders = held_rooms(txn, now_ms), held_users(txn, now_ms)
        redacted = held = 0
        for each in logged:
            if each.state is None:
                continue
            taken = stored_redactions.carry_out(self._api, txn, each.key, str(each.state.get("by", "")))
            if taken is None:
                continue
            redacted += 1
            if taken.room_id in rooms or taken.sender in senders:
                held += 1
                owed.keep_event(txn, each.key, taken.room_id, taken.sender, taken.text)
        counts = (("recovery.redacted", redacted), ("recovery.held", held))
        return [Done(action, self._api.server_name, None, f"{count} events") for action, count in counts if count]
