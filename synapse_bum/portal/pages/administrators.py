"""Administrators of the server: who they are, appointing and removing them."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import attr

from synapse_bum.portal.accounts import accounts
from synapse_bum.portal.accounts.account_pages import in_turns, is_operators
from synapse_bum.portal.forms.confirmation import Question, confirmation
from synapse_bum.portal.homeserver_api.homeserver_client import BUM, Query
from synapse_bum.portal.homeserver_api.outcomes import NotFoundError, NotOfferedError, UnavailableError
from synapse_bum.portal.homeserver_api.steps import Action
from synapse_bum.portal.page import Area, Handler, Page
from synapse_bum.portal.presentation.administrators import Administrator, AppointedBy, Removal, appointed_by, removal_of
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_LINKS: Final = BUM + "/oidc/links"

_MOST: Final = 500
"""Administrators that are looked at together; a server with more has other worries."""
_LINKS_AT_ONCE: Final = 500
_LIST: Final = "administrators"


async def _show(visit: Visit) -> Reply:
    listing = visit.listing(_LIST, limit=20)
    users, total = await _administrators(visit)
    usable = [user["name"] for user in users if not user.get("locked")]
    shown = users[listing.offset : listing.offset + listing.limit]
    origins = await _origins(visit, [user["name"] for user in shown])
    entries = [
        Administrator(
            user["name"],
            user.get("displayname") or "",
            bool(user.get("locked")),
            origins[user["name"]],
            _removal(visit, user["name"], usable),
        )
        for user in shown
    ]
    return visit.show(
        "administrators/list.html",
        administrators=entries,
        part=listing.part(len(entries), total),
        tells_origin=AppointedBy.NOT_TOLD not in origins.values(),
        can_change=await _can_change(visit),
    )


async def _find(visit: Visit) -> Reply:
    listing = visit.listing("administrators/new", "q", limit=20)
    if not await _can_change(visit):
        return visit.go(visit.url(_LIST), "administrators.elsewhere", kind="info")
    query: Query = {
        "from": listing.offset,
        "limit": listing.limit,
        "name": accounts.search_term(listing.filters["q"], visit.server_name) or None,
        "guests": False,
        "deactivated": False,
        "locked": True,
        "admins": False,
        "order_by": "name",
    }
    answer = await visit.server.get(accounts.USERS, query=query)
    users = answer["users"]
    return visit.show("administrators/find.html", users=users, part=listing.part(len(users), answer["total"]))


async def _describe_appointment(visit: Visit) -> Question:
    user = await _user(visit)
    facts = (visit.t("administrators.appoint.locked"),) if user.get("locked") else ()
    return Question(_values(user), back=visit.url("administrators/new", {"q": user["name"]}), facts=facts)


async def _appoint(visit: Visit, _reason: str) -> Reply:
    user_id = visit.path["user_id"]
    async with visit.step(Action.ADMIN_APPOINT, user_id) as server:
        await server.put(accounts.ADMIN_RIGHT, {"admin": True}, user_id=user_id)
    return visit.go(visit.url(_LIST), "administrators.appointed", user_id=user_id)


async def _describe_removal(visit: Visit) -> Question:
    user = await _user(visit)
    origin = (await _origins(visit, [user["name"]]))[user["name"]]
    facts = {
        AppointedBy.IDENTITY_PROVIDER: (visit.t("administrators.remove.by_provider"),),
        AppointedBy.UNKNOWN: (visit.t("administrators.remove.unknown_origin"),),
    }
    return Question(_values(user), back=visit.url(_LIST), facts=facts.get(origin, ()))


async def _remove(visit: Visit, _reason: str) -> Reply:
    user_id = visit.path["user_id"]
    async with visit.step(Action.ADMIN_REMOVE, user_id) as server:
        await server.put(accounts.ADMIN_RIGHT, {"admin": False}, user_id=user_id)
    return visit.go(visit.url(_LIST), "administrators.removed", user_id=user_id)


async def _obstacle_to_appointment(visit: Visit) -> str | None:
    user = await _user(visit)
    if user.get("admin"):
        return "administrators.is_one_already"
    return None if await _can_change(visit) else "administrators.elsewhere"


async def _obstacle_to_removal(visit: Visit) -> str | None:
    user = await _user(visit)
    if not user.get("admin"):
        return "administrators.is_none"
    if not await _can_change(visit):
        return "administrators.elsewhere"
    users, _total = await _administrators(visit)
    usable = [other["name"] for other in users if not other.get("locked")]
    removal = _removal(visit, user["name"], usable)
    return None if removal is Removal.POSSIBLE else f"administrators.{removal.value}"


def _removal(visit: Visit, user_id: str, usable: list[str]) -> Removal:
    return Removal.OPERATOR if is_operators(visit, user_id) else removal_of(user_id, visit.me, usable)


def _unless(obstacle: Callable[[Visit], Awaitable[str | None]], page: Page, *, in_turn: bool = False) -> Page:
    """Makes a page lead back to the list, with a sentence, when there is nothing to confirm."""

    def guarded(handler: Handler) -> Handler:
        async def handle(visit: Visit) -> Reply:
            sentence = await obstacle(visit)
            if sentence is not None:
                return visit.go(visit.url(_LIST), sentence, kind="warning", user_id=visit.path["user_id"])
            return await handler(visit)

        return handle

    submit = None if page.submit is None else guarded(page.submit)
    if submit is not None and in_turn:
        submit = in_turns(submit)
    return attr.evolve(page, show=guarded(page.show), submit=submit)


async def _administrators(visit: Visit) -> tuple[list[dict[str, Any]], int]:
    """All administrators whose accounts are not deleted, and how many there are."""
    query: Query = {
        "admins": True,
        "deactivated": False,
        "guests": False,
        "locked": True,
        "limit": _MOST,
        "order_by": "name",
    }
    answer = await visit.server.get(accounts.USERS, query=query)
    return answer["users"], answer["total"]


async def _user(visit: Visit) -> dict[str, Any]:
    """The account of the address; a deleted one is none."""
    user = await visit.server.get(accounts.USER, user_id=visit.path["user_id"])
    if user.get("deactivated"):
        raise NotFoundError(404, "M_NOT_FOUND", "The account is deactivated")
    return user


def _values(user: dict[str, Any]) -> dict[str, object]:
    return {"user_id": user["name"], "name": user.get("displayname") or user["name"]}


async def _can_change(visit: Visit) -> bool:
    """Whether administrators are appointed here at all: not where the Matrix Authentication Service does it."""
    try:
        await visit.server.get(accounts.ADMIN_RIGHT, user_id=visit.me)
    except NotOfferedError:
        return False
    return True


async def _origins(visit: Visit, user_ids: list[str]) -> dict[str, AppointedBy]:
    """Who appointed these administrators; one question for all of them."""
    links: dict[str, list[dict[str, Any]]] = {user_id: [] for user_id in user_ids}
    offset, total = 0, 1
    while offset < total:
        query: Query = {"only": "administrators", "from": offset, "limit": _LINKS_AT_ONCE}
        try:
            answer = await visit.server.get(_LINKS, query=query)
        except NotOfferedError:
            return dict.fromkeys(user_ids, AppointedBy.NOT_TOLD)
        except UnavailableError:
            return dict.fromkeys(user_ids, AppointedBy.UNKNOWN)
        for link in answer["links"]:
            links.setdefault(link["user_id"], []).append(link)
        offset, total = offset + _LINKS_AT_ONCE, answer["total"]
    return {user_id: appointed_by(links[user_id]) for user_id in user_ids}


PAGES = (
    Page(_LIST, area=Area.APPLICATION, title="administrators.title", show=_show, menu=50),
    Page("administrators/new", area=Area.APPLICATION, title="administrators.new_title", show=_find),
    _unless(
        _obstacle_to_appointment,
        confirmation(
            "administrators/{user_id}/appoint",
            texts="administrators.appoint",
            area=Area.APPLICATION,
            describe=_describe_appointment,
            carry_out=_appoint,
        ),
    ),
    _unless(
        _obstacle_to_removal,
        confirmation(
            "administrators/{user_id}/remove",
            texts="administrators.remove",
            area=Area.APPLICATION,
            describe=_describe_removal,
            carry_out=_remove,
        ),
        in_turn=True,
    ),
)
