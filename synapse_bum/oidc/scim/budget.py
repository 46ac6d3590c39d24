"""How many people may lose access by SCIM within an hour: a mishap at the identity provider must not end everybody's.

Counted in the transaction that ends the access, under the turn of `last_admin.py`, so all processes count together.
"""

from typing import Final

from synapse_bum.database import Cursor

HOUR_MS: Final = 3_600_000

# All along the index on (idp_id, ts): a row for each person, so as many as the limit, which is the most that there are.
# A time further ahead is from a clock that was wrong; it must not stop everything until then.
_FORGET: Final = "DELETE FROM synapse_bum_oidc_scim_endings WHERE idp_id = ? AND (ts <= ? OR ts > ?)"
_COUNT: Final = "SELECT COUNT(*), MIN(ts) FROM synapse_bum_oidc_scim_endings WHERE idp_id = ?"
_IS_COUNTED: Final = "SELECT 1 FROM synapse_bum_oidc_scim_endings WHERE idp_id = ? AND subject = ?"
_NOTE: Final = "INSERT INTO synapse_bum_oidc_scim_endings (ts, idp_id, subject) VALUES (?, ?, ?)"


def spend(txn: Cursor, idp_id: str, subject: str, limit: int, now_ms: int) -> int | None:
    """Takes one person from the hour's budget; who was counted within the hour costs nothing.

    So one who is ended and let in again all the time does not use up what is there for others.

    Args:
        txn: in a transaction that has taken the turn.
        idp_id: whose budget.
        subject: who loses access.
        limit: so many within an hour.
        now_ms: the present, in ms since the epoch.

    Returns:
        None when access may be ended; otherwise in how many ms there may be something again.
    """
    txn.execute(_FORGET, (idp_id, now_ms - HOUR_MS, now_ms + HOUR_MS))
    txn.execute(_IS_COUNTED, (idp_id, subject))
    if txn.fetchone() is not None:
        return None
    txn.execute(_COUNT, (idp_id,))
    spent, oldest_ts = txn.fetchone() or (0, None)
    if spent >= limit and oldest_ts is not None:
        return max(1, int(oldest_ts) + HOUR_MS - now_ms)
    txn.execute(_NOTE, (now_ms, idp_id, subject))
    return None
