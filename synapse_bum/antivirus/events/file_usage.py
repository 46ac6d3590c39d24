"""Whether an uploader still uses a file of his elsewhere: in other events, or as his picture.

Asked before a redaction deletes anything, in the background. It reads all events that came since the upload in the
rooms of the uploader, a page at a time: for a file of today a few ms, for one of last year in busy rooms minutes. An
encrypted event counts where somebody has said what it carries (`links.py`); what nobody has said, nobody here knows.
A use that begins after its room was looked at is not seen.
"""

from typing import Final

from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.antivirus.events.event_files import file_of_uri, replaced_event
from synapse_bum.antivirus.events.links import is_full, linked_events
from synapse_bum.database import Database
from synapse_bum.homeserver import event_search
from synapse_bum.homeserver.events import EventFacts, read_original

PAGE: Final = 2_000
"""Events that are looked through in one transaction, about 20 ms."""

CLOCK_MARGIN_MS: Final = 600_000
"""How far the clocks of this server's processes may differ."""


def keeps_using(event: EventFacts | None, *, redacted_event: str, is_current_state: bool) -> bool:
    """Decide whether an event that names a file still needs it. Pure.

    Args:
        event: as it was sent; None when it was rejected or is gone.
        redacted_event: the event that was redacted just now. Nobody shows its edits any more.
        is_current_state: of a state event: older ones are history.
    """
    if event is None or event.is_redacted or event.event_id == redacted_event:
        return False
    if event.state_key is not None:
        return is_current_state
    return replaced_event(event.content) != redacted_event


class FileUsage:
    """Looks for other uses of a file."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database

    async def is_used_elsewhere(self, media_id: str, uploader: str, *, created_ts: int, redacted_event: str) -> bool:
        """Whether a local file is used by its uploader beyond one event.

        Args:
            media_id: of the file.
            uploader: his user id.
            created_ts: of the upload, in ms since the epoch.
            redacted_event: the event that does not count.

        Raises:
            Exception: it could not be found out.
        """
        if await self._is_picture(media_id, uploader):
            return True
        links = await self._database.run(
            "synapse_bum_antivirus_file_links", linked_events, self._api.server_name, media_id
        )
        if is_full(links):
            return True
        for event_id, _voucher in links:
            if await self._needs(event_id, redacted_event):
                return True
        return await self._is_in_rooms(media_id, uploader, created_ts, redacted_event)

    async def _is_picture(self, media_id: str, uploader: str) -> bool:
        localpart = uploader.removeprefix("@").partition(":")[0]
        profile = await self._api.get_profile_for_user(localpart)
        return file_of_uri(profile.avatar_url) == (self._api.server_name, media_id)

    async def _is_in_rooms(self, media_id: str, uploader: str, created_ts: int, redacted_event: str) -> bool:
        rooms, since_ts = await self._database.run(
            "synapse_bum_antivirus_rooms", _rooms_and_start, uploader, created_ts - CLOCK_MARGIN_MS
        )
        for room_id in rooms:
            after: tuple[int, str] | None = (since_ts, "")
            while after is not None:
                found = await self._database.run(
                    "synapse_bum_antivirus_naming_events",
                    event_search.events_with_text,
                    room_id,
                    uploader,
                    media_id,
                    after=after,
                    limit=PAGE,
                )
                for event_id in found.event_ids:
                    if await self._needs(event_id, redacted_event):
                        return True
                after = found.last
        return False

    async def _needs(self, event_id: str, redacted_event: str) -> bool:
        event = await read_original(self._api, event_id)
        current = await self._database.run(
            "synapse_bum_antivirus_current_state", event_search.is_current_state, event_id
        )
        return keeps_using(event, redacted_event=redacted_event, is_current_state=current)


def _rooms_and_start(txn: LoggingTransaction, uploader: str, since_ts: int) -> tuple[list[str], int]:
    start = 0 if event_search.sets_own_times(txn, uploader) else max(since_ts, 0)
    return event_search.rooms_of(txn, uploader), start
