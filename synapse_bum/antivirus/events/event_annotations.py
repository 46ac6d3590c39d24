"""`unsigned["org.synapse_bum.scan_state"] = "blocked"` on events that are known to carry a blocked file.

Synapse asks for every event that it sends to a client, so the answer comes from memory. Each process reads what is
blocked every two seconds; a file that was just blocked, or released, is marked so late. Events that a client already
holds are not sent again.
"""

import logging
from typing import Any, Final

import attr
from synapse.module_api import EventBase, ModuleApi

from synapse_bum.antivirus.events.event_files import FileName, files_in_clear
from synapse_bum.database import Cursor, Database
from synapse_bum.database.error_text import first_line, traced

logger = logging.getLogger(__name__)

FIELD: Final = "org.synapse_bum.scan_state"
BLOCKED: Final = "blocked"

REFRESH_MS: Final = 2_000

OVERLAP_MS: Final = 60_000
"""How far behind the last look links are looked for once more: their times are those of other processes."""

MAX_ENTRIES: Final = 20_000
"""Files, and events, that are remembered, about 10 MB together. Above that only the newest findings are marked."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Blocked:
    """What is blocked.

    Attributes:
        turn: number of the last transaction that wrote findings, see `exemptions.take_turn`.
        files: server names and media ids.
        event_ids: of encrypted events that carry some of them.
    """

    turn: int
    files: frozenset[FileName]
    event_ids: frozenset[str]


NOTHING: Final = Blocked(-1, frozenset(), frozenset())


def read_blocked(txn: Cursor, known: Blocked, since_ts: int) -> Blocked:
    """Bring what is known up to date.

    Where no finding was written since, one row is read, and of the links those of the last minute. Otherwise everything
    is read anew, which is what notices releases: a range of the partial index of blocked findings and their links.

    Args:
        txn: in a transaction.
        known: from the last time.
        since_ts: links that were noted before this time are known; ms since the epoch.
    """
    txn.execute("SELECT taken FROM synapse_bum_antivirus_turn")
    row = txn.fetchone()
    turn = row[0] if row is not None else 0
    if turn == known.turn:
        txn.execute(
            "SELECT link.event_id FROM synapse_bum_antivirus_links AS link"
            " JOIN synapse_bum_antivirus_findings AS finding"
            " ON finding.server_name = link.server_name AND finding.media_id = link.media_id"
            " WHERE link.noted_ts >= ? AND finding.state IN ('blocked', 'block_failed')",
            (since_ts,),
        )
        new = [event_id for (event_id,) in txn.fetchall()][: max(MAX_ENTRIES - len(known.event_ids), 0)]
        return attr.evolve(known, event_ids=known.event_ids.union(new))
    txn.execute(
        "SELECT server_name, media_id FROM synapse_bum_antivirus_findings WHERE state IN ('blocked', 'block_failed')"
        " ORDER BY found_ts DESC LIMIT ?",
        (MAX_ENTRIES,),
    )
    files = frozenset((server_name, media_id) for server_name, media_id in txn.fetchall())
    txn.execute(
        "SELECT link.event_id FROM synapse_bum_antivirus_findings AS finding JOIN synapse_bum_antivirus_links AS link"
        " ON link.server_name = finding.server_name AND link.media_id = finding.media_id"
        " WHERE finding.state IN ('blocked', 'block_failed') ORDER BY finding.found_ts DESC LIMIT ?",
        (MAX_ENTRIES,),
    )
    return Blocked(turn, files, frozenset(event_id for (event_id,) in txn.fetchall()))


def carries_blocked(event_id: str, content: object, blocked: Blocked) -> bool:
    """Decide whether an event gets the mark. Pure.

    Args:
        event_id: of the event.
        content: of the event, as anybody may have sent it.
        blocked: what is blocked.
    """
    if event_id in blocked.event_ids:
        return True
    return bool(blocked.files) and not blocked.files.isdisjoint(files_in_clear(content))


class EventAnnotations:
    """Marks events in this process."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database
        self._blocked = NOTHING
        self._read_ts = 0
        self._busy = False
        self._said_full = False

    def start(self) -> None:
        """Answer Synapse from now on."""
        self._api.register_add_extra_fields_to_unsigned_client_event_callbacks(
            add_field_to_unsigned_callback=self.extra_fields
        )
        self._api.delayed_background_call(0, self.refresh, desc="synapse_bum_antivirus_annotations")
        self._api.looping_background_call(
            self.refresh, REFRESH_MS, desc="synapse_bum_antivirus_annotations", run_on_all_instances=True
        )

    async def extra_fields(self, event: EventBase) -> dict[str, Any]:
        """Synapse's question about each event that it sends to a client; never an error, never a wait."""
        try:
            marked = carries_blocked(event.event_id, event.content, self._blocked)
        except Exception as error:  # noqa: BLE001 - what nobody has foreseen
            logger.error("Could not tell whether an event carries a blocked file: %s", traced(error, is_quoted=False))
            return {}
        return {FIELD: BLOCKED} if marked else {}

    async def refresh(self) -> None:
        """Read what is blocked by now."""
        if self._busy:
            return
        self._busy = True
        now_ms = self._api.get_current_time_msec()
        try:
            self._blocked = await self._database.run(
                "synapse_bum_antivirus_annotations", read_blocked, self._blocked, self._read_ts - OVERLAP_MS
            )
            self._read_ts = now_ms
            self._say_when_full()
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn tries again
            logger.warning("Events with blocked files are not marked anew: %s", first_line(error))
        finally:
            self._busy = False

    def _say_when_full(self) -> None:
        known = max(len(self._blocked.files), len(self._blocked.event_ids))
        if not self._said_full and known >= MAX_ENTRIES:
            self._said_full = True
            logger.warning("More than %d files are blocked: events with the older ones are not marked", MAX_ENTRIES)
