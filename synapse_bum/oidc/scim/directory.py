"""Whom SCIM sees: people whose accounts are linked to its identity provider and whom it has not deleted.

Who was never provisioned is shown by what the last login said, else by the account's name.
"""

from collections.abc import Sequence
from typing import Any, Final

import attr

from synapse_bum.database import Cursor
from synapse_bum.homeserver.account_access import Account
from synapse_bum.homeserver.registered_users import CREATED_MS, LOCKED
from synapse_bum.homeserver.sql_lists import in_chunks, marks
from synapse_bum.oidc import people
from synapse_bum.oidc.mapping.config import MappingConfig
from synapse_bum.oidc.scim.emails import Email
from synapse_bum.oidc.scim.errors import InvalidValueError, UniquenessError
from synapse_bum.oidc.scim.person import external_id_of, resource_id, subject_for, subject_of_id
from synapse_bum.oidc.scim.records import Record, user_of_columns
from synapse_bum.oidc.scim.resources import ScimUser, user_name_key
from synapse_bum.oidc.scim.searches import Condition, ExternalIdIs, IdIs, Search, UserNameIs, matches

_BATCH: Final = 1_000
_TAKEN: Final = "Somebody else has this userName."

# Each link is found by the unique index on (auth_provider, external_id), and so is its order; the other tables by their
# primary keys or unique indexes. A row that is being created says nothing yet.
_JOINED: Final = (
    " FROM user_external_ids AS e JOIN users AS u ON u.name = e.user_id"
    " LEFT JOIN synapse_bum_oidc_scim_users AS s ON s.idp_id = ? AND s.subject = e.external_id AND s.created_ts > 0"
    " LEFT JOIN synapse_bum_oidc_people AS p ON p.idp_id = ? AND p.subject = e.external_id"
    " WHERE e.auth_provider = ? AND s.deleted_ts IS NULL"
)
_SELECT: Final = (
    f"SELECT e.external_id, e.user_id, u.admin, u.deactivated, {LOCKED}, {CREATED_MS}, s.created_ts, s.modified_ts,"
    " s.active, s.locked_ts, s.log_out, s.deactivated_ts, s.external_id, s.user_name, s.display_name, s.given_name,"
    f" s.family_name, s.emails, p.user_name, p.display_name, p.email, p.login_ts{_JOINED}"
)
# Walks over all links: as many rows as people.
_COUNT: Final = f"SELECT COUNT(*){_JOINED}"
_OF_PAGE: Final = f"{_SELECT} ORDER BY e.external_id LIMIT ? OFFSET ?"
_FOLLOWING: Final = f"{_SELECT} AND e.external_id > ? ORDER BY e.external_id LIMIT ?"
# Each by an index of its table; a few rows.
_PROVISIONED_AS: Final = "SELECT subject FROM synapse_bum_oidc_scim_users WHERE idp_id = ? AND user_name_key = ?"
_BEING_CREATED_AS: Final = f"{_PROVISIONED_AS} AND created_ts = 0 AND subject <> ?"
_LOGGED_IN_AS: Final = "SELECT subject FROM synapse_bum_oidc_people WHERE idp_id = ? AND user_name_key = ?"
_LINKED_TO: Final = "SELECT external_id FROM user_external_ids WHERE user_id = ? AND auth_provider = ?"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Resource:
    """A person as SCIM sees it.

    Attributes:
        subject: who it is at the identity provider.
        account: the account.
        user: what is known of the person.
        record: what SCIM has written; None when it has not.
        created_ts: in ms since the epoch.
        modified_ts: of the last change, in ms since the epoch.
    """

    subject: str
    account: Account
    user: ScimUser
    record: Record | None
    created_ts: int
    modified_ts: int


class Directory:
    """The people of one identity provider."""

    def __init__(self, config: MappingConfig, server_name: str) -> None:
        """Prepares.

        Args:
            config: of the mapping of the identity provider.
            server_name: of this homeserver.
        """
        self._config = config
        self._server_name = server_name

    def find(self, txn: Cursor, subject: str) -> Resource | None:
        """One person; None when SCIM sees nobody with this subject."""
        found = self._with_subjects(txn, [subject])
        return found[0] if found else None

    def search(self, txn: Cursor, search: Search) -> tuple[list[Resource], int]:
        """A page of those who are searched for, by subject, and how many there are in all.

        A condition on `userName`, `externalId` or `id` costs a few rows; other conditions read everybody once, in
        batches; without one, the page and a count.
        """
        page = search.page
        if not search.conditions:
            txn.execute(_COUNT, self._names)
            counted = txn.fetchone()
            txn.execute(_OF_PAGE, (*self._names, page.count, page.offset))
            return [self._resource(row) for row in txn.fetchall()], counted[0] if counted else 0
        subjects = self._subjects(txn, search.conditions)
        everybody = self._walk(txn) if subjects is None else self._with_subjects(txn, subjects)
        found = [one for one in everybody if matches(search.conditions, one.user, resource_id(one.subject))]
        if any(isinstance(condition, UserNameIs) for condition in search.conditions):
            # A login name is one person's: whose it was at an old login does not count beside whose it is.
            found = [one for one in found if one.record is not None] or found
        return found[page.offset :][: page.count], len(found)

    def refuse_taken_name(self, txn: Cursor, user_name: str, subject: str) -> None:
        """Makes sure that SCIM has brought nobody else with this login name, and is not just doing so.

        Who has never been provisioned has none to defend: what he was called at an old login, or what his account is
        called, may be another one's name by now.

        Raises:
            UniquenessError: somebody has, in whatever case.
        """
        key = user_name_key(user_name)
        txn.execute(_BEING_CREATED_AS, (self._config.idp_id, key, subject))
        if txn.fetchone() is not None:
            raise UniquenessError(_TAKEN)
        txn.execute(_PROVISIONED_AS, (self._config.idp_id, key))
        others = [one for (one,) in txn.fetchall() if one != subject]
        if self._with_subjects(txn, others):
            raise UniquenessError(_TAKEN)

    @property
    def _names(self) -> tuple[str, str, str]:
        return self._config.idp_id, self._config.idp_id, self._config.auth_provider

    def _subjects(self, txn: Cursor, conditions: Sequence[Condition]) -> list[str] | None:
        """Among whom those are whom the conditions mean, if an index can tell; else None."""
        for condition in conditions:
            if isinstance(condition, IdIs):
                subject = subject_of_id(condition.value)
                return [] if subject is None else [subject]
            if isinstance(condition, ExternalIdIs):
                try:
                    return [subject_for(self._config, condition.value)]
                except InvalidValueError:
                    return []
            if isinstance(condition, UserNameIs):
                return self._named(txn, condition.key)
        return None

    def _named(self, txn: Cursor, key: str) -> list[str]:
        idp_id, _same, auth_provider = self._names
        found: set[str] = set()
        for sql, parameters in (
            (_PROVISIONED_AS, (idp_id, key)),
            (_LOGGED_IN_AS, (idp_id, people.user_name_index(key))),
            (_LINKED_TO, (f"@{key}:{self._server_name}", auth_provider)),
        ):
            txn.execute(sql, parameters)
            found.update(subject for (subject,) in txn.fetchall())
        return list(found)

    def _with_subjects(self, txn: Cursor, subjects: Sequence[str]) -> list[Resource]:
        found: list[Resource] = []
        for chunk in in_chunks(sorted(subjects), 1):
            txn.execute(
                f"{_SELECT} AND e.external_id IN ({marks(len(chunk))}) ORDER BY e.external_id", (*self._names, *chunk)
            )
            found.extend(self._resource(row) for row in txn.fetchall())
        return found

    def _walk(self, txn: Cursor) -> list[Resource]:
        found: list[Resource] = []
        last = ""
        while True:
            txn.execute(_FOLLOWING, (*self._names, last, _BATCH))
            batch = [self._resource(row) for row in txn.fetchall()]
            found.extend(batch)
            if len(batch) < _BATCH:
                return found
            last = batch[-1].subject

    def _resource(self, row: tuple[Any, ...]) -> Resource:
        subject, user_id, admin, deactivated, locked, account_ts = row[:6]
        account = Account(user_id, bool(admin), bool(deactivated), bool(locked))
        if row[6] is None:
            *login, login_ts = row[18:]
            user = self._unprovisioned(subject, account, login)
            return Resource(subject, account, user, None, account_ts, login_ts or account_ts)
        created_ts, modified_ts, active, locked_ts, log_out, deactivated_ts = row[6:12]
        said = user_of_columns(row[12:18], active=bool(active))
        record = Record(
            self._config.idp_id,
            subject,
            user_id,
            said,
            locked_ts,
            bool(log_out),
            None,
            deactivated_ts,
            created_ts,
            modified_ts,
        )
        shown = attr.evolve(said, active=said.active and not account.is_deactivated)
        return Resource(subject, account, shown, record, created_ts, modified_ts)

    def _unprovisioned(self, subject: str, account: Account, login: Sequence[Any]) -> ScimUser:
        user_name, display_name, email = login
        return ScimUser(
            user_name=user_name or account.user_id[1:].partition(":")[0],
            external_id=external_id_of(self._config, subject),
            display_name=display_name,
            emails=() if email is None else (Email(email, "work", primary=True),),
            active=not account.is_deactivated,
        )
