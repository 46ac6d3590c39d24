"""Bodies of SCIM requests as identity providers send them (RFC 7643 4.1, RFC 7644 3.5.2)."""

from collections.abc import Mapping
from typing import Any, Final

Body = dict[str, Any]

_CORE_USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
_PATCH_OP: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def scim_user(user_name: str = "anna", external_id: str | None = "subject-of-anna", **more: object) -> Body:
    """The body of a POST or PUT.

    Args:
        user_name: login name.
        external_id: what the identity provider calls the person.
        **more: further attributes, or other values of those here.
    """
    return {"schemas": [_CORE_USER], "userName": user_name, "externalId": external_id, "active": True, **more}


def patch_body(*operations: Mapping[str, object]) -> Body:
    """The body of a PATCH."""
    return {"schemas": [_PATCH_OP], "Operations": list(operations)}


LEAVES: Final = patch_body({"op": "replace", "value": {"active": False}})
"""What Okta sends when somebody leaves."""

RETURNS: Final = patch_body({"op": "replace", "value": {"active": True}})
"""What Okta sends when somebody comes back."""
