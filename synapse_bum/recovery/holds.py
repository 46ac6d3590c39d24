"""Holds: one that was set after the backup must stand again before anything is deleted."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from synapse.module_api import LoggingTransaction

from synapse_bum.after_restore import SOON_MS, Done, Logged, State, columns_of, text_of
from synapse_bum.database import Component
from synapse_bum.deletion import DELETION, Hold, delete_hold, get_hold, put_hold

_COLUMNS: Final = ("reason", "until_ts", "created_by", "created_ts")


class Holds:
    """The source of holds; set and lifted, the last word counts."""

    name = "holds"
    every_ms = SOON_MS
    summary = None
    tells_only_ends = False
    tells_ends = True
    ends_unknown = False
    components: Sequence[Component] = (DELETION,)
    # All holds: as many as people have set.
    live = f"SELECT target AS key, {text_of(*_COLUMNS)} AS state FROM synapse_bum_holds"  # noqa: S608 - our own text

    def state_of(self, state: str) -> State:
        """What stands in the log for a hold. Pure."""
        reason, until_ts, created_by, created_ts = columns_of(state)
        return {
            "reason": reason or "",
            "until_ts": int(until_ts or 0),
            "created_by": created_by or "",
            "created_ts": int(created_ts or 0),
        }

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Sets holds again that a backup did not know, and lifts those that were lifted."""
        done: list[Done] = []
        for each in logged:
            found = get_hold(txn, each.key)
            wanted = None if each.state is None else _hold(each.key, each.state)
            if found == wanted:
                continue
            if wanted is None:
                delete_hold(txn, each.key)
                done.append(Done("recovery.hold_lifted", each.key, "on hold", None))
            else:
                put_hold(txn, wanted)
                done.append(Done("recovery.hold_set", each.key, None, f"until {wanted.until_ts}"))
        return done


def _hold(target: str, state: Mapping[str, Any]) -> Hold:
    return Hold(target, **{name: state[name] for name in _COLUMNS})
