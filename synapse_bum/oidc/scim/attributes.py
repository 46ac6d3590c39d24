"""The attributes of a user: their names, and paths that mean one (RFC 7643 4.1, 4.3; RFC 7644 3.10). Pure.

Names and URNs have no case (RFC 7643 2.1), so paths hold them in lower case.
"""

import re
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

import attr

CORE_USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE_USER: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
OWN_USER: Final = "urn:ietf:params:scim:schemas:extension:synapse_bum:2.0:User"

_CORE: Final = CORE_USER.lower()
_SCHEMAS: Final = (_CORE, ENTERPRISE_USER.lower(), OWN_USER.lower())
_NAME: Final = re.compile(r"[a-z$][a-z0-9_$-]*", re.ASCII)
_URN: Final = re.compile(r"urn:[\x21-\x7e]+", re.ASCII)
_VALUE_PARTS: Final = frozenset({"value", "display", "type", "primary", "$ref"})


class Use(Enum):
    """What we do with an attribute."""

    KEPT = "kept"
    IGNORED = "ignored"
    """It is accepted and forgotten."""
    READ_ONLY = "read only"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Attribute:
    """An attribute that the schemas know.

    Attributes:
        use: what we do with it.
        parts: names of its sub-attributes in lower case; none for a simple one.
        multi_valued: whether it is a list, from which a filter may select.
    """

    use: Use
    parts: frozenset[str] = frozenset()
    multi_valued: bool = False


@attr.s(auto_attribs=True, frozen=True, slots=True)
class AttributePath:
    """Which attribute is meant; all in lower case.

    Attributes:
        schema: URN; the core user's when none was written.
        name: the attribute; "" means the schema as a whole.
        part: its sub-attribute; "" means all of it.
    """

    schema: str
    name: str
    part: str

    @property
    def is_core(self) -> bool:
        """Whether this is an attribute of the core user, or one that all resources have."""
        return self.schema == _CORE

    @property
    def is_foreign(self) -> bool:
        """Whether this is of a schema that we do not have: an extension that an operator of the client has made up."""
        return self.schema not in _SCHEMAS

    @property
    def attribute(self) -> Attribute | None:
        """What the schemas say of the attribute; None when they know none of this name, or not this part of it."""
        found = ATTRIBUTES.get((self.schema, self.name))
        return found if found is not None and (not self.part or self.part in found.parts) else None


def attribute_path(text: str) -> AttributePath | None:
    """Reads `[URN:]name[.part]`, or the URN of a schema alone (RFC 7644 3.10).

    Returns:
        the path, whether or not a schema knows it; None when it is malformed.
    """
    lowered = text.lower()
    schema = next((urn for urn in _SCHEMAS if lowered == urn or lowered.startswith(urn + ":")), None)
    if schema is not None:
        rest = lowered[len(schema) + 1 :]
        if not rest:
            return AttributePath(schema, "", "") if lowered == schema else None
    elif _URN.fullmatch(lowered):
        schema, _, rest = lowered.rpartition(":")
    else:
        schema, rest = _CORE, lowered
    name, dot, part = rest.partition(".")
    if _NAME.fullmatch(name) is None or (dot and _NAME.fullmatch(part) is None):
        return None
    return AttributePath(schema, name, part)


def _complex(*parts: str) -> Attribute:
    return Attribute(Use.IGNORED, frozenset(parts))


def _list_of(parts: frozenset[str] = _VALUE_PARTS, use: Use = Use.IGNORED) -> Attribute:
    return Attribute(use, parts, multi_valued=True)


_SIMPLE: Final = Attribute(Use.IGNORED)
_ADDRESS_PARTS: Final = frozenset({"streetaddress", "locality", "region", "postalcode", "country", "formatted"})
_NAME_PARTS: Final = frozenset(
    {"formatted", "familyname", "givenname", "middlename", "honorificprefix", "honorificsuffix"}
)

_CORE_ATTRIBUTES: Final = {
    "id": Attribute(Use.READ_ONLY),
    "schemas": Attribute(Use.READ_ONLY, multi_valued=True),
    "meta": Attribute(Use.READ_ONLY, frozenset({"resourcetype", "created", "lastmodified", "location", "version"})),
    "externalid": Attribute(Use.KEPT),
    "username": Attribute(Use.KEPT),
    "displayname": Attribute(Use.KEPT),
    "name": Attribute(Use.KEPT, _NAME_PARTS),
    "emails": _list_of(use=Use.KEPT),
    "active": Attribute(Use.KEPT),
    "groups": _list_of(use=Use.READ_ONLY),
    "addresses": _list_of(_VALUE_PARTS | _ADDRESS_PARTS),
    **dict.fromkeys(("phonenumbers", "ims", "photos", "entitlements", "roles", "x509certificates"), _list_of()),
    **dict.fromkeys(
        ("nickname", "profileurl", "title", "usertype", "preferredlanguage", "locale", "timezone", "password"), _SIMPLE
    ),
}
_ENTERPRISE_ATTRIBUTES: Final = {
    "manager": _complex("value", "$ref", "displayname"),
    **dict.fromkeys(("employeenumber", "costcenter", "organization", "division", "department"), _SIMPLE),
}

ATTRIBUTES: Final[Mapping[tuple[str, str], Attribute]] = MappingProxyType(
    {
        **{(_CORE, name): found for name, found in _CORE_ATTRIBUTES.items()},
        **{(ENTERPRISE_USER.lower(), name): found for name, found in _ENTERPRISE_ATTRIBUTES.items()},
        (ENTERPRISE_USER.lower(), ""): Attribute(Use.IGNORED),
        (OWN_USER.lower(), "userid"): Attribute(Use.READ_ONLY),
        (OWN_USER.lower(), ""): Attribute(Use.READ_ONLY),
    }
)
"""All attributes, by URN and name in lower case; under the name "" an extension as a whole."""
