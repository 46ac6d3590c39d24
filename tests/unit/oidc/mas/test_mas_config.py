"""`synapse-bum mas-config`: what it prints, and what it says that it can't."""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from synapse_bum.cli.mas_config import MAS_CONFIG
from synapse_bum.oidc.mapping import candidate, parse_mapping
from synapse_bum.oidc.mas.provider import PLACEHOLDER, longest_localpart, provider_id, upstream
from synapse_bum.oidc.mas.templates import claim_templates
from synapse_bum.oidc.mas.unexpressed import Rule
from synapse_bum.testing.identity_tokens import entra_config, keycloak_config, okta_config

SERVER = "bum.example"


def an_entry(mapping: Mapping[str, object] | None = None, /, **options: object) -> dict[str, Any]:
    mapping = dict(mapping or keycloak_config())
    return {
        "idp_id": mapping["idp_id"],
        "idp_name": "Anmeldung für alle",
        "issuer": "https://idp.example/realms/bum",
        "client_id": "synapse",
        "client_secret_path": "/run/secrets/idp",
        "scopes": ["openid", "profile", "email"],
        "user_mapping_provider": {"module": "synapse_bum.oidc.OidcMappingProvider", "config": mapping},
        **options,
    }


def run(tmp_path: Path, *entries: object, **more: object) -> int:
    path = tmp_path / "homeserver.yaml"
    path.write_text(yaml.safe_dump({"server_name": SERVER, "oidc_providers": list(entries), **more}))
    parser = argparse.ArgumentParser()
    MAS_CONFIG.add_options(parser)
    return MAS_CONFIG.run(parser.parse_args(["-c", str(path)]))


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    providers: list[dict[str, Any]] = yaml.safe_load(capsys.readouterr().out)["upstream_oauth2"]["providers"]
    return providers


def options_of(**options: object) -> dict[str, Any]:
    return dict(upstream(an_entry(**options), parse_mapping(keycloak_config()), SERVER).options)


def remarks_on(**options: object) -> str:
    return " ".join(upstream(an_entry(**options), parse_mapping(keycloak_config()), SERVER).remarks)


def test_every_provider_of_ours_is_printed_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = {"idp_id": "other", "user_mapping_provider": {"config": {}}}
    assert run(tmp_path, others, an_entry(), an_entry(dict(entra_config()), backchannel_logout_enabled=True)) == 0
    keycloak, entra = printed(capsys)
    assert keycloak["synapse_idp_id"] == "oidc-keycloak", "so that syn2mas finds the links of accounts"
    assert keycloak["human_name"] == "Anmeldung für alle"
    assert keycloak["scope"] == "openid profile email"
    assert "on_backchannel_logout" not in keycloak
    assert entra["on_backchannel_logout"] == "logout_all"
    assert keycloak["id"] != entra["id"]


@pytest.mark.parametrize("mapping", [keycloak_config(), entra_config(), okta_config()], ids=lambda one: one["preset"])
def test_templates_come_through_yaml_as_they_were_written(
    mapping: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, an_entry(mapping)) == 0
    imports = printed(capsys)[0]["claims_imports"]
    templates = claim_templates(parse_mapping(mapping), from_userinfo=False, room=longest_localpart(SERVER))
    assert imports["subject"]["template"] == templates.subject
    assert imports["localpart"] == {"action": "require", "on_conflict": "fail", "template": templates.localpart}
    assert imports["displayname"] == {"action": "force", "template": templates.display_name}
    if templates.email is None:
        assert imports["email"] == {"action": "ignore"}
    else:
        assert imports["email"] == {"action": "force", "template": templates.email}
    assert imports["skip_confirmation"] is True


def test_the_id_is_a_ulid_and_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    number = provider_id("https://idp.example", "synapse", "keycloak")
    assert re.fullmatch("[0-7][0123456789ABCDEFGHJKMNPQRSTVWXYZ]{25}", number)
    assert number == provider_id("https://idp.example", "synapse", "keycloak")
    assert number != provider_id("https://idp.example", "synapsekeycloak", "")
    for _ in range(2):
        assert run(tmp_path, an_entry()) == 0
    assert len({one["id"] for one in printed(capsys)}) == 1


def test_no_secret_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = an_entry(client_secret="hush-hush")
    del entry["client_secret_path"]
    assert run(tmp_path, entry) == 0
    said = capsys.readouterr()
    assert "hush-hush" not in said.out + said.err
    assert f"client_secret_file: {PLACEHOLDER}" in said.out
    assert "is not printed" in said.err


def test_a_secret_in_a_file_stays_in_it() -> None:
    options = options_of()
    assert options["client_secret_file"] == "/run/secrets/idp"
    assert options["token_endpoint_auth_method"] == "client_secret_basic"


def test_a_public_client_has_no_secret() -> None:
    options = options_of(client_secret_path=None, pkce_method="always")
    assert options["token_endpoint_auth_method"] == "none"
    assert options["pkce_method"] == "always"
    assert "client_secret_file" not in options


@pytest.mark.parametrize(
    ("options", "from_userinfo"),
    [({}, False), ({"user_profile_method": "userinfo_endpoint"}, True), ({"scopes": ["profile"]}, True)],
)
def test_claims_come_from_where_synapse_takes_them(options: dict[str, Any], from_userinfo: bool) -> None:  # noqa: FBT001
    provider = upstream(an_entry(**options), parse_mapping(keycloak_config()), SERVER)
    assert provider.options["fetch_userinfo"] is from_userinfo
    assert ("userinfo_claims" in provider.templates.subject) is from_userinfo


def test_endpoints_without_discovery() -> None:
    endpoints = {"authorization_endpoint": "https://idp.example/a", "jwks_uri": "https://idp.example/j"}
    options = options_of(discover=False, **endpoints)
    assert options["discovery_mode"] == "disabled"
    assert endpoints.items() <= options.items()
    assert options_of(skip_verification=True)["discovery_mode"] == "insecure"


def test_what_has_no_equal_is_said() -> None:
    assert "`attribute_requirements` has no equal" in remarks_on(attribute_requirements=[{"attribute": "a"}])
    assert "`enable_registration: false`" in remarks_on(enable_registration=False)
    assert "not for kc_idp_hint" in remarks_on(passthrough_authorization_parameters=["login_hint", "kc_idp_hint"])
    assert "would read its value as a template" in remarks_on(additional_authorization_parameters={"acr": "{{ x }}"})
    assert remarks_on() == ""


@pytest.mark.parametrize(
    ("mapping", "more"),
    [
        (keycloak_config(admin_roles=["boss"]), {Rule.ADMIN, Rule.TAKEN_EMAIL, Rule.EMAIL_ALPHABET}),
        (keycloak_config(admin_roles=[]), {Rule.TAKEN_EMAIL, Rule.EMAIL_ALPHABET}),
        (entra_config(admin_roles=[]), set()),
    ],
)
def test_every_rule_that_does_not_hold_is_named_twice(
    mapping: dict[str, Any], more: set[Rule], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For whoever runs the command, and for whoever reads the file later."""
    assert run(tmp_path, an_entry(mapping)) == 0
    said = capsys.readouterr()
    expected = set(Rule) - {Rule.ADMIN, Rule.TAKEN_EMAIL, Rule.EMAIL_ALPHABET} | more
    for text in (said.err, said.out):
        assert {Rule(name) for name in re.findall(r"[Dd]oes not hold \(([a-z-]+)\)", text)} == expected


def test_the_room_is_that_of_the_mapping() -> None:
    room = longest_localpart(SERVER)
    for length, stays in ((room, True), (room + 1, False)):
        name = "a" * length
        assert (candidate(name, idp_id="i", subject="s", server_name=SERVER, attempt=0) == name) is stays


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([], "no entry of `oidc_providers` has the mapping provider"),
        ([{**an_entry(), "issuer": None}], "`oidc_providers.<item 0>.issuer`: "),
        ([{key: value for key, value in an_entry().items() if key != "issuer"}], "'issuer' is a required property"),
        ([an_entry(scopes="openid profile")], "`oidc_providers.<item 0>.scopes`: "),
        (
            [an_entry(additional_authorization_parameters=["a"])],
            "additional_authorization_parameters`: must be a mapping",
        ),
        ([an_entry({**keycloak_config(), "prest": "x"})], "config.prest"),
    ],
)
def test_what_is_wrong_is_said_by_its_key(
    entries: list[object], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, *entries) == 1
    said = capsys.readouterr()
    assert sentence in said.err
    assert said.out == ""


def test_what_synapse_itself_would_refuse_is_said_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    issuer = "https://login.microsoftonline.com/organizations/v2.0"
    entry = an_entry(dict(entra_config()), issuer=issuer, allow_existing_users=True, scopes=["profile"])
    assert run(tmp_path, entry) == 0
    said = capsys.readouterr()
    for sentence in ("people of all organisations", "`allow_existing_users: true`", "`scopes` lacks `openid`"):
        assert sentence in said.err
        assert sentence in " ".join(said.out.replace("#", " ").split())


def test_the_single_entry_of_old_is_read_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = an_entry({**keycloak_config(), "idp_id": "oidc"})
    del entry["idp_id"]
    assert run(tmp_path, oidc_config={"enabled": True, **entry}) == 0
    assert printed(capsys)[0]["synapse_idp_id"] == "oidc"
    assert run(tmp_path, oidc_config={"enabled": False, **entry}) == 1


def test_it_reads_a_file_in_which_mas_is_configured_already(tmp_path: Path) -> None:
    assert run(tmp_path, an_entry(), matrix_authentication_service={"enabled": True}) == 0
