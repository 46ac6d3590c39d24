"""`SsoTestCase`: people log in over OpenID Connect to a homeserver in the test's own process, with our mapping.

The identity provider is Synapse's own fake: it says of a person whatever the test wants.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from synapse.rest import admin
from synapse.rest.client import account, auth, devices, login, profile
from synapse.rest.synapse.client import build_synapse_client_resource_tree
from tests.server import FakeChannel
from tests.unittest import HomeserverTestCase
from twisted.web.resource import Resource

from synapse_bum.rest import BASE
from synapse_bum.testing.listeners import listener

MAPPER = "synapse_bum.oidc.mapping_provider.OidcMappingProvider"
ISSUER = "https://issuer.test/"
CLIENT_URL = "https://client.test"


class SsoTestCase(HomeserverTestCase):
    """A homeserver `test` with one identity provider, `keycloak` unless a subclass says otherwise.

    Attributes:
        mapping: configuration of the mapping; set by subclasses.
        entry: further keys of the entry of `oidc_providers`; set by subclasses.
        server: further sections of homeserver.yaml; set by subclasses.
        issuer: of the identity provider.
    """

    mapping: ClassVar[Mapping[str, Any]] = {"idp_id": "keycloak", "preset": "keycloak"}
    entry: ClassVar[Mapping[str, Any]] = {}
    server: ClassVar[Mapping[str, Any]] = {}
    issuer: ClassVar[str] = ISSUER
    servlets: ClassVar[list[Any]] = [
        account.register_servlets,
        admin.register_servlets,
        auth.register_servlets,
        devices.register_servlets,
        login.register_servlets,
        profile.register_servlets,
    ]

    def default_config(self) -> dict[str, Any]:
        """Adds the identity provider, with our mapping."""
        config: dict[str, Any] = super().default_config()
        config["public_baseurl"] = "http://synapse.test/"
        config["listeners"] = [listener("client", "media")]
        config["oidc_providers"] = [self.provider_entry()]
        config.update(self.server)
        return config

    def provider_entry(self) -> dict[str, Any]:
        """The entry of `oidc_providers`."""
        return {
            "idp_id": self.mapping["idp_id"],
            "idp_name": "Identity provider",
            "issuer": self.issuer,
            "client_id": "synapse",
            "client_secret": "secret",
            "scopes": ["openid", "profile", "email"],
            "user_mapping_provider": {"module": MAPPER, "config": dict(self.mapping)},
            **self.entry,
        }

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        """Starts the identity provider and registers an administrator."""
        super().prepare(*reactor_clock_and_homeserver)
        self.identity_provider = self.helper.fake_oidc_server(self.issuer)
        self.boss = self.register_user("boss", "pass", admin=True)
        self.boss_token = self.login("boss", "pass")

    def create_resource_dict(self) -> dict[str, Resource]:
        """Adds the pages of logins and the resources of modules."""
        resources: dict[str, Resource] = super().create_resource_dict()
        resources.update(build_synapse_client_resource_tree(self.hs))
        resources.update(self.hs._module_web_resources)  # noqa: SLF001 - as Synapse's listeners do
        return resources

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str | None = None
    ) -> FakeChannel:
        """Sends a request below our base, as the administrator unless another token is given."""
        content = b"" if body is None else dict(body)
        return self.make_request(method, f"{BASE}/{path}", content, access_token=token or self.boss_token)

    def answer(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """As `ask`; asserts that it is answered with 200 and returns the object."""
        channel = self.ask(method, path, body)
        assert channel.code == HTTPStatus.OK, channel.json_body
        found: dict[str, Any] = channel.json_body
        return found

    def come_back(self, claims: Mapping[str, Any], *, with_sid: bool = False) -> FakeChannel:
        """Somebody comes back from the identity provider; returns Synapse's page.

        Args:
            claims: what it says of him.
            with_sid: whether his session there has an id, by which it can be ended.
        """
        channel, self.session_there = self.helper.auth_via_oidc(
            self.identity_provider, dict(claims), CLIENT_URL, with_sid=with_sid
        )
        return channel

    def confirm(self, claims: Mapping[str, Any], session: str) -> FakeChannel:
        """Somebody confirms something at the identity provider (user-interactive authentication)."""
        channel, _grant = self.helper.auth_via_oidc(self.identity_provider, dict(claims), ui_auth_session_id=session)
        return channel

    def log_in(self, claims: Mapping[str, Any], *, with_sid: bool = False) -> dict[str, Any]:
        """A whole login; returns what the client gets: `user_id`, `access_token` ..."""
        page = self.come_back(claims, with_sid=with_sid)
        assert page.code == HTTPStatus.OK, page.text_body
        found = re.search(r'loginToken=([^"&]*)', page.text_body)
        assert found, page.text_body
        answer: dict[str, Any] = self.helper.login_via_token(found[1])
        return answer

    def user_of(self, claims: Mapping[str, Any]) -> str:
        """Whose session somebody gets who logs in."""
        user_id: str = self.log_in(claims)["user_id"]
        return user_id

    def refused(self, claims: Mapping[str, Any]) -> str:
        """Asserts that somebody is not let in and gets no account; returns the page that he sees."""
        before = self.count("SELECT COUNT(*) FROM users")
        page = self.come_back(claims)
        assert page.code == HTTPStatus.BAD_REQUEST, (page.code, page.text_body)
        assert "loginToken" not in page.text_body
        assert self.count("SELECT COUNT(*) FROM users") == before
        return page.text_body

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What a query finds in the homeserver's database."""

        def read(txn: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - a Synapse transaction
            txn.execute(sql, parameters)
            found: list[tuple[Any, ...]] = txn.fetchall() if txn.description else []
            return found

        return self.get_success(self.hs.get_module_api().run_db_interaction("test", read))

    def count(self, sql: str, *parameters: object) -> int:
        """The number that a query finds."""
        return int(self.rows(sql, *parameters)[0][0])
