"""What README, the sample and the API reference say about the federation module is what the code does."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attr
import pytest
import yaml
from synapse.config.homeserver import HomeServerConfig
from synapse.module_api.errors import ConfigError

from synapse_bum.cli.check.federation import federation_remarks
from synapse_bum.cli.check.proxy.blocks import read_blocks
from synapse_bum.cli.check.remark import Level
from synapse_bum.federation import FederationModule
from synapse_bum.federation.config import FederationConfig
from synapse_bum.federation.partner import Because, Decision, Partner, Source

REPOSITORY = Path(__file__).resolve().parents[3]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
API = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
HANDBOOK = (REPOSITORY / "docs" / "federation.md").read_text(encoding="utf-8")
SAMPLE = yaml.safe_load((REPOSITORY / "config-samples" / "federation.yaml").read_text(encoding="utf-8"))


def reference_block() -> dict[str, Any]:
    """The `config:` of README's block about the module."""
    _, _, after = README.partition("\n### The federation module\n")
    block = re.search(r"```yaml\n(.*?)```", after, re.DOTALL)
    assert block is not None
    (module,) = yaml.safe_load(block[1])["modules"]
    assert module["module"] == "synapse_bum.federation.FederationModule"
    config: dict[str, Any] = module["config"]
    return config


def sample_config() -> dict[str, Any]:
    (module,) = SAMPLE["modules"]
    config: dict[str, Any] = module["config"]
    return config


def json_examples() -> Iterator[dict[str, Any]]:
    """Every JSON object that docs/api.md shows."""
    for block in re.findall(r"^    \{.*(?:\n     .*)*(?:\n    \})?$", API, re.MULTILINE):
        yield json.loads(block)


def test_readmes_block_names_every_key_with_its_default() -> None:
    shown = reference_block()
    assert shown.keys() == {field.name for field in attr.fields(FederationConfig)}
    assert shown["removal"].keys() == {"kick", "wait"}
    assert FederationModule.parse_config(shown) == FederationModule.parse_config({})


def test_the_samples_proxy_waits_longer_than_a_removal_may_take() -> None:
    text = (REPOSITORY / "config-samples" / "nginx.conf").read_text(encoding="utf-8")
    servers = [block for block in read_blocks(text) if block.name == "server"]
    (admin,) = [
        one for one in servers if any("admin." in name for each in one.all("server_name") for name in each.args)
    ]
    (timeout,) = admin.all("proxy_read_timeout")
    longest = FederationModule.parse_config({"removal": {"wait": "10m"}})
    assert int(timeout.args[0].removesuffix("s")) * 1_000 > longest.removal.wait_ms


def test_the_sample_names_every_key_and_is_accepted() -> None:
    homeserver_config = HomeServerConfig()
    homeserver_config.modules.read_config(SAMPLE)
    ((module, config),) = homeserver_config.modules.loaded_modules
    assert module is FederationModule
    assert sample_config().keys() == reference_block().keys()
    assert isinstance(config, FederationConfig)
    assert config.signed_list is not None
    assert set(sample_config()["signed_list"]) == {"source", "keys_path", "refresh", "max_stale"}


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"partner": {}}, "unknown key `config.partner`; did you mean `partners`?"),
        ({"partners": {"a_b": {}}}, "`config.partners.a_b`: must be a Matrix server name"),
        ({"partners": {"*.a.example": {}}}, "`config.partners.*.a.example`: is a wildcard"),
        ({"partners": {"A.example": {}, "a.example": {}}}, "stands there twice"),
        ({"partners": {"a.example": {"valid_from": "1.1.2026"}}}, "must be a day such as"),
        ({"partners": {"a.example": {"valid_from": "2026-02-30"}}}, "there is no such day"),
        ({"partners": {"a.example": {"valid_from": "2026-02-02", "valid_until": "2026-02-02"}}}, "valid_until"),
        ({"signed_list": {"source": "http://a.example/x", "keys_path": "/k"}}, "https://"),
        ({"signed_list": {"source": "https://u:p@a.example/x", "keys_path": "/k"}}, "no password"),
        ({"signed_list": {"source": "/l"}}, "missing required key `config.signed_list.keys_path`"),
        ({"signed_list": {"source": "/l", "keys_path": "/k", "max_stale": "1h"}}, "longer than `refresh`"),
        ({"removal": {"wait": 60}}, "no unit"),
        ({"relay": "drop"}, "hide | show"),
    ],
)
def test_what_is_wrong_stops_the_start_with_its_place(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        FederationModule.parse_config(config)
    assert sentence in caught.value.msg


def test_the_answers_in_the_api_reference_are_those_of_the_code() -> None:
    examples = list(json_examples())
    (listed,) = [example for example in examples if "partners" in example and "total" in example]
    partner = Partner("a.example", None, Source.MANAGED).as_json()
    assert all(shown.keys() == partner.keys() for shown in listed["partners"])
    (checked,) = [example for example in examples if "because" in example]
    assert checked.keys() == Decision(allowed=True, because=Because.PARTNER).as_json().keys()
    _, _, table = API.partition("| `because` | meaning |")
    assert set(
        re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", table.partition("##")[0], re.MULTILINE)))
    ) == {reason.value for reason in Because}
    assert set(re.findall(r"because: (\w+)", HANDBOOK)) <= {reason.value for reason in Because}


def test_check_says_what_homeserver_yaml_lacks() -> None:
    config = FederationModule.parse_config({"relay": "show", "partners": {"own.example": {}, "notary.example": {}}})
    found = list(federation_remarks(config, {"server_name": "own.example"}))
    assert [remark.level for remark in found] == [Level.ERROR, Level.ERROR, Level.WARNING, Level.WARNING]
    assert "`federation_domain_whitelist: []`" in found[0].text
    assert "matrix.org" in found[2].text
    notary = {"federation_domain_whitelist": [], "trusted_key_servers": [{"server_name": "notary.example"}]}
    assert list(federation_remarks(FederationModule.parse_config({"partners": {"notary.example": {}}}), notary)) == []
    assert not list(federation_remarks(FederationModule.parse_config(sample_config()), SAMPLE))
