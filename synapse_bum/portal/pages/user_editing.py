"""Changes an account: names and addresses, password, lock, sessions."""

from typing import Any

import attr

from synapse_bum.portal.accounts import accounts
from synapse_bum.portal.accounts.account_details import (
    MAX_DISPLAY_NAME,
    addresses_complaint,
    addresses_in,
    new_password,
    password_complaint,
)
from synapse_bum.portal.accounts.account_pages import (
    Refusal,
    detail_url,
    not_to_be_edited,
    not_to_be_shut_out,
    under_deletion,
    unfinished,
    unless,
    user_of,
)
from synapse_bum.portal.accounts.accounts import USER
from synapse_bum.portal.accounts.begun_deletions import BegunDeletion
from synapse_bum.portal.forms.confirmation import Question, confirmation
from synapse_bum.portal.forms.form import Field, Filled, Form, Kind
from synapse_bum.portal.homeserver_api.steps import Action
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_EDIT = Form(
    "account.edit",
    (
        Field("display_name", max_length=MAX_DISPLAY_NAME, hint=True),
        Field("addresses", Kind.LONG_TEXT, max_length=5_000, hint=True, check=addresses_complaint),
    ),
)
_PASSWORD = Form(
    "account.password",
    (
        Field("way", Kind.CHOICE, required=True, choices=("generated", "typed")),
        Field("new_password", Kind.PASSWORD, hint=True, autocomplete="new-password", check=password_complaint),
        Field("new_password_again", Kind.PASSWORD, autocomplete="new-password"),
        Field("log_out", Kind.CHECKBOX, hint=True),
    ),
)


async def _show_edit(visit: Visit) -> Reply:
    user = await user_of(visit)
    initial = {"display_name": user.get("displayname") or "", "addresses": "\n".join(_mail_of(user))}
    return _edit_form(visit, visit.blank(_EDIT, initial))


async def _edit(visit: Visit) -> Reply:
    user = await user_of(visit)
    filled = _EDIT.read(visit.form)
    wanted, before = addresses_in(filled["addresses"]), _mail_of(user)
    if not filled.complaints:
        for address in wanted:
            taken = address not in before and await accounts.address_problem(visit.server, address, user["name"])
            if taken:
                filled = filled.complain("addresses", taken.key, **taken.values)
                break
    if filled.complaints:
        return _edit_form(visit, filled)
    changes: dict[str, Any] = {}
    if filled["display_name"] != (user.get("displayname") or ""):
        changes["displayname"] = filled["display_name"]
    if set(wanted) != set(before):
        others = [found for found in user["threepids"] if found["medium"] != "email"]
        kept = [{"medium": found["medium"], "address": found["address"]} for found in others]
        changes["threepids"] = [*kept, *({"medium": "email", "address": address} for address in wanted)]
    if not changes:
        return visit.go(detail_url(visit), "account.edit.nothing", kind="info")
    async with visit.step(Action.USER_EDIT, user["name"], changed=sorted(changes)) as server:
        await server.put(USER, changes, user_id=user["name"])
    return visit.go(detail_url(visit), "account.edit.done")


def _mail_of(user: dict[str, Any]) -> list[str]:
    return [found["address"] for found in user["threepids"] if found["medium"] == "email"]


def _edit_form(visit: Visit, filled: Filled) -> Reply:
    return visit.show(
        "form.html",
        title=visit.t("account.edit.title_of", user_id=visit.path["user_id"]),
        form=filled,
        paragraphs=(),
        button=visit.t("account.edit.button"),
        back=detail_url(visit),
    )


async def _show_password(visit: Visit) -> Reply:
    return _password_form(visit, visit.blank(_PASSWORD, {"way": "generated", "log_out": "on"}))


async def _set_password(visit: Visit) -> Reply:
    user_id = visit.path["user_id"]
    filled = checked(_PASSWORD.read(visit.form))
    if filled.complaints:
        return _password_form(visit, filled)
    is_typed = filled["way"] == "typed"
    password = filled["new_password"] if is_typed else new_password()
    changes = {"password": password, "logout_devices": filled.is_on("log_out")}
    async with visit.step(Action.USER_PASSWORD, user_id, logged_out=filled.is_on("log_out")) as server:
        await server.put(USER, changes, user_id=user_id)
    if is_typed:
        return visit.go(detail_url(visit), "account.password.done", user_id=user_id)
    return visit.show(
        "account/password.html",
        done=True,
        title=visit.t("account.password.done_title"),
        said=visit.t("account.password.done", user_id=user_id),
        user_id=user_id,
        password=password,
        back=detail_url(visit),
    )


def checked(filled: Filled) -> Filled:
    """Adds what is wrong with the fields together; those for a typed password count only where it is typed."""
    if filled["way"] != "typed":
        kept = {name: found for name, found in filled.complaints.items() if not name.startswith("new_password")}
        return Filled(filled.form, filled.values, kept)
    if not filled["new_password"]:
        return filled.complain("new_password", "forms.required")
    if filled["new_password"] != filled["new_password_again"]:
        return filled.complain("new_password_again", "account.password.differs")
    return filled


def _password_form(visit: Visit, filled: Filled) -> Reply:
    return visit.show(
        "form.html",
        title=visit.t("account.password.title_of", user_id=visit.path["user_id"]),
        form=filled,
        paragraphs=visit.t.lines("account.password.explain"),
        button=visit.t("account.password.button"),
        back=detail_url(visit),
    )


async def _not_own_password(visit: Visit) -> Refusal | None:
    if visit.path["user_id"] == visit.me:
        return Refusal("account.refused.own_password")
    refusal = await not_to_be_edited(visit)
    if refusal is not None:
        return refusal
    return None if await accounts.have_passwords(visit.server) else Refusal("account.refused.no_passwords")


async def _question(visit: Visit) -> Question:
    user = await user_of(visit)
    return Question({"user_id": user["name"]}, back=detail_url(visit))


async def _lock(visit: Visit, _reason: str) -> Reply:
    user_id = visit.path["user_id"]
    async with visit.step(Action.USER_LOCK, user_id) as server:
        await server.put(USER, {"locked": True}, user_id=user_id)
    return visit.go(detail_url(visit), "account.lock.done", user_id=user_id)


async def _not_to_be_unlocked(visit: Visit) -> Refusal | None:
    return await not_to_be_edited(visit) or await under_deletion(visit)


async def _question_of_unlocking(visit: Visit) -> Question:
    question = await _question(visit)
    begun = await visit.deletions.get(visit.path["user_id"])
    return attr.evolve(question, facts=unfinished(visit, begun) + _given_up(visit, begun))


def _given_up(visit: Visit, begun: BegunDeletion | None) -> tuple[str, ...]:
    return () if begun is None else (visit.t("account.unfinished.unlocking"),)


async def _unlock(visit: Visit, _reason: str) -> Reply:
    user_id = visit.path["user_id"]
    async with visit.step(Action.USER_UNLOCK, user_id) as server:
        await server.put(USER, {"locked": False}, user_id=user_id)
    await visit.deletions.forget(user_id)
    return visit.go(detail_url(visit), "account.unlock.done", user_id=user_id)


async def _log_out(visit: Visit, _reason: str) -> Reply:
    user_id = visit.path["user_id"]
    async with visit.step(Action.USER_LOG_OUT, user_id) as server:
        count = await accounts.log_out_everywhere(server, user_id)
    return visit.go(detail_url(visit), "account.log_out.done", count=count)


async def _not_oneself(visit: Visit) -> Refusal | None:
    if visit.path["user_id"] == visit.me:
        return Refusal("account.refused.yourself")
    return await not_to_be_edited(visit)


_AREA = Area.IDENTITIES
PAGES = (
    unless(
        not_to_be_edited,
        Page("users/{user_id}/edit", area=_AREA, title="account.edit.title", show=_show_edit, submit=_edit),
    ),
    unless(
        _not_own_password,
        Page(
            "users/{user_id}/password",
            area=_AREA,
            title="account.password.title",
            show=_show_password,
            submit=_set_password,
        ),
    ),
    unless(
        not_to_be_shut_out,
        confirmation("users/{user_id}/lock", texts="account.lock", area=_AREA, describe=_question, carry_out=_lock),
        in_turn=True,
    ),
    unless(
        _not_to_be_unlocked,
        confirmation(
            "users/{user_id}/unlock",
            texts="account.unlock",
            area=_AREA,
            describe=_question_of_unlocking,
            carry_out=_unlock,
        ),
    ),
    unless(
        _not_oneself,
        confirmation(
            "users/{user_id}/log-out", texts="account.log_out", area=_AREA, describe=_question, carry_out=_log_out
        ),
    ),
)
