"""`ScimCase`: SCIM in a homeserver of the test's own process, with an identity provider's client that sends requests.

Needs Synapse's own `tests` package.
"""

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar

from synapse.http.server import OptionsResource
from synapse.rest import admin
from synapse.rest.client import devices, login, profile, register, room
from synapse.util.httpresourcetree import create_resource_tree
from tests.server import FakeChannel
from tests.unittest import HomeserverTestCase
from twisted.web.resource import Resource

from synapse_bum.audit import AUDIT
from synapse_bum.config import parse
from synapse_bum.database import Database, Leases
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.oidc.mapping.config import MappingConfig, parse_mapping
from synapse_bum.oidc.scim.resource import PATH
from synapse_bum.oidc.scim.wiring import add_scim
from synapse_bum.oidc.tables import OIDC
from synapse_bum.testing.listeners import listener
from synapse_bum.testing.scim_bodies import scim_user

JsonDict = dict[str, Any]

TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of the test
USERS = f"{PATH}/Users"
DAY_S = 86_400


class ScimCase(HomeserverTestCase):
    """A homeserver `test` whose people come from one identity provider; `boss` administers it.

    Attributes:
        mapping: configuration of the mapping of the identity provider; set by subclasses.
        scim: further options of the section `scim`; set by subclasses.
        options: further options of the module; set by subclasses.
        boss: access token of the administrator.
    """

    mapping: ClassVar[Mapping[str, Any]] = {"idp_id": "keycloak", "preset": "keycloak"}
    scim: ClassVar[Mapping[str, Any]] = {}
    options: ClassVar[Mapping[str, Any]] = {}
    servlets: ClassVar[list[Any]] = [
        admin.register_servlets,
        devices.register_servlets,
        login.register_servlets,
        profile.register_servlets,
        register.register_servlets,
        room.register_servlets,
    ]

    def default_config(self) -> JsonDict:
        """Adds a listener for clients."""
        config = super().default_config()
        config["listeners"] = [listener("client")]
        return config

    def make_module(self) -> None:
        """Does what the module does at its start."""
        api = self.hs.get_module_api()
        token_path = Path.cwd() / "scim-token"
        token_path.write_text(f"{TOKEN}\n", encoding="ascii")
        config = parse_mapping(dict(self.mapping))
        section = {"enabled": True, "idp_id": config.idp_id, "token_path": str(token_path), **self.scim}
        self.database = Database(api, OIDC, AUDIT)
        leases = Leases(api, self.database)
        add_scim(
            api, self.database, leases, parse(OidcConfig, {"scim": section, **self.options}), self.providers(config)
        )
        self.database.start()

    def providers(self, config: MappingConfig) -> Mapping[str, MappingConfig]:
        """The identity providers that the module finds."""
        return {config.idp_id: config}

    def create_test_resource(self) -> Resource:
        """Puts the resources of modules beside Synapse's own."""
        self.make_module()
        resources = {**self.create_resource_dict(), **self.hs._module_web_resources}  # noqa: SLF001 - as Synapse itself does
        return create_resource_tree(resources, OptionsResource())

    def setUp(self) -> None:
        """Registers the administrator."""
        super().setUp()
        # Any: mypy takes Synapse's cached methods for unbound ones.
        self.store: Any = self.hs.get_datastores().main
        self.register_user("boss", "pass", admin=True)
        self.boss = self.login("boss", "pass")

    def ask(
        self,
        method: str,
        path: str,
        content: JsonDict | bytes = b"",
        *,
        token: str | None = TOKEN,
        content_type: str = "application/scim+json",
        headers: Mapping[str, str] | None = None,
    ) -> FakeChannel:
        """Sends a request of the identity provider's client and returns the answer."""
        fields = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        return self.make_request(
            method, path, content, token, content_type=content_type.encode(), custom_headers=fields
        )

    def answered(self, channel: FakeChannel, status: HTTPStatus = HTTPStatus.OK) -> JsonDict:
        """Asserts the status of an answer and returns its body."""
        assert channel.code == status, (channel.code, channel.result.get("body"))
        body: JsonDict = channel.json_body
        return body

    def refused(self, channel: FakeChannel, status: HTTPStatus, scim_type: str | None = None) -> str:
        """Asserts that an answer is an error of SCIM and returns its sentence."""
        body = self.answered(channel, status)
        assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
        assert (body["status"], body.get("scimType")) == (str(int(status)), scim_type), body
        detail: str = body["detail"]
        return detail

    def create(self, user_name: str = "anna", external_id: str | None = "subject-of-anna", **more: object) -> JsonDict:
        """Has somebody created."""
        return self.answered(self.ask("POST", USERS, scim_user(user_name, external_id, **more)), HTTPStatus.CREATED)

    def account_of(self, resource: JsonDict) -> str:
        """The Matrix user id in a resource."""
        user_id: str = resource["urn:ietf:params:scim:schemas:extension:synapse_bum:2.0:User"]["userId"]
        return user_id

    def a_linked_person(self, localpart: str, subject: str) -> str:
        """Has somebody an account by his login, with a password beside it so that a test can log in for him."""
        user_id = self.register_user(localpart, "pass")
        auth_provider = parse_mapping(dict(self.mapping)).auth_provider
        self.get_success(self.store.record_user_external_id(auth_provider, subject, user_id))
        return user_id

    def devices_of(self, user_id: str) -> set[str]:
        """The devices that a user has."""
        return set(self.get_success(self.store.get_devices_by_user(user_id)))

    def is_locked(self, user_id: str) -> bool:
        """Whether Synapse says so."""
        locked: bool = self.get_success(self.store.get_user_locked_status(user_id))
        return locked

    def is_deactivated(self, user_id: str) -> bool:
        """Whether Synapse says so."""
        deactivated: bool = self.get_success(self.store.get_user_deactivated_status(user_id))
        return deactivated

    def whoami(self, token: str) -> FakeChannel:
        """Uses a user's token."""
        return self.make_request("GET", "/_matrix/client/v3/devices", access_token=token)

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of a query."""

        def read(txn: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - a transaction of Synapse
            txn.execute(sql, parameters)
            found: list[tuple[Any, ...]] = txn.fetchall()
            return found

        return self.get_success(self.database.run("test", read))

    def audited(self) -> list[str]:
        """What the audit says was done by SCIM, the oldest first."""
        return [action for (action,) in self.rows("SELECT action FROM synapse_bum_audit ORDER BY id")]

    def wait(self, seconds: float) -> None:
        """Lets time pass, and the duty work."""
        self.reactor.advance(seconds)
        self.pump(0.1)
