"""The portal's configuration: what it needs, and what it refuses."""

import datetime as dt
from pathlib import Path
from typing import Any

import attr
import pytest
import yaml
from synapse.module_api.errors import ConfigError

from synapse_bum.portal.config import crosses_a_network_in_the_clear
from synapse_bum.portal.module import PortalModule

A_TIME = dt.datetime(2026, 10, 1, tzinfo=dt.timezone.utc)
LEAST = {"hosts": ["Admin.Example"], "admin_api_url": "https://admin.example/"}


def test_the_least_that_is_needed() -> None:
    config = PortalModule.parse_config(LEAST)
    assert (config.hosts, config.admin_api_url) == (("admin.example",), "https://admin.example")
    assert (config.session_lifetime_ms, config.session_absolute_ms) == (1_800_000, 28_800_000)
    assert not config.show_activity


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"hosts": []}, "config.hosts"),
        ({"hosts": ["admin.example:443"]}, "config.hosts.<item 0>"),
        ({"hosts": None}, "config.hosts"),
        ({"admin_api_url": "admin.example"}, "config.admin_api_url"),
        ({"admin_api_url": "https://admin.example/_synapse"}, "config.admin_api_url"),
        ({"admin_api_url": "https://a:b@admin.example"}, "config.admin_api_url"),
        ({"session_lifetime": "9h"}, "config.session_absolute"),
        ({"session_lifetime": 30}, "config.session_lifetime"),
        ({"session_key_path": "key"}, "config.session_key_path"),
        ({"mas": {"client_id": "a", "client_secret_path": "/secret"}}, "config.session_key_path"),
        ({"support": {"email": "nobody"}}, "config.support.email"),
        ({"support": {"contacts": [{"phone": "1"}]}}, "config.support.contacts.<item 0>.name"),
        ({"contract": {"number": "1"}}, "config.contract.begin"),
        ({"contract": {"number": "1", "begin": "1.10.2026"}}, "config.contract.begin"),
        ({"contract": {"number": "1", "begin": 20261001}}, "config.contract.begin"),
        ({"contract": {"number": "1", "begin": A_TIME}}, "config.contract.begin"),
        ({"links": {"imprint": "http://amt.example/impressum"}}, "config.links.imprint"),
        ({"links": {"privacy": "javascript:alert(1)"}}, "config.links.privacy"),
        ({"links": {"privacy": 'https://amt.example/"onclick='}}, "config.links.privacy"),
        ({"show_activty": True}, "config.show_activty"),
        ({"mas": {"client_id": "a"}}, "config.mas.client_secret_path"),
        ({"mas": {"client_id": "a", "client_secret_path": "secret"}}, "config.mas.client_secret_path"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as refused:
        PortalModule.parse_config({**LEAST, **change})
    assert f"`{path}`" in refused.value.msg


def test_a_day_is_written_with_or_without_quotes() -> None:
    days = {
        PortalModule.parse_config({**LEAST, "contract": yaml.safe_load(f"{{number: V-1, begin: {begin}}}")}).contract
        for begin in ("2026-10-01", "'2026-10-01'")
    }
    (contract,) = days
    assert contract is not None
    assert contract.begin == dt.date(2026, 10, 1)


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("https://admin.example", False),
        ("http://127.0.0.1:8008", False),
        ("http://[::1]:8008", False),
        ("http://localhost:8008", False),
        ("http://synapse.cluster:8008", True),
        ("http://localhost.evil.example", True),
    ],
)
def test_tokens_in_the_clear_are_warned_of(url: str, warned: bool) -> None:  # noqa: FBT001 - of a table
    assert crosses_a_network_in_the_clear(url) is warned


def test_the_sample_is_accepted_and_shows_every_key_with_its_default() -> None:
    sample = Path(__file__).parents[3] / "config-samples" / "portal.yaml"
    (entry,) = yaml.safe_load(sample.read_text(encoding="utf-8"))["modules"]
    assert entry["module"] == "synapse_bum.portal.PortalModule"
    written = PortalModule.parse_config(entry["config"])
    least = PortalModule.parse_config({key: entry["config"][key] for key in ("hosts", "admin_api_url")})
    assert attr.evolve(written, support=least.support) == least
    keys = {field.name.removesuffix("_ms") for field in attr.fields(type(written))}
    assert keys - set(entry["config"]) == {"admin_hosts", "audit_lifetime"}
