"""Changes by PATCH (RFC 7644 3.5.2): operations in, the changed user out. Pure, and all or nothing.

Entra ID writes operations in three styles, and Okta in the second of them: with a path, without one but with an object
(its keys may be paths: `name.givenName`, `urn:...:User:department`), and with a filter in the path
(`emails[type eq "work"].value`).

One rule of the RFC is not kept: a `replace` whose filter selects nothing adds what the filter describes, where
`noTarget` is demanded. Entra ID relies on it, and a refused operation would take the others with it, `active` first.
For the same reason attributes of unknown extensions are ignored: whatever is mapped there is sent.
"""

from enum import Enum
from typing import Final

import attr

from synapse_bum.oidc.scim.attributes import Use
from synapse_bum.oidc.scim.email_changes import added, changed, removed, replaced
from synapse_bum.oidc.scim.emails import Email
from synapse_bum.oidc.scim.errors import (
    InvalidPathError,
    InvalidSyntaxError,
    InvalidValueError,
    MutabilityError,
    NoTargetError,
    ScimError,
)
from synapse_bum.oidc.scim.filters import Target, parse_target
from synapse_bum.oidc.scim.resources import MAX_NAME, ScimUser, read_external_id, read_user_name
from synapse_bum.oidc.scim.values import read_boolean, read_members, read_schemas, read_text

PATCH_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MAX_OPERATIONS: Final = 100


class _Kind(Enum):
    """What an operation does."""

    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Operation:
    """One operation.

    Attributes:
        kind: what it does.
        path: the path as written; None for none.
        value: what to write; None for null or nothing.
    """

    kind: _Kind
    path: str | None
    value: object


def apply_patch(user: ScimUser, body: object) -> ScimUser:
    """Applies the operations of a PATCH, in their order.

    Whether `externalId` may change is not decided here.

    Args:
        user: as it is; it stays so.
        body: parsed JSON, whatever it is.

    Returns:
        the changed user; one that is equal when nothing changes.

    Raises:
        InvalidSyntaxError: the body is no patch.
        InvalidPathError: a path is malformed, or of no attribute of the core, the enterprise and our own user.
        InvalidFilterError: a filter in a path compares what e-mail addresses have not.
        InvalidValueError: a value is not what its attribute has.
        MutabilityError: an attribute can't be changed, or not be removed.
        NoTargetError: an operation does not say what to remove or to add.
    """
    for operation in _operations(body):
        user = _apply(user, operation)
    return user


def patch_says_inactive(body: object) -> bool:
    """Whether access has ended after the operations of a PATCH on `active`, whatever is wrong with the others.

    Args:
        body: parsed JSON, whatever it is.
    """
    user = ScimUser("anybody")
    try:
        for operation in _listed(body):
            about_active = _about_active(operation)
            user = user if about_active is None else _apply(user, about_active)
    except ScimError:
        return False
    return not user.active


def _about_active(value: object) -> _Operation | None:
    """What an operation does to `active`; None when it does nothing to it, or is none."""
    try:
        operation = _operation(value)
    except ScimError:
        return None
    if operation.path is not None:
        return operation if _means_active(operation.path) else None
    if not isinstance(operation.value, dict):
        return None
    said = {key: member for key, member in operation.value.items() if _means_active(str(key))}
    return attr.evolve(operation, value=said) if said else None


def _means_active(path: str) -> bool:
    try:
        target = parse_target(path)
    except InvalidPathError:
        return False
    return target.path.is_core and target.path.name == "active"


def _operations(body: object) -> list[_Operation]:
    return [_operation(operation) for operation in _listed(body)]


def _listed(body: object) -> list[object]:
    members = read_members(body, "The body")
    read_schemas(members, PATCH_SCHEMA)
    operations = members.get("operations")
    if not isinstance(operations, list) or not operations:
        raise InvalidSyntaxError("Operations must be a list of operations.")
    if len(operations) > MAX_OPERATIONS:
        raise InvalidValueError(f"Operations has more than {MAX_OPERATIONS} operations.")
    return operations


def _operation(value: object) -> _Operation:
    members = read_members(value, "An operation")
    word, path = members.get("op"), members.get("path")
    try:
        kind = _Kind(word.lower() if isinstance(word, str) else word)
    except ValueError:
        raise InvalidSyntaxError("op must be add, replace or remove.") from None
    if path is not None and not isinstance(path, str):
        raise InvalidPathError("path must be text.")
    return _Operation(kind, path, members.get("value"))


def _apply(user: ScimUser, operation: _Operation) -> ScimUser:
    if operation.path is None:
        return _apply_members(user, operation)
    target = parse_target(operation.path)
    use = _use(target, operation.path)
    if target.path.is_foreign:
        return user
    if use is None:
        raise InvalidPathError(f"path is of no attribute of a user: {_shown(operation.path)}.")
    if use is Use.READ_ONLY:
        raise MutabilityError(f"This attribute is read only: {_shown(operation.path)}.")
    return user if use is Use.IGNORED else _change(user, operation.kind, target, operation.value)


def _apply_members(user: ScimUser, operation: _Operation) -> ScimUser:
    """An operation without a path. Attributes that cannot be changed or that nobody knows are ignored, as in PUT."""
    if operation.kind is _Kind.REMOVE:
        raise NoTargetError("remove needs a path.")
    if not isinstance(operation.value, dict):
        raise InvalidSyntaxError("Without path, value must be an object.")
    seen: set[Target] = set()
    for key, value in operation.value.items():
        target = parse_target(str(key))
        if target in seen:
            raise InvalidSyntaxError("value has an attribute twice; names of attributes have no case.")
        seen.add(target)
        if target.path.is_core and not target.path.name:
            raise InvalidPathError("Attributes of the core schema stand in value itself.")
        if _use(target, key) is Use.KEPT:
            user = _change(user, operation.kind, target, value)
    return user


def _use(target: Target, written: str) -> Use | None:
    attribute = target.path.attribute
    if attribute is not None and target.where is not None and not attribute.multi_valued:
        raise InvalidPathError(f"Only lists have filters: {_shown(written)}.")
    return None if attribute is None else attribute.use


def _shown(path: str) -> str:
    """A path without its filter: that one holds values."""
    return path.partition("[")[0]


def _change(user: ScimUser, kind: _Kind, target: Target, value: object) -> ScimUser:
    """Changes an attribute that is kept."""
    name = target.path.name
    if kind is _Kind.REMOVE and name in {"username", "active"}:
        raise MutabilityError("userName and active can't be removed.")
    if name == "username":
        return attr.evolve(user, user_name=read_user_name(value))
    if name == "active":
        return attr.evolve(user, active=read_boolean(value, "active"))
    if name == "emails":
        return attr.evolve(user, emails=_change_emails(user.emails, kind, target, value))
    left = None if kind is _Kind.REMOVE else value
    if name == "externalid":
        return attr.evolve(user, external_id=read_external_id(left))
    if name == "displayname":
        return attr.evolve(user, display_name=read_text(left, "displayName", MAX_NAME))
    return _change_name(user, target.path.part, left)


def _change_name(user: ScimUser, part: str, value: object) -> ScimUser:
    if part:
        members = {part: value}
    elif value is None:
        members = {"givenname": None, "familyname": None}
    else:
        members = read_members(value, "name")  # what it lacks stays as it is (RFC 7644 3.5.2.3)
    given_name, family_name = (
        read_text(members[key], f"name.{written}", MAX_NAME) if key in members else old
        for key, written, old in (
            ("givenname", "givenName", user.given_name),
            ("familyname", "familyName", user.family_name),
        )
    )
    return attr.evolve(user, given_name=given_name, family_name=family_name)


def _change_emails(emails: tuple[Email, ...], kind: _Kind, target: Target, value: object) -> tuple[Email, ...]:
    part = target.path.part
    if kind is _Kind.REMOVE:
        return removed(emails, target.where, part, value)
    if part:
        return changed(emails, target.where, {part: value})
    return added(emails, target.where, value) if kind is _Kind.ADD else replaced(emails, target.where, value)
