"""All accounts as a file for spreadsheets; without addresses, which Synapse gives for one account at a time only."""

from typing import TYPE_CHECKING, Any, Final

from synapse_bum.portal import csv_cells
from synapse_bum.portal.accounts.accounts import USERS
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

if TYPE_CHECKING:
    from synapse_bum.portal.homeserver_api.homeserver_client import Query

_AT_ONCE: Final = 1_000


async def _show(visit: Visit) -> Reply:
    answer = await visit.server.get(USERS, query={"limit": 1, "guests": False, "locked": True})
    return visit.show("account/export.html", count=answer["total"])


async def _file(visit: Visit) -> Reply:
    users = await _all_users(visit, deleted=visit.query.is_on("deleted"))
    columns = ["name", "user_id", "display_name", "admin", "state", "created"]
    if visit.config.show_activity:
        columns.append("last_seen")
    header = [visit.t(f"export.{column}") for column in columns]
    rows = [row(visit, user)[: len(columns)] for user in users]
    return visit.file(csv_cells.write([header, *rows]), csv_cells.CSV_TYPE, "nutzer.csv")


async def _all_users(visit: Visit, *, deleted: bool) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        query: Query = {
            "from": len(found),
            "limit": _AT_ONCE,
            "guests": False,
            "locked": True,
            "deactivated": deleted,
            "order_by": "name",
        }
        answer = await visit.server.get(USERS, query=query)
        found += answer["users"]
        if not answer["users"] or len(found) >= answer["total"]:
            return found


def row(visit: Visit, user: dict[str, Any]) -> list[str]:
    """Returns the cells of one account."""
    t = visit.t
    state = "deactivated" if user["deactivated"] else "locked" if user.get("locked") else "active"
    return [
        user["name"].removeprefix("@").partition(":")[0],
        user["name"],
        user.get("displayname") or "",
        t("export.admin_yes" if user["admin"] else "export.admin_no"),
        t(f"users.state_{state}"),
        visit.formats.date(user["creation_ts"]),
        visit.formats.time(user["last_seen_ts"]) if user.get("last_seen_ts") else "",
    ]


PAGES = (
    Page("users/export", area=Area.IDENTITIES, title="export.title", show=_show, menu=40),
    Page("users/export/file", area=Area.IDENTITIES, title="export.title", show=_file),
)
