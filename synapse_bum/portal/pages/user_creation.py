"""Makes an account; its first password is shown once, and is nowhere else.

Where nobody logs in with a password, it gets none.
"""

from synapse_bum.portal.accounts import accounts
from synapse_bum.portal.accounts.account_details import (
    MAX_DISPLAY_NAME,
    address_complaint,
    name_complaint,
    new_password,
)
from synapse_bum.portal.accounts.account_pages import (
    DETAIL,
    creation,
    kept_elsewhere,
    reserved_name,
    unless,
)
from synapse_bum.portal.accounts.accounts import HalfMadeError, NameTakenError, WantedAccount
from synapse_bum.portal.forms.form import Field, Filled, Form, Kind
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit

_FORM = Form(
    "account.create",
    (
        Field("name", required=True, hint=True, check=name_complaint),
        Field("display_name", max_length=MAX_DISPLAY_NAME, hint=True),
        Field("address", Kind.EMAIL, check=lambda value: address_complaint(value.lower())),
        Field("admin", Kind.CHECKBOX, hint=True),
    ),
)


async def _show(visit: Visit) -> Reply:
    return await _form(visit, visit.blank(_FORM))


async def _submit(visit: Visit) -> Reply:
    filled = _FORM.read(visit.form)
    complaint = name_complaint(filled["name"], visit.server_name) or reserved_name(visit, filled["name"])
    if complaint is not None and "name" not in filled.complaints:
        filled = filled.complain("name", complaint.key, **complaint.values)
    if filled.complaints:
        return await _form(visit, filled)
    wanted = WantedAccount(filled["name"], filled["display_name"], filled["address"].lower(), filled.is_on("admin"))
    problem = await accounts.problem(visit.server, wanted)
    if problem is not None:
        return await _form(visit, filled.complain(problem[0], problem[1].key, **problem[1].values))
    user_id = f"@{wanted.name}:{visit.server_name}"
    password = new_password() if await accounts.have_passwords(visit.server) else ""
    detail = visit.url(DETAIL, user_id=user_id)
    try:
        async with creation(visit, user_id, wanted) as server:
            await accounts.create(server, wanted, user_id, password)
    except NameTakenError:
        return await _form(visit, filled.complain("name", "account.name.taken"))
    except HalfMadeError:
        return visit.go(detail, "account.create.half_made", kind="warning", user_id=user_id)
    if not password:
        return visit.go(detail, "account.create.done", user_id=user_id)
    return visit.show(
        "account/password.html",
        done=True,
        title=visit.t("account.create.done_title"),
        said=visit.t("account.create.done", user_id=user_id),
        user_id=user_id,
        password=password,
        back=detail,
    )


async def _form(visit: Visit, filled: Filled) -> Reply:
    way = "with_password" if await accounts.have_passwords(visit.server) else "without_password"
    return visit.show(
        "form.html",
        form=filled,
        paragraphs=visit.t.lines(f"account.create.{way}", server=visit.server_name),
        button=visit.t("account.create.button"),
        back=visit.url("users"),
    )


PAGES = (
    unless(
        kept_elsewhere,
        Page("users/new", area=Area.IDENTITIES, title="account.create.title", show=_show, submit=_submit, menu=20),
    ),
)
