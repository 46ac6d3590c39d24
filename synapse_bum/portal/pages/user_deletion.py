"""Deletes an account with all that belongs to it, and shows how far that has come."""

from http import HTTPStatus
from typing import Any

from synapse_bum.portal.accounts.account_deletion import FILES_AT_ONCE, AccountDeletion
from synapse_bum.portal.accounts.account_pages import (
    DETAIL,
    Refusal,
    detail_url,
    kept_elsewhere,
    needed_account,
    operators_own,
    refused,
    under_deletion,
    unfinished,
    unless,
    user_of,
)
from synapse_bum.portal.accounts.accounts import count_files, is_deleted
from synapse_bum.portal.accounts.begun_deletions import BegunDeletion, Stopped
from synapse_bum.portal.forms.confirmation import Question, confirmation
from synapse_bum.portal.holding import hold_on
from synapse_bum.portal.homeserver_api.outcomes import HomeserverError, UnauthorisedError
from synapse_bum.portal.homeserver_api.steps import Action
from synapse_bum.portal.homeserver_api.turn import TurnTakenError
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_REFRESH_S = 4
_DELETING = "users/{user_id}/deleting"


async def _not_to_be_deleted(visit: Visit) -> Refusal | None:
    user = await user_of(visit)
    if is_deleted(user, await count_files(visit.server, user["name"])):
        return Refusal("account.refused.deleted")
    refusal = operators_own(visit) or await kept_elsewhere(visit)
    refusal = refusal or await needed_account(visit, user) or await under_deletion(visit)
    if refusal is not None:
        return refusal
    hold = await hold_on(visit, user["name"])
    return None if hold is None else Refusal("account.refused.hold", hold)


async def _describe(visit: Visit) -> Question:
    user = await user_of(visit)
    user_id = user["name"]
    files = await count_files(visit.server, user_id)
    links = len(user["external_ids"])
    belongings = {
        "files": files,
        "addresses": sum(found["medium"] == "email" for found in user["threepids"]),
        "links": links,
    }
    facts = [*unfinished(visit, await visit.deletions.get(user_id))]
    facts.append(visit.t("account.delete.display_name", name=user.get("displayname") or "\N{EN DASH}"))
    if user["admin"] and not user["deactivated"]:
        facts.append(visit.t("account.delete.is_admin"))
    facts += [visit.t(f"account.delete.{name}", count=count) for name, count in belongings.items() if count]
    if links:
        facts.append(visit.t("account.delete.comes_back"))
    return Question({"user_id": user_id}, back=detail_url(visit), facts=tuple(facts), typed=user_id)


async def _delete(visit: Visit, _reason: str) -> Reply:
    user = await user_of(visit)
    user_id = user["name"]
    files = await count_files(visit.server, user_id)
    progress = visit.url(_DELETING, {"of": files}, user_id=user_id)
    try:
        async with visit.turn():
            refusal = await needed_account(visit, user)
            if refusal is not None:
                return refused(visit, refusal)
            work = await _shut_out(visit, user, files)
        if work is None:
            return visit.go(progress)
        if files <= FILES_AT_ONCE:
            await work.remove_all()
            return visit.go(visit.url("users"), "account.delete.done", user_id=user_id)
    except (UnauthorisedError, TurnTakenError):
        raise
    except HomeserverError:
        begun = await visit.deletions.get(user_id)
        if begun is None or not begun.is_partly_done:
            raise
        return _stopped(visit, begun)
    visit.afterwards(work.remove_all_unattended)
    return visit.go(progress)


async def _shut_out(visit: Visit, user: dict[str, Any], files: int) -> AccountDeletion | None:
    """Begins the deletion, or goes on with it; None while somebody else does it."""
    user_id = user["name"]
    begun = await visit.deletions.begin(user_id, visit.me, visit.session_id)
    if begun is None:
        return None
    again = {"begun_by": begun.begun_by} if begun.is_partly_done else {}
    step = visit.step(Action.USER_DELETE, user_id, files=files, **again)
    work = AccountDeletion(visit.deletions, step, user_id, visit.session_id, let_go=visit.let_go)
    await work.shut_out(is_partly_done=begun.is_partly_done, is_deactivated=user["deactivated"])
    return work


def _stopped(visit: Visit, begun: BegunDeletion) -> Reply:
    is_away = begun.stopped is Stopped.UNAVAILABLE
    return visit.show(
        "message.html",
        title=visit.t("account.unfinished.title"),
        status=HTTPStatus.SERVICE_UNAVAILABLE if is_away else HTTPStatus.CONFLICT,
        done=True,
        paragraphs=(visit.t("account.unfinished.partly", user_id=begun.user_id), *unfinished(visit, begun)),
        link=detail_url(visit),
        link_text=visit.t("account.to_account"),
    )


async def _progress(visit: Visit) -> Reply:
    user = await user_of(visit)
    user_id = user["name"]
    begun = await visit.deletions.get(user_id)
    if begun is None:
        return _ended(visit, user_id) if user["erased"] else Reply.to(visit.url(DETAIL, user_id=user_id))
    if not begun.is_busy(visit.now_ms):
        return visit.show(
            "message.html",
            title=visit.t("account.unfinished.title"),
            paragraphs=(visit.t("account.unfinished.partly", user_id=user_id), *unfinished(visit, begun)),
            link=visit.url("users/{user_id}/delete", user_id=user_id),
            link_text=visit.t("account.unfinished.go_on"),
        )
    left = await count_files(visit.server, user_id)
    total = max(visit.query.whole_number("of"), left)
    return visit.show("account/deleting.html", refresh_s=_REFRESH_S, user_id=user_id, left=left, total=total)


def _ended(visit: Visit, user_id: str) -> Reply:
    return visit.show(
        "message.html",
        title=visit.t("account.deleting.done_title"),
        paragraphs=visit.t.lines("account.delete.done", user_id=user_id),
        link=visit.url("users"),
        link_text=visit.t("account.to_list"),
    )


PAGES = (
    unless(
        _not_to_be_deleted,
        confirmation(
            "users/{user_id}/delete",
            texts="account.delete",
            area=Area.IDENTITIES,
            describe=_describe,
            carry_out=_delete,
        ),
    ),
    Page(_DELETING, area=Area.IDENTITIES, title="account.deleting.title", show=_progress),
)
