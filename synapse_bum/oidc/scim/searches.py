"""What can be searched for (RFC 7644 3.4.2, 3.4.3): conditions, page, projection. Pure.

Supported is what identity providers ask before they create somebody. Everything else that the grammar allows is an
error that says what is supported; to ignore a condition would answer with the wrong person.
"""

from collections.abc import Mapping
from typing import Final

import attr

from synapse_bum.oidc.scim.attributes import AttributePath
from synapse_bum.oidc.scim.errors import InvalidFilterError, InvalidValueError
from synapse_bum.oidc.scim.filters import And, AnyOf, Comparison, Expression, Operator, Value, described, parse_filter
from synapse_bum.oidc.scim.paging import Page
from synapse_bum.oidc.scim.projection import Projection
from synapse_bum.oidc.scim.resources import ScimUser, user_name_key
from synapse_bum.oidc.scim.values import read_members, read_schemas

SEARCH_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
_FIRST_PAGE: Final = Page()
_EVERYTHING: Final = Projection()
_SUPPORTED: Final = (
    "The filter is not supported. Supported is eq on userName, externalId, id, active and emails.value"
    ' (also as emails[type eq "work"].value), joined by and.'
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class UserNameIs:
    """The login name, in any case.

    Attributes:
        key: see `user_name_key`.
    """

    key: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ExternalIdIs:
    """What the identity provider calls the person, exactly."""

    value: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class IdIs:
    """SCIM's id, exactly."""

    value: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ActiveIs:
    """Whether the person may use the account."""

    value: bool


@attr.s(auto_attribs=True, frozen=True, slots=True)
class EmailIs:
    """One of the addresses, in any case.

    Attributes:
        value: the address in lower case.
        type: its type in lower case; None for any.
        primary: None for any.
    """

    value: str
    type: str | None = None
    primary: bool | None = None


Condition = UserNameIs | ExternalIdIs | IdIs | ActiveIs | EmailIs


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Search:
    """A request for a list.

    Attributes:
        conditions: all of them hold; none for everybody.
        page: which part of the list.
        projection: which attributes.
    """

    conditions: tuple[Condition, ...] = ()
    page: Page = _FIRST_PAGE
    projection: Projection = _EVERYTHING

    @classmethod
    def of_query(cls, parameters: Mapping[str, str]) -> "Search":
        """Reads the query of `GET /Users`. Sorting is not supported and ignored, as unknown parameters are.

        Raises:
            InvalidFilterError: the filter is malformed or not supported.
            InvalidValueError: another parameter is wrong.
        """
        return cls._of({name.lower(): value for name, value in parameters.items()})

    @classmethod
    def of_body(cls, body: object) -> "Search":
        """Reads the body of `POST /Users/.search`.

        Raises:
            InvalidSyntaxError: it is no search request.
            InvalidFilterError: the filter is malformed or not supported.
            InvalidValueError: another parameter is wrong.
        """
        members = read_members(body, "The body")
        read_schemas(members, SEARCH_SCHEMA)
        return cls._of(members)

    @classmethod
    def _of(cls, members: Mapping[str, object]) -> "Search":
        text = members.get("filter")
        if text is not None and not isinstance(text, str):
            raise InvalidValueError("filter must be text.")
        return cls(
            () if text is None else parse_conditions(text),
            Page.of(members.get("startindex"), members.get("count")),
            Projection.of(members.get("attributes"), members.get("excludedattributes")),
        )


def parse_conditions(text: str) -> tuple[Condition, ...]:
    """Reads a filter of a search.

    Raises:
        InvalidFilterError: it is malformed or not supported.
    """
    return _conditions(parse_filter(text))


def matches(conditions: tuple[Condition, ...], user: ScimUser, resource_id: str) -> bool:
    """Whether all conditions hold for a user."""
    return all(_holds(condition, user, resource_id) for condition in conditions)


def _holds(condition: Condition, user: ScimUser, resource_id: str) -> bool:
    if isinstance(condition, UserNameIs):
        return condition.key == user_name_key(user.user_name)
    if isinstance(condition, ExternalIdIs):
        return condition.value == user.external_id
    if isinstance(condition, IdIs):
        return condition.value == resource_id
    if isinstance(condition, ActiveIs):
        return condition.value == user.active
    return any(
        condition.value == email.value.lower()
        and condition.type in (None, (email.type or "").lower())
        and condition.primary in (None, email.primary)
        for email in user.emails
    )


def _conditions(expression: Expression) -> tuple[Condition, ...]:
    if isinstance(expression, And):
        return tuple(condition for part in expression.of for condition in _conditions(part))
    if isinstance(expression, Comparison) and expression.operator is Operator.EQUAL:
        return (_equality(expression.path, expression.value),)
    if isinstance(expression, AnyOf) and expression.path.is_core and expression.path.name == "emails":
        return (_email(described(expression.where)),)
    raise InvalidFilterError(_SUPPORTED)


def _equality(path: AttributePath, value: Value) -> Condition:
    name = path.name if path.is_core else ""
    if name == "active" and not path.part and isinstance(value, bool):
        return ActiveIs(value)
    if isinstance(value, str) and name == "emails" and path.part in {"", "value"}:
        return EmailIs(value.lower())
    if isinstance(value, str) and not path.part:
        if name == "username":
            return UserNameIs(user_name_key(value))
        if name == "externalid":
            return ExternalIdIs(value)
        if name == "id":
            return IdIs(value)
    raise InvalidFilterError(_SUPPORTED)


def _email(element: dict[str, Value] | None) -> EmailIs:
    known = {} if element is None else element
    address, kind, primary = known.get("value"), known.get("type"), known.get("primary")
    if (
        not isinstance(address, str)
        or not (kind is None or isinstance(kind, str))
        or not (primary is None or isinstance(primary, bool))
        or None in known.values()  # "of no type" is not the same as "of any type"
        or not known.keys() <= {"value", "type", "primary"}
    ):
        raise InvalidFilterError(_SUPPORTED)
    return EmailIs(address.lower(), None if kind is None else kind.lower(), primary)
