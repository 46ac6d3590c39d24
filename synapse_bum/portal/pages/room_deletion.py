"""Deletes a room, and shows how far that has come. Synapse does it by itself; nobody has to watch."""

from typing import Any, Final

from synapse_bum.portal.forms.form import Field, Filled, Form, Kind
from synapse_bum.portal.holding import hold_on
from synapse_bum.portal.homeserver_api.outcomes import NotFoundError, RefusedError
from synapse_bum.portal.homeserver_api.steps import Action
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.pages.rooms import deletion_of
from synapse_bum.portal.presentation import rooms
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_REFRESH_S = 4
_IN_PROGRESS: Final = "already in progress"
_DELETE: Final = Form(
    "rooms.delete",
    (
        Field("reason", Kind.LONG_TEXT, required=True, max_length=1_000, hint=True),
        Field("history", Kind.CHOICE, required=True, choices=("purge", "keep")),
        Field("block", Kind.CHECKBOX, hint=True),
        Field("message", Kind.LONG_TEXT, max_length=2_000, hint=True),
    ),
)


async def _ask(visit: Visit) -> Reply:
    return await _asked(visit, visit.blank(_DELETE, {"history": "purge"}))


async def _asked(visit: Visit, filled: Filled) -> Reply:
    room_id = visit.path["room_id"]
    room = rooms.room(await visit.server.get(rooms.ROOM, room_id=room_id))
    title = visit.t("rooms.delete.title", room=room.label)
    back = visit.url("rooms/{room_id}", room_id=room_id)
    hold = await hold_on(visit, room_id)
    if hold is not None:
        return visit.show(
            "message.html",
            title=title,
            paragraphs=visit.t.lines("rooms.delete.held", **hold),
            link=back,
            link_text=visit.t("rooms.delete.back"),
        )
    return visit.show("rooms/delete.html", title=title, form=filled, room=room, back=back)


async def _delete(visit: Visit) -> Reply:
    room_id = visit.path["room_id"]
    filled = _DELETE.read(visit.form)
    room = rooms.room(await visit.server.get(rooms.ROOM, room_id=room_id))
    if filled.complaints or await hold_on(visit, room_id) is not None:
        return await _asked(visit, filled)
    message = filled["message"]
    body: dict[str, Any] = {"block": filled.is_on("block"), "purge": filled["history"] == "purge"}
    if message:
        # Synapse tells the members in a new room, which belongs to whoever deletes.
        name = visit.t("rooms.delete.new_room", room=room.label)
        body |= {"new_room_user_id": visit.me, "room_name": name, "message": message}
    step = visit.step(
        Action.ROOM_DELETE, room_id, filled["reason"], history=filled["history"], block=filled.is_on("block")
    )
    progress = visit.url("rooms/{room_id}/deletion", room_id=room_id)
    try:
        async with step as server:
            await server.delete(rooms.DELETION, body, room_id=room_id)
    except RefusedError as e:
        if _IN_PROGRESS not in e.sentence:
            raise
        return visit.go(progress, "rooms.delete.runs_already", kind="info")
    return visit.go(progress, "rooms.delete.begun")


async def _progress(visit: Visit) -> Reply:
    room_id = visit.path["room_id"]
    deletion = await deletion_of(visit, room_id)
    if deletion is None:
        # Synapse forgets a deletion after a week.
        raise NotFoundError(404, "M_NOT_FOUND", "No deletion of this room is known")
    return visit.show(
        "rooms/deletion.html",
        refresh_s=_REFRESH_S if deletion.state == "running" else None,
        room_id=room_id,
        deletion=deletion,
        is_there=await _is_there(visit, room_id),
    )


async def _is_there(visit: Visit, room_id: str) -> bool:
    try:
        await visit.server.get(rooms.ROOM, room_id=room_id)
    except NotFoundError:
        return False
    return True


PAGES = (
    Page("rooms/{room_id}/delete", area=Area.APPLICATION, title="rooms.delete.button", show=_ask, submit=_delete),
    Page("rooms/{room_id}/deletion", area=Area.APPLICATION, title="rooms.deletion.title", show=_progress),
)
