"""Accounts by Synapse's admin API (`synapse/rest/admin/users.py`), asked as the administrator who is logged in."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import attr

from synapse_bum.portal.forms.form import Complaint
from synapse_bum.portal.homeserver_api.homeserver_client import ADMIN, BUM, HomeserverClient
from synapse_bum.portal.homeserver_api.outcomes import (
    ForbiddenError,
    HomeserverError,
    NotFoundError,
    NotOfferedError,
    RefusedError,
    UnavailableError,
)

logger = logging.getLogger(__name__)

USERS: Final = ADMIN + "/v2/users"
USER: Final = USERS + "/{user_id}"
DEVICES: Final = USER + "/devices"
MEDIA: Final = ADMIN + "/v1/users/{user_id}/media"
JOINED_ROOMS: Final = ADMIN + "/v1/users/{user_id}/joined_rooms"
ADMIN_RIGHT: Final = ADMIN + "/v1/users/{user_id}/admin"

_NAME_IS_FREE: Final = ADMIN + "/v1/username_available"
_OWNER_OF_ADDRESS: Final = ADMIN + "/v1/threepid/email/users/{address}"
_DELETE_DEVICES: Final = USER + "/delete_devices"

_LOGIN: Final = "/_matrix/client/v3/login"
_PROFILE: Final = "/_matrix/client/v3/profile/{user_id}"
_PROFILE_FIELD: Final = _PROFILE + "/{field}"
_UNSTABLE_PROFILE_FIELD: Final = "/_matrix/client/unstable/uk.tcpip.msc4133/profile/{user_id}/{field}"
_OF_EVERY_PROFILE: Final = frozenset({"displayname", "avatar_url"})

_FILES_LEFT: Final = BUM + "/portal/files/deletion/{user_id}"

_TAKEN: Final = "M_USER_IN_USE"
_RESERVED: Final = "M_EXCLUSIVE"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class WantedAccount:
    """An account that is to be made.

    Attributes:
        name: first part of its user id.
        display_name: empty for none.
        address: of its mail, lower case; empty for none.
        admin: whether it administers the server.
    """

    name: str
    display_name: str
    address: str
    admin: bool


class NameTakenError(RefusedError):
    """There is an account of this name already."""


class HalfMadeError(UnavailableError):
    """An account was made, and then the server did not do the rest, or did not answer.

    Attributes:
        cause: why.
    """

    def __init__(self, cause: HomeserverError) -> None:
        super().__init__(str(cause))
        self.cause = cause


async def are_kept_elsewhere(server: HomeserverClient, me: str) -> bool:
    """Whether a Matrix Authentication Service has the accounts: Synapse has no API for admin rights then."""
    try:
        await server.get(ADMIN_RIGHT, user_id=me)
    except NotOfferedError:
        return True
    return False


async def is_last_admin(server: HomeserverClient, user: dict[str, Any]) -> bool:
    """Whether nobody else can administer the server; those who are locked can't."""
    if not user["admin"]:
        return False
    answer = await server.get(USERS, query={"admins": True, "guests": False, "limit": 2})
    return not any(found["name"] != user["name"] for found in answer["users"])


def search_term(typed: str, server_name: str) -> str:
    """Returns what to ask Synapse for: it never finds `@name:server` as a whole, only what is in between."""
    typed = typed.strip()
    return typed[1:].removesuffix(f":{server_name}") if typed.startswith("@") else typed


async def name_problem(server: HomeserverClient, name: str) -> Complaint | None:
    """Why an account can't have this name; names of deleted accounts are taken for ever."""
    try:
        await server.get(_NAME_IS_FREE, query={"username": name})
    except RefusedError as e:
        if e.errcode == _TAKEN:
            return Complaint("account.name.taken")
        if e.errcode == _RESERVED:
            return Complaint("account.name.reserved")
        if e.errcode == "M_INVALID_USERNAME":
            return Complaint("account.name.characters")
        raise
    return None


async def address_problem(server: HomeserverClient, address: str, user_id: str = "") -> Complaint | None:
    """Why a mail address can't be that of this account: Synapse would take it from whoever has it."""
    try:
        owner = (await server.get(_OWNER_OF_ADDRESS, address=address))["user_id"]
    except NotOfferedError:
        raise
    except NotFoundError:
        return None
    return None if owner == user_id else Complaint("account.addresses.taken", {"address": address, "owner": owner})


async def problem(server: HomeserverClient, wanted: WantedAccount) -> tuple[str, Complaint] | None:
    """What stands in the way of an account: `name` or `address`, and why."""
    complaint = await name_problem(server, wanted.name)
    if complaint is not None:
        return "name", complaint
    if wanted.address:
        complaint = await address_problem(server, wanted.address)
        if complaint is not None:
            return "address", complaint
    return None


async def create(server: HomeserverClient, wanted: WantedAccount, user_id: str, password: str) -> None:
    """Makes an account.

    The same request of Synapse changes an account that is there. So the first one has nothing in it that could change
    one: whoever got the name since it was looked for keeps what is his.

    Args:
        server: that may change something.
        wanted: the account.
        user_id: it gets.
        password: its first one; empty for none.

    Raises:
        NameTakenError: the account is somebody else's; it was not touched.
        HalfMadeError: it was made, and not all of it is known to be as wanted.
        HomeserverError: it was not made, or that is not known.
    """
    if not await server.make(USER, {}, user_id=user_id):
        raise NameTakenError(HTTPStatus.CONFLICT, _TAKEN, "")
    body: dict[str, Any] = {}
    if wanted.display_name:
        body["displayname"] = wanted.display_name
    if wanted.address:
        body["threepids"] = [{"medium": "email", "address": wanted.address}]
    if password:
        # There is no session of the account yet that could be ended.
        body |= {"password": password, "logout_devices": False}
    if wanted.admin:
        body["admin"] = True
    try:
        if body:
            await server.put(USER, body, user_id=user_id)
    except HomeserverError as e:
        raise HalfMadeError(e) from e


async def have_passwords(server: HomeserverClient) -> bool:
    """Whether anybody can log in with a password, or only by an identity provider."""
    flows = (await server.get(_LOGIN)).get("flows", [])
    return any(flow.get("type") == "m.login.password" for flow in flows)


async def remove_profile_fields(server: HomeserverClient, user_id: str) -> None:
    """Removes what somebody has put into his profile besides name and picture.

    Newer versions of Synapse do that when they erase an account; 1.133.0, which has it with `msc4133_enabled`, does
    not. Where a proxy lets the portal ask for no profile, it stays as it is.
    """
    try:
        profile = await server.get(_PROFILE, user_id=user_id)
    except NotFoundError:
        # Synapse says so with other codes than `M_NOT_FOUND` too.
        return
    except ForbiddenError as e:
        # With `limit_profile_requests_to_users_who_share_rooms` nobody but those who share a room may look.
        logger.warning("The profile of %s could not be looked at: %s", user_id, e.errcode)
        return
    for field in sorted(profile.keys() - _OF_EVERY_PROFILE):
        try:
            await server.delete(_PROFILE_FIELD, user_id=user_id, field=field)
        except NotOfferedError:
            await server.delete(_UNSTABLE_PROFILE_FIELD, user_id=user_id, field=field)


async def log_out_everywhere(server: HomeserverClient, user_id: str) -> int:
    """Ends all sessions of an account; returns how many there were."""
    answer = await server.get(DEVICES, user_id=user_id)
    devices = [device["device_id"] for device in answer["devices"]]
    if devices:
        await server.post(_DELETE_DEVICES, {"devices": devices}, user_id=user_id)
    return len(devices)


def is_deleted(user: Mapping[str, Any], files: int = 0) -> bool:
    """Whether nothing of an account is left but its name; one that was only deactivated still has its data.

    Args:
        user: as Synapse describes it.
        files: that are left of it, as far as they were counted.
    """
    return bool(user["deactivated"] and user["erased"] and not user.get("external_ids") and not files)


async def count_files(server: HomeserverClient, user_id: str) -> int:
    """How many files an account has uploaded that nobody has deleted."""
    left: int = (await server.get(_FILES_LEFT, user_id=user_id))["left"]
    return left
