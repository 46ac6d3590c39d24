"""Which stored file was scanned, and which waits for it.

A clean verdict that gets lost costs one more scan, so these are written in groups, off the path of the upload. What
must not get lost (a file that was accepted without a scan, a finding) is written in its own transaction before anybody
acts on it.
"""

import logging
from collections.abc import Sequence
from typing import Any

import attr
from synapse.module_api import ModuleApi

from synapse_bum.antivirus import metrics
from synapse_bum.antivirus.decision import ResultLabel
from synapse_bum.database import Cursor, Database
from synapse_bum.database.error_text import first_line

logger = logging.getLogger(__name__)

UNSCANNED = "unscanned"
CLEAN = "clean"
ENCRYPTED = "encrypted"
"""The scanner saw only ciphertext: it is scanned when somebody asks with its key."""

FLUSH_AFTER_MS = 250
"""How long a clean verdict waits for others before they are written."""

MAX_WAITING = 20_000
"""Clean verdicts kept in memory while the database is away; more are dropped, and their files scanned again later."""

FIRST_RETRY_MS = 60_000
LAST_RETRY_MS = 86_400_000
"""A stored file that can't be scanned for its own sake is tried again after a minute, twice that, up to a day."""

NEVER_STORED_AFTER_MS = 3_600_000
"""A file that was noted so long ago and has no row never gets one: Synapse gave its upload up."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class CleanVerdict:
    """A file that was scanned whole and in which nothing was found.

    Attributes:
        server_name: where it was uploaded.
        media_id: as in the mxc URI.
        signature_version: of the base at the scan, or an older one; None when the scanner does not say.
        scanned_ts: ms since the epoch.
        state: `CLEAN` or `ENCRYPTED`.
    """

    server_name: str
    media_id: str
    signature_version: str | None
    scanned_ts: int
    state: str = CLEAN


@attr.s(auto_attribs=True, frozen=True, slots=True)
class PlainVerdict:
    """What is written down about a file as it is stored.

    Attributes:
        state: `UNSCANNED`, `CLEAN` or `ENCRYPTED`.
        signature_version: of the base at the scan.
        scanned_ts: ms since the epoch; None while unscanned.
    """

    state: str
    signature_version: str | None
    scanned_ts: int | None


def read_plain_verdict(txn: Cursor, server_name: str, media_id: str) -> PlainVerdict | None:
    """Read the verdict about a stored file, by primary key."""
    txn.execute(
        "SELECT state, signature_version, scanned_ts FROM synapse_bum_antivirus_verdicts"
        " WHERE server_name = ? AND media_id = ?",
        (server_name, media_id),
    )
    row = txn.fetchone()
    return None if row is None else PlainVerdict(*row)


def write_clean(txn: Cursor, verdicts: Sequence[CleanVerdict]) -> None:
    """Write clean verdicts, each by primary key."""
    for verdict in verdicts:
        txn.execute(
            "INSERT INTO synapse_bum_antivirus_verdicts"
            " (server_name, media_id, state, signature_version, scanned_ts, noted_ts) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (server_name, media_id) DO UPDATE SET state = excluded.state,"
            " signature_version = excluded.signature_version, scanned_ts = excluded.scanned_ts, attempts = 0",
            (
                verdict.server_name,
                verdict.media_id,
                verdict.state,
                verdict.signature_version,
                verdict.scanned_ts,
                verdict.scanned_ts,
            ),
        )


def write_unscanned(txn: Cursor, server_name: str, media_id: str, now_ms: int) -> None:
    """Note a file that is stored without a verdict, by primary key."""
    txn.execute(
        "INSERT INTO synapse_bum_antivirus_verdicts (server_name, media_id, state, noted_ts) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (server_name, media_id) DO UPDATE SET state = excluded.state, scanned_ts = NULL,"
        " noted_ts = excluded.noted_ts, attempts = 0, next_try_ts = 0",
        (server_name, media_id, UNSCANNED, now_ms),
    )


def add_missing(txn: Cursor, files: Sequence[tuple[str, str]], now_ms: int) -> int:
    """Note files that nobody looked at yet; those with a verdict keep it.

    Returns:
        How many were new.
    """
    added = 0
    for server_name, media_id in files:
        txn.execute(
            "INSERT INTO synapse_bum_antivirus_verdicts (server_name, media_id, state, noted_ts)"
            " VALUES (?, ?, ?, ?) ON CONFLICT (server_name, media_id) DO NOTHING",
            (server_name, media_id, UNSCANNED, now_ms),
        )
        added += max(0, txn.rowcount)
    return added


def next_unscanned(txn: Cursor, now_ms: int, limit: int) -> list[tuple[str, str]]:
    """Files whose next try is due, longest due first; a range of the partial index."""
    txn.execute(
        "SELECT server_name, media_id FROM synapse_bum_antivirus_verdicts"
        " WHERE state = 'unscanned' AND next_try_ts <= ? ORDER BY next_try_ts LIMIT ?",
        (now_ms, limit),
    )
    return [(server_name, media_id) for server_name, media_id in txn.fetchall()]


def postpone(txn: Cursor, server_name: str, media_id: str, now_ms: int) -> None:
    """Put off the next try of a file that could not be scanned for its own sake, by primary key."""
    txn.execute(
        "SELECT attempts FROM synapse_bum_antivirus_verdicts WHERE server_name = ? AND media_id = ?",
        (server_name, media_id),
    )
    row = txn.fetchone()
    attempts = 0 if row is None else int(row[0])
    txn.execute(
        "UPDATE synapse_bum_antivirus_verdicts SET attempts = ?, next_try_ts = ?"
        " WHERE server_name = ? AND media_id = ? AND state = 'unscanned'",
        (attempts + 1, now_ms + retry_after_ms(attempts), server_name, media_id),
    )


def retry_after_ms(attempts: int) -> int:
    """How long to wait after so many tries before this one: twice as long each time."""
    return int(min(FIRST_RETRY_MS * 2 ** min(attempts, 30), LAST_RETRY_MS))


def forget_never_stored(txn: Cursor, server_name: str, media_id: str, now_ms: int) -> None:
    """Drop a note about a file without a row, once it can't get one any more; until then put it off."""
    txn.execute(
        "DELETE FROM synapse_bum_antivirus_verdicts WHERE server_name = ? AND media_id = ? AND noted_ts < ?",
        (server_name, media_id, now_ms - NEVER_STORED_AFTER_MS),
    )
    postpone(txn, server_name, media_id, now_ms)


def forget(txn: Cursor, server_name: str, media_id: str) -> None:
    """Drop the verdict about a file: it is gone, or a finding says more. By primary key."""
    txn.execute(
        "DELETE FROM synapse_bum_antivirus_verdicts WHERE server_name = ? AND media_id = ?", (server_name, media_id)
    )


def count_unscanned(txn: Cursor) -> int:
    """How many stored files wait; an index-only count of the partial index."""
    txn.execute("SELECT COUNT(*) FROM synapse_bum_antivirus_verdicts WHERE state = 'unscanned'")
    row = txn.fetchone()
    return int(row[0]) if row else 0


def add_totals(txn: Cursor, counts: dict[str, int]) -> None:
    """Add to the totals of all processes, by primary key."""
    for result, files in sorted(counts.items()):
        txn.execute(
            "INSERT INTO synapse_bum_antivirus_totals (result, files) VALUES (?, ?)"
            " ON CONFLICT (result) DO UPDATE SET files = synapse_bum_antivirus_totals.files + excluded.files",
            (result, files),
        )


def read_totals(txn: Cursor) -> dict[str, int]:
    """Decided files by result, with zeros where nothing happened yet. A scan of three rows."""
    txn.execute("SELECT result, files FROM synapse_bum_antivirus_totals")
    return {label.value: 0 for label in ResultLabel} | {result: int(files) for result, files in txn.fetchall()}


class VerdictWriter:
    """Collects clean verdicts and counts, and writes them together."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database
        self._waiting: list[CleanVerdict] = []
        self._counts: dict[str, int] = {}
        self._scheduled = False

    def count(self, label: ResultLabel) -> None:
        """Count one decided file."""
        self._counts[label.value] = self._counts.get(label.value, 0) + 1
        self._schedule()

    def note_clean(self, server_name: str, media_id: str, signature_version: str | None) -> None:
        """Take a verdict to be written soon."""
        self._take(CleanVerdict(server_name, media_id, signature_version, self._api.get_current_time_msec()))

    def note_encrypted(self, server_name: str, media_id: str, signature_version: str | None) -> None:
        """Take the verdict about a file of which the scanner saw only ciphertext, to be written soon."""
        now_ms = self._api.get_current_time_msec()
        self._take(CleanVerdict(server_name, media_id, signature_version, now_ms, ENCRYPTED))

    def _take(self, verdict: CleanVerdict) -> None:
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(verdict)
        else:
            metrics.VERDICTS_LOST.inc()
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._api.delayed_background_call(FLUSH_AFTER_MS, self.flush, desc="synapse_bum_antivirus_verdicts")

    async def flush(self) -> None:
        """Write what waits. What can't be written now is tried again with the next group."""
        self._scheduled = False
        verdicts, self._waiting = self._waiting, []
        counts, self._counts = self._counts, {}
        if not verdicts and not counts:
            return
        try:
            await self._database.run("synapse_bum_antivirus_write_verdicts", _write_group, verdicts, counts)
        except Exception as error:  # noqa: BLE001 - whatever the database says, the uploads were decided already
            logger.warning("Could not write %d clean verdicts, trying again: %s", len(verdicts), first_line(error))
            self._waiting = (verdicts + self._waiting)[:MAX_WAITING]
            for result, files in counts.items():
                self._counts[result] = self._counts.get(result, 0) + files


def _write_group(txn: Cursor, verdicts: list[CleanVerdict], counts: dict[str, int]) -> None:
    write_clean(txn, verdicts)
    add_totals(txn, counts)


def as_totals(counts: dict[str, int], unscanned: int) -> dict[str, Any]:
    """The `totals` of the status: `scanned` are the files with a verdict."""
    clean, infected = counts[ResultLabel.CLEAN.value], counts[ResultLabel.INFECTED.value]
    return {
        "scanned": clean + infected,
        "clean": clean,
        "infected": infected,
        "failed": counts[ResultLabel.FAILED.value],
        "unscanned": unscanned,
    }
