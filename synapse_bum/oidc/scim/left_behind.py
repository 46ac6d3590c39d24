"""What SCIM has left when it is turned off, or given another identity provider: nobody could give access back."""

import logging
from typing import Final

from synapse_bum.database import Cursor, Database
from synapse_bum.database.error_text import first_line

logger = logging.getLogger(__name__)

_MANY: Final = 10_000
"""So many rows are counted and no more."""

# A walk over the table, one row for each person that was ever provisioned; once at a start.
_LEFT: Final = (
    "SELECT idp_id, COUNT(*), SUM(CASE WHEN deleted_ts IS NULL THEN 0 ELSE 1 END) FROM"
    " (SELECT idp_id, deleted_ts FROM synapse_bum_oidc_scim_users"
    " WHERE active = 0 AND deactivated_ts IS NULL AND created_ts > 0 AND idp_id <> ? LIMIT ?) AS ended"
    " GROUP BY idp_id ORDER BY idp_id"
)


async def warn_of_left_behind(database: Database, idp_id: str | None) -> None:
    """Logs how many people can't get access again, and what to do; never raises.

    Args:
        database: with the identity tables.
        idp_id: of the identity provider that SCIM works for now; None when it is off.
    """
    try:
        left = await database.run("synapse_bum_oidc_scim_left", _left, idp_id or "")
    except Exception as error:  # noqa: BLE001 - only a warning is missing
        logger.warning("It is not known whether SCIM has left people without access: %s", first_line(error))
        return
    for other, ended, deleted in left:
        logger.warning(
            "SCIM of the identity provider %s has ended the access of %s%d people; their logins stay refused, because"
            " SCIM is %s now. %s To give access back, set `scim.enabled: true` and `scim.idp_id: %s` and have the"
            " identity provider activate them",
            other,
            "at least " if ended >= _MANY else "",
            ended,
            "off" if idp_id is None else f"that of {idp_id}",
            _waiting(deleted, is_off=idp_id is None),
            other,
        )


def _waiting(deleted: int, *, is_off: bool) -> str:
    if not is_off:
        return f"{deleted} of them are deleted; their accounts are deactivated after 30 days."
    return f"{deleted} of them are deleted; their accounts are not deactivated after 30 days."


def _left(txn: Cursor, idp_id: str) -> list[tuple[str, int, int]]:
    txn.execute(_LEFT, (idp_id, _MANY))
    return [(other, int(ended), int(deleted)) for other, ended, deleted in txn.fetchall()]
