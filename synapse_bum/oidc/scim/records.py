"""The rows of what SCIM has provisioned: `synapse_bum_oidc_scim_users`.

| state of a row | its sign |
|---|---|
| being created: nobody has this account yet | `created_ts` is 0 |
| active | `active` is 1 |
| ended: locked, no devices | `active` is 0 |
| deleted: as ended, and invisible for SCIM | `deleted_ts` |
| given up: Synapse deactivates the account | `deactivated_ts` |

`log_out` is 1 while something is left to do after a commit (`deactivation.py`). A row is written together with the lock
it speaks of, in one transaction, so a crash leaves nothing but work that is written down.
"""

import json
from typing import Any, Final, NamedTuple

import attr

from synapse_bum.database import Cursor
from synapse_bum.oidc.scim.emails import Email
from synapse_bum.oidc.scim.resources import ScimUser, user_name_key

_COLUMNS: Final = (
    "idp_id, subject, user_id, external_id, user_name, display_name, given_name, family_name, emails, active,"
    " locked_ts, log_out, deleted_ts, deactivated_ts, created_ts, modified_ts"
)
_FROM: Final = f"SELECT {_COLUMNS} FROM synapse_bum_oidc_scim_users"  # noqa: S608 - our own text
# By primary key.
_READ: Final = f"{_FROM} WHERE idp_id = ? AND subject = ?"
_PUT: Final = (
    f"INSERT INTO synapse_bum_oidc_scim_users ({_COLUMNS}, user_name_key)"  # noqa: S608 - our own text
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (idp_id, subject) DO UPDATE SET user_id = excluded.user_id, external_id = excluded.external_id,"
    " user_name = excluded.user_name, user_name_key = excluded.user_name_key, display_name = excluded.display_name,"
    " given_name = excluded.given_name, family_name = excluded.family_name, emails = excluded.emails,"
    " active = excluded.active, locked_ts = excluded.locked_ts, log_out = excluded.log_out,"
    " deleted_ts = excluded.deleted_ts, deactivated_ts = excluded.deactivated_ts, created_ts = excluded.created_ts,"
    " modified_ts = excluded.modified_ts"
)
_REMOVE: Final = "DELETE FROM synapse_bum_oidc_scim_users WHERE idp_id = ? AND subject = ? AND modified_ts = ?"
_DONE: Final = (
    "UPDATE synapse_bum_oidc_scim_users SET log_out = 0"
    " WHERE idp_id = ? AND subject = ? AND modified_ts = ? AND log_out = 1"
)
# By primary key. The subject stays: it says who may not come back.
_FORGET: Final = (
    "UPDATE synapse_bum_oidc_scim_users SET external_id = NULL, user_name = '', user_name_key = '',"
    " display_name = NULL, given_name = NULL, family_name = NULL, emails = '[]' WHERE idp_id = ? AND subject = ?"
)
# By the partial index on rows with work, from the oldest on.
_WITH_WORK: Final = (
    f"{_FROM} WHERE log_out = 1 AND (modified_ts, idp_id, subject) > (?, ?, ?)"
    " ORDER BY modified_ts, idp_id, subject LIMIT ?"
)
# By the partial index on deleted rows.
_TO_GIVE_UP: Final = (
    f"{_FROM} WHERE deleted_ts IS NOT NULL AND deactivated_ts IS NULL AND deleted_ts <= ?"
    " AND (deleted_ts, idp_id, subject) > (?, ?, ?) ORDER BY deleted_ts, idp_id, subject LIMIT ?"
)

# Synapse's `erased_users` whole, then by the index on the account; a row that is being created is left to its creation.
_OF_ERASED: Final = (
    f"{_FROM} WHERE created_ts > 0 AND deactivated_ts IS NULL"  # noqa: S608 - our own text
    " AND user_id IN (SELECT user_id FROM erased_users) LIMIT ?"
)


class Place(NamedTuple):
    """Where a page of rows ends: time (ms since the epoch) and key of its last row."""

    ts: int
    idp_id: str
    subject: str


START: Final = Place(-1, "", "")
"""Before the first row."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Record:
    """A row.

    Attributes:
        idp_id: whose person it is.
        subject: who it is there.
        user_id: the account.
        user: what SCIM said of the person.
        locked_ts: when SCIM locked the account, in ms since the epoch; None when it has not, or somebody else had.
        has_work: whether something is left to do.
        deleted_ts: when SCIM deleted it; None when it has not.
        deactivated_ts: when the account was given up; None when it was not.
        created_ts: when account and link were there; 0 until then.
        modified_ts: of the last change; later than that of the change before.
    """

    idp_id: str
    subject: str
    user_id: str
    user: ScimUser
    locked_ts: int | None = None
    has_work: bool = False
    deleted_ts: int | None = None
    deactivated_ts: int | None = None
    created_ts: int = 0
    modified_ts: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether the account is linked; before, the row says only what somebody is about to do."""
        return self.created_ts > 0


def read(txn: Cursor, idp_id: str, subject: str) -> Record | None:
    """Reads a row, whatever its state is."""
    txn.execute(_READ, (idp_id, subject))
    row = txn.fetchone()
    return None if row is None else record_of(row)


def put(txn: Cursor, record: Record) -> None:
    """Writes a row, in the place of the one that is there."""
    user = record.user
    emails = json.dumps([attr.asdict(email) for email in user.emails], separators=(",", ":"))
    names = (user.external_id, user.user_name, user.display_name, user.given_name, user.family_name)
    states = (int(user.active), record.locked_ts, int(record.has_work), record.deleted_ts, record.deactivated_ts)
    times = (record.created_ts, record.modified_ts)
    key = user_name_key(user.user_name)
    txn.execute(_PUT, (record.idp_id, record.subject, record.user_id, *names, emails, *states, *times, key))


def remove(txn: Cursor, record: Record) -> None:
    """Removes a row, if nobody has changed it since it was read."""
    txn.execute(_REMOVE, (record.idp_id, record.subject, record.modified_ts))


def done(txn: Cursor, record: Record) -> bool:
    """Takes note that nothing is left to do.

    Returns:
        False, and nothing is written, when the row was changed since it was read: the change may have brought work.
    """
    txn.execute(_DONE, (record.idp_id, record.subject, record.modified_ts))
    return txn.rowcount == 1


def forget_person(txn: Cursor, idp_id: str, subject: str) -> None:
    """Empties what SCIM said of a person, whose account was given up."""
    txn.execute(_FORGET, (idp_id, subject))


def with_work(txn: Cursor, after: Place, limit: int) -> tuple[list[Record], Place]:
    """A page of the rows with something left to do, the oldest first.

    Returns:
        the rows, and where the next page begins: at the start again when this was the last one.
    """
    txn.execute(_WITH_WORK, (*after, limit))
    page = [record_of(row) for row in txn.fetchall()]
    if len(page) < limit:
        return page, START
    return page, Place(page[-1].modified_ts, page[-1].idp_id, page[-1].subject)


def of_erased_accounts(txn: Cursor, limit: int) -> list[Record]:
    """Rows of people whose accounts Synapse has erased without SCIM; at most `limit`."""
    txn.execute(_OF_ERASED, (limit,))
    return [record_of(row) for row in txn.fetchall()]


def to_give_up(txn: Cursor, deleted_before_ts: int, after: Place, limit: int) -> tuple[list[Record], Place]:
    """A page of the rows that were deleted at this time (ms since the epoch) or before and were not given up yet.

    Returns:
        as `with_work`.
    """
    txn.execute(_TO_GIVE_UP, (deleted_before_ts, *after, limit))
    page = [record_of(row) for row in txn.fetchall()]
    if len(page) < limit:
        return page, START
    return page, Place(page[-1].deleted_ts or 0, page[-1].idp_id, page[-1].subject)


def user_of_columns(columns: tuple[Any, ...], *, active: bool) -> ScimUser:
    """Reads the columns from `external_id` to `emails`."""
    external_id, user_name, display_name, given_name, family_name, emails = columns
    listed = tuple(Email(**email) for email in json.loads(emails))
    return ScimUser(user_name, external_id, display_name, given_name, family_name, listed, active)


def record_of(row: tuple[Any, ...]) -> Record:
    """Reads a whole row."""
    idp_id, subject, user_id = row[:3]
    active, locked_ts, log_out, deleted_ts, deactivated_ts, created_ts, modified_ts = row[9:]
    user = user_of_columns(row[3:9], active=bool(active))
    return Record(
        idp_id,
        subject,
        user_id,
        user,
        locked_ts,
        bool(log_out),
        deleted_ts,
        deactivated_ts,
        created_ts,
        modified_ts,
    )
