"""The list of users: search by name, and what can be seen of each at a glance."""

from typing import Any

import attr

from synapse_bum.portal.accounts import accounts
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit


@attr.s(auto_attribs=True, frozen=True, slots=True)
class UserRow:
    """One line of the list.

    Attributes:
        user_id: who.
        display_name: as the user has chosen it; empty for none.
        states: keys of the catalogue, such as `users.state_locked`.
        created_ms: when the account was made, ms since the epoch.
        last_seen_ms: None when never, or not to be shown.
    """

    user_id: str
    display_name: str
    states: tuple[str, ...]
    created_ms: int
    last_seen_ms: int | None


async def _show(visit: Visit) -> Reply:
    listing = visit.listing("users", "q", "show")
    wanted = listing.filters["show"]
    query = {
        "from": listing.offset,
        "limit": listing.limit,
        "name": accounts.search_term(listing.filters["q"], visit.server_name) or None,
        "guests": False,
        "deactivated": wanted == "all",
        "locked": True,
        "admins": True if wanted == "admins" else None,
        "order_by": "name",
    }
    answer = await visit.server.get(accounts.USERS, query=query)
    users = [user_row(user, show_activity=visit.config.show_activity) for user in answer["users"]]
    return visit.show("users/list.html", users=users, part=listing.part(len(users), answer["total"]))


def user_row(user: dict[str, Any], *, show_activity: bool) -> UserRow:
    """Reads one user of Synapse's answer (`synapse/rest/admin/users.py`, `UsersRestServletV2`)."""
    # What was locked or an administrator before it was deleted stays so in the database; it means nothing any more.
    states = tuple(f"users.state_{state}" for state in ("admin", "locked", "shadow_banned") if user.get(state))
    if user["deactivated"]:
        states = ("users.state_deactivated" if user.get("erased") else "users.state_given_up",)
    return UserRow(
        user["name"],
        user.get("displayname") or "",
        states,
        user["creation_ts"],
        (user.get("last_seen_ts") or None) if show_activity else None,
    )


PAGES = (Page("users", area=Area.IDENTITIES, title="users.title", show=_show, menu=10),)
