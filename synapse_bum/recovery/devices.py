"""Devices that were removed after the backup: nobody encrypts for one of them again."""

from collections.abc import Sequence

from synapse.module_api import LoggingTransaction

from synapse_bum.after_restore import LATER_MS, Done, Logged, State
from synapse_bum.database import Component
from synapse_bum.homeserver import stored_devices
from synapse_bum.recovery import owed
from synapse_bum.recovery.tables import RECOVERY


class Devices:
    """The source of devices.

    One that came again under the same name has other keys and tokens, which are lost; what the backup holds is the old
    one. One that came so shortly before the backup that its end could not have been noticed ends with the restore, as
    its session does.
    """

    name = "devices"
    every_ms = LATER_MS
    summary = None
    tells_only_ends = True
    tells_ends = True
    ends_unknown = True
    components: Sequence[Component] = (RECOVERY,)
    live = stored_devices.DEVICES

    def state_of(self, state: str) -> State:  # noqa: ARG002 - of `Source`: only ends are told
        """Nothing: only ends are told."""
        return None

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Ends devices, and has everybody told of it once Synapse runs."""
        done: list[Done] = []
        for each in logged:
            ended = stored_devices.end_device(txn, each.key)
            if ended is not None:
                user_id, device_id = ended
                owed.owe_device(txn, user_id, device_id)
                done.append(Done("recovery.device_removed", user_id, device_id, None))
        return done
