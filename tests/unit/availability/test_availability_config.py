"""The module's configuration, and what `synapse-bum check` says of it."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from synapse.module_api.errors import ConfigError

from synapse_bum.availability import AvailabilityModule
from synapse_bum.cli.check.availability import policy_remarks
from synapse_bum.testing.berlin import berlin_ms


def test_the_target_is_exactly_what_is_written() -> None:
    assert AvailabilityModule.parse_config({}).target == Decimal("0.999")
    assert AvailabilityModule.parse_config({"target": 0.99995}).target == Decimal("0.99995")
    assert AvailabilityModule.parse_config({"target": 1}).target == 1


def test_the_service_begins_at_midnight_in_germany() -> None:
    for written in ("2026-07-01", date(2026, 7, 1)):
        config = AvailabilityModule.parse_config({"service_begin": written})
        assert config.service_begin_ms == berlin_ms("2026-07-01 00:00")


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"target": 99.9}, "target"),
        ({"target": "99.9 %"}, "target"),
        ({"target": 0.9999999}, "target"),
        ({"probe_interval": "5m"}, "probe_interval"),
        ({"probe_interval": 60}, "probe_interval"),
        ({"probe_results_lifetime": "30d"}, "probe_results_lifetime"),
        ({"probe_token_path": "probe-token"}, "probe_token_path"),
        ({"service_begin": "1.5.2026"}, "service_begin"),
        ({"service_begin": "2026-02-30"}, "service_begin"),
        ({"targets": 0.9}, "targets"),
    ],
)
def test_what_is_wrong_is_named(config: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=f"`config.{key}`"):
        AvailabilityModule.parse_config(config)


def remarks(**config: object) -> list[str]:
    found = policy_remarks(AvailabilityModule.parse_config(config), date(2026, 6, 15))
    return [f"{remark.level.value} {remark.text}" for remark in found]


def test_check_says_what_is_open(tmp_path: Path) -> None:
    token = tmp_path / "token"
    (open_token,) = remarks()
    assert open_token.startswith("WARNING availability: `probe_token_path` is not set")
    (missing,) = remarks(probe_token_path=str(token))
    assert missing.startswith("ERROR availability: `config.probe_token_path`: can't read")
    token.write_text("short")
    (short,) = remarks(probe_token_path=str(token))
    assert "at least 20 ASCII characters" in short
    token.write_text("x" * 64)
    token.chmod(0o644)
    (readable,) = remarks(probe_token_path=str(token))
    assert readable.startswith("WARNING availability: `probe_token_path`: everybody on this machine can read")
    token.chmod(0o600)
    assert remarks(probe_token_path=str(token)) == []
    (later,) = remarks(probe_token_path=str(token), service_begin="2026-06-16")
    assert "`service_begin` (2026-06-16) is in the future" in later
