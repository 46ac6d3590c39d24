"""What identity providers said of people at their last logins: written by the mapping, applied by `login.py`.

The row is how the two meet: the second step of a login (`m.login.token`) may reach another process than the first, and
what could not be applied stays pending for the duty. What it says of somebody ends with the account, or an hour later
when there never was one.

Each function runs in a transaction of the caller and touches one row by its primary key, unless it says otherwise.
"""

import unicodedata
from typing import Any, Final

import attr

from synapse_bum.database import Cursor
from synapse_bum.oidc.mapping import AdminClaim, Decision

_COLUMNS: Final = "idp_id, subject, display_name, email, admin, login_ts, bound_email"

# The test on the SCIM table is by its primary key. A second login within the same millisecond gets another `login_ts`,
# because `applied` compares it.
_NOTE: Final = (
    "INSERT INTO synapse_bum_oidc_people"
    " (idp_id, subject, user_name, user_name_key, display_name, email, admin, pending, login_ts)"
    " SELECT ?, ?, ?, ?, ?, ?, ?, 1, ?"
    " WHERE NOT EXISTS (SELECT 1 FROM synapse_bum_oidc_scim_users WHERE idp_id = ? AND subject = ? AND active = 0)"
    " ON CONFLICT (idp_id, subject) DO UPDATE SET user_name = excluded.user_name,"
    " user_name_key = excluded.user_name_key, display_name = excluded.display_name, email = excluded.email,"
    " admin = excluded.admin, pending = 1, login_ts = CASE WHEN synapse_bum_oidc_people.login_ts = excluded.login_ts"
    " THEN excluded.login_ts + 1 ELSE excluded.login_ts END"
)
_IS_ENDED: Final = "SELECT 1 FROM synapse_bum_oidc_scim_users WHERE idp_id = ? AND subject = ? AND active = 0"
_PENDING_OF: Final = f"SELECT {_COLUMNS} FROM synapse_bum_oidc_people WHERE idp_id = ? AND subject = ? AND pending = 1"  # noqa: S608
# By the partial index `..._pending`, from the oldest login on.
_PENDING: Final = f"SELECT {_COLUMNS} FROM synapse_bum_oidc_people WHERE pending = 1 ORDER BY login_ts LIMIT ?"  # noqa: S608
_APPLIED: Final = (
    "UPDATE synapse_bum_oidc_people SET pending = 0 WHERE idp_id = ? AND subject = ? AND pending = 1 AND login_ts = ?"
)
_FORGET: Final = (
    "UPDATE synapse_bum_oidc_people SET user_name = NULL, user_name_key = NULL, display_name = NULL, email = NULL,"
    " bound_email = NULL WHERE"
)
_FORGET_ONE: Final = f"{_FORGET} idp_id = ? AND subject = ?"
# A range of the primary key.
_PAGE: Final = (
    "SELECT idp_id, subject FROM synapse_bum_oidc_people WHERE (idp_id, subject) > (?, ?)"
    " ORDER BY idp_id, subject LIMIT ?"
)
_ON_PAGE: Final = "(idp_id, subject) > (?, ?) AND (idp_id, subject) <= (?, ?)"
# For each row of the page by the unique index on (auth_provider, external_id); then by that on `users.name`. Synapse's
# name of an identity provider is that of `MappingConfig.auth_provider`.
_LINKS: Final = (
    "SELECT 1 FROM user_external_ids AS e{joined} WHERE e.external_id = synapse_bum_oidc_people.subject"
    " AND e.auth_provider = CASE synapse_bum_oidc_people.idp_id WHEN 'oidc' THEN 'oidc'"
    " ELSE 'oidc-' || synapse_bum_oidc_people.idp_id END"
)
_DROP_WHO_NEVER_CAME: Final = (
    f"DELETE FROM synapse_bum_oidc_people WHERE {_ON_PAGE} AND (login_ts <= ? OR login_ts > ?)"  # noqa: S608 - our own text
    f" AND NOT EXISTS ({_LINKS.format(joined='')})"
)
_FORGET_WHO_IS_GONE: Final = (
    f"{_FORGET} {_ON_PAGE}"
    " AND (user_name IS NOT NULL OR display_name IS NOT NULL OR email IS NOT NULL OR bound_email IS NOT NULL)"
    f" AND EXISTS ({_LINKS.format(joined=' JOIN users AS u ON u.name = e.user_id')} AND u.deactivated = 1)"
)
_SET_BOUND: Final = "UPDATE synapse_bum_oidc_people SET bound_email = ? WHERE idp_id = ? AND subject = ?"

Key = tuple[str, str]
"""Identity provider and subject."""

START: Final[Key] = ("", "")
"""Before the first row."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class PendingLogin:
    """What a login has to change at an account.

    Attributes:
        idp_id: as in the configuration of the mapping.
        subject: of the person at the identity provider; the external id of the account.
        display_name: None when the claims have none.
        email: canonical address, only when it may be trusted; otherwise None.
        admin: what the claims say of the person's administrator role.
        login_ts: of the login, ms since the epoch by the clock of the process that saw it. It differs from that of the
            login before.
        bound_email: the address that was bound to the account because of an earlier login.
    """

    idp_id: str
    subject: str
    display_name: str | None = attr.ib(repr=False)
    email: str | None = attr.ib(repr=False)
    admin: AdminClaim
    login_ts: int
    bound_email: str | None = attr.ib(repr=False)


def user_name_index(user_name: str) -> str:
    """The form under which login names are looked up: the same for all that SCIM takes for one, and for some more.

    What it finds is compared once more, by `scim.resources.user_name_key`: `groß` and `gross` stand in one place here
    and are two people there.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", user_name).casefold())


def note_login(txn: Cursor, idp_id: str, decision: Decision, now_ms: int) -> bool:
    """Writes down what the claims of a login say; it is pending until `applied`.

    Args:
        txn: in a transaction.
        idp_id: of the identity provider.
        decision: that allows the login.
        now_ms: the present, ms since the epoch.

    Returns:
        False, and nothing is written, when SCIM has ended the person's access.
    """
    name = decision.user_name
    txn.execute(
        _NOTE,
        (
            idp_id,
            decision.subject,
            name,
            None if name is None else user_name_index(name),
            decision.display_name,
            decision.email,
            decision.admin.value,
            now_ms,
            idp_id,
            decision.subject,
        ),
    )
    return txn.rowcount == 1


def is_ended(txn: Cursor, idp_id: str, subject: str) -> bool:
    """Whether SCIM has ended a person's access."""
    txn.execute(_IS_ENDED, (idp_id, subject))
    return txn.fetchone() is not None


def pending_of(txn: Cursor, idp_id: str, subject: str) -> PendingLogin | None:
    """What a person's last login has still to change; None when that is done, or there was none."""
    txn.execute(_PENDING_OF, (idp_id, subject))
    row = txn.fetchone()
    return None if row is None else _pending_login(row)


def pending(txn: Cursor, limit: int) -> list[PendingLogin]:
    """The oldest logins that have still to change something.

    Args:
        txn: in a transaction.
        limit: at most so many; each costs one row of a partial index.
    """
    txn.execute(_PENDING, (limit,))
    return [_pending_login(row) for row in txn.fetchall()]


def applied(txn: Cursor, login: PendingLogin) -> bool:
    """Takes note that a login has changed what it had to.

    Returns:
        False, and nothing is written, when somebody else was faster or the person has logged in again meanwhile: what
        that login said is pending.
    """
    txn.execute(_APPLIED, (login.idp_id, login.subject, login.login_ts))
    return txn.rowcount == 1


def set_bound_email(txn: Cursor, idp_id: str, subject: str, email: str | None) -> None:
    """Takes note of the address that is bound to a person's account because of a login; None when none is."""
    txn.execute(_SET_BOUND, (email, idp_id, subject))


def forget(txn: Cursor, idp_id: str, subject: str) -> None:
    """Empties what logins said of a person, whose account is given up."""
    txn.execute(_FORGET_ONE, (idp_id, subject))


def forget_page(txn: Cursor, after: Key, now_ms: int, registration_ms: int, limit: int) -> Key:
    """Ends what a page of rows says of people who are gone, or never came.

    Args:
        txn: in a transaction.
        after: the end of the page before.
        now_ms: the present, ms since the epoch.
        registration_ms: how long after a login an account may still be made for it, in ms. A time further ahead than
            that was written by a clock that was wrong.
        limit: so many rows are looked at, by the primary key.

    Returns:
        where the next page begins; `START` after the last one.
    """
    txn.execute(_PAGE, (*after, limit))
    page = txn.fetchall()
    if page:
        bounds = (*after, *page[-1])
        txn.execute(_DROP_WHO_NEVER_CAME, (*bounds, now_ms - registration_ms, now_ms + registration_ms))
        txn.execute(_FORGET_WHO_IS_GONE, bounds)
    if len(page) < limit:
        return START
    idp_id, subject = page[-1]
    return idp_id, subject


def _pending_login(row: tuple[Any, ...]) -> PendingLogin:
    idp_id, subject, display_name, email, admin, login_ts, bound_email = row
    return PendingLogin(idp_id, subject, display_name, email, AdminClaim(admin), login_ts, bound_email)
