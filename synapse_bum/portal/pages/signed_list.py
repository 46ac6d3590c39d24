"""The signed list of partners: how it is, looking for it now, and taking over one that waits."""

from typing import Any, Final

from synapse_bum.portal.forms.confirmation import Question, confirmation
from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.homeserver_api.outcomes import ForbiddenError, NotFoundError, NotOfferedError, RefusedError
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_LIST: Final = BUM + "/federation/signed_list"
_FETCH_PATIENCE_S: Final = 45
_DROPPED_NAMED: Final = 50


async def _show(visit: Visit) -> Reply:
    try:
        known = await visit.server.get(_LIST)
    except NotOfferedError:
        # This says so where the whole module is missing.
        await visit.server.get(BUM + "/federation/partners", query={"limit": 1})
        return visit.show(
            "message.html",
            paragraphs=visit.t.lines("signed_list.none"),
            link=visit.url("partners"),
            link_text=visit.t("partners.to_list"),
        )
    dropped = known["pending"]["dropped"] if known["pending"] else []
    return visit.show(
        "partners/signed_list.html",
        known=known,
        is_over=known["expires_ts"] is not None and known["expires_ts"] <= visit.now_ms,
        dropped=dropped[:_DROPPED_NAMED],
        more_dropped=max(0, len(dropped) - _DROPPED_NAMED),
    )


async def _refresh(visit: Visit) -> Reply:
    """Looking is no step that needs a question; what takes much away waits for a decision."""
    known = await visit.server.post(_LIST + "/refresh", patience_s=_FETCH_PATIENCE_S)
    address = visit.url("signed-list")
    if known["error"]:
        return visit.go(address, "signed_list.refresh_failed", kind="warning")
    if known["pending"]:
        return visit.go(address, "signed_list.refresh_waits", kind="warning")
    return visit.go(address, "signed_list.refreshed")


async def _describe(visit: Visit) -> Question:
    known = await visit.server.get(_LIST)
    pending: dict[str, Any] | None = known["pending"]
    if pending is None:
        facts: tuple[str, ...] = (visit.t("signed_list.nothing_waits"),)
        return Question({"count": 0}, back=visit.url("signed-list"), facts=facts)
    dropped = pending["dropped"]
    facts = tuple(visit.t("signed_list.dropped_one", name=name) for name in dropped[:_DROPPED_NAMED])
    if len(dropped) > _DROPPED_NAMED:
        facts = (*facts, visit.t("signed_list.dropped_more", count=len(dropped) - _DROPPED_NAMED))
    return Question({"count": len(dropped)}, back=visit.url("signed-list"), facts=facts)


async def _confirm(visit: Visit, reason: str) -> Reply:
    try:
        await visit.server.post(_LIST + "/confirm", {"reason": reason}, patience_s=_FETCH_PATIENCE_S)
    except RefusedError as e:
        if isinstance(e, ForbiddenError | NotFoundError):
            raise
        return visit.go(visit.url("signed-list"), "signed_list.nothing_waits", kind="warning")
    return visit.go(visit.url("signed-list"), "signed_list.confirm.done")


PAGES = (
    Page("signed-list", area=Area.APPLICATION, title="signed_list.title", show=_show),
    Page(
        "signed-list/refresh",
        area=Area.APPLICATION,
        title="signed_list.refresh",
        show=_show,
        submit=_refresh,
        operators=True,
    ),
    confirmation(
        "signed-list/confirm",
        texts="signed_list.confirm",
        area=Area.APPLICATION,
        describe=_describe,
        carry_out=_confirm,
        reason=True,
        operators=True,
    ),
)
