"""Which account belongs to whom at an identity provider: Synapse's table `user_external_ids`.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: `synapse/storage/databases/main/registration.py`. The
table has a unique index on `(auth_provider, external_id)` and an index on `user_id`; rows of deactivated accounts stay.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol

import attr
from synapse.module_api import ModuleApi

_USER_OF: Final = "SELECT user_id FROM user_external_ids WHERE auth_provider = ? AND external_id = ?"

# By `user_id` or `auth_provider` one of the indexes; otherwise a walk over the table, a row for each linked account.
# For administrators the table of users is walked over too: it has no index for them.
_LINKS: Final = (
    "FROM user_external_ids AS e LEFT JOIN users AS u ON u.name = e.user_id"
    " WHERE (e.auth_provider = 'oidc' OR e.auth_provider LIKE ?)"
)
_ANY_OIDC: Final = "oidc-%"


class _Transaction(Protocol):
    """A Synapse transaction, or a plain cursor."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> object:
        """Runs one statement."""

    def fetchone(self) -> tuple[Any, ...] | None:
        """Returns the next row."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Returns all other rows."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Link:
    """That a person at an OIDC provider has an account.

    Attributes:
        auth_provider: as Synapse names it: `oidc-` and the `idp_id`, or `oidc`.
        external_id: the person's subject there.
        user_id: the account.
        is_admin: whether the account administers the server.
    """

    auth_provider: str
    external_id: str
    user_id: str
    is_admin: bool


@attr.s(auto_attribs=True, frozen=True, slots=True)
class LinkFilter:
    """Which links are asked for; None for all.

    Attributes:
        user_id: of this account.
        auth_provider: at this provider.
        of_administrators: of accounts that administer the server, and of no others.
    """

    user_id: str | None = None
    auth_provider: str | None = None
    of_administrators: bool = False

    @property
    def sql(self) -> tuple[str, tuple[str, ...]]:
        """The tables with a condition, and its parameters."""
        sql, parameters = _LINKS, [_ANY_OIDC]
        for column, value in (("e.user_id", self.user_id), ("e.auth_provider", self.auth_provider)):
            if value is not None:
                sql += f" AND {column} = ?"
                parameters.append(value)
        if self.of_administrators:
            sql += " AND u.admin = 1"
        return sql, tuple(parameters)


async def known_user(api: ModuleApi, auth_provider: str, external_id: str) -> str | None:
    """Whose account Synapse believes this to be, which this process may have cached; None when it is nobody's."""
    store: Any = api._store
    user_id: str | None = await store.get_user_by_external_id(auth_provider, external_id)
    return user_id


def user_of(txn: _Transaction, auth_provider: str, external_id: str) -> str | None:
    """Whose account this is by the database; None when it is nobody's. By the unique index."""
    txn.execute(_USER_OF, (auth_provider, external_id))
    row = txn.fetchone()
    return None if row is None else row[0]


def count_links(txn: _Transaction, wanted: LinkFilter) -> int:
    """How many links there are."""
    sql, parameters = wanted.sql
    txn.execute(f"SELECT COUNT(*) {sql}", parameters)
    row = txn.fetchone()
    return 0 if row is None else int(row[0])


def page_of_links(txn: _Transaction, wanted: LinkFilter, offset: int, limit: int) -> list[Link]:
    """Some links, by provider and subject.

    Args:
        txn: in a transaction.
        wanted: which ones.
        offset: links to leave out; they are read too.
        limit: at most so many.
    """
    sql, parameters = wanted.sql
    txn.execute(
        f"SELECT e.auth_provider, e.external_id, e.user_id, u.admin {sql}"
        " ORDER BY e.auth_provider, e.external_id LIMIT ? OFFSET ?",
        (*parameters, limit, offset),
    )
    return [Link(provider, subject, user_id, bool(admin)) for provider, subject, user_id, admin in txn.fetchall()]
