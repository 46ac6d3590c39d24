"""A change reaches all of five processes at once, in and out, and with Redis down within the poll's interval."""

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus

import pytest

from synapse_bum.federation.live import POLL_MS
from synapse_bum.testing.http_client import HttpClient, MatrixClient
from synapse_bum.testing.propagation import change_partner, delays
from synapse_bum.testing.server_database import ServerDatabase
from synapse_bum.testing.workers import MEDIA, SynapseStack

pytestmark = [pytest.mark.requires("postgresql", "redis"), pytest.mark.long]

MODULE = {"module": "synapse_bum.federation.FederationModule", "config": {"removal": {"kick": False}}}
CHANGES = 30
POLL_S = POLL_MS / 1000
PATIENCE_S = 120.0
"""What a machine that does ten other things may take for what takes a moment otherwise."""


@pytest.fixture(scope="module")
def stack() -> Iterator[SynapseStack]:
    with SynapseStack(
        modules=[MODULE], config={"federation_domain_whitelist": []}, more=("generic1", "generic2")
    ) as started:
        yield started


@pytest.fixture(scope="module")
def boss(stack: SynapseStack) -> MatrixClient:
    return stack.main.register("boss", admin=True)


def is_denied(base_url: str, name: str) -> bool:
    """Whether a process refuses a server by its name, before it looks at the signature."""
    header = {"Authorization": f'X-Matrix origin="{name}",key="ed25519:a",sig="AAAA"'}
    answer = HttpClient(base_url).request("GET", "/_matrix/federation/v1/publicRooms", headers=header)
    return answer.status == 403 and b"Federation denied" in answer.body


def is_out_of_reach(client: HttpClient, name: str) -> bool:
    """Whether a process refuses to ask a server something for one of our users."""
    answer = client.get("/_matrix/client/v3/publicRooms", server=name)
    return answer.status == HTTPStatus.FORBIDDEN and b"Federation denied" in answer.body


def all_answer(urls: list[str], name: str, *, denied: bool) -> bool:
    return all(is_denied(url, name) is denied for url in urls)


def wait_until(condition: Callable[[], object]) -> bool:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_every_process_hears_of_a_change_at_once(stack: SynapseStack, boss: MatrixClient) -> None:
    assert len(stack.processes) == 5
    found = delays(stack, boss, CHANGES)
    p95 = statistics.quantiles(found, n=20)[-1]
    print(f"to all five: median {statistics.median(found) * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms")  # noqa: T201
    # 100 ms are promised for the p95; the benchmark says whether they are kept. Here it is shown that nobody has waited
    # for his poll: the last of five processes does that 4 s later, as a rule.
    assert statistics.median(found) < POLL_S / 2


def test_every_process_lets_in_and_denies(stack: SynapseStack, boss: MatrixClient) -> None:
    # Nothing listens there, so whoever looks for its key fails at once.
    name = "localhost:1"
    urls = [url for url, _ in stack.processes.values()]
    for method, expected in (("PUT", False), ("DELETE", True), ("PUT", False), ("DELETE", True)):
        change_partner(boss, urls[-1], method, name)
        assert wait_until(partial(all_answer, urls, name, denied=expected)), method


def test_no_process_asks_a_server_that_is_no_partner(stack: SynapseStack, boss: MatrixClient) -> None:
    name = "localhost:1"
    clients = [HttpClient(url, boss.token, timeout=PATIENCE_S) for url, _ in stack.processes.values()]
    assert len(clients) == 5
    for method, expected in (("PUT", False), ("DELETE", True)):
        change_partner(boss, clients[-1].base_url, method, name)
        assert wait_until(partial(all_answer, [one.base_url for one in clients], name, denied=expected)), method
        with ThreadPoolExecutor(len(clients)) as threads:
            # One that is allowed to fails to connect, and tries that a few times.
            assert set(threads.map(partial(is_out_of_reach, name=name), clients)) == {expected}, method


def test_a_cached_file_is_served_by_the_media_worker_and_only_while_its_server_is_a_partner(
    stack: SynapseStack, boss: MatrixClient
) -> None:
    name, content = "localhost:1", b"a file of the partner"
    place = stack.main.media_directory / "remote_content" / name / "aa" / "bb" / "cccc"
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    columns = "media_origin", "media_id", "media_type", "created_ts", "media_length", "filesystem_id", "last_access_ts"
    with ServerDatabase(stack.main) as database:
        values = (name, "cached", "text/plain", 1, len(content), "aabbcccc", 1)
        database.insert("remote_media_cache", columns, [values])
    path = f"/_matrix/client/v1/media/download/{name}/cached"
    urls = {process: url for process, (url, _) in stack.processes.items()}

    def statuses() -> dict[str, int]:
        return {process: HttpClient(url, boss.token).get(path).status for process, url in urls.items()}

    others = dict.fromkeys(urls.keys() - {MEDIA}, HTTPStatus.NOT_FOUND)
    for method, expected in (("PUT", HTTPStatus.OK), ("DELETE", HTTPStatus.FORBIDDEN), ("PUT", HTTPStatus.OK)):
        # Each time at another process than the one that serves files.
        change_partner(boss, urls["main"], method, name)
        assert wait_until(partial(all_answer, list(urls.values()), name, denied=method == "DELETE"))
        assert statuses() == {MEDIA: expected, **others}, method
    change_partner(boss, urls["main"], "DELETE", name)
    assert wait_until(partial(all_answer, list(urls.values()), name, denied=True))


def test_without_redis_the_poll_brings_it(stack: SynapseStack, boss: MatrixClient) -> None:
    name = "localhost:1"
    urls = [url for url, _ in stack.processes.values()]
    assert all_answer(urls, name, denied=True)
    stack.redis.kill()
    try:
        change_partner(boss, urls[0], "PUT", name)
        assert wait_until(partial(all_answer, urls, name, denied=False))
    finally:
        stack.redis.start()
