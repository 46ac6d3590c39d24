"""`synapse-bum export-user` where files lie in S3, as the storage provider's own configuration says."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from synapse_bum.cli import main
from synapse_bum.testing.http_client import HttpClient
from synapse_bum.testing.local_server import ServerError
from synapse_bum.testing.s3_server import RealS3, fetch_provider
from synapse_bum.testing.small_homeserver import ALICE, SmallHomeserver

pytestmark = pytest.mark.any_synapse

pytest.importorskip("moto", reason="moto is not installed (the extra `test`)")

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "s3-storage-provider"


@pytest.fixture
def s3() -> Iterator[RealS3]:
    with RealS3() as server:
        yield server


def test_files_come_from_the_bucket(s3: RealS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        monkeypatch.syspath_prepend(str(fetch_provider(CACHE)))
    except ServerError as error:
        pytest.skip(str(error))
    folder = tmp_path / "server"
    folder.mkdir()
    homeserver = SmallHomeserver(folder)
    homeserver.config["media_storage_providers"] = [dict(s3.storage_provider("copies/"))]
    homeserver.a_file("aaaainbucket", None)
    homeserver.a_file("aaaanowhere", None)
    put = HttpClient(s3.endpoint).request("PUT", f"/{s3.bucket}/copies/local_content/aa/aa/inbucket", body=b"text")
    assert put.status == HTTPStatus.OK
    out = tmp_path / "alice"
    assert main(["export-user", ALICE, "-c", str(homeserver.configuration()), "--out", str(out)]) == 0
    assert (out / "files/000001_aaaainbucket.txt").read_bytes() == b"text"
    states = {each["mxc"]: each["status"] for each in json.loads((out / "data/files.json").read_text())}
    assert states == {
        "mxc://messenger.example/aaaainbucket": "copied",
        "mxc://messenger.example/aaaanowhere": "missing",
    }


def test_a_bucket_that_does_not_answer_is_no_missing_file(
    s3: RealS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(fetch_provider(CACHE)))
    folder = tmp_path / "server"
    folder.mkdir()
    homeserver = SmallHomeserver(folder)
    provider = s3.storage_provider("copies/")
    homeserver.config["media_storage_providers"] = [{**provider, "config": {**provider["config"], "bucket": "another"}}]
    homeserver.a_file("aaaainbucket", None)
    out = tmp_path / "alice"
    assert main(["export-user", ALICE, "-c", str(homeserver.configuration()), "--out", str(out)]) == 1
    (entry,) = json.loads((out / "data/files.json").read_text())
    assert entry["status"] == "unreadable"
    assert "NoSuchBucket" in entry["reason"]
    assert "1 files could not be had" in capsys.readouterr().err
