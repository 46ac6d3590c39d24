"""Whether another server may speak with this one, and where servers still are that may not."""

from http import HTTPStatus
from typing import Any, Final

from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.homeserver_api.outcomes import ForbiddenError, NotFoundError, NotOfferedError, RefusedError
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation.partner_terms import name_refusal
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_LONGEST_NAME: Final = 255
_SERVERS_NAMED: Final = 20
_REASONS: Final = frozenset(
    {
        "partner",
        "not_listed",
        "not_yet_valid",
        "expired",
        "list_is_stale",
        "being_removed",
        "own_name",
        "not_loaded",
        "door_open",
    }
)


async def _check(visit: Visit) -> Reply:
    name = visit.query.text("name")[:_LONGEST_NAME]
    decision: dict[str, Any] | None = None
    complaint: str | None = None
    if name:
        try:
            decision = await visit.server.get(BUM + "/federation/check/{partner_name}", partner_name=name)
        except RefusedError as e:
            # `.` and `..` are no part of any path, so the client finds nothing there without asking.
            nowhere = isinstance(e, NotFoundError) and not isinstance(e, NotOfferedError)
            if isinstance(e, ForbiddenError | NotOfferedError) or not (nowhere or e.status == HTTPStatus.BAD_REQUEST):
                raise
            complaint = name_refusal(e.sentence) or "partners.name.other"
    because = None if decision is None else decision["because"]
    return visit.show(
        "partners/check.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if complaint else None,
        name=name,
        decision=decision,
        because=because if because in _REASONS else "other",
        complaint=complaint,
    )


async def _outsiders(visit: Visit) -> Reply:
    listing = visit.listing("outsiders")
    answer = await visit.server.get(
        BUM + "/federation/outsiders", query={"from": listing.offset, "limit": listing.limit}
    )
    rooms = [
        (room["room_id"], room["servers"][:_SERVERS_NAMED], max(0, len(room["servers"]) - _SERVERS_NAMED))
        for room in answer["rooms"]
    ]
    return visit.show("partners/outsiders.html", rooms=rooms, part=listing.part(len(rooms), answer["total"]))


PAGES = (
    Page("server-check", area=Area.APPLICATION, title="partners.check.title", show=_check),
    Page("outsiders", area=Area.APPLICATION, title="partners.outsiders.title", show=_outsiders),
)
