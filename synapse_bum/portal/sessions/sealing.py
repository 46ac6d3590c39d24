"""Small encrypted records that the browser keeps for us: sessions, notices, logins that are under way.

Fernet: AES-128-CBC and HMAC-SHA-256. Each record says for what it is, so that none can stand in for another.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from synapse_bum.config import SetupError
from synapse_bum.secret_store import SecretStore

_STORED_KEY: Final = "portal.session_key"
_MAX_KEY_FILE_BYTES: Final = 65_536
_MAX_SEALED: Final = 2_000_000
_SKEW_MS: Final = 300_000


class Sealer:
    """Seals and opens records."""

    def __init__(self, keys: list[Fernet]) -> None:
        """Takes the keys; the first one seals, all of them open."""
        self._keys = MultiFernet(keys)

    def seal(self, purpose: str, content: Mapping[str, Any], now_ms: int) -> str:
        """Encrypts a record.

        Args:
            purpose: for what it is; `open` must be given the same.
            content: values as JSON knows them.
            now_ms: ms since the epoch.

        Returns:
            URL-safe base64 that may stand in a cookie.
        """
        record = json.dumps([purpose, now_ms, content], separators=(",", ":"))
        return self._keys.encrypt(record.encode()).decode("ascii")

    def open(self, purpose: str, sealed: str, now_ms: int, max_age_ms: int) -> dict[str, Any] | None:
        """Decrypts a record.

        Args:
            purpose: for what it must have been sealed.
            sealed: as it came in.
            now_ms: ms since the epoch.
            max_age_ms: how old it may be.

        Returns:
            its content; None when it is not from us, for something else, or too old.
        """
        if len(sealed) > _MAX_SEALED:
            return None
        try:
            found, made_ms, content = json.loads(self._keys.decrypt(sealed.encode()))
        except (InvalidToken, ValueError):
            return None
        if found != purpose or not -_SKEW_MS <= now_ms - made_ms < max_age_ms:
            return None
        record: dict[str, Any] = content
        return record


class KeyRing:
    """The keys of all processes: out of a file that they share, or made once and kept in our table."""

    def __init__(self, store: SecretStore, path: str | None) -> None:
        """Reads the file where there is one.

        Raises:
            SetupError: it can't be read, or holds something that is no key.
        """
        self._store = store
        self._sealer = None if path is None else Sealer(read_keys(path))

    async def sealer(self) -> Sealer:
        """Returns what seals with these keys; asks the database once.

        Raises:
            Exception: the database can't be asked.
        """
        if self._sealer is None:
            secret = await self._store.get_or_create(_STORED_KEY, lambda: Fernet.generate_key().decode("ascii"))
            self._sealer = Sealer([Fernet(secret.value)])
        return self._sealer


def read_keys(path: str) -> list[Fernet]:
    """Reads a key file.

    Raises:
        SetupError: it can't be read, or holds something that is no key.
    """
    where = f"`config.session_key_path`: `{path}`"
    try:
        with Path(path).open("rb") as file:
            lines = file.read(_MAX_KEY_FILE_BYTES).decode("ascii").split()
    except OSError as e:
        raise SetupError(f"{where} can't be read: {e.strerror}") from None
    except UnicodeDecodeError:
        lines = ["not ASCII"]
    try:
        keys = [Fernet(line) for line in lines]
    except ValueError:
        keys = []
    if not keys:
        raise SetupError(
            f"{where} must have one key a line, 32 random bytes in URL-safe base64 each; this prints one:"
            " `openssl rand -base64 32 | tr +/ -_`"
        )
    return keys
