"""The storage pool: how full it is, who uses it, and counting it anew."""

from typing import Final

from synapse_bum.identifiers import is_user_id
from synapse_bum.portal.forms.form import Form
from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.homeserver_api.outcomes import ForbiddenError, NotFoundError, RefusedError
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.presentation.storage_sayings import pool_saying, pool_share, recount_saying
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_REFRESH_S: Final = 4
_RECOUNT: Final = BUM + "/storage/recount"
_FORM: Final = Form("storage.recount", ())
_ORDERS: Final = {
    "largest": ("used_bytes", "b"),
    "smallest": ("used_bytes", "f"),
    "files": ("files", "b"),
    "name": ("user_id", "f"),
}


async def _show(visit: Visit) -> Reply:
    usage = await visit.server.get(BUM + "/storage/usage")
    return visit.show("storage/pool.html", usage=usage, saying=pool_saying(usage), share=pool_share(usage))


async def _users(visit: Visit) -> Reply:
    if not visit.config.show_activity:
        return visit.show(
            "message.html",
            paragraphs=visit.t.lines("storage.users.switched_off"),
            link=visit.url("storage"),
            link_text=visit.t("storage.to_pool"),
        )
    listing = visit.listing("storage/users", "order")
    order = listing.filters["order"] if listing.filters["order"] in _ORDERS else "largest"
    by, direction = _ORDERS[order]
    answer = await visit.server.get(
        BUM + "/storage/users",
        query={"order_by": by, "dir": direction, "from": listing.offset, "limit": listing.limit},
    )
    return visit.show(
        "storage/users.html",
        users=[(user, is_user_id(user["user_id"])) for user in answer["users"]],
        part=listing.part(len(answer["users"]), answer["total"]),
        order=order,
        orders=tuple(_ORDERS),
    )


async def _ask_recount(visit: Visit) -> Reply:
    # This says so where the storage module is not loaded.
    await visit.server.get(BUM + "/storage/usage")
    return visit.show(
        "form.html",
        form=visit.blank(_FORM),
        paragraphs=visit.t.lines("storage.recount.explain"),
        button=visit.t("storage.recount.button"),
        back=visit.url("storage"),
    )


async def _recount(visit: Visit) -> Reply:
    try:
        answer = await visit.server.post(_RECOUNT)
    except RefusedError as e:
        if isinstance(e, ForbiddenError | NotFoundError) or not e.sentence.endswith("are waiting already"):
            raise
        return visit.go(visit.url("storage"), "storage.recount.too_many", kind="warning")
    return visit.go(visit.url("storage/recount/{run_id}", run_id=answer["run_id"]), "storage.recount.begun")


async def _progress(visit: Visit) -> Reply:
    recount = await visit.server.get(_RECOUNT + "/{run_id}", run_id=visit.path["run_id"])
    return visit.show(
        "storage/recount.html",
        refresh_s=_REFRESH_S if recount["state"] in {"queued", "running"} else None,
        recount=recount,
        saying=recount_saying(recount),
    )


PAGES = (
    Page("storage", area=Area.APPLICATION, title="storage.title", show=_show, menu=80),
    Page("storage/users", area=Area.APPLICATION, title="storage.users.title", show=_users),
    Page(
        "storage/recount",
        area=Area.APPLICATION,
        title="storage.recount.new",
        show=_ask_recount,
        submit=_recount,
        operators=True,
    ),
    Page("storage/recount/{run_id}", area=Area.APPLICATION, title="storage.recount.title", show=_progress),
)
