"""A real homeserver that is killed in the middle of deletions, that has rivals, and that shares a database."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any

import pytest

from synapse_bum.rest import BASE
from synapse_bum.testing import malware
from synapse_bum.testing.deleting_module import STEPS
from synapse_bum.testing.http_client import MatrixClient
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.synapse import RealSynapse

PICTURE = malware.png()


def deleting(**config: object) -> dict[str, Any]:
    return {"module": "synapse_bum.testing.deleting_module.DeletingModule", "config": {"hurry": True, **config}}


def wait_for(what: Callable[[], bool], instead: Callable[[], object] = str, seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"it did not happen in time; {instead()}"
        time.sleep(0.1)


def delete(admin: MatrixClient, mxc: str) -> str:
    """Plan a deletion and return its outcome; the server may die before it has answered."""
    answer = admin.post(f"{BASE}/example/deletions/{mxc.removeprefix('mxc://')}", {})
    assert answer.status == HTTPStatus.OK, answer.body
    return str(answer.json["outcome"])


def journal(admin: MatrixClient) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = admin.get(f"{BASE}/example/deletions?limit=1000").json["deletions"]
    return rows


def files(synapse: RealSynapse) -> list[str]:
    return sorted(str(path) for path in synapse.media_directory.rglob("*") if path.is_file())


def all_dropped(admin: MatrixClient) -> bool:
    return {row["state"] for row in journal(admin)} == {"dropped"}


def test_kill_9_at_every_step_loses_nothing_and_serves_nothing() -> None:
    with RealSynapse(modules=[deleting()]) as synapse:
        admin = synapse.register("admin", admin=True)
        kept = admin.upload(PICTURE, "image/png").json["content_uri"]
        left = files(synapse)
        synapse.stop()
        for step in STEPS:
            synapse.config["modules"] = [deleting(die_at=step)]
            synapse.start()
            mxc = admin.upload(PICTURE, "image/png").json["content_uri"]
            assert admin.download(mxc).status == HTTPStatus.OK
            with contextlib.suppress(OSError):  # it died before it had answered
                delete(admin, mxc)
            wait_for(lambda: not synapse.running)
            synapse.config["modules"] = [deleting()]
            synapse.start()
            assert admin.download(mxc).status == HTTPStatus.NOT_FOUND, step
            assert admin.thumbnail(mxc).status == HTTPStatus.NOT_FOUND, step
            wait_for(lambda: all_dropped(admin), lambda: journal(admin))
            assert files(synapse) == left, step
            synapse.stop()
        synapse.start()
        assert len(journal(admin)) == len(STEPS)
        assert admin.download(kept).body == PICTURE


@pytest.mark.requires("postgresql")
def test_many_that_delete_the_same_files_at_once_delete_each_once() -> None:
    with ExitStack() as stack:
        postgres = stack.enter_context(RealPostgres())
        synapse = stack.enter_context(RealSynapse(modules=[deleting()], postgres_dsn=postgres.dsn()))
        admin = synapse.register("admin", admin=True)
        mxcs = [admin.upload(PICTURE, "image/png").json["content_uri"] for _ in range(5)]
        with ThreadPoolExecutor(max_workers=20) as rivals:
            outcomes = Counter(rivals.map(lambda mxc: delete(admin, mxc), mxcs * 10))
        assert outcomes == {"Planned": 5, "AlreadyPlanned": 45}
        assert {admin.download(mxc).status for mxc in mxcs} == {HTTPStatus.NOT_FOUND}
        wait_for(lambda: all_dropped(admin), lambda: journal(admin))
        assert sorted(row["target"] for row in journal(admin)) == sorted(mxcs)
        assert files(synapse) == []
        audit = admin.get(f"{BASE}/audit?action=media.delete").json
        assert audit["total"] == 5


@pytest.mark.requires("postgresql")
def test_another_process_takes_over_what_a_dead_one_left() -> None:
    with ExitStack() as stack:
        postgres = stack.enter_context(RealPostgres())
        first = stack.enter_context(RealSynapse(modules=[deleting()], postgres_dsn=postgres.dsn()))
        admin = first.register("admin", admin=True)
        mxcs = [admin.upload(PICTURE, "image/png").json["content_uri"] for _ in range(5)]
        first.stop()
        first.config["modules"] = [deleting(die_at="drop_unlinked")]
        first.start()
        with contextlib.suppress(OSError):
            for mxc in mxcs:
                delete(admin, mxc)
        wait_for(lambda: not first.running)
        first.kill()
        second = stack.enter_context(
            RealSynapse(
                modules=[deleting()],
                config={"media_store_path": str(first.media_directory)},
                server_name=first.server_name,
                postgres_dsn=postgres.dsn(),
            )
        )
        heir = MatrixClient(second.base_url, admin.user_id, admin.token or "")
        for mxc in mxcs:
            assert delete(heir, mxc) in {"Planned", "AlreadyPlanned"}
        wait_for(lambda: all_dropped(heir), lambda: journal(heir))
        assert files(first) == []
