"""What a real homeserver needs for SCIM: an identity provider in its configuration, and a client with the token.

The identity provider is one that nobody asks: provisioning takes place without it.
"""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from synapse_bum.oidc.scim.resource import MEDIA_TYPE, PATH
from synapse_bum.testing.http_client import HttpClient, Json, Response
from synapse_bum.testing.synapse import Config

IDP_ID: Final = "okta"
AUTH_PROVIDER: Final = f"oidc-{IDP_ID}"
_ISSUER: Final = "https://identity.example"


def oidc_providers() -> list[Config]:
    """The section `oidc_providers`."""
    endpoints = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
    return [
        {
            "idp_id": IDP_ID,
            "idp_name": "Okta",
            "issuer": _ISSUER,
            "discover": False,
            **{name: f"{_ISSUER}/{name}" for name in endpoints},
            "client_id": "homeserver",
            "client_secret": secrets.token_urlsafe(),
            "scopes": ["openid", "profile"],
            # Otherwise Synapse 1.133.0 fetches the keys of the identity provider at its start.
            "user_profile_method": "userinfo_endpoint",
            "user_mapping_provider": {
                "module": "synapse_bum.oidc.OidcMappingProvider",
                "config": {"idp_id": IDP_ID, "preset": "okta"},
            },
        }
    ]


class ScimToken:
    """A bearer token in a file.

    Attributes:
        value: the token.
        path: of the file.
    """

    def __init__(self, folder: Path) -> None:
        """Writes a new token into a folder."""
        self.value = secrets.token_urlsafe(32)
        self.path = folder / "scim-token"
        self.path.write_text(self.value, encoding="ascii")

    def module(self, **scim: object) -> Mapping[str, Any]:
        """The entry of `modules`.

        Args:
            **scim: further options of the section `scim`.
        """
        section = {"enabled": True, "idp_id": IDP_ID, "token_path": str(self.path), **scim}
        return {"module": "synapse_bum.oidc.OidcModule", "config": {"scim": section}}


class ScimClient:
    """The provisioning client of an identity provider, at one process of the homeserver."""

    def __init__(self, base_url: str, token: ScimToken) -> None:
        """Nothing is sent yet.

        Args:
            base_url: of the process.
            token: of the homeserver.
        """
        self._http = HttpClient(base_url, token.value)

    def request(self, method: str, path: str, body: Json = None) -> Response:
        """Sends a request.

        Args:
            method: of HTTP.
            path: below the base of SCIM, such as `/Users`.
            body: JSON.
        """
        return self._http.request(method, f"{PATH}{path}", json_body=body, headers={"Content-Type": MEDIA_TYPE})
