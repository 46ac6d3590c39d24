"""The configuration says what is meant, or is refused with the key and the remedy."""

import copy
from typing import Any

import pytest
from synapse.module_api.errors import ConfigError

from synapse_bum.config import parse
from synapse_bum.quantities import Duration
from synapse_bum.retention.classes import RetentionClass
from synapse_bum.retention.config import RetentionConfig

DAY_MS = 86_400_000


def test_the_contract_s_numbers() -> None:
    config = parse(
        RetentionConfig,
        {"messages": {"lifetime": "1y"}, "local_media": {"lifetime": "90d"}, "remote_media": {"lifetime": "14d"}},
    )
    assert config.lifetimes == {
        RetentionClass.MESSAGES: Duration(0, 1),
        RetentionClass.LOCAL_MEDIA: Duration(90 * DAY_MS),
        RetentionClass.REMOTE_MEDIA: Duration(14 * DAY_MS),
    }
    assert config.protect.max_bytes_per_user == 10 << 20
    assert (config.schedule.interval_ms, config.schedule.batch_size, config.schedule.message_step) == (
        3_600_000,
        200,
        2_000,
    )
    assert not config.dry_run


def test_a_missing_section_is_no_lifetime() -> None:
    assert parse(RetentionConfig, {"local_media": {"lifetime": "90d"}}).lifetimes.keys() == {RetentionClass.LOCAL_MEDIA}
    assert not parse(RetentionConfig, None).lifetimes


@pytest.mark.parametrize(
    ("raw", "path", "remedy"),
    [
        ({"messages": {}}, ("messages", "lifetime"), "missing"),
        ({"messages": {"lifetime": 365}}, ("messages", "lifetime"), "unit"),
        ({"messages": {"lifetime": "0d"}}, ("messages", "lifetime"), "longer than zero"),
        ({"messages": {"lifetime": "-1y"}}, ("messages", "lifetime"), "duration"),
        ({"messages": {"lifetme": "1y"}}, ("messages", "lifetme"), "lifetime"),
        ({"local_medai": {"lifetime": "1y"}}, ("local_medai",), "local_media"),
        ({"messages": "1y"}, ("messages",), "mapping"),
        ({"schedule": {"batch_size": 0}}, ("schedule", "batch_size"), "500"),
        ({"schedule": {"interval": 3600}}, ("schedule", "interval"), "unit"),
        ({"schedule": {"message_step": 10**6}}, ("schedule", "message_step"), "20000"),
        ({"protect": {"max_bytes_per_user": "10MB"}}, ("protect", "max_bytes_per_user"), "10M"),
        ({"protect": {"avatar": True}}, ("protect", "avatar"), "avatars"),
        ({"dry_run": "no"}, ("dry_run",), "`true` or `false`"),
        ({"deletion_log_path": "deletions.log"}, ("deletion_log_path",), "absolute"),
        ({"timezone": "Europe/Berlín"}, ("timezone",), "Europe/Berlin"),
        ({"timezone": "../../etc/passwd"}, ("timezone",), "Europe/Berlin"),
    ],
)
def test_mistakes_name_the_key_and_what_would_be_right(raw: dict[str, Any], path: tuple[str, ...], remedy: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(RetentionConfig, raw)
    assert tuple(refused.value.path or ()) == path
    assert remedy in refused.value.msg


def test_synapse_may_copy_it() -> None:
    config = parse(RetentionConfig, {"messages": {"lifetime": "1y"}})
    assert copy.deepcopy(config) == config
