"""What the ledger says of the server and of one user, as the limit needs it."""

from synapse.module_api import LoggingTransaction

from synapse_bum.storage import ledger
from synapse_bum.storage.limit.decision import Used
from synapse_bum.storage.limit.reservations import Counted
from synapse_bum.storage.usage import CountConfig


def ledger_counts(count: CountConfig) -> Counted:
    """Make the question that `UploadLimit` asks.

    Args:
        count: what counts; files of local users must, or a limit would not limit anything.
    """

    def counted(txn: LoggingTransaction, user_id: str) -> Used | None:
        known = ledger.read(txn)
        if known is None:
            return None
        return Used(known.stored.used_bytes(count), ledger.user_bytes(txn, user_id).used_bytes(count))

    return counted
