"""One account: what is known of it, and what can be done with it."""

from functools import partial
from typing import Any, Final

import attr

from synapse_bum.portal.accounts.account_pages import is_operators, unfinished, user_of
from synapse_bum.portal.accounts.accounts import (
    DEVICES,
    JOINED_ROOMS,
    are_kept_elsewhere,
    count_files,
    have_passwords,
    is_deleted,
)
from synapse_bum.portal.holding import holding_of
from synapse_bum.portal.homeserver_api.at_once import at_once
from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.homeserver_api.outcomes import NotFoundError, NotOfferedError
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation.rooms import ROOM
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_ROOMS_SHOWN: Final = 20
_DEVICES_SHOWN: Final = 50


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Device:
    """One session of a user; moments and addresses are None where they are not to be shown."""

    device_id: str
    name: str
    last_seen_ms: int | None
    address: str | None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Room:
    """A room that the user is in; without a name it has none, or could not be asked."""

    room_id: str
    name: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ProviderLink:
    """One identity provider that knows the user.

    Attributes:
        provider: its name here.
        subject: what it calls the user.
        admin_by: `idp` where it has appointed him as an administrator, `manual` where somebody has by hand; None for
            no administrator, and where it is not known.
    """

    provider: str
    subject: str
    admin_by: str | None


async def _show(visit: Visit) -> Reply:
    user = await user_of(visit)
    user_id = user["name"]
    devices = devices_of(
        (await visit.server.get(DEVICES, user_id=user_id))["devices"], show_activity=visit.config.show_activity
    )
    files = await count_files(visit.server, user_id)
    begun = await visit.deletions.get(user_id)
    room_ids = (await visit.server.get(JOINED_ROOMS, user_id=user_id))["joined_rooms"]
    offset = min(visit.query.whole_number("rooms"), len(room_ids))
    shown = sorted(room_ids)[offset : offset + _ROOMS_SHOWN]
    return visit.show(
        "account/detail.html",
        title=user.get("displayname") or user_id,
        user=user,
        states=states_of(user, files),
        is_deleted=is_deleted(user, files),
        unfinished=unfinished(visit, begun),
        under_deletion=begun is not None and begun.is_busy(visit.now_ms),
        addresses=[found["address"] for found in user["threepids"] if found["medium"] == "email"],
        devices=devices[:_DEVICES_SHOWN],
        device_count=len(devices),
        rooms=await at_once(partial(_room, visit), shown),
        room_count=len(room_ids),
        previous=None if offset == 0 else max(0, offset - _ROOMS_SHOWN),
        following=offset + _ROOMS_SHOWN if offset + _ROOMS_SHOWN < len(room_ids) else None,
        files=files,
        links=await _links(visit, user),
        elsewhere=await are_kept_elsewhere(visit.server, visit.me),
        has_password=await have_passwords(visit.server),
        is_me=user_id == visit.me,
        is_operators=is_operators(visit, user_id),
        holding=await holding_of(visit, user_id),
    )


def states_of(user: dict[str, Any], files: int) -> list[str]:
    """Returns the keys of what is to be said of the state of an account; being deleted outweighs being locked.

    Args:
        user: as Synapse describes it.
        files: that are left of it.
    """
    if user["deactivated"]:
        return ["users.state_deactivated" if is_deleted(user, files) else "users.state_given_up"]
    found = [f"users.state_{state}" for state in ("admin", "locked", "shadow_banned") if user.get(state)]
    return [*found, "account.state_suspended"] if user.get("suspended") else found


def devices_of(devices: list[dict[str, Any]], *, show_activity: bool) -> list[Device]:
    """Reads Synapse's list of devices, by name."""
    found = [
        Device(
            device["device_id"],
            device.get("display_name") or "",
            (device.get("last_seen_ts") or None) if show_activity else None,
            (device.get("last_seen_ip") or None) if show_activity else None,
        )
        for device in devices
    ]
    return sorted(found, key=lambda device: (device.name.lower(), device.device_id))


async def _room(visit: Visit, room_id: str) -> Room:
    try:
        room = await visit.server.get(ROOM, room_id=room_id)
    except NotFoundError:
        return Room(room_id, "")
    return Room(room_id, room.get("name") or room.get("canonical_alias") or "")


async def _links(visit: Visit, user: dict[str, Any]) -> list[ProviderLink] | None:
    """The identity providers that the user is known to; None where none is set up."""
    try:
        answer = await visit.server.get(BUM + "/oidc/links", query={"user_id": user["name"]})
    except NotOfferedError:
        return links_of(user, None) or None
    return links_of(user, answer["links"])


def links_of(user: dict[str, Any], told: list[dict[str, Any]] | None) -> list[ProviderLink]:
    """Returns the identity providers that a user is known to.

    Args:
        user: as Synapse describes him, with all providers.
        told: what the identity module says of those that speak OpenID Connect; None where it is not loaded.
    """
    links = [ProviderLink(link["idp_id"], link["subject"], link["admin_by"]) for link in told or ()]
    known = {link.subject for link in links}
    others = [
        ProviderLink(found["auth_provider"], found["external_id"], None)
        for found in user["external_ids"]
        if found["external_id"] not in known
    ]
    return [*links, *others]


PAGES = (Page("users/{user_id}", area=Area.IDENTITIES, title="account.title", show=_show),)
