"""The realm of `RealKeycloak`, as Keycloak imports it: its ids are fixed, so that a person is the same in every run.

Mappers put into the ID token what Keycloak by default puts into the access token only: roles of the realm and of
clients, and full paths of groups (Keycloak, Server Administration Guide, "Managing OpenID Connect and SAML clients").
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attr

REALM: Final = "bum"
CLIENT_ID: Final = "synapse"
CLIENT_SECRET: Final = "the secret of the client"  # noqa: S105 - it protects nothing
OTHER_CLIENT_ID: Final = "wiki"
PASSWORD: Final = "a password that everybody here has"  # noqa: S105 - it protects nothing
CLIENT_UUID: Final = str(uuid.uuid5(uuid.NAMESPACE_URL, CLIENT_ID))

_IN_THE_ID_TOKEN: Final = {"id.token.claim": "true", "access.token.claim": "true", "userinfo.token.claim": "true"}
_MAPPERS: Final = (
    (
        "roles of the realm",
        "oidc-usermodel-realm-role-mapper",
        {"claim.name": "realm_access.roles", "jsonType.label": "String", "multivalued": "true"},
    ),
    (
        "roles of clients",
        "oidc-usermodel-client-role-mapper",
        {"claim.name": "resource_access.${client_id}.roles", "jsonType.label": "String", "multivalued": "true"},
    ),
    ("groups", "oidc-group-membership-mapper", {"claim.name": "groups", "full.path": "true"}),
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Account:
    """Somebody in the realm; everybody's password is `PASSWORD`.

    Attributes:
        user_name: for the form.
        first_name: of the person.
        last_name: of the person.
        realm_roles: names.
        client_roles: names, by client.
        groups: full paths.
    """

    user_name: str
    first_name: str
    last_name: str
    realm_roles: Sequence[str] = ()
    client_roles: Mapping[str, Sequence[str]] = attr.ib(factory=dict)
    groups: Sequence[str] = ()

    @property
    def user_id(self) -> str:
        """The UUID that it is imported with, which is the claim `sub`."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, self.user_name))


def realm(
    accounts: Sequence[Account], *, realm_roles: Sequence[str], client_roles: Sequence[str], group_paths: Sequence[str]
) -> Mapping[str, Any]:
    """Write the realm.

    Args:
        accounts: who is in it.
        realm_roles: roles of the realm.
        client_roles: roles of each of the two clients: the homeserver's and another one.
        group_paths: full paths of groups, of two segments each.
    """
    roles = [{"name": name} for name in client_roles]
    tops = dict.fromkeys(path.split("/")[1] for path in group_paths)
    return {
        "realm": REALM,
        "enabled": True,
        "sslRequired": "none",  # the homeserver hears of logouts at an address without TLS
        "editUsernameAllowed": True,
        "roles": {
            "realm": [{"name": name} for name in realm_roles],
            "client": {CLIENT_ID: roles, OTHER_CLIENT_ID: roles},
        },
        "groups": [
            {
                "name": top,
                "subGroups": [{"name": path.split("/")[2]} for path in group_paths if path.split("/")[1] == top],
            }
            for top in tops
        ],
        "clients": [_client(CLIENT_ID, id=CLIENT_UUID, secret=CLIENT_SECRET), _client(OTHER_CLIENT_ID)],
        "users": [_user(account) for account in accounts],
    }


def _client(client_id: str, **more: str) -> Mapping[str, Any]:
    return {
        "clientId": client_id,
        "redirectUris": ["*"],
        "protocolMappers": [
            {
                "name": name,
                "protocol": "openid-connect",
                "protocolMapper": mapper,
                "config": {**config, **_IN_THE_ID_TOKEN},
            }
            for name, mapper, config in _MAPPERS
        ],
        **more,
    }


def _user(account: Account) -> Mapping[str, Any]:
    return {
        "id": account.user_id,
        "username": account.user_name,
        "firstName": account.first_name,
        "lastName": account.last_name,
        "email": f"{account.user_name}@amt.example",
        "emailVerified": True,
        "enabled": True,
        "credentials": [{"type": "password", "value": PASSWORD}],
        "realmRoles": list(account.realm_roles),
        "clientRoles": {client: list(names) for client, names in account.client_roles.items()},
        "groups": list(account.groups),
    }
