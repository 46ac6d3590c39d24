"""The homeserver's database, opened by a command while Synapse is stopped: one transaction, and Synapse's links in it.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL. Sources: `synapse/config/database.py`, `make_conn` in
`synapse/storage/database.py`, `synapse/storage/engines`. Links are rows of `user_external_ids`, which has a unique
index on `(auth_provider, external_id)` and an index on `user_id`.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attr
from synapse.storage.engines import BaseDatabaseEngine, PostgresEngine, create_engine

from synapse_bum.homeserver.database_words import why_not_opened, why_refused

# The index on `(auth_provider, external_id)`: a row for each account of the provider.
_LINKS: Final = "SELECT external_id, user_id FROM user_external_ids WHERE auth_provider = ? ORDER BY external_id"
# By the same index: one row.
_RELINK: Final = (
    "UPDATE user_external_ids SET external_id = ? WHERE auth_provider = ? AND external_id = ? AND user_id = ?"
)
# Others may read, and nobody may write: nobody is linked between the look and the change.
_LOCK_LINKS: Final = "LOCK TABLE user_external_ids IN SHARE ROW EXCLUSIVE MODE"
# The whole table, which has no index for it: a row for each account, once.
_ADMINISTRATORS: Final = "SELECT name FROM users WHERE admin = 1 AND deactivated = 0 ORDER BY name"
# The server's list of its connections: a row for each.
_OTHER_CONNECTIONS: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user"
    " AND pid <> pg_backend_pid()"
)


class OfflineDatabaseError(Exception):
    """The database can't be opened, or has refused something; the text says why, without the password and rows."""


class OfflineTransaction:
    """A transaction with `?` for parameters on both databases, for the code that runs in Synapse's transactions too."""

    def __init__(self, cursor: Any, convert: Callable[[str], str]) -> None:  # noqa: ANN401 - of two drivers
        self._cursor = cursor
        self._convert = convert
        self._callbacks: list[Callable[[], object]] = []
        self.is_kept = False

    def keep(self) -> None:
        """Has what is done in the transaction stay; without this, its end takes all back."""
        self.is_kept = True

    @property
    def rowcount(self) -> int:
        """Rows that the last statement changed."""
        return int(self._cursor.rowcount)

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> None:
        """Runs one statement, which holds no `%`."""
        self._cursor.execute(self._convert(sql), tuple(parameters))

    def fetchone(self) -> tuple[Any, ...] | None:
        """Returns the next row of the last SELECT."""
        row: tuple[Any, ...] | None = self._cursor.fetchone()
        return row

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Returns all other rows of the last SELECT."""
        rows: list[tuple[Any, ...]] = self._cursor.fetchall()
        return rows

    def call_after(self, callback: Callable[..., object], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Has something called after the commit."""
        self._callbacks.append(lambda: callback(*args, **kwargs))

    def committed(self) -> None:
        """Calls what waits for the commit."""
        for callback in self._callbacks:
            callback()


@attr.s(auto_attribs=True, frozen=True, slots=True)
class StoredLink:
    """That a person at an identity provider has an account.

    Attributes:
        external_id: the person's subject there.
        user_id: the account.
    """

    external_id: str
    user_id: str


class OfflineDatabase:
    """The main database of a homeserver, by its configuration."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Prepares; connects to nothing yet.

        Args:
            settings: `name` and `args` as in `database` of homeserver.yaml.

        Raises:
            OfflineDatabaseError: the settings are no such thing, or their driver is missing.
        """
        self._arguments = _arguments(settings)
        try:
            self._engine: BaseDatabaseEngine[Any, Any] = create_engine(dict(settings))
        except (ImportError, RuntimeError) as error:
            raise OfflineDatabaseError(str(error)) from None
        self.is_postgres = isinstance(self._engine, PostgresEngine)
        if not self.is_postgres and not Path(str(self._arguments.get("database"))).is_file():
            # The driver would make an empty one.
            raise OfflineDatabaseError(f"there is no database {self._arguments.get('database')}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[OfflineTransaction]:
        """One transaction, on a connection of its own; READ COMMITTED, or with SQLite's write lock.

        What was done in it stays if it was told to `keep` it, and never after an exception.

        Raises:
            OfflineDatabaseError: the database could not be reached, is locked by somebody else, or refused something;
                then nothing was changed.
        """
        module = self._engine.module
        try:
            connection = module.connect(**self._arguments)
        except module.Error as error:
            raise OfflineDatabaseError(
                f"the database can't be opened: {why_not_opened(error, self._arguments)}"
            ) from None
        with contextlib.closing(connection):
            cursor = connection.cursor()
            if not self.is_postgres:
                try:
                    cursor.execute("BEGIN IMMEDIATE")
                except module.OperationalError as error:
                    raise OfflineDatabaseError(f"somebody else writes to the database: {why_refused(error)}") from None
            transaction = OfflineTransaction(cursor, self._engine.convert_param_style)
            try:
                yield transaction
                if not transaction.is_kept:
                    connection.rollback()
                    return
                connection.commit()
            except module.Error as error:
                connection.rollback()
                raise OfflineDatabaseError(f"nothing was changed, the database said: {why_refused(error)}") from None
            except BaseException:
                connection.rollback()
                raise
        transaction.committed()

    def others(self, txn: OfflineTransaction) -> int:
        """How many others are at the database: connections of the same user, with SQLite processes that have it open.

        A running Synapse is always one of them. Processes in other containers and of other users can't be seen.
        """
        if not self.is_postgres:
            return _processes_with(Path(self._arguments["database"]))
        txn.execute(_OTHER_CONNECTIONS)
        row = txn.fetchone()
        return 0 if row is None else int(row[0])

    def lock_links(self, txn: OfflineTransaction) -> None:
        """Keeps everybody else from linking accounts until the transaction ends."""
        if self.is_postgres:
            txn.execute(_LOCK_LINKS)


def links_of(txn: OfflineTransaction, auth_provider: str) -> list[StoredLink]:
    """All links of a provider, by subject; it reads a row for each.

    Args:
        txn: in a transaction.
        auth_provider: as Synapse names it: `oidc-` and the `idp_id`, or `oidc`.
    """
    txn.execute(_LINKS, (auth_provider,))
    return [StoredLink(external_id, user_id) for external_id, user_id in txn.fetchall()]


def administrators_of(txn: OfflineTransaction) -> list[str]:
    """The user ids of all administrators whose accounts are open.

    Args:
        txn: in a transaction.
    """
    txn.execute(_ADMINISTRATORS)
    return [str(user_id) for (user_id,) in txn.fetchall()]


def relink(txn: OfflineTransaction, auth_provider: str, link: StoredLink, external_id: str) -> bool:
    """Gives a link another subject.

    Args:
        txn: in a transaction.
        auth_provider: as Synapse names it.
        link: as it was read in this transaction.
        external_id: the new subject, which nobody has.

    Returns:
        Whether the link was there.
    """
    txn.execute(_RELINK, (external_id, auth_provider, link.external_id, link.user_id))
    return txn.rowcount == 1


def database_settings(homeserver: Mapping[str, Any]) -> Mapping[str, Any]:
    """Find the settings of the main database in homeserver.yaml. Pure.

    Raises:
        OfflineDatabaseError: there are none, or they are no mapping.
    """
    several = homeserver.get("databases")
    found = homeserver.get("database")
    if isinstance(several, Mapping):
        found = next((one for one in several.values() if _holds_main(one)), None)
    elif found is None and isinstance(homeserver.get("database_path"), str):
        found = {"name": "sqlite3", "args": {"database": homeserver["database_path"]}}
    if not isinstance(found, Mapping):
        raise OfflineDatabaseError("homeserver.yaml names no database: `database` is missing")
    return found


def _processes_with(path: Path) -> int:
    """How many other processes have a file open, as far as /proc tells.

    A process that ends while it is looked at has no files any more; one of somebody else may not be looked at.
    """
    file = path.stat()
    own = str(os.getpid())
    return sum(_has_open(process, file) for process in Path("/proc").glob("[0-9]*") if process.name != own)


def _has_open(process: Path, file: os.stat_result) -> bool:
    with contextlib.suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                if os.path.samestat(descriptor.stat(), file):
                    return True
    return False


def _holds_main(settings: object) -> bool:
    return isinstance(settings, Mapping) and "main" in (settings.get("data_stores") or ["main"])


def _arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    arguments = settings.get("args")
    if settings.get("name") not in {"sqlite3", "psycopg2"} or not isinstance(arguments, Mapping):
        raise OfflineDatabaseError("`database` must have `name`, sqlite3 or psycopg2, and `args`")
    # Those are Twisted's, for its pool of connections.
    return {name: value for name, value in arguments.items() if not name.startswith("cp_")}
