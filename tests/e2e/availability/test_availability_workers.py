"""Several processes: any of them takes over what probes deliver, and one of them looks after it for all."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import pytest

from synapse_bum.availability.watch import LEASE
from synapse_bum.rest import BASE
from synapse_bum.testing.http_client import HttpClient, MatrixClient
from synapse_bum.testing.running_probe import RunningProbe
from synapse_bum.testing.server_database import ServerDatabase
from synapse_bum.testing.workers import SynapseStack

pytestmark = [pytest.mark.requires("postgresql", "redis"), pytest.mark.long, pytest.mark.any_synapse]

WORKER: Final = "generic1"
SLICE_MS: Final = 4_000
MODULE: Final = {
    "module": "synapse_bum.availability.AvailabilityModule",
    "config": {"probe_interval": f"{SLICE_MS // 1_000}s"},
}
PATIENCE_SECONDS: Final = 120.0
"""What a machine that does ten other things may take for what takes a moment otherwise."""


@pytest.fixture(scope="module")
def stack() -> Iterator[SynapseStack]:
    with SynapseStack(modules=[MODULE], config={}, more=(WORKER,)) as started:
        yield started


@pytest.fixture(scope="module")
def boss(stack: SynapseStack) -> MatrixClient:
    return stack.main.register("boss", admin=True)


@pytest.fixture(scope="module")
def probe_token(stack: SynapseStack, boss: MatrixClient) -> str:
    """The secret of the probe, which all processes are asked for at once when there is none yet."""
    clients = [HttpClient(url, boss.token) for url, _ in stack.processes.values()]
    with ThreadPoolExecutor(len(clients)) as threads:
        answers = list(threads.map(lambda client: client.post(f"{BASE}/availability/probe_token", {}).json, clients))
    (found,) = {answer["token"] for answer in answers}
    return str(found)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def results(pattern: str, begin_ms: int) -> Sequence[dict[str, Any]]:
    """One for each slice: `+` good, `-` failed."""
    states = {"+": "ok", "-": "failed"}
    return [
        {"probe_id": secrets.token_hex(8), "ts": begin_ms + place * SLICE_MS, "state": states[sign]}
        for place, sign in enumerate(pattern)
    ]


def deliver(found: Sequence[dict[str, Any]], token: str, url: str) -> dict[str, int]:
    answer = HttpClient(url, token).post(f"{BASE}/availability/probes", {"sent_ts": now_ms(), "results": list(found)})
    assert answer.status == HTTPStatus.OK, answer.body
    counted: dict[str, int] = answer.json
    return counted


def outages(boss: MatrixClient, since_ms: int) -> list[dict[str, Any]]:
    """Those that began since then, the latest first, as the main process shows them."""
    found: list[dict[str, Any]] = boss.get(f"{BASE}/availability/outages").json["outages"]
    return [one for one in found if one["from_ts"] >= since_ms]


def wait_for(what: Callable[[], Any], instead: Callable[[], object]) -> Any:  # noqa: ANN401 - whatever comes
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := what()):
        assert time.monotonic() < deadline, f"it did not happen in time; {instead()}"
        time.sleep(0.2)
    return found


def test_what_comes_to_all_processes_at_once_counts_once(
    stack: SynapseStack, boss: MatrixClient, probe_token: str
) -> None:
    begin_ms = now_ms() // SLICE_MS * SLICE_MS - 3_600_000
    found = results("+---+", begin_ms)
    urls = [url for url, _ in stack.processes.values()]
    assert len(urls) == 4
    with ThreadPoolExecutor(len(urls)) as threads:
        counted = list(threads.map(partial(deliver, found, probe_token), urls))
    assert sorted(one["stored"] for one in counted) == [0, 0, 0, 5]
    assert sorted(one["known"] for one in counted) == [0, 5, 5, 5]
    (outage,) = outages(boss, begin_ms - SLICE_MS)
    assert (outage["from_ts"], outage["to_ts"]) == (begin_ms + SLICE_MS, begin_ms + 4 * SLICE_MS)
    audited = boss.get(f"{BASE}/audit", action="availability.measured").json["audit"]
    assert [entry["target"] for entry in audited] == [outage["id"]]


def test_the_main_process_ends_an_outage_that_came_to_a_worker_when_the_probe_falls_silent(
    stack: SynapseStack, boss: MatrixClient, probe_token: str
) -> None:
    begin_ms = now_ms() // SLICE_MS * SLICE_MS - 2 * SLICE_MS
    deliver(results("+--", begin_ms), probe_token, stack.workers[WORKER].base_url)
    assert [one["to_ts"] for one in outages(boss, begin_ms)] == [None]
    wait_for(lambda: outages(boss, begin_ms)[0]["to_ts"], lambda: outages(boss, begin_ms))
    (ended,) = outages(boss, begin_ms)
    assert (ended["from_ts"], ended["to_ts"]) == (begin_ms + SLICE_MS, begin_ms + 3 * SLICE_MS)
    with ServerDatabase(stack.main) as database:
        ((owner,),) = database.rows("SELECT owner FROM synapse_bum_leases WHERE name = ?", LEASE)
    assert owner.startswith("main-")


def test_a_worker_that_was_dead_is_an_outage_that_its_probe_tells_of(
    stack: SynapseStack, boss: MatrixClient, probe_token: str
) -> None:
    begin_ms = now_ms()
    worker = stack.workers[WORKER]
    accounts = stack.main.register("probe-a"), stack.main.register("probe-b")
    with RunningProbe(stack.main, accounts, probe_token, url=worker.base_url) as probe:
        wait_for(lambda: boss.get(f"{BASE}/availability/probes").json["probes"][0]["state"] == "ok", probe.log_text)
        down_ms = now_ms()
        worker.kill()
        wait_for(lambda: " failed at " in probe.log_text(), probe.log_text)
        assert outages(boss, begin_ms) == [], "nobody else can have noticed"
        worker.start()
        up_ms = now_ms()
        (ended,) = wait_for(
            lambda: [one for one in outages(boss, begin_ms) if one["to_ts"] and one["to_ts"] > down_ms], probe.log_text
        )
    assert down_ms - 2 * SLICE_MS <= ended["from_ts"] <= down_ms + 3 * SLICE_MS
    assert up_ms - 2 * SLICE_MS <= ended["to_ts"] <= up_ms + 5 * SLICE_MS
