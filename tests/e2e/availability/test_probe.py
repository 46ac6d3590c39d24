"""A real server, a real probe beside it, and an outage that the server could not have noticed itself.

Minutes are scaled: the probe asks every four seconds, and the module cuts time accordingly. On PostgreSQL, with several
processes: test_availability_workers.py.
"""

import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest

from synapse_bum.cli.probe.journal import Journal
from synapse_bum.rest import BASE
from synapse_bum.testing.http_client import MatrixClient
from synapse_bum.testing.running_probe import RunningProbe
from synapse_bum.testing.synapse import RealSynapse

pytestmark = [pytest.mark.long, pytest.mark.any_synapse]

MODULE: Final = "synapse_bum.availability.AvailabilityModule"
TOKEN: Final = secrets.token_hex(32)
SLICE_MS: Final = 4_000
SECONDS: Final = 60.0
DOWN_SECONDS: Final = 10.0


@pytest.fixture
def synapse(tmp_path: Path) -> Iterator[RealSynapse]:
    (tmp_path / "token").write_text(TOKEN)
    config = {"probe_token_path": str(tmp_path / "token"), "probe_interval": f"{SLICE_MS // 1_000}s"}
    with RealSynapse(modules=[{"module": MODULE, "config": config}]) as started:
        yield started


def wait_for(what: Callable[[], Any], instead: Callable[[], object]) -> Any:  # noqa: ANN401 - whatever comes
    deadline = time.monotonic() + SECONDS
    while not (found := what()):
        assert time.monotonic() < deadline, f"it did not happen in time; {instead()}"
        time.sleep(0.2)
    return found


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def outages(admin: MatrixClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = admin.get(f"{BASE}/availability/outages").json["outages"]
    return found


def test_an_outage_is_recorded_although_the_server_was_dead(synapse: RealSynapse) -> None:
    admin, first, second = (synapse.register(name, admin=name == "admin") for name in ("admin", "probe-a", "probe-b"))
    with RunningProbe(synapse, (first, second), TOKEN) as probe:
        journal = Journal(probe.state / "journal.jsonl")
        wait_for(lambda: admin.get(f"{BASE}/availability/probes").json["total"], probe.log_text)
        assert outages(admin) == []
        down_ms = now_ms()
        synapse.kill()
        time.sleep(DOWN_SECONDS)
        assert len(journal.read()) >= 2
        synapse.start()
        up_ms = now_ms()
        ended = wait_for(
            lambda: [one for one in outages(admin) if one["to_ts"] is not None and one["to_ts"] > down_ms],
            lambda: (outages(admin), probe.log_text()),
        )
        wait_for(lambda: not journal.read(), probe.log_text)
        total = admin.get(f"{BASE}/availability/probes").json["total"]
    (found,) = ended
    assert (found["source"], found["ticket"]) == ("measured", None)
    # A try that had begun when the server was killed may have failed; it is the first failed one in any case.
    assert down_ms - 2 * SLICE_MS <= found["from_ts"] <= down_ms + 2 * SLICE_MS
    assert up_ms - 2 * SLICE_MS <= found["to_ts"] <= up_ms + 5 * SLICE_MS
    month = time.strftime("%Y-%m", time.localtime(found["from_ts"] / 1_000))
    report = admin.get(f"{BASE}/availability", month=month).json
    assert (report["outage_minutes"], report["availability"]) == (0, 1.0)
    assert 1 <= report["measured_outage_minutes"] <= 3
    body = {"from_ts": found["from_ts"], "to_ts": found["to_ts"], "ticket": "T-1", "reason": "the server was killed"}
    assert admin.put(f"{BASE}/availability/outages/{found['id']}", body).status == HTTPStatus.OK
    report = admin.get(f"{BASE}/availability", month=month).json
    assert report["outage_minutes"] == report["measured_outage_minutes"]
    assert total >= len(ended) + 3


def test_one_try_with_passwords_says_how_it_went(synapse: RealSynapse, tmp_path: Path) -> None:
    admin = synapse.register("admin", admin=True)
    users = []
    for name in ("probe-a", "probe-b"):
        users.append(synapse.register(name, password=f"{name}-password").user_id)
        (tmp_path / name).write_text(f"{name}-password\n")
    command = [
        *(sys.executable, "-m", "synapse_bum", "probe", "--url", synapse.base_url, "--state", str(tmp_path / "state")),
        *(part for user in users for part in ("--password-file", f"{user}={tmp_path / user[1:].partition(':')[0]}")),
        *("--report-token-file", str(tmp_path / "token")),
    ]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=dict(synapse.environment()), capture_output=True, text=True, check=False, timeout=SECONDS
        )

    tries = [run(), run()]
    for done in tries:
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert " ok, direct " in done.stdout
        assert "password" not in done.stdout
    found = admin.get(f"{BASE}/availability/probes").json["probes"]
    assert [one["state"] for one in found] == ["ok", "ok"]
    assert abs(found[0]["clock_offset_ms"]) < 3_000
    # Both tries have used the same two rooms and the same logins.
    rooms = admin.get("/_synapse/admin/v1/rooms").json["total_rooms"]
    assert rooms == 2
    assert "password" not in (tmp_path / "state" / "token-1.json").read_text()
    synapse.stop()
    done = run()
    assert done.returncode == 1
    assert "failed at login: Connection refused" in done.stdout
    synapse.start()
    (tmp_path / "token").write_text("another secret than the server has")
    done = run()
    assert done.returncode == 0
    assert "does not know the token" in done.stderr
    assert len(Journal(tmp_path / "state" / "journal.jsonl").read()) == 2
