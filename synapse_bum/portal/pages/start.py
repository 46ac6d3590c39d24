"""The start page: where the two portals are, and what can be done in them."""

from synapse_bum.portal.accounts.accounts import USERS
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation.rooms import ROOMS
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit


async def _show(visit: Visit) -> Reply:
    # Also proves that the session still has its administrator's rights.
    users = await visit.server.get(USERS, query={"limit": 1, "guests": False, "locked": True})
    rooms = await visit.server.get(ROOMS, query={"limit": 1})
    return visit.show("start.html", users=users["total"], rooms=rooms["total_rooms"])


PAGES = (Page("", area=Area.START, title="start.title", show=_show, menu=1),)
