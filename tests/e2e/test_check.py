"""`synapse-bum check` beside a real scanner and a real database."""

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from synapse_bum.antivirus.content_scanner.request_key_pins import Pins
from synapse_bum.cli import main
from synapse_bum.cli.check import database
from synapse_bum.homeserver.offline_database import OfflineDatabase
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.postgres import RealPostgres

pytestmark = pytest.mark.any_synapse

ANTIVIRUS = "synapse_bum.antivirus.AntivirusModule"


def said(tmp_path: Path, capsys: pytest.CaptureFixture[str], homeserver: dict[str, Any]) -> dict[str, str]:
    """The level of each check that speaks."""
    path = tmp_path / "homeserver.yaml"
    path.write_text(yaml.safe_dump(homeserver))
    main(["check", "--elsewhere", "--json", "-c", str(path)])
    return {one["check"]: one["level"] for one in json.loads(capsys.readouterr().out)["findings"]}


def scanned_by(address: str) -> dict[str, Any]:
    config = {"scanner": {"address": address}, "require_scan": True, "admin_hosts": ["admin.example"]}
    return {
        "max_upload_size": "5M",
        "room_list_publication_rules": [],
        "modules": [{"module": ANTIVIRUS, "config": config}],
    }


@pytest.mark.requires("clamd")
def test_a_real_scanner_finds_eicar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RealClamd() as clamd:
        path = tmp_path / "homeserver.yaml"
        path.write_text(yaml.safe_dump(scanned_by(clamd.address_unix)))
        assert main(["check", "-c", str(path)]) == 0
    assert f"OK      antivirus: {clamd.address_unix} (ClamAV " in capsys.readouterr().out


@pytest.mark.requires("clamd")
def test_what_a_real_scanner_lets_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RealClamd(
        tcp=True, AlertExceedsMax=True, AlertEncrypted=True, MaxFileSize="10M", StreamMaxLength="10M"
    ) as clamd:
        for address in (clamd.address_unix, clamd.address_tcp):
            assert said(tmp_path, capsys, scanned_by(address)) == {"antivirus.eicar": "ok"}
    with RealClamd(tcp=True, StreamMaxLength="100") as clamd:
        over_tcp = said(tmp_path, capsys, scanned_by(clamd.address_tcp))
        assert (over_tcp["antivirus.eicar"], over_tcp["antivirus.scanner-size"]) == ("ok", "warning")
    with RealClamd(MaxFileSize="1M", StreamMaxLength="10M") as clamd:
        found = said(tmp_path, capsys, scanned_by(clamd.address_unix))
        assert found == {
            "antivirus.eicar": "ok",
            "antivirus.silent-limits": "warning",
            "antivirus.silent-encryption": "warning",
            "antivirus.scanner-size": "warning",
        }


@pytest.mark.requires("postgresql")
def test_the_clock_and_the_keys_of_a_real_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with RealPostgres() as postgres:
        arguments = {"host": postgres.host, "port": postgres.port, "user": postgres.user, "dbname": "postgres"}
        settings = {"name": "psycopg2", "args": {**arguments, "cp_min": 1}}
        storage = {"module": "synapse_bum.storage.StorageModule", "config": {}}
        homeserver = {"database": settings, "modules": [storage]}
        assert not [name for name in said(tmp_path, capsys, homeserver) if name.startswith("database.")]
        looked = database._look(settings)
        assert looked.ahead_s is not None
        assert abs(looked.ahead_s) < 1
        assert looked.pins is None, "nothing of ours is there yet"
        with OfflineDatabase(settings).transaction() as txn:
            txn.execute("CREATE TABLE synapse_bum_antivirus_request_keys (public_key TEXT, replaced_ts BIGINT)")
            txn.execute("INSERT INTO synapse_bum_antivirus_request_keys VALUES ('a', NULL), ('b', 5)")
            txn.keep()
        assert database._look(settings).pins == Pins("a", {"b": 5})
        true_time = time.time
        monkeypatch.setattr(database, "time", SimpleNamespace(time=lambda: true_time() + 120))
        assert said(tmp_path, capsys, homeserver)["database.clock"] == "error"
