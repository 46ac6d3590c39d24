"""Verdicts about encrypted files, each for one file and one key.

A request with a wrong key decrypts to noise, which scans clean. So a verdict is found only by a digest over the file,
the hash of its ciphertext, key and iv, and the policy that it was made by. The digest is keyed with a secret of ours:
neither key nor iv can be guessed from the table.
"""

import hashlib
import hmac
import json
from collections.abc import Sequence
from enum import Enum
from typing import Any, Final

import attr
from synapse.module_api import ModuleApi

from synapse_bum.antivirus.content_scanner.encrypted_file import EncryptedFile
from synapse_bum.antivirus.scanning.scanner import UNVERSIONED
from synapse_bum.database import Cursor, Database

LIFETIME_MS: Final = 7 * 86_400_000
"""A verdict that nobody used for this long is scanned again; new signatures end it earlier."""

UNVERSIONED_LIFETIME_MS: Final = 3_600_000
"""The same where the scanner tells no version: a base that it has loaded anew shows nowhere."""

FLUSH_AFTER_MS: Final = 250
MAX_WAITING: Final = 20_000
"""Verdicts in memory that wait to be written; more are dropped, and their files scanned again."""

VOID_INTERVAL_MS: Final = 2_000
"""How soon a restart of a scanner without versions is noted; the process that saw it trusts nothing older at once."""

PURGE_INTERVAL_MS: Final = 3_600_000


class KeyVerdict(Enum):
    """What the plaintext under one key is."""

    CLEAN = "clean"
    INFECTED = "infected"
    """Refused with this key only; what is refused for everybody is a finding."""
    FORBIDDEN = "forbidden"
    """Clean, but of a type that the operator does not allow."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class BoundVerdict:
    """A verdict and what it holds for.

    Attributes:
        binding: see `binding_of`.
        server_name: where the file was uploaded.
        media_id: as in the mxc URI.
        verdict: what was found.
        signature: as the scanner names it; None when clean.
        signature_version: of the scanner that looked, before it did; None where it tells none, or none looked.
        proved: whether the plaintext was something that only the right key gives.
    """

    binding: str
    server_name: str
    media_id: str
    verdict: KeyVerdict
    signature: str | None
    signature_version: str | None
    proved: bool = False


def binding_of(secret: bytes, policy: str, file: EncryptedFile) -> str:
    """What a verdict is found by.

    Args:
        secret: of this server.
        policy: a digest of the configuration that decides about files; another one makes all verdicts void.
        file: as the client described it.

    Returns:
        HMAC-SHA-256 (RFC 2104), hexadecimal. The parts are length-prefixed, so that none can pass for another.
    """
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    texts = (policy.encode(), file.server_name.encode(), file.media_id.encode())
    for part in (*texts, file.sha256, file.key, file.iv):
        mac.update(len(part).to_bytes(4, "big"))
        mac.update(part)
    return mac.hexdigest()


def digest_of_policy(policy: dict[str, Any]) -> str:
    """A short name for a configuration, the same in every process and after a restart."""
    return hashlib.sha256(json.dumps(policy, sort_keys=True).encode()).hexdigest()


def lifetime_ms(signature_version: str | None) -> int:
    """How long a verdict stands, by what it is bound to."""
    named = signature_version is not None and not signature_version.startswith(UNVERSIONED)
    return LIFETIME_MS if named else UNVERSIONED_LIFETIME_MS


def read_verdict(txn: Cursor, binding: str, now_ms: int) -> BoundVerdict | None:
    """Read a verdict that has not expired, by primary key."""
    txn.execute(
        "SELECT server_name, media_id, verdict, signature, signature_version, proved"
        " FROM synapse_bum_antivirus_key_verdicts"
        " WHERE binding = ? AND expires_ts > ?",
        (binding, now_ms),
    )
    row = txn.fetchone()
    if row is None:
        return None
    server_name, media_id, verdict, signature, signature_version, proved = row
    names = server_name, media_id
    return BoundVerdict(binding, *names, KeyVerdict(verdict), signature, signature_version, proved=bool(proved))


def write_verdicts(txn: Cursor, verdicts: Sequence[BoundVerdict], now_ms: int) -> None:
    """Write verdicts in place of older ones, each by primary key."""
    for one in verdicts:
        txn.execute(
            "INSERT INTO synapse_bum_antivirus_key_verdicts"
            " (binding, server_name, media_id, verdict, signature, signature_version, proved, expires_ts)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (binding) DO UPDATE SET verdict = excluded.verdict,"
            " signature = excluded.signature, signature_version = excluded.signature_version,"
            " proved = excluded.proved, expires_ts = excluded.expires_ts",
            (
                one.binding,
                one.server_name,
                one.media_id,
                one.verdict.value,
                one.signature,
                one.signature_version,
                int(one.proved),
                now_ms + lifetime_ms(one.signature_version),
            ),
        )


def purge_expired(txn: Cursor, now_ms: int) -> int:
    """Remove what has expired: a range of the index on expires_ts.

    Returns:
        How many there were.
    """
    txn.execute("DELETE FROM synapse_bum_antivirus_key_verdicts WHERE expires_ts <= ?", (now_ms,))
    return txn.rowcount


def void_unversioned(txn: Cursor) -> int:
    """Remove verdicts of scanners that tell no version: nobody knows whether the base is still the same. A scan.

    Returns:
        How many there were.
    """
    txn.execute("DELETE FROM synapse_bum_antivirus_key_verdicts WHERE signature_version IS NULL")
    return txn.rowcount


class KeyVerdictWriter:
    """Writes verdicts in groups, off the way of the request; what gets lost in a crash is scanned again."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database
        self._waiting: dict[str, BoundVerdict] = {}
        self._scheduled = False
        self._voided: str | None = None

    def recent(self, binding: str) -> BoundVerdict | None:
        """A verdict that is on its way to the table."""
        return self._waiting.get(binding)

    def forget(self, server_name: str, media_id: str) -> None:
        """Drop what waits about a file: a finding or a release says more."""
        for binding, one in list(self._waiting.items()):
            if (one.server_name, one.media_id) == (server_name, media_id):
                del self._waiting[binding]

    def note(self, verdict: BoundVerdict) -> None:
        """Have a verdict written soon."""
        if len(self._waiting) >= MAX_WAITING:
            return
        self._waiting[verdict.binding] = verdict
        if not self._scheduled:
            self._scheduled = True
            self._api.delayed_background_call(FLUSH_AFTER_MS, self.flush, desc="synapse_bum_antivirus_key_verdicts")

    async def flush(self) -> None:
        """Write what waits; it stays in memory until it is in the table."""
        self._scheduled = False
        verdicts = list(self._waiting.values())
        if not verdicts:
            return
        now_ms = self._api.get_current_time_msec()
        await self._database.run("synapse_bum_antivirus_write_key_verdicts", write_verdicts, verdicts, now_ms)
        for one in verdicts:
            if self._waiting.get(one.binding) is one:
                del self._waiting[one.binding]

    async def void_unversioned(self, signature_version: str | None) -> None:
        """Once for each restart of scanners that tell no version: forget what they said before.

        Args:
            signature_version: what verdicts of now are bound to.
        """
        if signature_version in {None, self._voided} or not str(signature_version).startswith(UNVERSIONED):
            return
        await self._database.run("synapse_bum_antivirus_void_key_verdicts", void_unversioned)
        self._voided = signature_version

    async def purge(self) -> None:
        """Remove expired verdicts from the table."""
        now_ms = self._api.get_current_time_msec()
        await self._database.run("synapse_bum_antivirus_purge_key_verdicts", purge_expired, now_ms)
