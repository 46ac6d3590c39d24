"""Steps that destroy something: a page that says what will happen, asks once, and only then does it.

    DELETE = confirmation(
        "users/{user_id}/delete", texts="users.delete", area=Area.IDENTITIES, describe=_describe, carry_out=_delete
    )

Texts below the key: `title`, `explain` (one text or a list), `button`; with the values of the question.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import attr

from synapse_bum.portal.forms.form import Complaint, Field, Filled, Form, Kind
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Question:
    """What is asked about one object.

    Attributes:
        values: for the texts: what it is called, how much goes with it.
        back: address of the page for those who would rather not.
        facts: further sentences, already in the reader's language.
        typed: what has to be typed in by hand; None where a button is enough.
    """

    values: Mapping[str, object]
    back: str
    facts: tuple[str, ...] = ()
    typed: str | None = None


Describe: TypeAlias = Callable[[Visit], Awaitable[Question]]
CarryOut: TypeAlias = Callable[[Visit, str], Awaitable[Reply]]
"""Gets the visit and the reason (empty where none is asked for); usually ends in `visit.go`."""


def confirmation(
    path: str,
    *,
    texts: str,
    area: Area,
    describe: Describe,
    carry_out: CarryOut,
    reason: bool = False,
    operators: bool = False,
) -> Page:
    """Makes the page of a step that needs a confirmation.

    Args:
        path: of the page.
        texts: key below which its texts are.
        area: in whose menu it is found.
        describe: looks what it is about; raises `NotFoundError` when that is gone. Asked for GET and for POST.
        carry_out: does it.
        reason: whether a reason is asked for.
        operators: whether only operators may.
    """

    def form(question: Question) -> Form:
        def check(value: str) -> Complaint | None:
            return None if value == question.typed else Complaint("confirm.other_text")

        typed = (Field("typed", required=True, check=check),) if question.typed is not None else ()
        why = (Field("reason", Kind.LONG_TEXT, required=True, max_length=1_000, hint=True),) if reason else ()
        return Form("confirm", (*why, *typed))

    def asked(visit: Visit, question: Question, filled: Filled) -> Reply:
        return visit.show(
            "confirm.html",
            title=visit.t(f"{texts}.title", **question.values),
            form=filled,
            question=question,
            paragraphs=visit.t.lines(f"{texts}.explain", **question.values),
            button=visit.t(f"{texts}.button", **question.values),
        )

    async def show(visit: Visit) -> Reply:
        question = await describe(visit)
        return asked(visit, question, visit.blank(form(question)))

    async def submit(visit: Visit) -> Reply:
        question = await describe(visit)
        filled = form(question).read(visit.form)
        if filled.complaints:
            return asked(visit, question, filled)
        return await carry_out(visit, filled["reason"] if reason else "")

    return Page(path, area=area, title=f"{texts}.button", show=show, submit=submit, operators=operators)
