"""Copies in an S3 bucket, made by `synapse-s3-storage-provider`, go with the file."""

import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from synapse_bum.rest import BASE
from synapse_bum.testing import malware
from synapse_bum.testing.http_client import MatrixClient
from synapse_bum.testing.local_server import ServerError
from synapse_bum.testing.s3_server import RealS3, fetch_provider
from synapse_bum.testing.synapse import RealSynapse

pytestmark = pytest.mark.any_synapse

pytest.importorskip("moto", reason="moto is not installed (the extra `test`)")

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "s3-storage-provider"
PICTURE = malware.png()
MODULE = {"module": "synapse_bum.testing.deleting_module.DeletingModule", "config": {"hurry": True}}


@pytest.fixture(scope="module")
def provider() -> Path:
    try:
        return fetch_provider(CACHE)
    except ServerError as error:
        pytest.skip(str(error))


@pytest.fixture
def s3() -> Iterator[RealS3]:
    with RealS3() as server:
        yield server


@pytest.fixture
def synapse(s3: RealS3, provider: Path) -> Iterator[RealSynapse]:
    copies = {"media_storage_providers": [s3.storage_provider("copies/")]}
    with RealSynapse(modules=[MODULE], config=copies, python_path=[provider]) as server:
        yield server


def wait_for(what: Callable[[], bool], instead: Callable[[], object] = str, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"it did not happen in time; {instead()}"
        time.sleep(0.1)


def upload(admin: MatrixClient) -> str:
    answer = admin.upload(PICTURE, "image/png")
    assert answer.status == HTTPStatus.OK, answer.body
    return str(answer.json["content_uri"])


def delete(admin: MatrixClient, mxc: str) -> None:
    answer = admin.post(f"{BASE}/example/deletions/{mxc.removeprefix('mxc://')}", {})
    assert answer.status == HTTPStatus.OK, answer.body


def newest(admin: MatrixClient) -> dict[str, Any]:
    row: dict[str, Any] = admin.get(f"{BASE}/example/deletions?limit=1").json["deletions"][0]
    return row


def test_the_objects_of_a_file_and_of_its_thumbnails_are_deleted_and_no_others(
    synapse: RealSynapse, s3: RealS3
) -> None:
    admin = synapse.register("admin", admin=True)
    kept = upload(admin)
    others = s3.keys()
    assert len(others) > 1, "the file and its thumbnails"
    mxc = upload(admin)
    assert len(s3.keys()) == 2 * len(others)
    delete(admin, mxc)
    assert admin.download(mxc).status == HTTPStatus.NOT_FOUND
    wait_for(lambda: newest(admin)["state"] == "dropped", lambda: newest(admin))
    assert s3.keys() == others
    assert admin.download(kept).body == PICTURE


def test_a_bucket_that_keeps_versions_keeps_none(synapse: RealSynapse, s3: RealS3) -> None:
    admin = synapse.register("admin", admin=True)
    s3.keep_versions()
    mxc = upload(admin)
    assert len(s3.versions()) > 1
    delete(admin, mxc)
    wait_for(lambda: newest(admin)["state"] == "dropped", lambda: newest(admin))
    assert s3.versions() == []


def test_a_bucket_that_is_away_keeps_the_file_hidden_and_the_deletion_open(synapse: RealSynapse, s3: RealS3) -> None:
    admin = synapse.register("admin", admin=True)
    mxc = upload(admin)
    s3.kill()
    delete(admin, mxc)
    wait_for(lambda: newest(admin)["error"] is not None, lambda: newest(admin), seconds=180)
    assert (newest(admin)["state"], newest(admin)["done_ts"]) == ("hidden", None)
    assert newest(admin)["error"].startswith("the S3 bucket media: ")
    assert admin.download(mxc).status == HTTPStatus.NOT_FOUND
    s3.start()
    wait_for(lambda: newest(admin)["state"] == "dropped", lambda: newest(admin), seconds=180)
