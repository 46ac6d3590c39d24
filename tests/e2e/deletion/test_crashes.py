"""A real homeserver that is killed in the middle of deletions, that has rivals, and that shares a database."""

import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any

import pytest

from synapse_bum.rest import BASE
from synapse_bum.testing import malware
from synapse_bum.testing.deleting_module import STEPS
from synapse_bum.testing.files_below import files_below
from synapse_bum.testing.http_client import MatrixClient
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.synapse import RealSynapse

psycopg2: Any = pytest.importorskip("psycopg2")

pytestmark = pytest.mark.long

PICTURE = malware.png()
FILES = 5
"""Deleted together."""


def deleting(**config: object) -> dict[str, Any]:
    return {"module": "synapse_bum.testing.deleting_module.DeletingModule", "config": {"hurry": True, **config}}


def wait_for(what: Callable[[], bool], instead: Callable[[], object] = str, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"it did not happen in time; {instead()}"
        time.sleep(0.1)


def delete(admin: MatrixClient, mxc: str) -> str:
    """Plan a deletion and return its outcome; the server may die before it has answered."""
    answer = admin.post(f"{BASE}/example/deletions/{mxc.removeprefix('mxc://')}", {})
    assert answer.status == HTTPStatus.OK, answer.body
    return str(answer.json["outcome"])


def delete_many(admin: MatrixClient, mxcs: Sequence[str]) -> dict[str, list[str]]:
    """Plan the deletion of several files in one transaction, and return what came of them."""
    answer = admin.post(f"{BASE}/example/deletions", {"media_ids": [mxc.rpartition("/")[2] for mxc in mxcs]})
    assert answer.status == HTTPStatus.OK, answer.body
    outcome: dict[str, list[str]] = answer.json
    return outcome


def journal(admin: MatrixClient) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = admin.get(f"{BASE}/example/deletions?limit=1000").json["deletions"]
    return rows


def files(synapse: RealSynapse) -> list[str]:
    return sorted(map(str, files_below(synapse.media_directory)))


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
            mxcs = [admin.upload(PICTURE, "image/png").json["content_uri"] for _ in range(FILES)]
            assert {admin.download(mxc).status for mxc in mxcs} == {HTTPStatus.OK}
            with contextlib.suppress(OSError):  # it died before it had answered
                delete_many(admin, mxcs)
            wait_for(lambda: not synapse.running)
            synapse.config["modules"] = [deleting()]
            synapse.start()
            assert {admin.download(mxc).status for mxc in mxcs} == {HTTPStatus.NOT_FOUND}, step
            assert {admin.thumbnail(mxc).status for mxc in mxcs} == {HTTPStatus.NOT_FOUND}, step
            wait_for(lambda: all_dropped(admin), lambda: journal(admin))
            assert files(synapse) == left, step
            synapse.stop()
        synapse.start()
        assert len(journal(admin)) == FILES * len(STEPS)
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
def test_transactions_that_plan_the_same_files_wait_for_each_other_and_never_both() -> None:
    with ExitStack() as stack:
        postgres = stack.enter_context(RealPostgres())
        synapse = stack.enter_context(RealSynapse(modules=[deleting()], postgres_dsn=postgres.dsn()))
        admin = synapse.register("admin", admin=True)
        mxcs = [admin.upload(b"x", "text/plain").json["content_uri"] for _ in range(60)]
        orders = [random.Random(seed).sample(mxcs, 50) for seed in range(20)]  # noqa: S311 - no secret
        with ThreadPoolExecutor(max_workers=10) as rivals:
            outcomes = list(rivals.map(lambda order: delete_many(admin, order), orders))
        planned = Counter(mxc for outcome in outcomes for mxc in outcome["planned"])
        assert planned == Counter(mxcs)
        assert {sum(map(len, outcome.values())) for outcome in outcomes} == {50}
        wait_for(lambda: all_dropped(admin), lambda: journal(admin))
        assert files(synapse) == []
        with contextlib.closing(psycopg2.connect(postgres.dsn())) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT sum(deadlocks) FROM pg_stat_database")
            assert cursor.fetchone() == (0,)


@pytest.mark.requires("postgresql")
def test_a_database_connection_that_ends_in_the_middle_of_a_batch_costs_nothing() -> None:
    with ExitStack() as stack:
        postgres = stack.enter_context(RealPostgres())
        synapse = stack.enter_context(RealSynapse(modules=[deleting(lose_database=True)], postgres_dsn=postgres.dsn()))
        admin = synapse.register("admin", admin=True)
        mxcs = [admin.upload(PICTURE, "image/png").json["content_uri"] for _ in range(FILES)]
        assert len(delete_many(admin, mxcs)["planned"]) == FILES
        wait_for(lambda: all_dropped(admin), lambda: journal(admin))
        assert files(synapse) == []
        lost = (postgres.directory / "output.log").read_text().count("terminating connection")
        assert lost == len(STEPS)


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
