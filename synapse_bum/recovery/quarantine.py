"""Files that a moderator has quarantined after the backup.

One that was let go again stays quarantined when the backup had it so: that it is in quarantine no more may as well mean
that it was deleted.
"""

from collections.abc import Sequence

from synapse.module_api import LoggingTransaction

from synapse_bum.after_restore import LATER_MS, Done, Logged, State
from synapse_bum.database import Component
from synapse_bum.homeserver.media import mark_quarantined, stored_media
from synapse_bum.homeserver.stored_quarantine import QUARANTINED


class Quarantine:
    """The source of quarantined files."""

    name = "quarantine"
    every_ms = LATER_MS
    summary = None
    tells_only_ends = False
    tells_ends = True
    ends_unknown = False
    components: Sequence[Component] = ()
    live = QUARANTINED

    def __init__(self, own_name: str) -> None:
        self._own_name = own_name

    def state_of(self, state: str) -> State:
        """What stands in the log for a quarantined file. Pure."""
        return {"by": state}

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Quarantines files again."""
        done: list[Done] = []
        for each in logged:
            if each.state is None:
                continue
            server_name, _, media_id = each.key.rpartition("/")
            stored = stored_media(txn, server_name or self._own_name, media_id, self._own_name)
            if stored is not None and mark_quarantined(txn, stored, str(each.state.get("by", ""))):
                done.append(
                    Done("recovery.file_quarantined", f"mxc://{stored.server_name}/{media_id}", None, "quarantined")
                )
        return done
