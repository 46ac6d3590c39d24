"""`synapse-bum check` on identity providers: what would open a door, stop the start, or quietly do nothing."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from synapse_bum.cli import main

MODULE = "synapse_bum.oidc.OidcModule"
GOOD: dict[str, Any] = {
    "idp_id": "keycloak",
    "issuer": "https://sso.example/realms/a",
    "client_id": "messenger",
    "scopes": ["openid", "profile"],
    "backchannel_logout_enabled": True,
    "user_mapping_provider": {
        "module": "synapse_bum.oidc.OidcMappingProvider",
        "config": {"idp_id": "keycloak", "preset": "keycloak"},
    },
}


@pytest.fixture
def token(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text("s" * 40)
    return str(path)


UNPUBLISHED: dict[str, Any] = {"room_list_publication_rules": []}


def said_of(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *providers: object,
    config: dict[str, Any] | None = None,
    **sections: object,
) -> tuple[int, str]:
    """What is printed for these providers beside a loaded module."""
    module = {"module": MODULE, "config": {"admin_hosts": ["admin.example"], **(config or {})}}
    homeserver: dict[str, Any] = {"oidc_providers": list(providers), "modules": [module], **UNPUBLISHED}
    homeserver.update(sections)
    path = tmp_path / "homeserver.yaml"
    path.write_text(yaml.safe_dump(homeserver))
    status = main(["check", "--offline", "-c", str(path)])
    return status, "".join(capsys.readouterr())


def test_a_good_configuration_is_silent(tmp_path: Path, capsys: pytest.CaptureFixture[str], token: str) -> None:
    scim = {"scim": {"enabled": True, "idp_id": "keycloak", "token_path": token}}
    assert said_of(tmp_path, capsys, GOOD, config=scim) == (0, "")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"allow_existing_users": True}, "`allow_existing_users: true` gives whoever has a name"),
        ({"scopes": ["profile"]}, "`scopes` lacks `openid`"),
        ({"idp_id": "sso"}, "write the same in both places"),
    ],
)
def test_what_stops_the_start_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], sentence: str
) -> None:
    status, said = said_of(tmp_path, capsys, {**GOOD, **change})
    assert status == 1
    assert "ERROR   `oidc_providers.<item 0>`: " in said
    assert sentence in said


def test_a_wrong_key_of_the_mapping_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mapping = {
        **GOOD["user_mapping_provider"],
        "config": {"idp_id": "keycloak", "preset": "keycloak", "admin_role": []},
    }
    status, said = said_of(tmp_path, capsys, GOOD, {**GOOD, "user_mapping_provider": mapping})
    assert status == 1
    assert (
        "`oidc_providers.<item 1>.user_mapping_provider`: unknown key `config.admin_role`; did you mean `admin_roles`?"
        in said
    )


def test_logouts_that_nobody_hears(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = said_of(tmp_path, capsys, {**GOOD, "backchannel_logout_enabled": False})
    assert status == 0
    assert "WARNING `oidc_providers.<item 0>`: `backchannel_logout_enabled` is not true" in said


def test_mas_and_providers_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str], token: str) -> None:
    scim = {"scim": {"enabled": True, "idp_id": "keycloak", "token_path": token}}
    service = {"matrix_authentication_service": {"enabled": True}}
    status, said = said_of(tmp_path, capsys, GOOD, config=scim, **service)
    assert status == 1
    assert "`oidc_providers` and `matrix_authentication_service.enabled: true` exclude each other" in said
    assert "SCIM answers 501" in said


def test_scim_for_nobody_and_without_its_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scim = {"scim": {"enabled": True, "idp_id": "okta", "token_path": str(tmp_path / "missing")}}
    status, said = said_of(tmp_path, capsys, GOOD, config=scim)
    assert status == 1
    assert "`scim.idp_id` is `okta`" in said
    assert "known: `keycloak`" in said
    assert f"can't read `{tmp_path / 'missing'}`" in said


def test_module_and_mapping_need_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = said_of(tmp_path, capsys)
    assert status == 0
    assert "the module has nothing to do" in said
    alone = {"oidc_providers": [GOOD], "modules": [{"module": "synapse_bum.retention.RetentionModule", "config": {}}]}
    path = tmp_path / "alone.yaml"
    path.write_text(yaml.safe_dump(alone))
    main(["check", "--offline", "-c", str(path)])
    assert "OidcModule is not loaded: names, addresses and roles are not followed" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"oidc_providers": 5}, "ERROR   `oidc_providers`: must be a list"),
        ({"oidc_providers": [{**GOOD, "scopes": None}]}, "ERROR   `oidc_providers.<item 0>.scopes`: "),
        ({"oidc_config": [1]}, "ERROR   `oidc_config`: must be a mapping"),
        (
            {"oidc_config": {**GOOD, "enabled": True, "allow_existing_users": True}},
            "`oidc_config`: `allow_existing_users",
        ),
        ({"oidc_providers": [7, {"user_mapping_provider": 3}]}, "the module has nothing to do"),
    ],
)
def test_whatever_yaml_can_hold_there_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], section: dict[str, Any], sentence: str
) -> None:
    _, said = said_of(tmp_path, capsys, **section)
    assert sentence in said


def test_the_single_entry_of_old_beside_mas_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = {"oidc_config": {**GOOD, "enabled": True}, "matrix_authentication_service": {"enabled": True}}
    status, said = said_of(tmp_path, capsys, **old)
    assert status == 1
    assert "exclude each other" in said
