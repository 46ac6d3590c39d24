"""`LoginTestCase`: what logins change, in a homeserver in the test's own process."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import attr
from synapse.module_api import ModuleApi
from synapse.rest import admin
from synapse.rest.client import account, auth, devices, login, profile, room

from synapse_bum.audit import AUDIT
from synapse_bum.config import parse
from synapse_bum.database import Database, Leases
from synapse_bum.oidc.admins import Admins, watch_manual_changes
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.oidc.duty import TICK_MS, IdentityDuty
from synapse_bum.oidc.login import LoginSync
from synapse_bum.oidc.mapping import parse_mapping
from synapse_bum.oidc.tables import OIDC
from synapse_bum.testing.sso_case import SsoTestCase

ADMIN_ROLE = "matrix-admin"
_STEPS: Final = 20
"""About as many, however much time passes."""
_ROUNDS: Final = 20
"""How often the reactor goes round after each, so that a turn of the duty ends."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class LoginParts:
    """What one process has.

    Attributes:
        database: with the tables of the identity feature.
        admins: applies what logins say of administrators.
        logins: applies logins.
        duty: of the process; not started.
    """

    database: Database
    admins: Admins
    logins: LoginSync
    duty: IdentityDuty


def add_logins(api: ModuleApi, oidc: Mapping[str, Any], mappings: list[Mapping[str, Any]]) -> LoginParts:
    """Adds to a process what applies logins.

    Args:
        api: of the process.
        oidc: configuration of the module.
        mappings: configuration of each identity provider's mapping.
    """
    config = parse(OidcConfig, dict(oidc))
    database = Database(api, AUDIT, OIDC)
    leases = Leases(api, database)
    admins = Admins(api, database, config)
    providers = {one.idp_id: one for one in map(parse_mapping, map(dict, mappings))}
    logins = LoginSync(api, database, admins, providers)
    api.register_account_validity_callbacks(on_user_login=logins.on_user_login)
    watch_manual_changes(api, database)
    database.start()
    return LoginParts(database, admins, logins, IdentityDuty(api, database, leases, admins, logins))


class LoginTestCase(SsoTestCase):
    """A homeserver whose identity provider appoints administrators; `boss` is one by hand.

    Attributes:
        oidc: configuration of the module; set by subclasses.
        parts: of the homeserver.
    """

    mapping: ClassVar[Mapping[str, Any]] = {"idp_id": "keycloak", "preset": "keycloak", "admin_roles": [ADMIN_ROLE]}
    oidc: ClassVar[Mapping[str, Any]] = {}
    servlets: ClassVar[list[Any]] = [
        account.register_servlets,
        admin.register_servlets,
        auth.register_servlets,
        devices.register_servlets,
        login.register_servlets,
        profile.register_servlets,
        room.register_servlets,
    ]

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        """Adds what applies logins, with the duty."""
        super().prepare(*reactor_clock_and_homeserver)
        self.parts = add_logins(self.hs.get_module_api(), self.oidc, [self.mapping])
        self.parts.duty.start()
        self.pump()

    def person(self, login: str, /, *roles: str, **claims: object) -> dict[str, Any]:
        """What the identity provider says of somebody.

        Args:
            login: his login name and the stem of his subject.
            *roles: of the realm.
            **claims: further ones, or others; None leaves one out.
        """
        said = {
            "sub": f"subject of {login}",
            "preferred_username": login,
            "name": login.capitalize(),
            "realm_access": {"roles": ["offline_access", *roles]},
            **claims,
        }
        return {claim: value for claim, value in said.items() if value is not None}

    def comes(self, login: str, /, *roles: str, **claims: object) -> str:
        """Has somebody log in, as `person`; returns his user id."""
        user_id = self.user_of(self.person(login, *roles, **claims))
        self.pump()
        return user_id

    def turn(self, seconds: float = TICK_MS / 1000) -> None:
        """Lets time pass, in steps after each of which the duty has its turn."""
        while seconds > 0:
            step = min(seconds, max(TICK_MS / 1000, seconds / _STEPS))
            self.reactor.pump([step, *[0] * _ROUNDS])
            seconds -= step

    def is_admin(self, user_id: str) -> bool:
        """Whether Synapse lets somebody administer the server, as it remembers it."""
        return bool(self.get_success(self.hs.get_module_api().is_user_admin(user_id)))

    def decide_by_hand(self, user_id: str, *, admin: bool) -> None:
        """Has an administrator appoint somebody or remove his right."""
        path = f"/_synapse/admin/v1/users/{user_id}/admin"
        channel = self.make_request("PUT", path, {"admin": admin}, access_token=self.boss_token)
        assert channel.code == 200, channel.json_body

    def boss_leaves(self) -> None:
        """Whoever was appointed by hand can't act any more."""
        self.rows("UPDATE users SET locked = TRUE WHERE name = ?", self.boss)

    def audit(self, action: str) -> list[tuple[str, str, str | None]]:
        """Actor, target and reason of what was written down about an action, oldest first."""
        sql = "SELECT actor, target, reason FROM synapse_bum_audit WHERE action = ? ORDER BY id"
        return [(actor, target, reason) for actor, target, reason in self.rows(sql, action)]

    def grants(self) -> list[tuple[str, str, int]]:
        """Accounts, identity providers and states of all grants."""
        sql = "SELECT user_id, idp_id, revoking FROM synapse_bum_oidc_admin_grants ORDER BY user_id, idp_id"
        return [(user_id, idp_id, int(state)) for user_id, idp_id, state in self.rows(sql)]
