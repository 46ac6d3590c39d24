"""What three identity providers send, and how their mapping is configured; the tokens are of one Jürgen Groß.

The shapes are those of real tokens: an Entra ID v2.0 ID token, Okta's userinfo, a Keycloak 26 ID token whose roles and
groups are mapped into it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

TENANT: Final = "72f988bf-86f1-41af-91ab-2d7cd011db47"
OTHER_TENANT: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"
ENTRA_OID: Final = "690222be-ff1a-4d56-abd1-7e4f7d38e474"
OKTA_SUBJECT: Final = "00uid4BxXw6I6TV4m0g3"
KEYCLOAK_SUBJECT: Final = "248289ed-76c1-4a0c-9e6d-5c1f0a3f7b11"


def entra_config(**options: object) -> dict[str, Any]:
    """The configuration of an Entra ID tenant whose app role `Messenger.Admin` makes administrators."""
    return {
        "idp_id": "entra",
        "preset": "entra_id",
        "tenant": TENANT,
        "admin_roles": ["Messenger.Admin"],
        **options,
    }


def okta_config(**options: object) -> dict[str, Any]:
    """The configuration of an Okta organisation whose group `messenger-admins` makes administrators."""
    return {
        "idp_id": "okta",
        "preset": "okta",
        "groups_path": "groups",
        "admin_roles": ["messenger-admins"],
        **options,
    }


def keycloak_config(**options: object) -> dict[str, Any]:
    """The configuration of a Keycloak realm whose client role `messenger-admin` makes administrators."""
    return {
        "idp_id": "keycloak",
        "preset": "keycloak",
        "client_id": "synapse",
        "admin_roles": ["messenger-admin"],
        **options,
    }


def generic_config(**options: object) -> dict[str, Any]:
    """The configuration of any provider."""
    return {"idp_id": "generic", "preset": "generic", **options}


def entra_token(without: Iterable[str] = (), **claims: object) -> dict[str, Any]:
    """An ID token of Entra ID, v2.0.

    Args:
        without: claims to leave out.
        claims: other values.
    """
    token = {
        "aud": "6cb04018-a3f5-46a7-b995-940c78f5aef3",
        "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
        "iat": 1_800_000_000,
        "nbf": 1_800_000_000,
        "exp": 1_800_003_900,
        "aio": "ATQAy/8TAAAA5gxxzJ9hL7",
        "email": "Juergen.Gross@bund.example",
        "name": "Jürgen Groß",
        "nonce": "c8mYQk1TqP0wVh",
        "oid": ENTRA_OID,
        "preferred_username": "Juergen.Gross@bund.example",
        "rh": "0.AScA-Yj5cobxr0GRqy",
        "roles": ["Messenger.User"],
        "sid": "00a2b6a1-7c1d-4a0e-8b0e-2b1f7f1c5f7e",
        "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
        "tid": TENANT,
        "uti": "fqiBqXLPj0eQa82S-IYFAA",
        "ver": "2.0",
    }
    return _changed(token, without, claims)


def okta_userinfo(without: Iterable[str] = (), **claims: object) -> dict[str, Any]:
    """What Okta's userinfo endpoint answers with the scopes openid, profile, email and groups; see `entra_token`."""
    userinfo = {
        "sub": OKTA_SUBJECT,
        "name": "Jürgen Groß",
        "locale": "de-DE",
        "email": "Juergen.Gross@Bund.example",
        "preferred_username": "juergen.gross@bund.example",
        "given_name": "Jürgen",
        "family_name": "Groß",
        "zoneinfo": "Europe/Berlin",
        "updated_at": 1_800_000_000,
        "email_verified": True,
        "groups": ["Everyone", "messenger-users"],
    }
    return _changed(userinfo, without, claims)


def keycloak_token(without: Iterable[str] = (), **claims: object) -> dict[str, Any]:
    """An ID token of Keycloak 26 with its roles and full group paths mapped into it; see `entra_token`."""
    token = {
        "exp": 1_800_000_300,
        "iat": 1_800_000_000,
        "auth_time": 1_800_000_000,
        "jti": "onrtac:5c4a6ef1-0f5b-4b6b-a8b5-1f8a6c8f0f11",
        "iss": "https://keycloak.example/realms/bum",
        "aud": "synapse",
        "sub": KEYCLOAK_SUBJECT,
        "typ": "ID",
        "azp": "synapse",
        "sid": "a2b6a17c-1d4a-4e8b-8e2b-1f7f1c5f7e00",
        "at_hash": "2Vw0AqRk3Z0l1Q6y8c5G7g",
        "acr": "1",
        "realm_access": {"roles": ["default-roles-bum", "offline_access", "uma_authorization"]},
        "resource_access": {
            "account": {"roles": ["manage-account", "view-profile"]},
            "synapse": {"roles": ["messenger-user"]},
        },
        "email_verified": True,
        "name": "Jürgen Groß",
        "groups": ["/amt/it"],
        "preferred_username": "jürgen.groß",
        "given_name": "Jürgen",
        "family_name": "Groß",
        "email": "juergen.gross@bund.example",
    }
    return _changed(token, without, claims)


def _changed(token: Mapping[str, Any], without: Iterable[str], claims: Mapping[str, object]) -> dict[str, Any]:
    left_out = set(without)
    return {name: value for name, value in {**token, **claims}.items() if name not in left_out}
