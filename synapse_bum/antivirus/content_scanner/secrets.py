"""The two secrets of the content scanner, the same in every process: for request bodies, and for names of verdicts."""

import logging
import secrets
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Final

from synapse.module_api import LoggingTransaction, ModuleApi
from synapse.module_api.errors import ConfigError

from synapse_bum import audit
from synapse_bum.antivirus.content_scanner import request_key_pins, unpadded_base64
from synapse_bum.antivirus.content_scanner.pk_encryption import SECRET_BYTES, RequestKey
from synapse_bum.antivirus.content_scanner.request_key_pins import ACCEPTED_MS, Pins, Standing
from synapse_bum.antivirus.tables import ANTIVIRUS
from synapse_bum.config import Path, SetupError, dotted
from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.homeserver import before_listeners
from synapse_bum.secret_store import SECRETS, Secret, SecretStore, get_or_create, read_secret_file

logger = logging.getLogger(__name__)

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


def confirm_request_key(api: ModuleApi, dialect: Dialect, request_key: RequestKey | None) -> None:
    """Has this process start only with the request secret that the others have, or with a new one for all of them.

    Only to be called in a module's `__init__`. With SQLite in memory there are no others.

    Args:
        api: of the homeserver.
        dialect: of its database.
        request_key: from the operator's file; None for our own, which all find in our table.

    Raises:
        SetupError: the secret is another one than that of the other processes.
    """
    if before_listeners.is_in_memory(api):
        return
    now_ms = api.get_current_time_msec()

    def confirm(txn: LoggingTransaction) -> tuple[Standing, Pins]:
        migrate(txn, dialect, [SECRETS, audit.AUDIT, ANTIVIRUS])
        own = request_key or RequestKey(unpadded_base64.decode(get_or_create(txn, _REQUEST_SECRET, _make).value))
        found, before = request_key_pins.pin(txn, own.public_key, now_ms)
        if found is Standing.NEW and before.current is not None:
            audit.append(txn, _changed(before.current, own.public_key, now_ms))
        return found, before

    found, before = before_listeners.run_before_listeners(api, "synapse_bum_antivirus_request_key", confirm)
    if found is Standing.REFUSED:
        raise SetupError(refusal(before, now_ms))
    if found is Standing.PREVIOUS:
        logger.warning(
            "The content scanner's request secret of this process is the one of before: put the new one into its file"
            " and start it again; 24 hours after the change it does not start any more"
        )


def refusal(pins: Pins, now_ms: int) -> str:
    """The sentence of a process that may not start. Pure.

    Args:
        pins: what is written down.
        now_ms: the time that it is, ms since the epoch.
    """
    until = pins.changed_until(now_ms)
    when = "" if until is None else f", or, for a third secret, wait until {_utc(until)}"
    return (
        f"synapse_bum.antivirus.AntivirusModule: `{dotted(PATH_KEY)}`: the request secret is another one than that of"
        f" the other processes; put the same one into the file of each process{when}"
    )


def _utc(ts: int) -> str:
    return f"{datetime.fromtimestamp(ts / 1000, timezone.utc):%Y-%m-%d %H:%M} UTC"


def _changed(old: str, new: str, now_ms: int) -> audit.Entry:
    return audit.Entry(
        ts=now_ms,
        actor="antivirus.content_scanner",
        action="antivirus.request_key_changed",
        target="content_scanner.request_secret_path",
        old={"public_key": old, "accepted_until_ts": now_ms + ACCEPTED_MS},
        new={"public_key": new},
    )


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
