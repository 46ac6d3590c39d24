"""A real server, files that come and go on every way: the ledger says what the rows say, and what lies on the disk."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any, Final

import pytest

from synapse_bum.rest import BASE
from synapse_bum.testing import malware
from synapse_bum.testing.files_below import bytes_below
from synapse_bum.testing.http_client import MatrixClient, mxc_path
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.retention_data import DAY_MS, MediaWriter, backdate_file
from synapse_bum.testing.server_database import ServerDatabase
from synapse_bum.testing.synapse import RealSynapse

MODULES: Final = [
    {"module": "synapse_bum.storage.StorageModule", "config": {"update_interval": "2s"}},
    {
        "module": "synapse_bum.retention.RetentionModule",
        "config": {"local_media": {"lifetime": "90d"}, "remote_media": {"lifetime": "14d"}},
    },
]
SECONDS: Final = 120.0
SUMS: Final = {
    "local_bytes": "SELECT COALESCE(SUM(media_length), 0) FROM local_media_repository",
    "remote_bytes": "SELECT COALESCE(SUM(media_length), 0) FROM remote_media_cache",
    "thumbnail_bytes": "SELECT (SELECT COALESCE(SUM(thumbnail_length), 0) FROM local_media_repository_thumbnails)"
    " + (SELECT COALESCE(SUM(thumbnail_length), 0) FROM remote_media_cache_thumbnails)",
}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.requires("postgresql"))])
def synapse(request: pytest.FixtureRequest) -> Iterator[RealSynapse]:
    with ExitStack() as stack:
        dsn = stack.enter_context(RealPostgres()).dsn() if request.param == "postgres" else None
        config = {"background_updates": {"sleep_enabled": False}, "modules": MODULES}
        yield stack.enter_context(RealSynapse(postgres_dsn=dsn, config=config))


def wait_for(what: Callable[[], object], instead: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < deadline, f"it did not happen in time; {instead()}"
        time.sleep(0.2)


def usage(admin: MatrixClient) -> dict[str, Any]:
    found: dict[str, Any] = admin.get(f"{BASE}/storage/usage").json
    return found


def summed(synapse: RealSynapse) -> dict[str, int]:
    with ServerDatabase(synapse) as database:
        return {name: int(database.rows(query)[0][0]) for name, query in SUMS.items()}


def on_disk(synapse: RealSynapse) -> int:
    return bytes_below(synapse.media_directory)


def assert_accounts_are_right(synapse: RealSynapse, admin: MatrixClient) -> None:
    """The ledger follows by itself; what it says is what an independent sum and a walk find."""

    def is_right() -> bool:
        found, expected = usage(admin), summed(synapse)
        return {name: found[name] for name in expected} == expected and found["used_bytes"] == on_disk(synapse)

    wait_for(is_right, lambda: (usage(admin), summed(synapse), on_disk(synapse)))


def recount(admin: MatrixClient) -> dict[str, Any]:
    run_id = admin.post(f"{BASE}/storage/recount", {}).json["run_id"]
    found: dict[str, Any] = {}

    def is_over() -> bool:
        found.update(admin.get(f"{BASE}/storage/recount/{run_id}").json)
        return found["state"] in {"done", "failed"}

    wait_for(is_over, lambda: found)
    assert found["state"] == "done", found
    return found


def run_retention(admin: MatrixClient) -> None:
    run_id = admin.post(f"{BASE}/retention/runs", {"confirm": True}).json["run_id"]
    states: list[str] = []

    def is_done() -> bool:
        states.append(admin.get(f"{BASE}/retention/runs/{run_id}").json["state"])
        return states[-1] == "done"

    wait_for(is_done, lambda: states)


def test_the_ledger_follows_what_comes_and_goes_to_the_byte(synapse: RealSynapse) -> None:
    admin, alice = synapse.register("admin", admin=True), synapse.register("alice")
    pictures = [alice.upload(malware.png(), "image/png").json["content_uri"] for _ in range(3)]
    texts = [alice.upload(malware.unique_bytes(1_000 + number)).json["content_uri"] for number in range(5)]
    with ServerDatabase(synapse) as database:
        media = MediaWriter(synapse, database)
        now_ms = int(time.time() * 1_000)
        for number in range(20):
            old = now_ms - 20 * DAY_MS
            media.remote(
                "far.example", f"oldremote{number:02}", b"r" * (500 + number), created_ts=old, thumbnails=number % 3
            )
            media.local(
                f"keptlocal{number:02}", b"l" * (300 + number), created_ts=old, user_id=alice.user_id, thumbnails=1
            )
        media.flush()
    # Rows that nobody but this test has written are found by a recount.
    recount(admin)
    assert_accounts_are_right(synapse, admin)
    assert alice.thumbnail(pictures[0], 96, 96, "crop").status == HTTPStatus.OK
    late = alice.create_upload().json["content_uri"]
    assert_accounts_are_right(synapse, admin)
    assert alice.upload_to(late, malware.unique_bytes(4_000)).status == HTTPStatus.OK
    assert admin.delete(f"/_synapse/admin/v1/media/{mxc_path(texts[0])}").status == HTTPStatus.OK
    assert admin.delete(f"/_synapse/admin/v1/media/{mxc_path(pictures[1])}").status == HTTPStatus.OK
    assert_accounts_are_right(synapse, admin)
    with ServerDatabase(synapse) as database:
        backdate_file(database, texts[1], now_ms - 100 * DAY_MS)
    recount(admin)
    run_retention(admin)
    assert_accounts_are_right(synapse, admin)
    assert summed(synapse)["remote_bytes"] == 0
    assert recount(admin)["drift_bytes"] == {"local": 0, "remote": 0, "thumbnails": 0}
    assert usage(admin)["users"] == 2
    listed = admin.get(f"{BASE}/storage/users", order_by="files", dir="b").json["users"]
    assert (listed[0]["user_id"], listed[0]["files"]) == (alice.user_id, 2 + 3 + 20 + 1)


def test_what_a_killed_server_had_counted_is_still_right(synapse: RealSynapse) -> None:
    admin, alice = synapse.register("admin", admin=True), synapse.register("alice")
    for number in range(3):
        for size in range(10):
            assert alice.upload(malware.unique_bytes(1_000 * number + size + 1)).status == HTTPStatus.OK
        synapse.kill()
        synapse.start()
    assert_accounts_are_right(synapse, admin)
    assert recount(admin)["drift_bytes"] == {"local": 0, "remote": 0, "thumbnails": 0}
