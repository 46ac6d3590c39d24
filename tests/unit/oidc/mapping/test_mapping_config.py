"""What an operator may write under `user_mapping_provider: config:`, and what is said of what he may not."""

import copy
from typing import Any

import pytest
from synapse.module_api.errors import ConfigError

from synapse_bum.oidc.mapping import Preset, parse_mapping
from synapse_bum.testing.identity_tokens import TENANT, entra_config, generic_config, keycloak_config, okta_config

MUTABLE = (
    "preferred_username", "username", "upn", "unique_name", "name", "nickname", "given_name", "family_name",
    "middle_name", "email", "Email", "mail", "phone_number",
)  # fmt: skip


def refusal(config: object) -> tuple[str, tuple[str, ...]]:
    with pytest.raises(ConfigError) as caught:
        parse_mapping(config)
    return caught.value.msg, tuple(caught.value.path or ())


def test_a_preset_fills_in_what_is_not_written() -> None:
    entra = parse_mapping(entra_config())
    assert (entra.subject_claims, entra.roles_paths) == (("tid", "oid"), (("roles",),))
    okta = parse_mapping({"idp_id": "okta", "preset": "okta"})
    assert (okta.subject_claims, okta.roles_paths, okta.groups_path) == (("sub",), (), None)
    keycloak = parse_mapping(keycloak_config())
    assert keycloak.roles_paths == (("realm_access", "roles"), ("resource_access", "synapse", "roles"))
    for config in (entra, okta, keycloak):
        assert config.localpart_claim == "preferred_username"
        assert (config.display_name_claim, config.email_claim) == ("name", "email")
        assert config.deny_guests
        assert config.trust_email is None


def test_nobody_is_an_administrator_by_default() -> None:
    for preset in ("keycloak", "okta", "generic"):
        assert parse_mapping({"idp_id": "x", "preset": preset}).admin_roles == frozenset()


def test_what_is_written_beats_the_preset() -> None:
    config = parse_mapping(
        keycloak_config(
            client_id=None,
            localpart_claim="uid",
            subject_claims=["iss", "uid"],
            display_name_claim="cn",
            email_claim="mail",
            roles_path="a.b",
            groups_path=["https://x.example/groups"],
            trust_email=False,
        )
    )
    assert (config.localpart_claim, config.subject_claims) == ("uid", ("iss", "uid"))
    assert (config.display_name_claim, config.email_claim, config.trust_email) == ("cn", "mail", False)
    assert config.roles_paths == (("a", "b"),)
    assert config.groups_path == ("https://x.example/groups",)


def test_null_is_the_presets_value() -> None:
    names = ("localpart_claim", "subject_claims", "display_name_claim", "email_claim", "roles_path", "groups_path")
    nothing = dict.fromkeys((*names, "trust_email", "tenant"))
    assert parse_mapping(keycloak_config(**nothing)) == parse_mapping(keycloak_config())


def test_a_name_may_stand_twice_in_a_path() -> None:
    assert parse_mapping(generic_config(roles_path=["roles", "roles"])).roles_paths == (("roles", "roles"),)
    assert parse_mapping(generic_config(roles_path="roles.roles")).roles_paths == (("roles", "roles"),)


def test_the_tenant_is_compared_in_lower_case() -> None:
    assert parse_mapping(entra_config(tenant=TENANT.upper())).tenant == TENANT


def test_a_configuration_can_be_copied() -> None:
    config = parse_mapping(entra_config())
    assert copy.deepcopy(config) == config
    assert config.preset is Preset.ENTRA_ID


@pytest.mark.parametrize(("idp_id", "stored"), [("oidc", "oidc"), ("keycloak", "oidc-keycloak"), ("a.B~", "oidc-a.B~")])
def test_the_name_in_synapses_table_is_synapses(idp_id: str, stored: str) -> None:
    assert parse_mapping(generic_config(idp_id=idp_id)).auth_provider == stored


@pytest.mark.parametrize(
    ("config", "key", "sentence"),
    [
        (keycloak_config(idp_id="oidc-keycloak"), "idp_id", "Synapse itself puts `oidc-` before it"),
        (keycloak_config(idp_id="a b"), "idp_id", "`idp_id` of the entry"),
        (keycloak_config(preset="keycloack"), "preset", "did you mean `keycloak`?"),
        (keycloak_config(preset="entra"), "preset", "did you mean `entra_id`?"),
        (keycloak_config(admin_role=["x"]), "admin_role", "did you mean `admin_roles`?"),
        (keycloak_config(tenant=TENANT), "tenant", "for `preset: entra_id` only"),
        (keycloak_config(roles_path="roles"), "client_id", "not read when `roles_path` is set"),
        (keycloak_config(admin_roles=["/admins"]), "admin_roles", "with `groups_path` only"),
        (keycloak_config(required_roles=["/members"]), "required_roles", "with `groups_path` only"),
        (keycloak_config(admin_roles="admin"), "admin_roles", "must be a list"),
        (keycloak_config(roles_path=""), "roles_path", "not empty"),
        (keycloak_config(roles_path=[]), "roles_path", "names of claims"),
        (keycloak_config(groups_path="a..b"), "groups_path", "names of claims"),
        (keycloak_config(groups_path={"a": "b"}), "groups_path", "names of claims"),
        (keycloak_config(subject_claims=[]), "subject_claims", "at least 1 item"),
        (keycloak_config(subject_claims="sub"), "subject_claims", "must be a list"),
        (keycloak_config(trust_email="yes"), "trust_email", "`true` or `false`"),
        (entra_config(tenant=None), "tenant", "is needed with `preset: entra_id`"),
        (entra_config(tenant="bund.example"), "tenant", "a GUID"),
        (entra_config(tenant="common"), "tenant", "a GUID"),
        (entra_config(client_id="synapse"), "client_id", "for `preset: keycloak` only"),
        (okta_config(groups_path=None), "admin_roles", "set `roles_path` or `groups_path`"),
        *((generic_config(subject_claims=[claim]), "subject_claims", f"`{claim}` can change") for claim in MUTABLE),
        (entra_config(subject_claims=["tid", "upn"]), "subject_claims", "`upn` can change"),
        (keycloak_config(client_id=None, roles_path="groups"), "roles_path", "use `groups_path`"),
        (keycloak_config(client_id=None, roles_path="a.groups"), "roles_path", "use `groups_path`"),
        (okta_config(roles_path="groups"), "roles_path", "groups are no roles"),
        (generic_config(required_roles=["x"]), "required_roles", "set `roles_path` or `groups_path`"),
    ],
)
def test_what_cannot_work_is_refused(config: dict[str, Any], key: str, sentence: str) -> None:
    said, path = refusal(config)
    assert f"config.{key}" in said
    assert sentence in said
    assert path[:1] == (key,)


def test_provider_and_preset_must_be_named() -> None:
    assert "`config.idp_id`" in refusal({"preset": "keycloak"})[0]
    assert "`config.preset`" in refusal({"idp_id": "keycloak"})[0]
