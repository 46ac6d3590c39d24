"""Forms: which fields there are, what may stand in them, and what was wrong with what came. Pure.

    CREATE = Form("users.create", (Field("name", max_length=64, check=not_taken), Field("admin", Kind.CHECKBOX)))

    filled = CREATE.read(visit.form)
    if filled.complaints:
        return visit.show("users/create.html", form=filled)

The texts of a field follow from the form's key: `users.create.name` is the label, `users.create.name_hint` the hint
(where `hint=True`), `users.create.role_admin` the label of the choice `admin`.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

import attr

from synapse_bum.portal.forms.form_data import FormData

_MAIL: Final = re.compile(r"[^\s@]+@[^\s@]+", re.ASCII)


class Kind(Enum):
    """How a field looks, and what is checked of itself."""

    TEXT = "text"
    PASSWORD = "password"  # noqa: S105 - a kind of field
    EMAIL = "email"
    NUMBER = "number"
    DATE = "date"
    LONG_TEXT = "long_text"
    CHOICE = "choice"
    CHECKBOX = "checkbox"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Complaint:
    """What is wrong with a field, as a key of the catalogue and its values."""

    key: str
    values: Mapping[str, object] = attr.ib(factory=dict)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        name: in the form and in the catalogue.
        kind: text unless said otherwise.
        required: whether it must not be empty; for a check box, whether it must be ticked.
        max_length: in characters.
        choices: of a `CHOICE`.
        hint: whether there is a hint in the catalogue.
        autocomplete: for browsers (WCAG 1.3.5), `off` unless said otherwise.
        check: gets what is not empty; returns what is wrong with it, or None.
    """

    name: str
    kind: Kind = Kind.TEXT
    required: bool = attr.ib(kw_only=True, default=False)
    max_length: int = attr.ib(kw_only=True, default=255)
    choices: tuple[str, ...] = attr.ib(kw_only=True, default=())
    hint: bool = attr.ib(kw_only=True, default=False)
    autocomplete: str = attr.ib(kw_only=True, default="off")
    check: Callable[[str], Complaint | None] | None = attr.ib(kw_only=True, default=None)

    def complaint(self, value: str) -> Complaint | None:
        """What is wrong with a value, None when nothing is."""
        if not value:
            return Complaint("forms.required") if self.required else None
        if len(value) > self.max_length:
            return Complaint("forms.too_long", {"count": self.max_length})
        if self.kind is not Kind.LONG_TEXT and "\n" in value:
            return Complaint("forms.one_line")
        wrong = {
            Kind.EMAIL: lambda: _MAIL.fullmatch(value) is None,
            Kind.NUMBER: lambda: not (value.isascii() and value.isdigit()),
            Kind.DATE: lambda: not _is_day(value),
            Kind.CHOICE: lambda: value not in self.choices,
        }
        if self.kind in wrong and wrong[self.kind]():
            return Complaint(f"forms.no_{self.kind.value}")
        return self.check(value) if self.check is not None else None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Filled:
    """A form with what stands in it.

    Attributes:
        form: the form.
        values: by name; `on` for a ticked box.
        complaints: what is wrong, by name; empty for a form that nobody has sent yet.
    """

    form: "Form"
    values: Mapping[str, str] = attr.ib(repr=False)
    complaints: Mapping[str, Complaint]

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    def is_on(self, name: str) -> bool:
        """Whether a box is ticked."""
        return bool(self.values[name])

    def complain(self, name: str, key: str, **values: object) -> "Filled":
        """Returns the form with one complaint more: what only the server could know.

        Args:
            name: of the field.
            key: of the catalogue.
            **values: for the text.
        """
        more = {**self.complaints, name: Complaint(key, values)}
        return attr.evolve(self, complaints=MappingProxyType(more))


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Form:
    """A form.

    Attributes:
        texts: key in the catalogue below which the texts of its fields are.
        fields: in the order in which they are shown.
    """

    texts: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field:
        """Returns a field by name."""
        return next(field for field in self.fields if field.name == name)

    def blank(self, initial: Mapping[str, str] | None = None) -> Filled:
        """Returns the form as it is shown first.

        Args:
            initial: values by name; what is missing is empty.
        """
        given = initial or {}
        return Filled(
            self, MappingProxyType({f.name: given.get(f.name, "") for f in self.fields}), MappingProxyType({})
        )

    def read(self, data: FormData) -> Filled:
        """Returns the form as it came, with everything that is wrong with it."""
        values = {field.name: _value(field, data) for field in self.fields}
        found = {field.name: field.complaint(values[field.name]) for field in self.fields}
        complaints = {name: complaint for name, complaint in found.items() if complaint is not None}
        return Filled(self, MappingProxyType(values), MappingProxyType(complaints))


def _value(field: Field, data: FormData) -> str:
    if field.kind is Kind.CHECKBOX:
        return "on" if data.is_on(field.name) else ""
    # White space at the ends of a password belongs to it.
    return data.fields.get(field.name, "") if field.kind is Kind.PASSWORD else data.text(field.name)


def _is_day(value: str) -> bool:
    try:
        dt.date.fromisoformat(value)
    except ValueError:
        return False
    return len(value) == len("2026-01-31")
