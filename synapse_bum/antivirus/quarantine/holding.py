"""Holding what the gate could not look into (`require_scan: true`): nobody gets it until a scan with its key.

A held file is quarantined with a mark of ours, from its first moment: uploads as those that are blocked at birth
(`blocking.py`), remote files by the row that Synapse writes. `synapse_bum_antivirus_held` is the record: with it a row
that Synapse marked "system" at birth is ours, without it never.
"""

import logging
from typing import Final

from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.antivirus import metrics
from synapse_bum.antivirus.quarantine import arrivals
from synapse_bum.database import Database
from synapse_bum.database.error_text import first_line
from synapse_bum.homeserver import media, media_holding
from synapse_bum.homeserver.media import StoredMedia

logger = logging.getLogger(__name__)

MARKER: Final = "synapse_bum:held"
"""Our value of `quarantined_by` for a file that waits for a scan with its key."""

NEVER_STORED_AFTER_MS: Final = 3_600_000
"""An upload that has no row after this time never gets one."""


def hold(txn: LoggingTransaction, server_name: str, media_id: str, sha256: str, now_ms: int) -> None:
    """Record that a file is held, before anybody could get it; by primary key.

    Args:
        txn: in a transaction.
        server_name: where it was uploaded.
        media_id: as in the mxc URI.
        sha256: of the stored bytes, hexadecimal.
        now_ms: ms since the epoch.
    """
    txn.execute(
        "INSERT INTO synapse_bum_antivirus_held (server_name, media_id, sha256, since_ts) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (server_name, media_id) DO UPDATE SET sha256 = excluded.sha256, since_ts = excluded.since_ts,"
        " marked = 0",
        (server_name, media_id, sha256, now_ms),
    )


def hold_arrival(txn: LoggingTransaction, server_name: str, media_id: str) -> None:
    """Hold a remote file whose row is hidden while it is scanned."""
    media_holding.hold_arrival(txn, server_name, media_id, arrivals.MARKER, MARKER)
    arrivals.forget(txn, server_name, media_id)


def is_held(txn: LoggingTransaction, server_name: str, media_id: str) -> bool:
    """Whether a file waits for a scan with its key, by primary key."""
    return _sha256_of(txn, server_name, media_id) is not None


def let_go(txn: LoggingTransaction, stored: StoredMedia) -> bool:
    """Serve a held file from now on; a moderator's quarantine stays.

    Returns:
        Whether it was held, by us and nobody else.
    """
    return _end(txn, stored, None)


def hand_over(txn: LoggingTransaction, stored: StoredMedia, marker: str) -> bool:
    """Put another mark in the place of ours, without a moment between: the file is infected."""
    return _end(txn, stored, marker)


def _end(txn: LoggingTransaction, stored: StoredMedia, new: str | None) -> bool:
    sha256 = _sha256_of(txn, stored.server_name, stored.media_id)
    if sha256 is None:
        return False
    forget(txn, stored.server_name, stored.media_id)
    return media_holding.end_hold(txn, stored, MARKER, sha256, new)


def complete(txn: LoggingTransaction, own_name: str, now_ms: int) -> None:
    """Put our mark on held files that have their row by now; a range of the partial index, the last moments only.

    Args:
        txn: in a transaction.
        own_name: our server's name.
        now_ms: ms since the epoch.
    """
    txn.execute("SELECT server_name, media_id, since_ts FROM synapse_bum_antivirus_held WHERE marked = 0")
    for server_name, media_id, since_ts in txn.fetchall():
        stored = media.stored_media(txn, server_name, media_id, own_name)
        if stored is not None and media.is_stored(txn, stored):
            media_holding.hold_row(txn, stored, MARKER)
            txn.execute(
                "UPDATE synapse_bum_antivirus_held SET marked = 1 WHERE server_name = ? AND media_id = ?",
                (server_name, media_id),
            )
        elif now_ms - since_ts > NEVER_STORED_AFTER_MS:
            forget(txn, server_name, media_id)


def list_held(txn: LoggingTransaction, offset: int, limit: int) -> tuple[list[tuple[str, str, int]], int]:
    """Read which files are held, longest first: a sort of the table, which is small where clients scan.

    Returns:
        At most `limit` of (server name, media id, since when in ms since the epoch), and how many there are in all.
    """
    txn.execute(
        "SELECT server_name, media_id, since_ts FROM synapse_bum_antivirus_held"
        " ORDER BY since_ts, server_name, media_id LIMIT ? OFFSET ?",
        (limit, offset),
    )
    return [(server_name, media_id, int(since_ts)) for server_name, media_id, since_ts in txn.fetchall()], count(txn)


def count(txn: LoggingTransaction) -> int:
    """How many files are held; an index-only count of the primary key."""
    txn.execute("SELECT COUNT(*) FROM synapse_bum_antivirus_held")
    row = txn.fetchone()
    return int(row[0]) if row is not None else 0


def _sha256_of(txn: LoggingTransaction, server_name: str, media_id: str) -> str | None:
    txn.execute(
        "SELECT sha256 FROM synapse_bum_antivirus_held WHERE server_name = ? AND media_id = ?", (server_name, media_id)
    )
    row = txn.fetchone()
    return None if row is None else row[0]


def forget(txn: LoggingTransaction, server_name: str, media_id: str) -> None:
    """Drop the record of a held file that is served to everybody or to nobody from now on, by primary key."""
    txn.execute(
        "DELETE FROM synapse_bum_antivirus_held WHERE server_name = ? AND media_id = ?", (server_name, media_id)
    )


class Holder:
    """Holds files on their way into this process, and completes what others began."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database
        self._arriving: set[tuple[str, str]] = set()

    async def hold(self, server_name: str, media_id: str, sha256: str) -> None:
        """Record a file as held, and have its row written so."""
        now_ms = self._api.get_current_time_msec()
        await self._database.run("synapse_bum_antivirus_hold", hold, server_name, media_id, sha256, now_ms)
        if server_name != self._api.server_name:
            self._arriving.add((server_name, media_id))

    def is_arriving_held(self, server_name: str, media_id: str) -> bool:
        """Whether the row that is being written is that of a held file."""
        return (server_name, media_id) in self._arriving

    async def withholds(self, server_name: str, media_id: str) -> bool:
        """Whether the remote file that was just fetched is not for who asked for it."""
        self._arriving.discard((server_name, media_id))
        return await self._database.run("synapse_bum_antivirus_is_held", is_held, server_name, media_id)

    async def complete(self) -> None:
        """Put our mark on what is stored by now; harmless in several processes at once."""
        now_ms = self._api.get_current_time_msec()
        await self._database.run("synapse_bum_antivirus_held", complete, self._api.server_name, now_ms)

    async def tick(self) -> None:
        """Complete what is stored by now, and count what is held."""
        try:
            await self.complete()
            metrics.HELD.set(await self._database.run("synapse_bum_antivirus_count_held", count))
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn tries again
            logger.warning("Held files have to wait for their mark: %s", first_line(error))
