"""The two secrets of the content scanner, the same in every process: for request bodies, and for names of verdicts."""

import secrets
from collections.abc import Callable
from typing import Final

from synapse.module_api.errors import ConfigError

from synapse_bum.antivirus.content_scanner import unpadded_base64
from synapse_bum.antivirus.content_scanner.pk_encryption import SECRET_BYTES, RequestKey
from synapse_bum.config import Path, dotted
from synapse_bum.secret_store import Secret, SecretStore, read_secret_file

_REQUEST_SECRET: Final = "antivirus.request_secret"  # noqa: S105 - a name
_VERDICT_SECRET: Final = "antivirus.verdict_secret"  # noqa: S105 - a name

PATH_KEY: Final[Path] = ("content_scanner", "request_secret_path")


def _make() -> str:
    return unpadded_base64.encode(secrets.token_bytes(SECRET_BYTES))


def read_request_key(path: str) -> RequestKey:
    """Read the operator's request secret: 32 bytes in Base64, as matrix-content-scanner has it.

    Raises:
        ConfigError: the file can't be read or holds something else; the message does not hold it.
    """
    return _request_key(read_secret_file(path, PATH_KEY), path)


def _request_key(secret: Secret, path: str) -> RequestKey:
    try:
        return RequestKey(unpadded_base64.decode(secret.value))
    except ValueError:
        message = f"`{dotted(PATH_KEY)}`: `{path}` must hold {SECRET_BYTES} bytes in Base64"
        raise ConfigError(message, PATH_KEY) from None


class Secrets:
    """Gives the secrets out; what is not in a file was made once and is kept in our table."""

    def __init__(self, store: SecretStore, request_key: RequestKey | None) -> None:
        """Prepare.

        Args:
            store: of our own secrets.
            request_key: from the operator's file; None to have our own.
        """
        self._store = store
        self._request_key = request_key
        self._verdict_secret: bytes | None = None

    async def request_key(self) -> RequestKey:
        """The key pair for which clients encrypt request bodies."""
        if self._request_key is None:
            self._request_key = RequestKey(await self._get(_REQUEST_SECRET, _make))
        return self._request_key

    async def verdict_secret(self) -> bytes:
        """What the names of verdicts are keyed with."""
        if self._verdict_secret is None:
            self._verdict_secret = await self._get(_VERDICT_SECRET, _make)
        return self._verdict_secret

    async def _get(self, name: str, make: Callable[[], str]) -> bytes:
        return unpadded_base64.decode((await self._store.get_or_create(name, make)).value)
