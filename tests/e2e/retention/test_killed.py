"""A server that is killed again and again while it deletes: in the end exactly what is expired is gone, and counted."""

import itertools
import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Final

import pytest

from synapse_bum.rest import BASE
from synapse_bum.testing.http_client import MatrixClient
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.retention_data import DAY_MS, MediaWriter, WrittenFile
from synapse_bum.testing.server_database import ServerDatabase, stopped
from synapse_bum.testing.synapse import RealSynapse
from synapse_bum.testing.written_messages import MessageWriter, NewMessage

pytestmark = pytest.mark.long

KILLS: Final = 8
RUNS: Final = f"{BASE}/retention/runs"
# Small batches: a run takes some seconds, and a kill meets every step of it.
MODULE: Final = {
    "module": "synapse_bum.retention.RetentionModule",
    "config": {
        "messages": {"lifetime": "1y"},
        "local_media": {"lifetime": "90d"},
        "remote_media": {"lifetime": "14d"},
        "schedule": {"interval": "1s", "batch_size": 5, "message_step": 10},
    },
}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.requires("postgresql"))])
def synapse(request: pytest.FixtureRequest) -> Iterator[RealSynapse]:
    with ExitStack() as stack:
        dsn = stack.enter_context(RealPostgres()).dsn() if request.param == "postgres" else None
        config = {"background_updates": {"sleep_enabled": False}}
        homeserver = stack.enter_context(RealSynapse(postgres_dsn=dsn, config=config))
        with ServerDatabase(homeserver) as database:
            deadline = time.monotonic() + 120
            while database.rows("SELECT count(*) FROM background_updates") != [(0,)]:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield homeserver


def test_nothing_is_lost_and_nothing_is_left(synapse: RealSynapse) -> None:
    admin, alice = synapse.register("admin", admin=True), synapse.register("alice")
    rooms = [str(alice.create_room(preset="public_chat").json["room_id"]) for _ in range(2)]
    for room_id in rooms:
        sent = alice.send(room_id, "m.room.message", {"msgtype": "m.text", "body": "old and first"}, "first")
        assert sent.status == HTTPStatus.OK, sent.body
    with stopped(synapse) as database:
        media = MediaWriter(synapse, database)
        old = [*written(media, alice.user_id, 150, 100), *written(media, None, 150, 30)]
        young = [*written(media, alice.user_id, 40, 60), *written(media, None, 40, 5)]
        media.flush()
        database.execute("UPDATE events SET received_ts = ?, origin_server_ts = ?", days_ago(900), days_ago(900))
        texts = itertools.chain(
            (NewMessage(rooms[n % 2], days_ago(800 - n), f"old {n}") for n in range(400)),
            (NewMessage(rooms[0], days_ago(300 - n), f"young {n}") for n in range(100)),
        )
        messages = list(MessageWriter(database).write(texts))
        synapse.config["modules"] = [MODULE]
    moments = random.Random(4)  # noqa: S311 - the same moments each time
    for _ in range(KILLS):
        time.sleep(moments.uniform(0, 3))
        synapse.kill()
        # As two minutes do: our lease and Synapse's lock on a room outlive the process that was killed.
        with ServerDatabase(synapse) as database:
            database.execute("DELETE FROM synapse_bum_leases")
            database.execute("DELETE FROM worker_read_write_locks")
        synapse.start()
    wait_until_done(admin)

    runs = admin.get(RUNS, limit=1_000).json["runs"]
    total = {kind: sum(run["deleted"][kind] for run in runs) for kind in ("messages", "local_media", "remote_media")}
    assert total == {"messages": 402, "local_media": 150, "remote_media": 150}
    status = admin.get(f"{BASE}/retention/status").json
    assert {kind: status[kind]["backlog_items"] for kind in status} == dict.fromkeys(status, 0)
    left = {path for file in young for path in file.paths}
    deadline = time.monotonic() + 120
    while files(synapse) != left:
        assert time.monotonic() < deadline, f"{len(files(synapse))} files instead of {len(left)}"
        time.sleep(0.2)
    assert {alice.download(file.mxc).status for file in old[::10]} == {HTTPStatus.NOT_FOUND}
    assert {alice.download(file.mxc).status for file in young} == {HTTPStatus.OK}
    with ServerDatabase(synapse) as database:
        stored = {body for (body,) in database.rows("SELECT event_id FROM event_search")}
        rows = database.rows("SELECT count(*) FROM event_json WHERE json LIKE ?", "%old %")
        deletions = database.rows("SELECT count(*) FROM synapse_bum_deletions WHERE state = 'dropped'")
    assert rows == [(0,)]
    assert deletions == [(300,)]
    assert stored == {one.event_id for one in messages if one.message.body.startswith("young")}


def written(media: MediaWriter, user_id: str | None, count: int, days: float) -> list[WrittenFile]:
    """Files of a user, or of another server, that are that old."""
    ts = days_ago(days)
    if user_id is None:
        return [
            media.remote("partner.example", f"remote{days}x{n:014d}", b"remote", created_ts=ts) for n in range(count)
        ]
    return [
        media.local(f"local{days}x{n:014d}", b"local", created_ts=ts, user_id=user_id, thumbnails=n % 2)
        for n in range(count)
    ]


def days_ago(days: float) -> int:
    return int(time.time() * 1_000 - days * DAY_MS)


def files(synapse: RealSynapse) -> set[Path]:
    return {Path(folder, name) for folder, _folders, names in os.walk(synapse.media_directory) for name in names}


def wait_until_done(admin: MatrixClient) -> None:
    """Have one run begin and end after all that was cut off."""
    run_id = admin.post(RUNS, {}).json["run_id"]
    deadline = time.monotonic() + 240
    while admin.get(f"{RUNS}/{run_id}").json["state"] in {"queued", "running"}:
        assert time.monotonic() < deadline, admin.get(RUNS).json
        time.sleep(0.2)
    run = admin.get(f"{RUNS}/{run_id}").json
    assert (run["state"], run["error"]) == ("done", None)
