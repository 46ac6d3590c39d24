"""A wrong key of ours as Synapse itself prints it, and our sizes and durations beside Synapse's own."""

import sys
from types import ModuleType

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synapse.config._base import Config, format_config_error
from synapse.config.homeserver import HomeServerConfig
from synapse.module_api import ModuleApi
from synapse.module_api.errors import ConfigError

from synapse_bum import config
from synapse_bum.config import SharedConfig, option, parse, section
from synapse_bum.quantities import parse_duration, parse_size


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Scanner:
    timeout_ms: int = option(config.duration_ms, default="60s", key="timeout")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ExampleConfig(SharedConfig):
    scanner: Scanner = option(section(Scanner), default={})


class ExampleModule:
    """A module as Synapse loads it."""

    def __init__(self, config: ExampleConfig, api: ModuleApi) -> None:
        pass

    @staticmethod
    def parse_config(raw: object) -> ExampleConfig:
        return parse(ExampleConfig, raw)


def printed(raw: object) -> str:
    homeserver_config = HomeServerConfig()
    with pytest.raises(ConfigError) as caught:
        homeserver_config.modules.read_config(
            {"modules": [{"module": f"{__name__}.{ExampleModule.__name__}", "config": raw}]}
        )
    return "".join(format_config_error(caught.value))


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Synapse loads a module by its name; under importlib mode this file is known by no importable one."""
    module = ModuleType(__name__)
    module.ExampleModule = ExampleModule  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, __name__, module)


def test_synapse_prints_the_full_path_and_the_remedy() -> None:
    lines = [line.strip() for line in printed({"scanner": {"timeut": "3s"}}).splitlines()]
    assert lines[0] == "Error in configuration at 'modules.<item 0>.config.scanner.timeut':"
    assert lines[-1] == "unknown key `config.scanner.timeut`; did you mean `timeout`?"


def test_synapse_prints_the_place_in_a_list() -> None:
    lines = [line.strip() for line in printed({"operator_users": ["@a:b.example", "x"]}).splitlines()]
    assert lines[0] == "Error in configuration at 'modules.<item 0>.config.operator_users.<item 1>':"
    assert lines[-1].endswith("must be a full user id such as `@name:example.org`")


def test_an_empty_configuration_is_read() -> None:
    homeserver_config = HomeServerConfig()
    homeserver_config.modules.read_config({"modules": [{"module": f"{__name__}.ExampleModule"}]})
    loaded: object = homeserver_config.modules.loaded_modules
    assert loaded == [(ExampleModule, ExampleConfig())]


@given(st.text(alphabet="0123456789KMGTkB._ -", max_size=8) | st.integers(-2, 2**40))
def test_what_we_accept_as_size_means_the_same_in_synapse(value: "str | int") -> None:
    try:
        size = parse_size(value)
    except ValueError:
        return
    assert size == Config.parse_size(value)


@given(st.text(alphabet="0123456789smhdwy. -", max_size=8))
def test_what_we_accept_as_duration_means_the_same_in_synapse(value: str) -> None:
    try:
        duration = parse_duration(value)
    except ValueError:
        return
    assert duration.nominal_ms == Config.parse_duration(value)
