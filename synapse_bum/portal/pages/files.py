"""Files: whose there are, one user's, one file with its scan, and its deletion."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from synapse_bum.portal.accounts.account_pages import Refusal, unless
from synapse_bum.portal.accounts.accounts import MEDIA, USERS, search_term
from synapse_bum.portal.files import previews, stored_files
from synapse_bum.portal.files.previews import Scan
from synapse_bum.portal.files.stored_files import Address, StoredFile
from synapse_bum.portal.forms.confirmation import Question, confirmation
from synapse_bum.portal.holding import hold_on
from synapse_bum.portal.homeserver_api.homeserver_client import ADMIN, BUM, JsonDict, Query
from synapse_bum.portal.homeserver_api.outcomes import NotFoundError, NotOfferedError
from synapse_bum.portal.language.formats import NOTHING
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_FILE: Final = ADMIN + "/v1/media/{server_name}/{media_id}"
_USAGE: Final = ADMIN + "/v1/statistics/users/media"
_FINDING: Final = BUM + "/antivirus/findings/{server_name}/{media_id}"
_SCAN: Final = BUM + "/antivirus/scans/{server_name}/{media_id}"
_DELETE: Final = BUM + "/portal/files/delete"
_PAGE: Final = "files/{server_name}/{media_id}"
_FILES_AT_ONCE: Final = 1_000


async def _users(visit: Visit) -> Reply:
    listing = visit.listing("files", "q")
    typed = listing.filters["q"]
    address = stored_files.address(typed)
    if address is not None:
        return Reply.to(file_url(visit, address))
    query: dict[str, str | int | bool | None] = {"from": listing.offset, "limit": listing.limit}
    if visit.config.show_activity:
        query |= {"search_term": typed or None, "order_by": "media_length", "dir": "b"}
        answer = await visit.server.get(_USAGE, query=query)
    else:
        query |= {
            "name": search_term(typed, visit.server_name) or None,
            "guests": False,
            "deactivated": True,
            "locked": True,
            "order_by": "name",
        }
        answer = await visit.server.get(USERS, query=query)
    users = [
        {
            "user_id": user.get("user_id") or user["name"],
            "name": user.get("displayname") or "",
            "count": user.get("media_count"),
            "size": user.get("media_length"),
        }
        for user in answer["users"]
    ]
    return visit.show("files/users.html", users=users, part=listing.part(len(users), answer["total"]))


async def _of_user(visit: Visit) -> Reply:
    user_id = visit.path["user_id"]
    if user_id.partition(":")[2] != visit.server_name:
        raise NotFoundError(HTTPStatus.NOT_FOUND, "M_NOT_FOUND", "")
    listing = visit.listing(f"users/{quote(user_id, safe='')}/files", "order")
    order, direction = stored_files.ORDERS.get(listing.filters["order"], stored_files.ORDERS[""])
    query: Query = {"from": listing.offset, "limit": listing.limit, "order_by": order, "dir": direction}
    answer = await visit.server.get(MEDIA, query=query, user_id=user_id)
    files = [stored_files.stored_file(file, visit.server_name) for file in answer["media"]]
    return visit.show(
        "files/of_user.html",
        title=visit.t("files.of_user.title", user_id=user_id),
        user_id=user_id,
        files=files,
        lock_key=stored_files.lock_key,
        orders=[(order, visit.t(f"files.order_{order or 'newest'}")) for order in stored_files.ORDERS],
        part=listing.part(len(files), answer["total"]),
    )


async def _show(visit: Visit) -> Reply:
    address = address_of(visit)
    file = await find_file(visit, address)
    finding = await _finding(visit, address)
    scan, has_scanner = await scan_of(visit, address)
    state = None
    if file is not None or finding is not None:
        state = stored_files.scan_state(
            file.quarantined_by if file else None, finding, scan.state if scan else None, has_scanner=has_scanner
        )
    return visit.show(
        "files/detail.html",
        address=address,
        file=file,
        state=state,
        scanned_ms=scan.scanned_ms if scan else None,
        no_preview=previews.obstacle(file, scan, has_scanner=has_scanner) if visit.config.file_previews else "off",
        has_finding=stored_files.is_for_operators(file, finding),
        is_local=address.server_name == visit.server_name,
        owner=visit.query.text("owner"),
    )


async def find_file(visit: Visit, address: Address) -> StoredFile | None:
    """Returns what is known of a file; None where this Synapse does not say.

    Raises:
        NotFoundError: there is no such file.
    """
    try:
        answer = await visit.server.get(_FILE, server_name=address.server_name, media_id=address.media_id)
    except NotOfferedError:
        # Before 1.140 a file is only in the list of its owner.
        owner = visit.query.text("owner")
        return await _find_among(visit, address, owner) if owner else None
    return _not_deleted(stored_files.stored_file(answer["media_info"], address.server_name))


async def _find_among(visit: Visit, address: Address, owner: str) -> StoredFile:
    offset, total = 0, 1
    while offset < total:
        query: Query = {"from": offset, "limit": _FILES_AT_ONCE, "order_by": "media_id", "dir": "f"}
        answer = await visit.server.get(MEDIA, query=query, user_id=owner)
        for file in answer["media"]:
            if file["media_id"] == address.media_id and address.server_name == visit.server_name:
                return _not_deleted(stored_files.stored_file({**file, "user_id": owner}, address.server_name))
        offset, total = offset + _FILES_AT_ONCE, answer["total"]
    raise NotFoundError(404, "M_NOT_FOUND", "Unknown media")


def _not_deleted(file: StoredFile) -> StoredFile:
    """Returns the file, unless it is deleted and only waits until its bytes are removed."""
    if file.quarantined_by == stored_files.BEING_DELETED:
        raise NotFoundError(404, "M_NOT_FOUND", "Deleted media")
    return file


async def _finding(visit: Visit, address: Address) -> JsonDict | None:
    """Returns the finding about a file, None for none."""
    try:
        return await visit.server.get(_FINDING, server_name=address.server_name, media_id=address.media_id)
    except NotFoundError:
        return None


async def scan_of(visit: Visit, address: Address) -> tuple[Scan | None, bool]:
    """Returns what is known of the scan of a file, None for nothing; and whether the antivirus module answers."""
    try:
        found = await visit.server.get(_SCAN, server_name=address.server_name, media_id=address.media_id)
    except NotOfferedError:
        return None, False
    except NotFoundError:
        return None, True
    return Scan.of(found), True


async def _not_to_be_deleted(visit: Visit) -> Refusal | None:
    """Refuses where a hold is in force, and what is deleted by its finding, which only operators may."""
    file = await _to_delete(visit)
    finding = await _finding(visit, file.address)
    if stored_files.is_for_operators(file, finding):
        names = file.address
        back = visit.url("findings/{server_name}/{media_id}", server_name=names.server_name, media_id=names.media_id)
        return Refusal("files.delete.found", back=back, back_text="files.to_finding")
    if not file.owner:
        return None
    hold = await hold_on(visit, file.owner)
    if hold is None:
        return None
    back = file_url(visit, file.address, {"owner": file.owner})
    return Refusal("files.delete.held", hold, back=back, back_text="files.to_file")


async def _describe(visit: Visit) -> Question:
    file = await _to_delete(visit)
    owner = visit.query.text("owner")
    size, kind = visit.formats.size(file.size_bytes), file.media_type or NOTHING
    facts = (
        visit.t("files.delete.name", name=file.name or visit.t("files.nameless")),
        visit.t("files.delete.size", size=size, media_type=kind),
        visit.t("files.delete.uploaded", owner=file.owner or NOTHING, time=visit.formats.time(file.created_ms)),
    )
    back = file_url(visit, file.address, {"owner": owner} if owner else None)
    return Question({"mxc": str(file.address)}, back=back, facts=facts)


async def _to_delete(visit: Visit) -> StoredFile:
    """Returns the file. One of another server, or one of which nobody knows whose it is and who holds it, is none."""
    address = address_of(visit)
    file = await find_file(visit, address) if address.server_name == visit.server_name else None
    if file is None:
        raise NotFoundError(404, "M_NOT_FOUND", "There is no such file that could be deleted")
    return file


async def _delete(visit: Visit, _reason: str) -> Reply:
    file = await _to_delete(visit)
    address, owner = file.address, file.owner
    await visit.server.post(_DELETE, {"mxc": str(address)})
    back = visit.url("users/{user_id}/files", user_id=owner) if owner else visit.url("files")
    return visit.go(back, "files.delete.done", mxc=str(address))


def address_of(visit: Visit) -> Address:
    """Returns the file that the path names."""
    return Address(visit.path["server_name"], visit.path["media_id"])


def file_url(visit: Visit, address: Address, query: Mapping[str, str | int] | None = None) -> str:
    """Returns the address of the page of a file."""
    return visit.url(_PAGE, query, server_name=address.server_name, media_id=address.media_id)


PAGES = (
    Page("files", area=Area.APPLICATION, title="files.title", show=_users, menu=20),
    Page("users/{user_id}/files", area=Area.APPLICATION, title="files.title", show=_of_user),
    Page(_PAGE, area=Area.APPLICATION, title="files.detail.title", show=_show),
    unless(
        _not_to_be_deleted,
        confirmation(
            f"{_PAGE}/delete", texts="files.delete", area=Area.APPLICATION, describe=_describe, carry_out=_delete
        ),
    ),
)
