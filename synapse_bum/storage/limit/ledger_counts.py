"""What the ledger says of the server and of one user, as the limit needs it."""

from collections.abc import Callable

from synapse.module_api import LoggingTransaction

from synapse_bum.storage import ledger
from synapse_bum.storage.limit.decision import Used, is_fresh
from synapse_bum.storage.usage import CountConfig

CountedAt = Callable[[LoggingTransaction, str, int], Used | None]
"""What is stored by everybody and by one user (his id), asked at a moment (ms since the epoch); None when that is not
known."""


def ledger_counts(count: CountConfig) -> CountedAt:
    """Make the question that `UploadLimit` asks; nothing is known before the first count, and when counts stay away.

    Args:
        count: what counts; files of local users must, or a limit would not limit anything.
    """

    def counted(txn: LoggingTransaction, user_id: str, now_ms: int) -> Used | None:
        known = ledger.read(txn)
        if known is None or not is_fresh(known.as_of_ts, now_ms):
            return None
        return Used(known.stored.used_bytes(count), ledger.user_bytes(txn, user_id).used_bytes(count))

    return counted
