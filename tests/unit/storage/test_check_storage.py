"""`synapse-bum check` beside the storage module: what it says of a configuration."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from synapse_bum.cli import main
from synapse_bum.cli.check import storage
from synapse_bum.config import parse
from synapse_bum.storage.config import StorageConfig

README = (Path(__file__).resolve().parents[3] / "README.md").read_text(encoding="utf-8")
STORAGE = "synapse_bum.storage.StorageModule"
EMAIL = {"email": {"smtp_host": "localhost", "notif_from": "Synapse <synapse@messenger.example>"}}
PRICES = {
    "users": [{"position": "ML.1", "from_users": 1, "price": "2.60"}],
    "storage": "0.40",
    "service": "1.00",
}


class Checked:
    """What the check says of a homeserver.yaml."""

    def __init__(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._path = tmp_path / "homeserver.yaml"
        self._capsys = capsys

    def __call__(self, homeserver: dict[str, Any] | None = None, **config: object) -> list[str]:
        """The lines about a module that tells operators by mail, with further keys of it and of homeserver.yaml."""
        prices = [{"valid_from": "2020-01-01", **PRICES}]
        given = {"alert_email": "b@example.org", "admin_hosts": ["admin.example"], "price_list": prices, **config}
        whole = {"server_name": "messenger.example", "room_list_publication_rules": [], **EMAIL, **(homeserver or {})}
        self._path.write_text(yaml.safe_dump({"modules": [{"module": STORAGE, "config": given}], **whole}))
        self.status = main(["check", "--offline", "-c", str(self._path)])
        return self._capsys.readouterr().out.splitlines()


@pytest.fixture
def checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Checked:
    return Checked(tmp_path, capsys)


def remarks(today: date, **config: object) -> list[str]:
    """What is said on a day."""
    return [remark.text for remark in storage.policy_remarks(parse(StorageConfig, config), today)]


def test_nothing_is_said_of_a_configuration_that_leaves_nothing_open(checked: Checked) -> None:
    assert (checked(), checked.status) == ([], 0)


@pytest.mark.parametrize("email", [None, {}, {"smtp_host": "localhost"}])
def test_mail_without_a_mailer_is_an_error(checked: Checked, email: object) -> None:
    (line,) = checked({"email": email})
    assert line.startswith("ERROR   storage: `alert_email` is set, but homeserver.yaml has no section `email`")
    assert f"    {line}\n" in README
    assert checked.status == 1
    assert checked({"email": email}, alert_at=[0.5])[0].startswith("ERROR")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"alert_email": None}, "`alert_email` is not set"),
        ({"alert_at": []}, "`alert_at` is empty"),
        ({"count": {"local_media": False, "remote_media": False}}, "`used_bytes` is always 0"),
        ({"customer_users": 5000, "readings": {"tiers": "graduated"}}, "do not go together"),
        ({"hard_limit_gb": 900, "count": {"remote_media": False}}, "does not see files of other servers"),
        ({"hard_limit_gb": 0.02}, "a file above 20000000 bytes never fits"),
        ({"hard_limit_gb": 0.1, "included_gb_per_user": 0}, "a file above 10000000 bytes never fits"),
        ({"exclude_users": ["@probe:elsewhere.example"]}, "is no user of messenger.example"),
        ({"price_list": [{"valid_from": "2999-01-01", **PRICES}]}, "the first one holds from 2999-01-01"),
        ({"invoice": {"seller": {"name": "Betrieb"}}}, "invoice.buyer.leitweg_id"),
    ],
)
def test_what_is_left_open_is_a_warning(checked: Checked, config: dict[str, Any], words: str) -> None:
    (line,) = checked(**config)
    assert line.startswith("WARNING storage: ")
    assert words in line
    assert checked.status == 0


@pytest.mark.parametrize(
    "config",
    [
        {"hard_limit_gb": 900},
        {"exclude_users": ["@probe:messenger.example", "@bot-*:*"]},
        {"invoice": {"contract": "4711", "address": "Amt\nBerlin"}},
        {"customer_users": 5000},
    ],
)
def test_what_is_in_order_is_not_spoken_of(checked: Checked, config: dict[str, Any]) -> None:
    assert checked(**config) == []


def test_a_year_without_rates_for_hourly_work_is_named() -> None:
    (known,) = remarks(date(2026, 12, 31))
    assert "`alert_email` is not set" in known
    *_, missing = remarks(date(2027, 1, 1))
    assert "has no rate for 2027 for AL.1, AL.2, AL.3, AL.4" in missing


def test_a_list_that_begins_within_the_month_holds_from_the_next_one_on() -> None:
    prices = [{"valid_from": "2026-03-02", **PRICES}]
    assert "there is no price list for 2026-03" in remarks(date(2026, 3, 31), price_list=prices)[-1]
    assert len(remarks(date(2026, 4, 1), price_list=prices)) == 1


def test_errors_in_the_configuration_are_those_of_the_start(checked: Checked) -> None:
    (line,) = checked(users_base="peak")
    assert line.endswith("unknown key `config.users_base`; did you mean `users_basis`?")
    assert checked.status == 1
