"""Rooms: the list, the ten that need most space, one room with its members, and its files."""

from functools import partial
from typing import Any, Final
from urllib.parse import quote

from synapse_bum.portal.files import stored_files
from synapse_bum.portal.holding import holding_of
from synapse_bum.portal.homeserver_api.at_once import at_once
from synapse_bum.portal.homeserver_api.outcomes import NotFoundError, NotOfferedError, RefusedError, UnavailableError
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation import rooms
from synapse_bum.portal.presentation.rooms import Room
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_NO_POSTGRES: Final = "Endpoint requires using PostgreSQL"


async def _list(visit: Visit) -> Reply:
    listing = visit.listing("rooms", "q", "order")
    query = {
        "from": listing.offset,
        "limit": listing.limit,
        "search_term": rooms.search_term(listing.filters["q"]),
        "order_by": rooms.ORDERS.get(listing.filters["order"], "name"),
    }
    answer = await visit.server.get(rooms.ROOMS, query=query)
    found = [rooms.room(room) for room in answer["rooms"]]
    orders = [(order, visit.t(f"rooms.order_{by}")) for order, by in rooms.ORDERS.items()]
    return visit.show(
        "rooms/list.html", rooms=found, orders=orders, part=listing.part(len(found), answer["total_rooms"])
    )


async def _sizes(visit: Visit) -> Reply:
    problem, found = "", []
    try:
        answer = await visit.server.get(rooms.SIZES)
    except UnavailableError:
        # PostgreSQL has no statistics yet: Synapse fails then.
        problem = "rooms.detail.size_unknown"
    except RefusedError as e:
        if e.sentence != _NO_POSTGRES:
            raise
        problem = "rooms.sizes.no_postgres"
    else:
        named = await at_once(partial(_named, visit), [size["room_id"] for size in answer["rooms"]])
        found = list(zip(named, (size["estimated_size"] for size in answer["rooms"]), strict=True))
    return visit.show("rooms/sizes.html", sizes=found, problem=problem)


async def _named(visit: Visit, room_id: str) -> Room:
    """The room; only its id where it is gone: Synapse's estimate is older than that."""
    try:
        return rooms.room(await visit.server.get(rooms.ROOM, room_id=room_id))
    except NotFoundError:
        return rooms.room({"room_id": room_id})


async def _detail(visit: Visit) -> Reply:
    room_id = visit.path["room_id"]
    deletion = await deletion_of(visit, room_id)
    try:
        answer = await visit.server.get(rooms.ROOM, room_id=room_id)
    except NotFoundError:
        if deletion is None:
            raise
        return Reply.to(visit.url("rooms/{room_id}/deletion", room_id=room_id))
    room = rooms.room(answer)
    joined = (await visit.server.get(rooms.MEMBERS, room_id=room_id))["members"]
    found = rooms.members(joined, await _powers(visit, room_id), version=room.version, server=visit.server_name)
    listing = visit.listing(f"rooms/{quote(room_id, safe='')}")
    shown = found[listing.offset : listing.offset + listing.limit]
    return visit.show(
        "rooms/detail.html",
        title=visit.t("rooms.detail.title", room=room.label),
        room=room,
        deletion=deletion,
        blocked_by=await _blocked_by(visit, room_id),
        size=await _size(visit, room_id),
        members=shown,
        holding=await holding_of(visit, room_id),
        part=listing.part(len(shown), len(found)),
    )


async def _powers(visit: Visit, room_id: str) -> list[dict[str, Any]]:
    """The events that say who has how much power in the room."""
    events: list[dict[str, Any]] = []
    for kind in ("m.room.power_levels", "m.room.create"):
        answer = await visit.server.get(rooms.STATE, query={"type": kind}, room_id=room_id)
        # With an old Synapse, and for a kind that is missing, more may come than was asked for.
        events += [event for event in answer["state"] if event["type"] == kind]
    return events


async def _blocked_by(visit: Visit, room_id: str) -> str | None:
    answer = await visit.server.get(rooms.BLOCK, room_id=room_id)
    return str(answer.get("user_id") or "?") if answer["block"] else None


async def _size(visit: Visit, room_id: str) -> str:
    """What can be said about the space that a room needs."""
    try:
        answer = await visit.server.get(rooms.SIZES)
    except UnavailableError:
        return visit.t("rooms.detail.size_unknown")
    except RefusedError as e:
        if e.sentence != _NO_POSTGRES:
            raise
        return visit.t("rooms.sizes.no_postgres")
    sizes = {size["room_id"]: size["estimated_size"] for size in answer["rooms"]}
    if room_id not in sizes:
        return visit.t("rooms.detail.size_small")
    return visit.t("rooms.detail.size_estimated", size=visit.formats.size(sizes[room_id]))


async def deletion_of(visit: Visit, room_id: str) -> rooms.Deletion | None:
    """Returns how far the deletion of a room has come; None when none was begun within the last week."""
    try:
        answer = await visit.server.get(rooms.DELETIONS, room_id=room_id)
    except NotFoundError as e:
        if isinstance(e, NotOfferedError):
            raise
        return None
    return rooms.deletion(answer["results"])


async def _files(visit: Visit) -> Reply:
    room_id = visit.path["room_id"]
    room = rooms.room(await visit.server.get(rooms.ROOM, room_id=room_id))
    try:
        answer = await visit.server.get(rooms.FILES, room_id=room_id)
    except NotOfferedError:
        return visit.show("rooms/files.html", room=room, files=None, part=None)
    known = list(dict.fromkeys([*answer["local"], *answer["remote"]]))
    listing = visit.listing(f"rooms/{quote(room_id, safe='')}/files")
    shown = [(mxc, stored_files.address(mxc)) for mxc in known[listing.offset : listing.offset + listing.limit]]
    return visit.show("rooms/files.html", room=room, files=shown, part=listing.part(len(shown), len(known)))


PAGES = (
    Page("rooms", area=Area.APPLICATION, title="rooms.title", show=_list, menu=10),
    Page("rooms/sizes", area=Area.APPLICATION, title="rooms.sizes.title", show=_sizes),
    Page("rooms/{room_id}", area=Area.APPLICATION, title="rooms.title", show=_detail),
    Page("rooms/{room_id}/files", area=Area.APPLICATION, title="rooms.files.title", show=_files),
)
