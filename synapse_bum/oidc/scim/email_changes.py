"""Changes of the list of e-mail addresses by PATCH (RFC 7644 3.5.2.1 to 3.5.2.3). Pure."""

from collections.abc import Mapping
from typing import Final

from synapse_bum.oidc.scim.emails import Email, check_number, read_email, read_emails, with_one_primary
from synapse_bum.oidc.scim.errors import NoTargetError
from synapse_bum.oidc.scim.filters import Expression, described, require_parts, selects
from synapse_bum.oidc.scim.values import read_members

_KEPT_PARTS: Final = frozenset({"value", "type", "primary"})


def removed(emails: tuple[Email, ...], where: Expression | None, part: str, value: object) -> tuple[Email, ...]:
    """The list without some addresses, or without a part of them.

    Args:
        emails: the list.
        where: which addresses; None for all.
        part: "" and "value" remove the addresses themselves.
        value: with `where` None, only these addresses: Entra ID names what it removes. None for all.

    Raises:
        InvalidFilterError: the filter compares what addresses have not.
        InvalidValueError: `value` is no list of addresses.
        InvalidSyntaxError: the same.
    """
    places = _selected(emails, where)
    if part not in {"", "value"}:
        return _merged(emails, places, {part: None})
    if where is None and not part and value is not None:
        named = {email.value.lower() for email in _listed(value)}
        places = frozenset(place for place in places if emails[place].value.lower() in named)
    return tuple(email for place, email in enumerate(emails) if place not in places)


def changed(emails: tuple[Email, ...], where: Expression | None, parts: Mapping[str, object]) -> tuple[Email, ...]:
    """The list with parts of some addresses written; where there is none, one is added.

    Args:
        emails: the list.
        where: which addresses; None for all.
        parts: sub-attributes by their names in lower case. One whose address is null vanishes.

    Raises:
        InvalidFilterError: the filter compares what addresses have not.
        InvalidValueError: a part is no such value, or several would be primary.
        NoTargetError: the filter selects nothing, and does not describe an address either.
    """
    places = _selected(emails, where)
    return _merged(emails, places, parts) if places else _with_described(emails, where, parts)


def added(emails: tuple[Email, ...], where: Expression | None, value: object) -> tuple[Email, ...]:
    """The list with more addresses; with a filter, some addresses with more parts. None adds nothing.

    An address that is there already with the same type is not added again (RFC 7644 3.5.2.1).

    Raises:
        ScimError: as `changed`, or `value` is no address and no list of them.
    """
    if value is None:
        return emails
    if where is not None:
        return changed(emails, where, read_members(value, "emails"))
    listed = list(emails)
    for email in _listed(value):
        place = next((place for place, old in enumerate(listed) if _key(old) == _key(email)), None)
        if place is None:
            listed.append(email)
            listed = list(with_one_primary(listed, frozenset({len(listed) - 1})))
        elif email.primary:
            listed[place] = Email(listed[place].value, listed[place].type, primary=True)
            listed = list(with_one_primary(listed, frozenset({place})))
    check_number(len(listed))
    return tuple(listed)


def replaced(emails: tuple[Email, ...], where: Expression | None, value: object) -> tuple[Email, ...]:
    """Another list; with a filter, another address in the place of some. None removes them.

    Raises:
        ScimError: as `changed`, or `value` is no address and no list of them.
    """
    if where is None:
        return () if value is None else _listed(value)
    places = _selected(emails, where)
    if value is None:
        return tuple(email for place, email in enumerate(emails) if place not in places)
    parts = read_members(value, "emails")
    if not places:
        return _with_described(emails, where, parts)
    return _written(emails, dict.fromkeys(places, parts))


def _selected(emails: tuple[Email, ...], where: Expression | None) -> frozenset[int]:
    if where is None:
        return frozenset(range(len(emails)))
    require_parts(where, _KEPT_PARTS | {"display", "$ref"})
    return frozenset(place for place, email in enumerate(emails) if selects(where, email.parts()))


def _merged(emails: tuple[Email, ...], places: frozenset[int], parts: Mapping[str, object]) -> tuple[Email, ...]:
    return _written(emails, {place: {**emails[place].parts(), **parts} for place in places})


def _written(emails: tuple[Email, ...], written: Mapping[int, Mapping[str, object]]) -> tuple[Email, ...]:
    """The list with the addresses at these places written anew; one without a value vanishes."""
    pairs = [(read_email(written[place]) if place in written else email, place) for place, email in enumerate(emails)]
    left = [(email, place) for email, place in pairs if email is not None]
    changed_places = frozenset(new for new, (_, old) in enumerate(left) if old in written)
    return with_one_primary([email for email, _ in left], changed_places)


def _with_described(
    emails: tuple[Email, ...], where: Expression | None, parts: Mapping[str, object]
) -> tuple[Email, ...]:
    """The list and one address more: what the filter describes, with these parts."""
    element = {} if where is None else described(where)
    if element is None:
        raise NoTargetError("The filter in path selects no address, and describes none that could be added.")
    email = read_email({**element, **parts})
    if email is None:
        return emails
    check_number(len(emails) + 1)
    return with_one_primary((*emails, email), frozenset({len(emails)}))


def _listed(value: object) -> tuple[Email, ...]:
    return read_emails(value if isinstance(value, list) else [value])


def _key(email: Email) -> tuple[str, str]:
    return email.value.lower(), (email.type or "").lower()
