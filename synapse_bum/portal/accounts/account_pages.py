"""What the pages about one account have in common: whose it is, and when a step is refused before it is asked for."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeAlias

import attr

from synapse_bum.portal.accounts.accounts import USER, WantedAccount, are_kept_elsewhere, is_last_admin
from synapse_bum.portal.accounts.begun_deletions import BegunDeletion
from synapse_bum.portal.forms.form import Complaint
from synapse_bum.portal.homeserver_api.outcomes import NotFoundError
from synapse_bum.portal.homeserver_api.steps import Action, Step
from synapse_bum.portal.page import Handler, Page
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

DETAIL = "users/{user_id}"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Refusal:
    """Why a step is not offered.

    Attributes:
        key: of one or more sentences in the catalogue.
        values: for them.
        back: address of the page that it leads back to; None for the account, or the list of accounts.
        back_text: key of what that link is called.
    """

    key: str
    values: Mapping[str, object] = attr.ib(factory=dict)
    back: str | None = None
    back_text: str = ""


WhyNot: TypeAlias = Callable[[Visit], Awaitable[Refusal | None]]


async def user_of(visit: Visit) -> dict[str, Any]:
    """Returns the account that the path names, as Synapse describes it.

    Raises:
        NotFoundError: there is none on this server.
    """
    user_id = visit.path["user_id"]
    if user_id.partition(":")[2] != visit.server_name:
        raise NotFoundError(HTTPStatus.NOT_FOUND, "M_NOT_FOUND", "")
    return await visit.server.get(USER, user_id=user_id)


def detail_url(visit: Visit) -> str:
    """Returns the address of the account that the path names."""
    return visit.url(DETAIL, user_id=visit.path["user_id"])


def creation(visit: Visit, user_id: str, wanted: WantedAccount) -> Step:
    """Returns the step that makes an account."""
    return visit.step(Action.USER_CREATE, user_id, admin=wanted.admin)


def unless(why_not: WhyNot, page: Page, *, in_turn: bool = False) -> Page:
    """Returns a page that says why it does nothing, where there is a reason; asked for GET and for POST.

    Args:
        why_not: the reason.
        page: otherwise.
        in_turn: nobody else may take an administrator away between the last look for a reason and what the page does.
    """

    def guarded(handler: Handler) -> Handler:
        async def answer(visit: Visit) -> Reply:
            refusal = await why_not(visit)
            return await handler(visit) if refusal is None else refused(visit, refusal)

        return answer

    submit = None if page.submit is None else guarded(page.submit)
    if submit is not None and in_turn:
        submit = in_turns(submit)
    return attr.evolve(page, show=guarded(page.show), submit=submit)


def in_turns(handler: Handler) -> Handler:
    """Returns a handler that takes the turn first: of all that take administrators away, one acts at a time."""

    async def answer(visit: Visit) -> Reply:
        async with visit.turn():
            return await handler(visit)

    return answer


def refused(visit: Visit, refusal: Refusal) -> Reply:
    """Answers with the reason why something is not offered."""
    has_user = "user_id" in visit.path
    back, back_text = refusal.back, refusal.back_text
    if back is None:
        back = detail_url(visit) if has_user else visit.url("users")
        back_text = "account.to_account" if has_user else "account.to_list"
    return visit.show(
        "account/refusal.html",
        status=HTTPStatus.CONFLICT if visit.form.fields else HTTPStatus.OK,
        paragraphs=visit.t.lines(refusal.key, **refusal.values),
        back=back,
        back_text=visit.t(back_text),
    )


async def kept_elsewhere(visit: Visit) -> Refusal | None:
    """Refuses where a Matrix Authentication Service has the accounts."""
    return Refusal("account.refused.elsewhere") if await are_kept_elsewhere(visit.server, visit.me) else None


def operators_own(visit: Visit) -> Refusal | None:
    """Refuses everybody else what would let them into the account of an operator, or keep the operator out of it.

    With a new password they would be an operator themselves. This is no boundary against Synapse's own admin API, which
    every administrator may use for the same.
    """
    return Refusal("account.refused.operator") if is_operators(visit, visit.path["user_id"]) else None


def reserved_name(visit: Visit, name: str) -> Complaint | None:
    """Why nobody but operators may make an account of this name: whoever made it would be an operator."""
    is_reserved = is_operators(visit, f"@{name}:{visit.server_name}")
    return Complaint("account.name.operator") if is_reserved else None


def is_operators(visit: Visit, user_id: str) -> bool:
    """Whether this is the account of an operator, and who is logged in is none."""
    return not visit.may_operate and user_id in visit.config.operator_users


async def not_to_be_edited(visit: Visit) -> Refusal | None:
    """Refuses what can't be done to an account: an operator's, one that was given up, or one that is kept elsewhere."""
    user = await user_of(visit)
    if user["deactivated"]:
        return Refusal("account.refused.deleted" if user["erased"] else "account.refused.deactivated")
    return operators_own(visit) or await kept_elsewhere(visit)


async def not_to_be_shut_out(visit: Visit) -> Refusal | None:
    """Refuses what would shut out oneself or the last administrator."""
    return await not_to_be_edited(visit) or await needed_account(visit, await user_of(visit))


async def needed_account(visit: Visit, user: dict[str, Any]) -> Refusal | None:
    """Refuses what would shut out oneself or the last administrator."""
    if user["name"] == visit.me:
        return Refusal("account.refused.yourself")
    if not user["deactivated"] and await is_last_admin(visit.server, user):
        return Refusal("account.refused.last_admin")
    return None


async def under_deletion(visit: Visit) -> Refusal | None:
    """Refuses what must wait while the account is being deleted."""
    user_id = visit.path["user_id"]
    begun = await visit.deletions.get(user_id)
    if begun is None or not begun.is_busy(visit.now_ms):
        return None
    progress = visit.url("users/{user_id}/deleting", user_id=user_id)
    return Refusal("account.refused.being_deleted", back=progress, back_text="account.deleting.show")


def unfinished(visit: Visit, begun: BegunDeletion | None) -> tuple[str, ...]:
    """Returns what is said of a deletion that was begun and is not finished; nothing while it goes on, or for none."""
    if begun is None or begun.is_busy(visit.now_ms):
        return ()
    said = visit.t("account.unfinished.begun", by=begun.begun_by, time=visit.formats.time(begun.begun_ts))
    return said, visit.t(f"account.unfinished.why.{begun.why}", sentence=begun.sentence or "\N{EN DASH}")
