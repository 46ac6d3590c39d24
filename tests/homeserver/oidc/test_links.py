"""Who is linked to which account, and who made him an administrator."""

from synapse.server import HomeServer

from synapse_bum.config import parse
from synapse_bum.database import Database
from synapse_bum.oidc.api import OidcApi
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.oidc.providers import providers
from synapse_bum.oidc.tables import OIDC
from synapse_bum.rest import api_routes
from synapse_bum.testing.sso_case import SsoTestCase


class LinksTestCase(SsoTestCase):
    def make_homeserver(self, *_reactor_and_clock: object) -> HomeServer:
        hs = self.setup_test_homeserver()
        api = hs.get_module_api()
        config = parse(OidcConfig, {})
        OidcApi(api, Database(api, OIDC), config, providers(api)).add_to(api_routes(api, config))
        return hs

    def link(self, auth_provider: str, subject: str, user: str, *, admin: bool = False) -> None:
        user_id = f"@{user}:test"
        if self.count("SELECT COUNT(*) FROM users WHERE name = ?", user_id) == 0:
            self.register_user(user, "pass", admin=admin)
        self.rows("INSERT INTO user_external_ids VALUES (?, ?, ?)", auth_provider, subject, user_id)

    def grant(self, user: str, idp_id: str) -> None:
        self.rows("INSERT INTO synapse_bum_oidc_admin_grants VALUES (?, ?, 1, 1, 0)", f"@{user}:test", idp_id)

    def test_each_link_says_who_made_the_administrator(self) -> None:
        self.answer("GET", "oidc/links")
        self.link("oidc-keycloak", "1", "anna")
        self.link("oidc-keycloak", "2", "bert", admin=True)
        self.link("oidc-keycloak", "3", "carl", admin=True)
        self.link("oidc-old", "4", "carl")
        self.link("oidc", "5", "dora", admin=True)
        self.link("saml", "6", "emil")
        self.grant("carl", "keycloak")
        self.grant("dora", "oidc")
        found = self.answer("GET", "oidc/links")
        assert [tuple(link.values()) for link in found["links"]] == [
            ("oidc", "5", "@dora:test", "idp"),
            ("keycloak", "1", "@anna:test", None),
            ("keycloak", "2", "@bert:test", "manual"),
            ("keycloak", "3", "@carl:test", "idp"),
            ("old", "4", "@carl:test", None),
        ]
        assert found["links"][0].keys() == {"idp_id", "subject", "user_id", "admin_by"}
        assert found["total"] == 5

    def test_links_of_a_user_and_of_a_provider(self) -> None:
        for number, provider in enumerate(("oidc-keycloak", "oidc-old")):
            for user in ("anna", "bert"):
                self.link(provider, f"{user}{number}", user)
        of_anna = self.answer("GET", "oidc/links?user_id=@anna:test")
        assert [link["subject"] for link in of_anna["links"]] == ["anna0", "anna1"]
        at_keycloak = self.answer("GET", "oidc/links?user_id=@anna:test&idp_id=keycloak")
        assert [link["subject"] for link in at_keycloak["links"]] == ["anna0"]
        assert at_keycloak["total"] == 1
        assert self.answer("GET", "oidc/links?user_id=@nobody:test") == {"links": [], "total": 0}

    def test_links_of_administrators(self) -> None:
        self.link("oidc-keycloak", "1", "anna")
        self.link("oidc-keycloak", "2", "bert", admin=True)
        self.link("oidc-old", "3", "bert")
        self.link("oidc-old", "4", "carl", admin=True)
        found = self.answer("GET", "oidc/links?only=administrators")
        assert [link["subject"] for link in found["links"]] == ["2", "3", "4"]
        assert found["total"] == 3
        at_keycloak = self.answer("GET", "oidc/links?only=administrators&idp_id=keycloak")
        assert [link["subject"] for link in at_keycloak["links"]] == ["2"]

    def test_pages(self) -> None:
        for number in range(5):
            self.link("oidc-keycloak", str(number), f"user{number}")
        page = self.answer("GET", "oidc/links?limit=2&from=1")
        assert [link["subject"] for link in page["links"]] == ["1", "2"]
        assert (page["total"], page["next_token"]) == (5, "3")

    def test_what_is_refused_says_why(self) -> None:
        for query, word in (("user_id=anna", "user_id"), ("idp_id=okta", "keycloak"), ("limit=0", "limit")):
            channel = self.ask("GET", f"oidc/links?{query}")
            assert (channel.code, channel.json_body["errcode"]) == (400, "M_INVALID_PARAM")
            assert word in channel.json_body["error"]
        self.register_user("user", "pass")
        assert self.ask("GET", "oidc/links", token=self.login("user", "pass")).code == 403
