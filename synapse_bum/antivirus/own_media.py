"""`GET media` and `DELETE media/{server_name}/{media_id}`: what users see of their files, and what they may delete.

A room administrator of this server may delete a blocked file that somebody else has sent to his room, once it is known
that it really was sent there: by the uploader himself, for a file of this server. Of a file of another server, only the
copy here goes, which everybody here is refused anyway; so a sender from the server of the file is enough. Its finding
stays, and keeps the file from being fetched again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Final

from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import deletion
from synapse_bum.antivirus.events.event_files import files_in_clear
from synapse_bum.antivirus.events.links import VouchedBy, link_of, voucher_of
from synapse_bum.antivirus.findings.exemptions import take_turn
from synapse_bum.antivirus.findings.finding import BLOCKED_STATES, Finding, FindingState, get_finding
from synapse_bum.antivirus.findings.finding_deletion import Order, delete_file
from synapse_bum.antivirus.findings.records import complete_births
from synapse_bum.antivirus.quarantine import holding
from synapse_bum.antivirus.stored import verdicts
from synapse_bum.antivirus.stored.verdicts import VerdictWriter
from synapse_bum.database import Cursor, Database
from synapse_bum.homeserver import media, media_deletion
from synapse_bum.homeserver.events import EventFacts, is_joined, power_level, read_event
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.uploads import Upload, uploads_of
from synapse_bum.identifiers import is_event_id, is_room_id
from synapse_bum.rest import Access, Answer, ApiRequest, Routes, conflict, forbidden, invalid_param, not_found

SENDER_POLICY: Final = "antivirus:sender"
"""In the journal of deletions: the uploader deletes his file."""

ROOM_ADMIN_POLICY: Final = "antivirus:room_admin"
"""In the journal of deletions: an administrator of a room deletes a blocked file in it."""

BLOCKED: Final = "blocked"
"""The fourth of `scan_state`, beside the states of verdicts: served to nobody."""

_CHUNK: Final = 500
"""Files in one query: SQLite takes at most 999 parameters before 3.32."""

_OUR_MARKS: Final = (holding.MARKER, "system")
"""`quarantined_by` of a held file, the second one for its first moments."""


def scan_state(*, quarantined_by: str | None, finding: FindingState | None, held: bool, verdict: str | None) -> str:
    """Decide what a file's uploader is told. Pure.

    Args:
        quarantined_by: who keeps the file from being served.
        finding: state of the finding about it.
        held: whether it is recorded as waiting for a scan with its key.
        verdict: state of its row among the verdicts.

    Returns:
        `blocked`, `encrypted`, `clean` or `unscanned`.
    """
    if finding in BLOCKED_STATES:
        return BLOCKED
    if quarantined_by is not None and not (held and quarantined_by in _OUR_MARKS):
        return BLOCKED
    if held or verdict == verdicts.ENCRYPTED:
        return verdicts.ENCRYPTED
    return verdicts.CLEAN if verdict == verdicts.CLEAN else verdicts.UNSCANNED


def shows_file(event: EventFacts, stored: StoredMedia, link: VouchedBy | None) -> bool:
    """Decide whether an event proves that a file was sent to its room by somebody whose word counts. Pure.

    Args:
        event: named by an administrator of the room.
        stored: the file.
        link: whose word it is that the event carries the file, if that was noted.
    """
    expected = VouchedBy.UPLOADER if stored.local else VouchedBy.ORIGIN
    if (stored.server_name, stored.media_id) in files_in_clear(event.content):
        return voucher_of(event.sender, event.sender, stored.uploader, stored.server_name) is expected
    return link is expected


class OwnMedia:
    """The handlers of the media routes, which every user may use."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        verdicts: VerdictWriter,
        remover: deletion.FileRemover | None,
        *,
        delete_power: int,
    ) -> None:
        """Prepare.

        Args:
            api: of the homeserver.
            database: with the antivirus tables and those of deletions.
            verdicts: what this process has not written down yet.
            remover: of deleted files, where this process has the media volume.
            delete_power: power level that makes a room administrator.
        """
        self._api = api
        self._database = database
        self._verdicts = verdicts
        self._remover = remover
        self._delete_power = delete_power

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        routes.add("GET", "media", self.list, access=Access.USER)
        routes.add("DELETE", "media/{server_name}/{media_id}", self.delete, access=Access.USER)

    async def list(self, request: ApiRequest) -> Answer:
        """The caller's own uploads, newest first."""
        page = request.page()
        # Who has just uploaded a file asks the process that scanned it.
        await self._verdicts.flush()
        entries, total = await self._database.run(
            "synapse_bum_antivirus_own_media",
            list_uploads,
            self._api.server_name,
            request.user_id,
            page.offset,
            page.limit,
        )
        return Answer(page.answer("media", entries, total))

    async def delete(self, request: ApiRequest) -> Answer:
        """Delete a file."""
        evidence = await self._evidence(request)
        outcome = await self._database.run(
            "synapse_bum_antivirus_delete_media",
            self._delete,
            request.path["server_name"],
            request.path["media_id"],
            request.user_id,
            evidence,
        )
        if isinstance(outcome, deletion.Held):
            until = datetime.fromtimestamp(outcome.hold.until_ts / 1000, timezone.utc).isoformat(timespec="minutes")
            raise conflict(f"This file must be kept until {until}")
        if not isinstance(outcome, deletion.Planned):
            raise not_found("such file")
        if self._remover is not None:
            self._remover.kick()
        return Answer({})

    async def _evidence(self, request: ApiRequest) -> EventFacts | None:
        """The event that a room administrator names; None where there is none, or he is none."""
        room_id, event_id = request.query.text("room_id"), request.query.text("event_id")
        if room_id is None and event_id is None:
            return None
        if room_id is None or not is_room_id(room_id):
            raise invalid_param("room_id", "must be the id of the room of `event_id`")
        if event_id is None or not is_event_id(event_id):
            raise invalid_param("event_id", "must be the id of an event in `room_id`")
        event = await read_event(self._api, event_id)
        if event is None or event.room_id != room_id or event.is_redacted:
            return None
        if not await is_joined(self._api, room_id, request.user_id):
            return None
        level = await power_level(self._api, room_id, request.user_id)
        return event if level >= self._delete_power else None

    def _delete(
        self, txn: LoggingTransaction, server_name: str, media_id: str, user_id: str, evidence: EventFacts | None
    ) -> deletion.Outcome:
        take_turn(txn)
        now_ms, own_name = self._api.get_current_time_msec(), self._api.server_name
        complete_births(txn, own_name, now_ms)
        stored = media.stored_media(txn, server_name, media_id, own_name)
        if stored is None or stored.url_cache or not _is_there(txn, stored):
            return deletion.NotStored()
        finding = get_finding(txn, server_name, media_id)
        if stored.local and stored.uploader == user_id:
            order = Order(SENDER_POLICY, user_id, "deleted by its uploader", now_ms)
            return delete_file(txn, stored, finding, order)
        if evidence is None or not _is_blocked(finding):
            raise forbidden("You may delete your own files, and blocked files in rooms that you administer")
        link = link_of(txn, server_name, media_id, evidence.event_id)
        if not shows_file(evidence, stored, link):
            raise forbidden("It is not known that this event carries this file")
        order = Order(ROOM_ADMIN_POLICY, user_id, f"deleted in {evidence.room_id}: {evidence.event_id}", now_ms)
        return delete_file(txn, stored, finding, order, rooms=(evidence.room_id,))


def _is_there(txn: LoggingTransaction, stored: StoredMedia) -> bool:
    row = media_deletion.row_of(txn, stored)
    return row is not None and row.quarantined_by != media_deletion.HIDDEN_MARKER


def _is_blocked(finding: Finding | None) -> bool:
    return finding is not None and finding.state in BLOCKED_STATES


def list_uploads(
    txn: LoggingTransaction, own_name: str, user_id: str, offset: int, limit: int
) -> tuple[list[dict[str, Any]], int]:
    """A page of a user's files as the API shows them, newest first.

    Args:
        txn: in a transaction; see `uploads_of`, then three tables by primary key for the page.
        own_name: our server's name.
        user_id: whose.
        offset: files to leave out.
        limit: at most so many.

    Returns:
        The page, and how many files there are in all.
    """
    uploads, total = uploads_of(txn, user_id, offset, limit)
    ids = [upload.media_id for upload in uploads]
    findings = dict(_rows_about(txn, "findings", "media_id, state", own_name, ids))
    verdict_states = dict(_rows_about(txn, "verdicts", "media_id, state", own_name, ids))
    held = {media_id for (media_id,) in _rows_about(txn, "held", "media_id", own_name, ids)}
    return [_shown(own_name, upload, findings, verdict_states, held) for upload in uploads], total


def _rows_about(
    txn: Cursor, table: str, columns: str, own_name: str, media_ids: Sequence[str]
) -> Iterable[tuple[Any, ...]]:
    for start in range(0, len(media_ids), _CHUNK):
        chunk = media_ids[start : start + _CHUNK]
        places = ", ".join("?" * len(chunk))
        txn.execute(
            f"SELECT {columns} FROM synapse_bum_antivirus_{table} WHERE server_name = ? AND media_id IN ({places})",  # noqa: S608
            (own_name, *chunk),
        )
        yield from txn.fetchall()


def _shown(
    own_name: str,
    upload: Upload,
    findings: Mapping[str, str],
    verdict_states: Mapping[str, str],
    held: Collection[str],
) -> dict[str, Any]:
    found = findings.get(upload.media_id)
    return {
        "mxc": f"mxc://{own_name}/{upload.media_id}",
        "size_bytes": upload.size_bytes,
        "media_type": upload.media_type,
        "created_ts": upload.created_ts,
        "scan_state": scan_state(
            quarantined_by=upload.quarantined_by,
            finding=None if found is None else FindingState(found),
            held=upload.media_id in held,
            verdict=verdict_states.get(upload.media_id),
        ),
    }
