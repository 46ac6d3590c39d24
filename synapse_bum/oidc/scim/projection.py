"""Which attributes of a document a client wants to have (RFC 7644 3.9). Pure."""

from collections.abc import Mapping
from typing import Final

import attr

from synapse_bum.oidc.scim.attributes import AttributePath, attribute_path
from synapse_bum.oidc.scim.errors import InvalidValueError

_ALWAYS: Final = frozenset({"id", "schemas"})


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Projection:
    """What is left of a document.

    Attributes:
        only: these attributes, whatever a schema returns by default; None for all.
        without: all but these.
    """

    only: tuple[AttributePath, ...] | None = None
    without: tuple[AttributePath, ...] = ()

    @classmethod
    def of(cls, attributes: object, excluded: object) -> "Projection":
        """Reads the two parameters: each a comma-separated text (query) or a list of texts (body); None when missing.

        Names that no schema knows select nothing.

        Raises:
            InvalidValueError: both are there, or one is of another type.
        """
        only = _paths(attributes, "attributes")
        without = _paths(excluded, "excludedAttributes")
        if only and without:
            raise InvalidValueError("attributes and excludedAttributes exclude each other.")
        return cls(only or None, without)

    def of_document(self, document: Mapping[str, object]) -> dict[str, object]:
        """The document as the client gets it; `id` and `schemas` are always there."""
        projected: dict[str, object] = {}
        for key, value in document.items():
            left = value if key in _ALWAYS else self._left(key, value)
            if left is not None:
                projected[key] = left
        return projected

    def _left(self, key: str, value: object) -> object:
        parts = _parts(self.without if self.only is None else self.only, key)
        if self.only is None:
            return None if "" in parts else _without(value, parts) if parts else value
        return value if "" in parts else _only(value, parts) if parts else None


def _paths(value: object, name: str) -> tuple[AttributePath, ...]:
    if value is None:
        return ()
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(item, str) for item in names):
        raise InvalidValueError(f"{name} must name attributes.")
    found = [attribute_path(item.strip()) for item in names if item.strip()]
    # A malformed name is one that no schema knows. It must not vanish: then nothing would be left to select by.
    return tuple(AttributePath("", "", "") if path is None else path for path in found)


def _parts(paths: tuple[AttributePath, ...], key: str) -> frozenset[str]:
    """Which parts of a member of the document the paths mean; "" for all of it."""
    lowered = key.lower()
    parts: set[str] = set()
    for path in paths:
        if path.schema == lowered:  # the member is an extension
            parts.add(path.name)
        elif path.is_core and path.name in {lowered, ""} and not lowered.startswith("urn:"):
            parts.add(path.part)
    return frozenset(parts)


def _only(value: object, parts: frozenset[str]) -> object:
    if isinstance(value, list):
        return [left for left in (_only(element, parts) for element in value) if left] or None
    if isinstance(value, dict):
        return {key: part for key, part in value.items() if key.lower() in parts} or None
    return None


def _without(value: object, parts: frozenset[str]) -> object:
    if isinstance(value, list):
        return [left for left in (_without(element, parts) for element in value) if left] or None
    if isinstance(value, dict):
        return {key: part for key, part in value.items() if key.lower() not in parts} or None
    return value
