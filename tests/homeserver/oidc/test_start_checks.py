"""What does not go together stops the start, with a sentence; what is doubtful is a warning."""

from collections.abc import Mapping
from typing import Any

import attr
import pytest
from tests.unittest import HomeserverTestCase

from synapse_bum.config import SetupError
from synapse_bum.homeserver.oidc_settings import ProviderSettings
from synapse_bum.oidc.mapping import parse_mapping
from synapse_bum.oidc.providers import providers
from synapse_bum.oidc.start_checks import contradictions, doubts

TENANT = "0a0b0c0d-1111-4222-8333-444455556666"
KEYCLOAK = {"idp_id": "keycloak", "preset": "keycloak"}
ENTRA = {"idp_id": "entra", "preset": "entra_id", "tenant": TENANT}
OKTA = {"idp_id": "okta", "preset": "okta"}
MAPPER = "synapse_bum.oidc.mapping_provider.OidcMappingProvider"


def settings(idp_id: str, **changes: Any) -> ProviderSettings:  # noqa: ANN401 - any attribute
    usual = ProviderSettings(f"oidc-{idp_id}", "https://idp.example/", ("openid",), False, False, None)  # noqa: FBT003
    return attr.evolve(usual, **changes)


def of_tenant(tenant: str) -> ProviderSettings:
    return settings("entra", issuer=f"https://login.microsoftonline.example/{tenant}/v2.0")


@pytest.mark.parametrize(
    ("mapping", "entry"),
    [
        (KEYCLOAK, settings("keycloak")),
        ({**KEYCLOAK, "idp_id": "oidc"}, settings("oidc", auth_provider="oidc")),
        (ENTRA, of_tenant(TENANT)),
        (ENTRA, of_tenant(TENANT.upper())),
    ],
)
def test_what_goes_together(mapping: Mapping[str, Any], entry: ProviderSettings) -> None:
    assert list(contradictions(parse_mapping(mapping), entry)) == []
    assert list(doubts(parse_mapping(mapping), entry)) == []


@pytest.mark.parametrize(
    ("mapping", "entry", "words"),
    [
        (KEYCLOAK, settings("keycloack"), ("`keycloak`", "`keycloack`")),
        (KEYCLOAK, settings("oidc", auth_provider="oidc"), ("`keycloak`", "`oidc`")),
        (KEYCLOAK, settings("keycloak", allow_existing_users=True), ("allow_existing_users", "set it to false")),
        (KEYCLOAK, settings("keycloak", scopes=("profile",)), ("scopes", "`openid`")),
        (ENTRA, of_tenant("common"), ("all organisations", TENANT)),
        (ENTRA, of_tenant("Organizations"), ("all organisations", TENANT)),
        (ENTRA, of_tenant(TENANT.replace("0a", "0b")), ("issuer", TENANT)),
        (ENTRA, of_tenant(f"x{TENANT}"), ("issuer", TENANT)),
    ],
)
def test_what_does_not_is_said_with_the_remedy(
    mapping: Mapping[str, Any], entry: ProviderSettings, words: tuple[str, ...]
) -> None:
    (sentence,) = contradictions(parse_mapping(mapping), entry)
    assert all(word in sentence for word in words), sentence


def test_roles_of_okta_come_from_the_userinfo_endpoint() -> None:
    mapping = parse_mapping({**OKTA, "groups_path": "groups", "admin_roles": ["matrix-admins"]})
    (sentence,) = doubts(mapping, settings("okta"))
    assert "user_profile_method: userinfo_endpoint" in sentence
    assert list(doubts(mapping, settings("okta", reads_userinfo_endpoint=True))) == []
    assert list(doubts(parse_mapping(OKTA), settings("okta"))) == []


class StartTestCase(HomeserverTestCase):
    def start(self, mapping: Mapping[str, Any], **entry: object) -> None:
        """Does what Synapse does with a provider before it opens its listeners."""
        config = self.default_config()
        config["public_baseurl"] = "http://synapse.test/"
        config["oidc_providers"] = [
            {
                "idp_id": "another",
                "idp_name": "not ours",
                "issuer": "https://other.example/",
                "client_id": "synapse",
                "client_secret": "secret",
                "user_mapping_provider": {"config": {"localpart_template": "{{ user.sub }}"}},
            },
            {
                "idp_id": mapping["idp_id"],
                "idp_name": "ours",
                "issuer": "https://idp.example/",
                "client_id": "synapse",
                "client_secret": "secret",
                "discover": False,
                "authorization_endpoint": "https://idp.example/a",
                "token_endpoint": "https://idp.example/t",
                "jwks_uri": "https://idp.example/j",
                "user_mapping_provider": {"module": MAPPER, "config": dict(mapping)},
                **entry,
            },
        ]
        self.server = self.setup_test_homeserver(config=config)
        self.server.get_oidc_handler()

    def test_synapse_starts_with_what_goes_together(self) -> None:
        self.start(KEYCLOAK)
        found = providers(self.server.get_module_api())
        assert {idp_id: config.preset.value for idp_id, config in found.items()} == {"keycloak": "keycloak"}

    def test_synapse_does_not_start_with_a_contradiction(self) -> None:
        with pytest.raises(SetupError) as caught:
            self.start(KEYCLOAK, idp_id="kc", allow_existing_users=True)
        sentence = str(caught.value)
        assert sentence.startswith("`oidc_providers`, entry `keycloak`: ")
        assert "`kc`" in sentence
        assert "allow_existing_users" in sentence

    def test_a_doubt_is_a_warning(self) -> None:
        with self.assertLogs("synapse_bum.oidc", "WARNING") as logs:
            self.start({**OKTA, "groups_path": "groups", "required_roles": ["staff"]})
        assert "userinfo_endpoint" in logs.output[0]
