"""With the Matrix Authentication Service beside `oidc_providers` the start ends with a sentence that helps."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from synapse.config._base import format_config_error
from synapse.config.homeserver import HomeServerConfig
from synapse.module_api.errors import ConfigError

import synapse_bum
from synapse_bum.homeserver.config_being_read import config_being_read
from synapse_bum.oidc.mas.conflict import EXPERIMENTAL_KEY, STABLE_KEY, mas_key, refuse_beside_mas

OURS = "synapse_bum.oidc.OidcMappingProvider"


class Mapper:
    """A mapping provider that does nothing but refuse, as Synapse loads it."""

    @staticmethod
    def parse_config(raw: object) -> object:
        refuse_beside_mas()
        return raw

    def get_remote_user_id(self, userinfo: object) -> str:
        raise NotImplementedError

    async def map_user_attributes(self, userinfo: object, token: object, failures: int) -> dict[str, str]:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Synapse loads a mapper by its name; under importlib mode this file is known by no importable one."""
    module = ModuleType(__name__)
    module.Mapper = Mapper  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, __name__, module)


def homeserver_yaml(mapper: str, **more: object) -> dict[str, Any]:
    return {
        "server_name": "bum.example",
        "public_baseurl": "https://matrix.bum.example/",
        "macaroon_secret_key": "of the test",
        "signing_key": "ed25519 a_test " + "A" * 43,
        "oidc_providers": [
            {
                "idp_id": "keycloak",
                "idp_name": "Keycloak",
                "issuer": "https://idp.example/realms/bum",
                "client_id": "synapse",
                "client_secret": "of the test",
                "user_mapping_provider": {"module": mapper, "config": {"idp_id": "keycloak", "preset": "keycloak"}},
            }
        ],
        **more,
    }


def by_key(key: str) -> dict[str, Any]:
    if key == STABLE_KEY:
        return {"matrix_authentication_service": {"enabled": True, "secret": "of the test"}}
    msc3861 = {
        "enabled": True,
        "issuer": "https://mas.example/",
        "client_id": "0000000000000000000SYNAPSE",
        "client_auth_method": "client_secret_basic",
        "client_secret": "of the test",
        "admin_token": "of the test",
    }
    return {"experimental_features": {"msc3861": msc3861}}


@pytest.mark.parametrize("key", [STABLE_KEY, EXPERIMENTAL_KEY])
def test_synapse_prints_both_keys_and_the_remedy(key: str) -> None:
    """Synapse 1.133 does not know the stable key and would start without it: there too the file says what is meant."""
    with pytest.raises(ConfigError) as caught:
        HomeServerConfig().parse_config_dict(homeserver_yaml(f"{__name__}.Mapper", **by_key(key)), "", "")
    text = " ".join("".join(format_config_error(caught.value)).split())
    assert "oidc_providers.<item 0>.user_mapping_provider" in text
    assert f"`oidc_providers` and `{key}: true` exclude each other" in text
    assert "`synapse-bum mas-config -c homeserver.yaml`" in text


@pytest.mark.parametrize("key", [STABLE_KEY, EXPERIMENTAL_KEY])
def test_a_real_start_ends_with_the_sentence(key: str, tmp_path: Path) -> None:
    path = tmp_path / "homeserver.yaml"
    path.write_text(yaml.safe_dump(homeserver_yaml(OURS, report_stats=False, **by_key(key))))
    end = subprocess.run(
        [sys.executable, "-m", "synapse.app.homeserver", "-c", path, "--keys-directory", tmp_path],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(synapse_bum.__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert end.returncode != 0
    assert f"`oidc_providers` and `{key}: true` exclude each other" in " ".join(end.stderr.split())


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"matrix_authentication_service": {"enabled": False}},
        {"matrix_authentication_service": None},
        {"experimental_features": {}},
    ],
)
def test_without_it_nothing_is_refused(more: dict[str, object]) -> None:
    config = HomeServerConfig()
    config.parse_config_dict(homeserver_yaml(f"{__name__}.Mapper", **more), "", "")
    assert config.oidc.oidc_enabled


@pytest.mark.parametrize(
    "homeserver",
    [
        {},
        {"matrix_authentication_service": "yes"},
        {"experimental_features": [1]},
        {"experimental_features": {"msc3861": {"enabled": False}}},
    ],
)
def test_what_does_not_turn_it_on_is_left_to_synapse(homeserver: dict[str, Any]) -> None:
    assert mas_key(homeserver) is None


def test_outside_of_a_start_nobody_is_refused() -> None:
    """`synapse-bum mas-config` reads the same section of a file in which both may stand."""
    assert config_being_read() is None
    refuse_beside_mas()
