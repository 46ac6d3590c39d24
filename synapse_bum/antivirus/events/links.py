"""Which event carries which file, and who says so.

The server can't see into encrypted events. Their clients may name the event beside the file when they have it scanned.
That is believed only where nobody could gain by a lie: the event's sender is the uploader of the file. Whether the
uploader himself said it, with his own token, is written down too: only then may it count against his will.

Of the lies that remain, one has an effect: a member of the room links an event of the uploader to another file of his.
When the uploader redacts that event, that file is deleted too, unless it is known to be in use elsewhere.
"""

from collections.abc import Collection
from enum import Enum
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.antivirus.events.event_files import ENCRYPTED_EVENT
from synapse_bum.database import Cursor, Database
from synapse_bum.homeserver.events import EventFacts, is_joined, read_event
from synapse_bum.homeserver.media import stored_media

MAX_LINKS: Final = 100
"""Links of one file by the word of one kind of voucher: naming events must not fill the table."""


class VouchedBy(Enum):
    """Whose word a link is."""

    UPLOADER = "uploader"
    """He said so with his own token: by sending the file's URI in clear, or in a request of his own."""
    READER = "reader"
    """A member of the room said so in a request of his."""
    ORIGIN = "origin"
    """The event comes from the server where the file was uploaded; its users are not known one by one."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Link:
    """A file in an event.

    Attributes:
        server_name: where the file was uploaded.
        media_id: as in the mxc URI.
        event_id: of the event.
        room_id: of its room.
        sender: of the event.
        vouched_by: whose word it is.
    """

    server_name: str
    media_id: str
    event_id: str
    room_id: str
    sender: str
    vouched_by: VouchedBy


def voucher_of(link_sender: str, requester: str, uploader: str | None, server_name: str) -> VouchedBy | None:
    """Decide whether a named event is believed to carry a file, and whose word it is. Pure.

    Args:
        link_sender: of the event.
        requester: who names it.
        uploader: of a local file; None for a remote one.
        server_name: where the file was uploaded.

    Returns:
        None when it is not believed.
    """
    if uploader is None:
        return VouchedBy.ORIGIN if link_sender.partition(":")[2] == server_name else None
    if link_sender != uploader:
        return None
    return VouchedBy.UPLOADER if requester == uploader else VouchedBy.READER


def vouched_files(txn: Cursor, event_id: str) -> dict[tuple[str, str], VouchedBy]:
    """The files that an event is known to carry, and whose word that is; a range of the index on event_id."""
    txn.execute(
        "SELECT server_name, media_id, vouched_by FROM synapse_bum_antivirus_links WHERE event_id = ?", (event_id,)
    )
    return {(server_name, media_id): VouchedBy(word) for server_name, media_id, word in txn.fetchall()}


def link_of(txn: Cursor, server_name: str, media_id: str, event_id: str) -> VouchedBy | None:
    """Whose word it is that an event carries a file; None when nobody said so. By primary key."""
    txn.execute(
        "SELECT vouched_by FROM synapse_bum_antivirus_links WHERE server_name = ? AND media_id = ? AND event_id = ?",
        (server_name, media_id, event_id),
    )
    row = txn.fetchone()
    return None if row is None else VouchedBy(row[0])


def linked_events(txn: Cursor, server_name: str, media_id: str) -> list[tuple[str, VouchedBy]]:
    """The events that are known to carry a file; a range of the primary key, at most `MAX_LINKS` of each voucher."""
    txn.execute(
        "SELECT event_id, vouched_by FROM synapse_bum_antivirus_links WHERE server_name = ? AND media_id = ?",
        (server_name, media_id),
    )
    return [(event_id, VouchedBy(word)) for event_id, word in txn.fetchall()]


def is_full(links: Collection[tuple[str, VouchedBy]]) -> bool:
    """Whether some voucher's links of a file are all that we keep, so that there may be more. Pure.

    Args:
        links: from `linked_events`.
    """
    words = [word for _event_id, word in links]
    return any(words.count(word) >= MAX_LINKS for word in VouchedBy)


def write_link(txn: Cursor, link: Link, now_ms: int) -> None:
    """Write a link, by primary key; the uploader's own word stays. Nothing happens when there are too many."""
    txn.execute(
        "SELECT COUNT(*) FROM synapse_bum_antivirus_links WHERE server_name = ? AND media_id = ? AND vouched_by = ?",
        (link.server_name, link.media_id, link.vouched_by.value),
    )
    counted = txn.fetchone()
    if counted is not None and counted[0] >= MAX_LINKS:
        return
    txn.execute(
        "INSERT INTO synapse_bum_antivirus_links"
        " (server_name, media_id, event_id, room_id, sender, vouched_by, noted_ts) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (server_name, media_id, event_id) DO UPDATE SET vouched_by = excluded.vouched_by"
        " WHERE excluded.vouched_by = 'uploader'",
        (link.server_name, link.media_id, link.event_id, link.room_id, link.sender, link.vouched_by.value, now_ms),
    )


class Links:
    """Learns from requests which event carries which file."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database

    async def note(
        self, requester: str, server_name: str, media_id: str, *, room_id: str, event_id: str, proved: bool
    ) -> None:
        """Write down what a client says, if it can be believed; else nothing happens.

        Args:
            requester: user id of who says it.
            server_name: where the file was uploaded.
            media_id: as in the mxc URI.
            room_id: of the event's room.
            event_id: of the event that carries the file.
            proved: whether he gave a key that is the right one: without it he may never have seen the event's content.
        """
        event = await read_event(self._api, event_id)
        if event is None or event.room_id != room_id or event.is_redacted:
            return
        if event.type != ENCRYPTED_EVENT:
            # Any other event says itself what it carries.
            return
        if not await is_joined(self._api, event.room_id, requester):
            return
        now_ms = self._api.get_current_time_msec()
        await self._database.run(
            "synapse_bum_antivirus_link",
            self._write,
            event,
            requester,
            server_name,
            media_id,
            now_ms,
            proved=proved,
        )

    def _write(
        self,
        txn: LoggingTransaction,
        event: EventFacts,
        requester: str,
        server_name: str,
        media_id: str,
        now_ms: int,
        *,
        proved: bool,
    ) -> None:
        stored = stored_media(txn, server_name, media_id, self._api.server_name)
        if stored is None or stored.url_cache:
            return
        vouched_by = voucher_of(event.sender, requester, stored.uploader, server_name)
        if vouched_by is VouchedBy.READER and not proved:
            return
        if vouched_by is not None:
            link = Link(server_name, media_id, event.event_id, event.room_id, event.sender, vouched_by)
            write_link(txn, link, now_ms)
