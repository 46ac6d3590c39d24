"""What the storage module accepts under `config:`, and what it says about the rest."""

from decimal import Decimal
from typing import Any

import pytest
from synapse.module_api.errors import ConfigError

from synapse_bum.storage import StorageModule
from synapse_bum.storage.usage import Pool, Stored

GB = 1_000_000_000


def _refusal(raw: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        StorageModule.parse_config(raw)
    return str(caught.value.msg)


def test_defaults_are_those_of_the_contract() -> None:
    config = StorageModule.parse_config({})
    assert config.pool(960, Stored(local_bytes=1_000 * GB)) == Pool(960, 1_000 * GB, 960 * GB, GB)
    assert config.alert_at == (0.8, 0.95, 1.0)
    assert config.limits is None
    assert [str(price_list.valid_from) for price_list in config.price_lists]


def test_included_gigabytes_are_exact() -> None:
    config = StorageModule.parse_config({"included_gb_per_user": 0.1, "gigabyte": 2**30})
    assert config.pool(30, Stored()).included_bytes == 3 * 2**30


def test_what_does_not_count_is_not_used() -> None:
    stored = Stored(local_bytes=1, local_thumbnail_bytes=10, remote_bytes=100, remote_thumbnail_bytes=1_000)
    for count, used in (
        ({}, 1_111),
        ({"thumbnails": False}, 101),
        ({"remote_media": False}, 11),
        ({"local_media": False}, 1_100),
        ({"local_media": False, "remote_media": False}, 0),
    ):
        assert StorageModule.parse_config({"count": count}).pool(1, stored).used_bytes == used


def test_a_limit_has_the_ledger_kept_fresh() -> None:
    config = StorageModule.parse_config({"hard_limit_gb": 5, "hard_limit_user_share": 0.5})
    assert config.update_every_ms == 60_000
    assert config.limits is not None
    assert (config.limits.pool_bytes, config.limits.user_bytes) == (5 * GB, 5 * GB // 2)
    assert StorageModule.parse_config({}).update_every_ms == 3_600_000
    assert config.hard_limit_gb == Decimal(5)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"included_gb": 1}, "unknown key `config.included_gb`; did you mean `included_gb_per_user`?"),
        ({"included_gb_per_user": -1}, "`config.included_gb_per_user`: must be a number from 0"),
        ({"gigabyte": "1G"}, "`config.gigabyte`: must be a whole number"),
        ({"users_basis": "mean"}, "`config.users_basis`: `mean` is not one of distinct | peak | end"),
        ({"storage_basis": "distinct"}, "`config.storage_basis`: `distinct` is not one of peak | mean | end"),
        ({"alert_at": [0.8, 0.8]}, "`config.alert_at.<item 1>`: stands in the list twice"),
        ({"alert_at": [80]}, "`config.alert_at.<item 0>`: must be a number from 0.01 to 10"),
        ({"alert_at": [0]}, "`config.alert_at.<item 0>`: must be a number from 0.01"),
        ({"alert_email": "betrieb"}, "`config.alert_email`: must be one mail address"),
        ({"alert_email": "a@b.example,c@d.example"}, "`config.alert_email`: must be one mail address"),
        ({"hard_limit_gb": 0}, "`config.hard_limit_gb`: must be a number from 0.001"),
        (
            {"hard_limit_gb": 5, "count": {"local_media": False}},
            "`config.hard_limit_gb`: needs `count.local_media: true`",
        ),
        ({"exclude_users": ["alice"]}, "`config.exclude_users.<item 0>`"),
        ({"customer_users": 0}, "`config.customer_users`: must be a whole number from 1"),
        ({"timezone": "Berlin"}, "`config.timezone`: must be a time zone"),
    ],
)
def test_bad_input_names_the_key(raw: dict[str, Any], said: str) -> None:
    assert said in _refusal(raw)
