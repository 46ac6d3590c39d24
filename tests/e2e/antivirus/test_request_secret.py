"""The content scanner's request secret at a real start: changed once for all, and never two of them side by side."""

import base64
import contextlib
import json
import secrets
import sqlite3
from pathlib import Path

import pytest

from synapse_bum.antivirus.content_scanner.request_key_pins import ACCEPTED_MS
from synapse_bum.cli import main
from synapse_bum.testing.local_server import ServerError
from synapse_bum.testing.synapse import RealSynapse

PIN_CHECK = "antivirus.request-secret-pin"


def new_secret() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def said_by_the_check(synapse: RealSynapse, folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    path = folder / "homeserver.yaml"
    path.write_text(json.dumps(synapse.config))
    main(["check", "--json", "--elsewhere", "-c", str(path)])
    findings = json.loads(capsys.readouterr().out)["findings"]
    return [one["level"] for one in findings if one["check"] == PIN_CHECK]


def test_it_is_changed_for_all_processes_or_for_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third = (new_secret() for _ in range(3))
    file = tmp_path / "request-secret"
    file.write_text(first)
    config = {
        "scanner": {"address": f"unix:{tmp_path}/nobody.ctl"},
        "content_scanner": {"request_secret_path": str(file)},
    }
    module = {"module": "synapse_bum.antivirus.AntivirusModule", "config": config}
    with RealSynapse(modules=[module]) as synapse:
        key = synapse.register("alice").get("/_matrix/media_proxy/unstable/public_key").json["public_key"]
        synapse.stop()
        assert said_by_the_check(synapse, tmp_path, capsys) == []
        file.write_text(second)
        assert said_by_the_check(synapse, tmp_path, capsys) == ["note"]
        synapse.start()
        assert said_by_the_check(synapse, tmp_path, capsys) == [], "also while Synapse has the database open"
        ((action, old),) = rows(synapse, "SELECT action, old FROM synapse_bum_audit WHERE action LIKE '%request_key%'")
        assert action == "antivirus.request_key_changed"
        assert key in old
        synapse.stop()
        file.write_text(first)
        assert said_by_the_check(synapse, tmp_path, capsys) == ["warning"]
        synapse.start()
        assert "is the one of before" in synapse.log_path.read_text()
        synapse.stop()
        file.write_text(third)
        assert said_by_the_check(synapse, tmp_path, capsys) == ["error"]
        with pytest.raises(ServerError, match="the request secret is another one than that of"):
            synapse.start()
        rows(synapse, "UPDATE synapse_bum_antivirus_request_keys SET replaced_ts = replaced_ts - ?", ACCEPTED_MS)
        file.write_text(first)
        assert said_by_the_check(synapse, tmp_path, capsys) == ["error"]
        with pytest.raises(ServerError, match="the request secret is another one than that of"):
            synapse.start()


def rows(synapse: RealSynapse, sql: str, *parameters: int) -> list[tuple[str, ...]]:
    with contextlib.closing(sqlite3.connect(synapse.directory / "homeserver.db")) as connection, connection:
        return connection.execute(sql, parameters).fetchall()
