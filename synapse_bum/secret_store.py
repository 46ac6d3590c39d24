"""Secrets of ours: from a file where the operator names one, otherwise made once and kept in our table.

A secret is never part of a message, a log line or the `repr` of an object.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import attr
from synapse.module_api.errors import ConfigError

from synapse_bum.config import Path as KeyPath
from synapse_bum.config import dotted
from synapse_bum.database.schema import Component, Cursor, Migration
from synapse_bum.database.transactions import Database

SECRETS: Final = Component(
    "secrets",
    (Migration.both(1, "CREATE TABLE synapse_bum_secrets (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)"),),
)

_MAX_BYTES: Final = 65_536

# By primary key. The loser of two INSERTs at once waits for the winner and then reads the winner's value.
_INSERT: Final = "INSERT INTO synapse_bum_secrets (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING"
_SELECT: Final = "SELECT value FROM synapse_bum_secrets WHERE name = ?"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Secret:
    """A secret text.

    Attributes:
        value: the text itself; it is left out of the `repr`.
    """

    value: str = attr.ib(repr=False)


def read_secret_file(path: str, key: KeyPath) -> Secret:
    """Reads the secret that an operator put into a file.

    Args:
        path: of the file, as configured.
        key: the option that holds the path, for the message, for example `("scim", "token_path")`.

    Returns:
        the content without the white space around it.

    Raises:
        ConfigError: the file can't be read, is empty, is no UTF-8 or has more than 64 KiB.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        text = content.decode().strip()
    except OSError as e:
        raise ConfigError(f"`{dotted(key)}`: can't read `{path}`: {e.strerror}", key) from None
    except UnicodeDecodeError:
        raise ConfigError(f"`{dotted(key)}`: `{path}` is no UTF-8 text", key) from None
    if not text:
        raise ConfigError(f"`{dotted(key)}`: `{path}` is empty", key)
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"`{dotted(key)}`: `{path}` has more than {_MAX_BYTES} bytes", key)
    return Secret(text)


def get_or_create(txn: Cursor, name: str, make: Callable[[], str]) -> Secret:
    """Returns the stored secret, or stores a new one; processes that ask at the same time get the same one.

    Args:
        txn: in a transaction of `Database.run`.
        name: of the secret, for example `antivirus.request_secret`.
        make: makes a new value.
    """
    txn.execute(_INSERT, (name, make()))
    txn.execute(_SELECT, (name,))
    row = txn.fetchone()
    if row is None:
        raise LookupError(f"the secret {name} vanished while it was read")
    return Secret(row[0])


class SecretStore:
    """The secrets that we made ourselves."""

    def __init__(self, database: Database) -> None:
        """Prepares; the secrets' table is added to the components of the database."""
        database.add(SECRETS)
        self._database = database

    async def get_or_create(self, name: str, make: Callable[[], str]) -> Secret:
        """Returns the stored secret, made by the first process that ever asks.

        Args:
            name: of the secret, for example `antivirus.request_secret`.
            make: makes a new value, from `secrets` or a key generator.
        """
        return await self._database.run("synapse_bum_get_secret", get_or_create, name, make)
