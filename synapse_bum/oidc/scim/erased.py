"""People whose accounts somebody else has deleted, with Synapse's mark that what they wrote is to be hidden.

SCIM's row says then what it says after SCIM's own deletion, without the thirty days: access has ended, and of the
person nothing is left but the subject, which says who may not come back.
"""

from typing import Final

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum import audit
from synapse_bum.oidc import people
from synapse_bum.oidc.scim import records

ACTOR: Final = "homeserver"
"""Who did it, for the audit: the homeserver's own audit, or that of the portal, names him."""

_AT_ONCE: Final = 100


def forget_erased(txn: LoggingTransaction, now_ms: int) -> int:
    """Ends what is kept of people whose accounts were erased; some at once.

    Args:
        txn: in a transaction; Synapse's table of erased users is read whole, and a row of ours for each by the index on
            the account.
        now_ms: ms since the epoch.

    Returns:
        How many people were forgotten.
    """
    erased = records.of_erased_accounts(txn, _AT_ONCE)
    for record in erased:
        ended = attr.evolve(
            record,
            user=attr.evolve(record.user, active=False),
            has_work=False,
            deleted_ts=now_ms if record.deleted_ts is None else record.deleted_ts,
            deactivated_ts=now_ms,
            modified_ts=max(now_ms, record.modified_ts + 1),
        )
        records.put(txn, ended)
        records.forget_person(txn, record.idp_id, record.subject)
        people.forget(txn, record.idp_id, record.subject)
        old, new = {"deleted_ts": record.deleted_ts}, {"deactivated": True}
        audit.append(txn, audit.Entry(now_ms, ACTOR, "oidc.scim.deactivated", record.user_id, old=old, new=new))
    return len(erased)
