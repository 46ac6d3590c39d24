"""Telling Synapse's stream of quarantined media what we blocked and released.

A file is blocked by a direct update of its row, in whichever process scanned it; the stream may be written by some
processes only. So the transaction that blocks or releases leaves a note, and a process that may write the stream
completes it: the note goes in the transaction in which the stream's row comes.
"""

import logging

from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.database import Cursor, Database
from synapse_bum.database.error_text import first_line
from synapse_bum.homeserver import quarantine_stream as stream

logger = logging.getLogger(__name__)

TICK_MS = 2_000
"""How often notes are looked for."""

PAGE = 500
"""Notes that are completed in one transaction."""


def note_change(txn: Cursor, server_name: str, media_id: str, *, quarantined: bool, now_ms: int) -> None:
    """Leave a note about a file, in place of an older one; nothing where this Synapse has no stream. By primary key.

    When Synapse gets the stream by an update, it fills in what is quarantined by itself.
    """
    if not stream.EXISTS:
        return
    txn.execute(
        "INSERT INTO synapse_bum_antivirus_quarantine_changes (server_name, media_id, quarantined, since_ts)"
        " VALUES (?, ?, ?, ?) ON CONFLICT (server_name, media_id) DO UPDATE SET quarantined = excluded.quarantined,"
        " since_ts = excluded.since_ts",
        (server_name, media_id, quarantined, now_ms),
    )


def take_notes(txn: Cursor, limit: int) -> list[tuple[str, str, bool]]:
    """Take the oldest notes away; two processes never get the same one, and a rollback puts them back.

    Returns:
        Server name, media id and whether it is quarantined, at most `limit` times. The table holds a few rows.
    """
    txn.execute(
        "DELETE FROM synapse_bum_antivirus_quarantine_changes WHERE (server_name, media_id) IN (SELECT server_name,"
        " media_id FROM synapse_bum_antivirus_quarantine_changes ORDER BY since_ts LIMIT ?)"
        " RETURNING server_name, media_id, quarantined",
        (limit,),
    )
    return [(server_name, media_id, bool(quarantined)) for server_name, media_id, quarantined in txn.fetchall()]


class QuarantineStream:
    """The duty of completing notes; it runs in every process that may write the stream."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database
        self._busy = False

    def start(self) -> None:
        """Have it done regularly, where this process may."""
        if stream.may_write(self._api):
            self._api.looping_background_call(
                self.tick, TICK_MS, desc="synapse_bum_antivirus_quarantine_stream", run_on_all_instances=True
            )

    async def tick(self) -> None:
        """Complete what waits."""
        if self._busy:
            return
        self._busy = True
        try:
            while await self._database.run("synapse_bum_antivirus_quarantine_stream", self._complete) == PAGE:
                pass
        except Exception as error:  # noqa: BLE001 - a background duty: the notes stay, and the next turn tries again
            logger.warning("Synapse's stream of quarantined media could not be told: %s", first_line(error))
        finally:
            self._busy = False

    def _complete(self, txn: LoggingTransaction) -> int:
        notes = take_notes(txn, PAGE)
        for quarantined in (True, False):
            files = [(server_name, media_id) for server_name, media_id, state in notes if state is quarantined]
            if files:
                stream.write(self._api, txn, files, quarantined=quarantined)
        return len(notes)
