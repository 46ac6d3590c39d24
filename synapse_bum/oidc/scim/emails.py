"""E-mail addresses of a user (RFC 7643 4.1.2): one address, and the list with at most one primary. Pure."""

import re
from collections.abc import Iterable
from typing import Final

import attr

from synapse_bum.oidc.scim.errors import InvalidSyntaxError, InvalidValueError
from synapse_bum.oidc.scim.values import read_boolean, read_members, read_text

MAX_EMAILS: Final = 20
_MAX_ADDRESS: Final = 254
_MAX_TYPE: Final = 256
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Email:
    """One address.

    Attributes:
        value: the address as the client wrote it.
        type: "work", "home" or another word.
        primary: whether it is the preferred one.
    """

    value: str
    type: str | None = None
    primary: bool = False

    def parts(self) -> dict[str, str | bool | None]:
        """The sub-attributes by their names in lower case, as filters compare them."""
        return {"value": self.value, "type": self.type, "primary": self.primary, "display": None, "$ref": None}

    def document(self) -> dict[str, object]:
        """The JSON object."""
        kind = {} if self.type is None else {"type": self.type}
        return {"value": self.value, **kind, "primary": self.primary}


def read_address(value: object) -> str | None:
    """An address; None for no value.

    Raises:
        InvalidValueError: it is no plain address.
    """
    address = read_text(value, "emails.value", _MAX_ADDRESS)
    if address is not None and _ADDRESS.fullmatch(address) is None:
        raise InvalidValueError("emails.value must be an e-mail address.")
    return address


def read_type(value: object) -> str | None:
    """The kind of an address; None for no value.

    Raises:
        InvalidValueError: it is no text.
    """
    return read_text(value, "emails.type", _MAX_TYPE)


def read_primary(value: object) -> bool:
    """Whether an address is the preferred one; null is false.

    Raises:
        InvalidValueError: it is no boolean.
    """
    return value is not None and read_boolean(value, "emails.primary")


def read_email(value: object) -> Email | None:
    """One element of `emails`; None when it has no address, for nothing of it could be kept.

    Raises:
        InvalidValueError: a part of it is no such value.
        InvalidSyntaxError: it is no object.
    """
    members = read_members(value, "emails")
    address = read_address(members.get("value"))
    kind = read_type(members.get("type"))
    primary = read_primary(members.get("primary"))
    return None if address is None else Email(address, kind, primary)


def read_emails(value: object) -> tuple[Email, ...]:
    """The list of addresses; null is an empty one (RFC 7643 2.5).

    Raises:
        InvalidValueError: an element is wrong, there are too many, or more than one is primary.
        InvalidSyntaxError: it is no list of objects.
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        raise InvalidSyntaxError("emails must be a list.")
    check_number(len(value))
    emails = tuple(email for email in map(read_email, value) if email is not None)
    if sum(email.primary for email in emails) > 1:
        raise InvalidValueError("emails has more than one primary address.")
    return emails


def check_number(number: int) -> None:
    """Refuses more addresses than are kept of one user.

    Raises:
        InvalidValueError: there are too many.
    """
    if number > MAX_EMAILS:
        raise InvalidValueError(f"emails has more than {MAX_EMAILS} addresses.")


def with_one_primary(emails: Iterable[Email], changed: frozenset[int]) -> tuple[Email, ...]:
    """Lets a new primary address take the place of the old one (RFC 7644 3.5.2).

    Args:
        emails: the list after a change.
        changed: places in it that the change has written.

    Raises:
        InvalidValueError: the change itself made several addresses primary.
    """
    listed = tuple(emails)
    primary = {place for place, email in enumerate(listed) if email.primary}
    chosen = primary & changed
    if len(chosen) > 1:
        raise InvalidValueError("emails has more than one primary address.")
    if not chosen:
        return listed
    return tuple(attr.evolve(email, primary=place in chosen) for place, email in enumerate(listed))
