"""The documents by which a client learns what we can (RFC 7643 5, 6, 7; RFC 7644 4). Pure.

The schemas name exactly the attributes that are kept. What else is accepted and forgotten is not promised.
"""

from collections.abc import Sequence
from typing import Final

from synapse_bum.oidc.scim.attributes import CORE_USER, OWN_USER
from synapse_bum.oidc.scim.paging import MAX_COUNT

CONFIG_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
RESOURCE_TYPE_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
SCHEMA_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:Schema"


def service_provider_config(base_url: str) -> dict[str, object]:
    """What the service supports (RFC 7643 5).

    Args:
        base_url: absolute URL of the SCIM API, without a slash at its end.
    """
    unsupported = {"supported": False}
    return {
        "schemas": [CONFIG_SCHEMA],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": MAX_COUNT},
        "changePassword": unsupported,
        "sort": unsupported,
        "etag": unsupported,
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "The token that the operator of the homeserver has written to a file.",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            }
        ],
        "meta": _meta("ServiceProviderConfig", f"{base_url}/ServiceProviderConfig"),
    }


def resource_types(base_url: str) -> list[dict[str, object]]:
    """The kinds of resources (RFC 7643 6): users only.

    Args:
        base_url: absolute URL of the SCIM API, without a slash at its end.
    """
    return [
        {
            "schemas": [RESOURCE_TYPE_SCHEMA],
            "id": "User",
            "name": "User",
            "endpoint": "/Users",
            "description": "Accounts of the people of one identity provider",
            "schema": CORE_USER,
            "schemaExtensions": [{"schema": OWN_USER, "required": False}],
            "meta": _meta("ResourceType", f"{base_url}/ResourceTypes/User"),
        }
    ]


def schemas(base_url: str) -> list[dict[str, object]]:
    """The schemas of a user (RFC 7643 7); their `id` is the URN.

    Args:
        base_url: absolute URL of the SCIM API, without a slash at its end.
    """
    return [
        _schema(base_url, CORE_USER, "User", "A person's account", _CORE_ATTRIBUTES),
        _schema(base_url, OWN_USER, "Matrix account", "Which account of the homeserver it is", _OWN_ATTRIBUTES),
    ]


def named(documents: Sequence[dict[str, object]], identifier: str) -> dict[str, object] | None:
    """The document with this `id`, in any case; None when there is none."""
    wanted = identifier.lower()
    return next((document for document in documents if str(document["id"]).lower() == wanted), None)


def _schema(
    base_url: str, urn: str, name: str, description: str, attributes: Sequence[dict[str, object]]
) -> dict[str, object]:
    return {
        "schemas": [SCHEMA_SCHEMA],
        "id": urn,
        "name": name,
        "description": description,
        "attributes": list(attributes),
        "meta": _meta("Schema", f"{base_url}/Schemas/{urn}"),
    }


def _meta(resource_type: str, location: str) -> dict[str, object]:
    return {"resourceType": resource_type, "location": location}


def _attribute(name: str, kind: str, description: str, **more: object) -> dict[str, object]:
    """A definition with the defaults of RFC 7643 2.2; `more` is what differs from them."""
    textual: dict[str, object] = {"caseExact": False, "uniqueness": "none"} if kind == "string" else {}
    return {
        "name": name,
        "type": kind,
        "multiValued": False,
        "description": description,
        "required": False,
        "mutability": "readWrite",
        "returned": "default",
        **textual,
        **more,
    }


_CORE_ATTRIBUTES: Final = (
    _attribute(
        "userName", "string", "Login name at the identity provider, at most 320 characters",
        required=True, uniqueness="server",
    ),
    _attribute(
        "name", "complex", "Parts of the name",
        subAttributes=[
            _attribute("familyName", "string", "Family name, at most 256 characters"),
            _attribute("givenName", "string", "Given name, at most 256 characters"),
        ],
    ),
    _attribute("displayName", "string", "Name to show, at most 256 characters"),
    _attribute(
        "emails", "complex", "E-mail addresses, at most 20",
        multiValued=True,
        subAttributes=[
            _attribute("value", "string", "The address"),
            _attribute("type", "string", "Kind of the address", canonicalValues=["work", "home", "other"]),
            _attribute("primary", "boolean", "Whether this is the preferred address; at most one is"),
        ],
    ),
    _attribute(
        "active", "boolean", "Whether the person may use the account. Who is created without it may",
        required=True,
    ),
)  # fmt: skip

_OWN_ATTRIBUTES: Final = (
    _attribute(
        "userId", "string", "Matrix user id of the account",
        caseExact=True, mutability="readOnly", uniqueness="server",
    ),
)  # fmt: skip
