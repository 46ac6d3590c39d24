"""What SCIM ended after the backup is ended in its rows too; the locks of the accounts are the recovery module's.

Otherwise a row would say that somebody is active whose account is locked, and the identity provider, which has told us
long ago, would never tell us again. A row of after the backup is written anew where it says that somebody may not come
in: no login makes him another account then.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from synapse.module_api import LoggingTransaction

from synapse_bum.after_restore import SOON_MS, Done, Logged, State, columns_of, text_of
from synapse_bum.after_restore.source import SEPARATOR
from synapse_bum.database import Component
from synapse_bum.oidc.scim import records
from synapse_bum.oidc.scim.records import Record
from synapse_bum.oidc.scim.resources import ScimUser
from synapse_bum.oidc.tables import OIDC

_TIMES: Final = ("locked_ts", "deleted_ts", "deactivated_ts")

# By primary key. What ends somebody's sessions sees the work (`log_out`) at the next start.
_READ: Final = (
    "SELECT user_id, active, locked_ts, deleted_ts, deactivated_ts FROM synapse_bum_oidc_scim_users"
    " WHERE idp_id = ? AND subject = ?"
)
_WRITE: Final = (
    "UPDATE synapse_bum_oidc_scim_users SET active = ?, locked_ts = ?, deleted_ts = ?, deactivated_ts = ?, log_out = ?,"
    " modified_ts = modified_ts + 1 WHERE idp_id = ? AND subject = ?"
)


class ScimEndings:
    """The source of what SCIM has said last of each person's access."""

    name = "scim"
    every_ms = SOON_MS
    summary = None
    tells_only_ends = False
    tells_ends = True
    ends_unknown = False
    components: Sequence[Component] = (OIDC,)
    # All rows: one for each person that SCIM has provisioned.
    live = (
        f"SELECT idp_id || '{SEPARATOR}' || subject AS key, {text_of('user_id', 'active', *_TIMES)} AS state"  # noqa: S608
        " FROM synapse_bum_oidc_scim_users"
    )

    def state_of(self, state: str) -> State:
        """What stands in the log for a person. Pure."""
        user_id, active, *times = columns_of(state)
        return {
            "user": user_id,
            "active": active == "1",
            **{name: None if ts is None else int(ts) for name, ts in zip(_TIMES, times, strict=True)},
        }

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Writes what was said last into the rows that the backup had."""
        done: list[Done] = []
        for each in logged:
            idp_id, _, subject = each.key.partition(SEPARATOR)
            txn.execute(_READ, (idp_id, subject))
            row = txn.fetchone()
            if each.state is None:
                continue
            if row is None:
                done += _keep_out(txn, idp_id, subject, each.state, each.ts)
                continue
            user_id, active, *times = row
            wanted = (bool(each.state["active"]), *(each.state[name] for name in _TIMES))
            if (bool(active), *times) == wanted:
                continue
            txn.execute(_WRITE, (int(wanted[0]), *wanted[1:], int(not wanted[0]), idp_id, subject))
            said = ["active" if is_active else "ended" for is_active in (bool(active), wanted[0])]
            done.append(Done("recovery.scim", user_id, said[0], said[1]))
        return done


def _keep_out(txn: LoggingTransaction, idp_id: str, subject: str, state: Mapping[str, Any], ts: int) -> list[Done]:
    """Writes the row of somebody whose access was given and ended after the backup."""
    user_id = state.get("user")
    if state["active"] or not isinstance(user_id, str):
        return []
    times = {name: state[name] for name in _TIMES}
    nobody = ScimUser(user_name="", active=False)
    records.put(txn, Record(idp_id, subject, user_id, nobody, has_work=True, created_ts=ts, modified_ts=ts, **times))
    return [Done("recovery.scim", user_id, None, "ended")]
