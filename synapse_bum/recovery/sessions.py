"""Sessions: whoever logged out after the backup, or was logged out, stays so."""

from collections.abc import Sequence

from synapse.module_api import LoggingTransaction

from synapse_bum.after_restore import SOON_MS, Done, Logged, State
from synapse_bum.database import Component
from synapse_bum.homeserver import stored_accounts


class Sessions:
    """The source of access tokens; of those that are refreshed it knows the devices.

    The log names a token by its number in the database, never by itself. Only ends are told. A session that began so
    shortly before the backup that its end could not have been noticed ends with the restore.
    """

    name = "sessions"
    every_ms = SOON_MS
    summary = stored_accounts.SESSIONS_SUMMARY
    tells_only_ends = True
    tells_ends = True
    ends_unknown = True
    components: Sequence[Component] = ()
    live = stored_accounts.SESSIONS

    def state_of(self, state: str) -> State:  # noqa: ARG002 - of `Source`: it is never told
        """Nothing: only ends are told."""
        return None

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Ends sessions that a backup brought back."""
        done: list[Done] = []
        for each in logged:
            ended = stored_accounts.end_session(txn, each.key)
            if ended is not None:
                user_id, device_id = ended
                done.append(Done("recovery.session_ended", user_id, device_id, None))
        return done
