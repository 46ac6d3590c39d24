"""How values of attributes are read from JSON. Pure.

Types are strict, with one exception: Entra ID sends booleans as the texts "True" and "False".
"""

import unicodedata
from typing import Final

from synapse_bum.oidc.scim.errors import InvalidSyntaxError, InvalidValueError

_FORBIDDEN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories: control characters, halves of surrogate pairs (no database stores them), line separators."""

_BOOLEANS: Final = {"true": True, "false": False}


def has_forbidden_characters(text: str) -> bool:
    """Whether a text holds control characters, lone surrogates or line separators."""
    return any(unicodedata.category(character) in _FORBIDDEN for character in text)


def read_members(value: object, name: str) -> dict[str, object]:
    """The members of an object by their names in lower case (RFC 7643 2.1).

    Args:
        value: from JSON.
        name: of the attribute, for the error.

    Raises:
        InvalidSyntaxError: it is no object, or has a name twice in different case.
    """
    if not isinstance(value, dict):
        raise InvalidSyntaxError(f"{name} must be an object.")
    members: dict[str, object] = {}
    for key, member in value.items():
        lowered = str(key).lower()
        if lowered in members:
            raise InvalidSyntaxError(f"{name} has an attribute twice; names of attributes have no case.")
        members[lowered] = member
    return members


def read_text(value: object, name: str, max_length: int) -> str | None:
    """A text.

    Args:
        value: from JSON.
        name: of the attribute, for the error.
        max_length: in characters.

    Returns:
        the text; None for null and for blank text, which are no value.

    Raises:
        InvalidValueError: it is no text, too long, or holds control characters.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidValueError(f"{name} must be text.")
    if len(value) > max_length:
        raise InvalidValueError(f"{name} is longer than {max_length} characters.")
    if has_forbidden_characters(value):
        raise InvalidValueError(f"{name} holds control characters.")
    return value if value.strip() else None


def read_boolean(value: object, name: str) -> bool:
    """A boolean, or one as text in any case.

    Raises:
        InvalidValueError: it is neither true nor false.
    """
    if isinstance(value, bool):
        return value
    known = _BOOLEANS.get(value.lower()) if isinstance(value, str) else None
    if known is None:
        raise InvalidValueError(f"{name} must be true or false.")
    return known


def read_schemas(members: dict[str, object], expected: str) -> None:
    """Checks `schemas`, which says what a body is (RFC 7643 3).

    Raises:
        InvalidSyntaxError: it is missing, no list of texts, or lacks the expected URN.
    """
    schemas = members.get("schemas")
    if not isinstance(schemas, list) or not all(isinstance(schema, str) for schema in schemas):
        raise InvalidSyntaxError("schemas must be a list of URNs.")
    if expected.lower() not in (schema.lower() for schema in schemas):
        raise InvalidSyntaxError(f"schemas must contain {expected}.")
