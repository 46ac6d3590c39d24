"""Real Synapse, real clamd: new signatures find what is stored, a crash does not stop that, a release undoes it."""

import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, cast

import pytest

from synapse_bum.antivirus.stored.rescan import PAGE
from synapse_bum.testing import malware
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.http_client import MatrixClient
from synapse_bum.testing.server_database import ServerDatabase
from synapse_bum.testing.synapse import RealSynapse

pytestmark = pytest.mark.requires("clamd")

BASE = "/_synapse/client/bum/v1/antivirus"
TEXT = b"Einladung zur Sitzung am Montag, Nummer %06d. " + b"Tagesordnung folgt. " * 40
INFECTED = b"Einladung mit einer Beilage, die erst morgen jemand kennt. " * 20
FILES = 80


@pytest.fixture
def clamd() -> Iterator[RealClamd]:
    with RealClamd() as server:
        yield server


@pytest.fixture
def synapse(clamd: RealClamd) -> Iterator[RealSynapse]:
    scanner = {"address": [clamd.address_unix], "timeout": "20s", "max_connections": 8}
    module = {"module": "synapse_bum.antivirus.AntivirusModule", "config": {"scanner": scanner}}
    with RealSynapse(modules=[module]) as server:
        yield server


def wait_for(what: Callable[[], bool], seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def upload(client: MatrixClient, content: bytes) -> str:
    answer = client.upload(content)
    assert answer.status == HTTPStatus.OK
    return str(cast("dict[str, Any]", answer.json)["content_uri"])


def test_a_rescan_survives_a_crash_blocks_what_is_new_and_a_release_brings_it_back(
    clamd: RealClamd, synapse: RealSynapse
) -> None:
    admin = synapse.register("admin", admin=True)

    def run_of(run_id: str) -> dict[str, Any]:
        return cast("dict[str, Any]", admin.get(f"{BASE}/rescan/{run_id}").json)

    def totals() -> dict[str, int]:
        return cast("dict[str, int]", admin.get(f"{BASE}/status").json["totals"])

    for number in range(FILES):
        upload(admin, TEXT % number)
    infected = upload(admin, INFECTED)
    wait_for(lambda: totals()["clean"] == FILES + 1)
    clamd.reload_with([malware.signature_for("Doc.Tomorrow", INFECTED[:60])])

    run_id = cast("dict[str, Any]", admin.post(f"{BASE}/rescan", {}).json)["run_id"]
    wait_for(lambda: run_of(run_id)["scanned"] > 0)
    synapse.kill()
    # As a minute does: the lease of the process that was killed outlives it.
    with ServerDatabase(synapse) as database:
        database.execute("DELETE FROM synapse_bum_leases")
    synapse.start()
    between = run_of(run_id)
    assert between["state"] == "running"
    wait_for(lambda: run_of(run_id)["state"] == "done")
    done = run_of(run_id)
    assert (done["total"], done["infected"]) == (FILES + 1, 1)
    # Of the page that the crash cut off, what was settled already is not counted again.
    assert FILES + 1 - PAGE <= done["scanned"] <= FILES + 1

    assert admin.download(infected).status == HTTPStatus.NOT_FOUND
    path = f"{BASE}/findings/{infected.removeprefix('mxc://')}"
    finding = cast("dict[str, Any]", admin.get(path).json)
    assert (finding["state"], finding["source"], finding["signature"]) == (
        "blocked",
        "rescan",
        "Doc.Tomorrow.UNOFFICIAL",
    )

    assert admin.post(f"{path}/release", {"reason": "a harmless invitation"}).status == HTTPStatus.OK
    assert admin.download(infected).body == INFECTED
    wait_for(lambda: totals()["unscanned"] == 0)
    assert admin.download(infected).body == INFECTED
    assert upload(admin, INFECTED), "the same bytes are let in again"
    assert admin.upload(INFECTED + b"!").status == HTTPStatus.BAD_REQUEST, "other bytes with the signature are not"
