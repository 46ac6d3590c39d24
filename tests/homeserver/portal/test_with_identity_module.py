"""The portal with the identity module loaded: links of an account, and administrators by a role."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from synapse.rest.synapse.client import build_synapse_client_resource_tree
from twisted.web.resource import Resource

from synapse_bum.oidc.duty import TICK_MS
from synapse_bum.testing.portal_case import PortalTestCase
from synapse_bum.testing.sso_case import CLIENT_URL, ISSUER, MAPPER

ROLE = "matrix-admin"
SCRIPT = "<script>alert('x')</script>"
ESCAPED = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"


class IdentityCase(PortalTestCase):
    """`chief` logs in at an identity provider that gives him a role; `boss` was appointed by hand."""

    more_modules = ({"module": "synapse_bum.oidc.OidcModule", "config": {}},)
    server: ClassVar[Mapping[str, Any]] = {
        "public_baseurl": "http://synapse.test/",
        "oidc_providers": [
            {
                "idp_id": "keycloak",
                "idp_name": "Identity provider",
                "issuer": ISSUER,
                "client_id": "synapse",
                "client_secret": "secret",
                "scopes": ["openid", "profile"],
                "user_mapping_provider": {
                    "module": MAPPER,
                    "config": {"idp_id": "keycloak", "preset": "keycloak", "admin_roles": [ROLE]},
                },
            }
        ],
    }

    def create_resource_dict(self) -> dict[str, Resource]:
        resources = super().create_resource_dict()
        resources.update(build_synapse_client_resource_tree(self.hs))
        resources.update(self.hs._module_web_resources)
        return resources

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        super().prepare(*reactor_clock_and_homeserver)
        self.identity_provider = self.helper.fake_oidc_server(ISSUER)
        self.browser.log_in()

    def comes(self, login: str, *roles: str, subject: str = "") -> str:
        """Has somebody log in at the identity provider; returns his user id."""
        claims = {
            "sub": subject or f"subject of {login}",
            "preferred_username": login,
            "realm_access": {"roles": [*roles]},
        }
        page, _grant = self.helper.auth_via_oidc(self.identity_provider, claims, CLIENT_URL)
        assert page.code == HTTPStatus.OK, page.text_body
        found = re.search(r'loginToken=([^"&]*)', page.text_body)
        assert found is not None
        user_id: str = self.helper.login_via_token(found[1])["user_id"]
        for _ in range(3):
            self.wait(TICK_MS / 1000)
            self.pump()
        return user_id

    def is_admin(self, user_id: str) -> bool:
        return bool(self.get_success(self.hs.get_module_api().is_user_admin(user_id)))

    def row(self, page: str, user_id: str) -> str:
        """The row of a table that begins with a user id."""
        return page.partition(f'<th scope="row">{user_id}')[2].partition("</tr>")[0]


class LinksTests(IdentityCase):
    def test_the_page_of_an_account_tells_who_knows_it_and_who_made_it_an_administrator(self) -> None:
        chief = self.comes("chief", ROLE, subject=SCRIPT)
        page = self.browser.get(f"users/{chief}")
        assert f'<th scope="row">keycloak</th><td>{ESCAPED}</td><td>durch eine Rolle beim Anmeldedienst</td>' in page
        assert "<script" not in page
        anna = self.comes("anna")
        page = self.browser.get(f"users/{anna}")
        assert '<th scope="row">keycloak</th><td>subject of anna</td></tr>' in page
        assert "Administrationsrecht</th>" not in page
        assert "mit keinem Anmeldedienst verbunden" in self.browser.get(f"users/{self.alice}")

    def test_who_was_appointed_by_hand_is_said_to_be(self) -> None:
        anna = self.comes("anna")
        self.browser.submit(f"administrators/{anna}/appoint")
        assert "<td>von Hand vergeben</td>" in self.browser.get(f"users/{anna}")

    def test_providers_of_another_kind_are_there_too(self) -> None:
        store = self.hs.get_datastores().main
        self.get_success(store.record_user_external_id("saml", "s-1", self.alice))
        page = self.browser.get(f"users/{self.alice}")
        assert '<th scope="row">saml</th><td>s-1</td>' in page


class AdministratorsTests(IdentityCase):
    def test_the_list_tells_the_role_from_the_hand(self) -> None:
        chief = self.comes("chief", ROLE)
        page = self.browser.get("administrators")
        assert "<td>den Anmeldedienst</td>" in self.row(page, chief)
        assert "<td>dieses Portal oder den Betreiber</td>" in self.row(page, self.boss)

    def test_a_right_by_role_that_is_removed_here_comes_back_as_the_page_said(self) -> None:
        chief = self.comes("chief", ROLE)
        page = self.browser.get(f"administrators/{chief}/remove")
        assert "Es kommt mit der nächsten Anmeldung zurück" in page
        self.browser.submit(f"administrators/{chief}/remove")
        assert not self.is_admin(chief)
        self.comes("chief", ROLE)
        assert self.is_admin(chief)

    def test_a_right_by_hand_that_is_removed_stays_removed(self) -> None:
        anna = self.comes("anna")
        self.browser.submit(f"administrators/{anna}/appoint")
        assert "kommt mit der nächsten Anmeldung" not in self.browser.get(f"administrators/{anna}/remove")
        self.browser.submit(f"administrators/{anna}/remove")
        self.comes("anna")
        assert not self.is_admin(anna)


class WithoutTheModuleTests(PortalTestCase):
    def test_the_page_of_an_account_shows_what_synapse_knows(self) -> None:
        store = self.hs.get_datastores().main
        self.get_success(store.record_user_external_id("oidc-keycloak", "s-1", self.alice))
        self.browser.log_in()
        assert '<th scope="row">oidc-keycloak</th><td>s-1</td></tr>' in self.browser.get(f"users/{self.alice}")
        assert "ist auf diesem Server nicht eingerichtet" in self.browser.get(f"users/{self.boss}")
