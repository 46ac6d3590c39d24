"""Looking for orphans where files are in an S3 bucket only, and where a place hangs."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
from synapse.media.storage_provider import StorageProvider
from synapse.module_api import make_deferred_yieldable
from twisted.internet.defer import Deferred, ensureDeferred

from synapse_bum.deletion.folders import Folder
from synapse_bum.deletion.listings import LIMIT_S, HangsError, Looker
from synapse_bum.testing import malware
from synapse_bum.testing.orphan_case import OrphanTestCase
from synapse_bum.testing.s3_server import RealS3

boto3: Any = pytest.importorskip("boto3")
pytest.importorskip("moto", reason="moto is not installed (the extra `test`)")

PICTURE = malware.png()
PREFIX = "copies/"


class S3StorageProviderBackend(StorageProvider):
    """Shows what the real provider shows; that one runs threads on the real reactor."""

    def __init__(self, hs: Any, config: Mapping[str, str]) -> None:  # noqa: ANN401 - a homeserver
        self.store = hs.config.media.media_store_path
        self.bucket, self.prefix = config["bucket"], PREFIX
        self.client = boto3.client(
            "s3",
            endpoint_url=config["endpoint"],
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )

    @staticmethod
    def parse_config(config: Mapping[str, str]) -> Mapping[str, str]:
        return config

    def _get_s3_client(self) -> Any:  # noqa: ANN401 - boto3 has no types
        return self.client

    async def store_file(self, path: str, file_info: object) -> None:
        del file_info
        self.client.upload_file(f"{self.store}/{path}", self.bucket, self.prefix + path)

    async def fetch(self, path: str, file_info: object) -> None:
        """Is asked by no test."""


@pytest.fixture(scope="class")
def s3(request: pytest.FixtureRequest) -> Iterator[None]:
    with RealS3() as server:
        request.cls.s3 = server
        yield


@pytest.mark.usefixtures("s3")
class BucketTests(OrphanTestCase):
    s3: ClassVar[RealS3]

    def default_config(self) -> dict[str, Any]:
        config = super().default_config()
        config["media_storage_providers"] = [
            {
                "module": f"{__name__}.S3StorageProviderBackend",
                "store_local": True,
                "store_remote": True,
                "store_synchronous": True,
                "config": {"bucket": self.s3.bucket, "endpoint": self.s3.endpoint},
            }
        ]
        return config

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - the clock's module changed
        super().prepare(*reactor_clock_and_homeserver)
        for key in list(self.s3.keys()):
            self.backend().client.delete_object(Bucket=self.s3.bucket, Key=key)

    def backend(self) -> Any:  # noqa: ANN401 - see above
        provider: Any = self.hs.get_media_repository().media_storage.storage_providers[0]
        return provider.backend

    def test_what_is_only_in_the_bucket_is_no_orphan_and_what_is_nowhere_is(self) -> None:
        self.upload(PICTURE)
        self.upload(b"plain", "text/plain")
        self.fetch("known")
        self.age_all()
        for name in self.files():
            (self.store / name).unlink()
        run = self.look()
        assert run["state"] == "done", run["error"]
        assert self.lost(run["report"]) == {}
        assert run["report"]["looked_at"]["files"] == len(self.s3.keys())
        client = self.backend().client
        for key in list(self.s3.keys()):
            if key.startswith(f"{PREFIX}remote_content"):
                client.delete_object(Bucket=self.s3.bucket, Key=key)
        assert self.lost(self.look()["report"]) == {"remote_content": 1}

    def test_objects_without_rows_are_found_with_their_paths(self) -> None:
        client = self.backend().client
        strays = ["local_content/ab/cd/efgh", "remote_thumbnail/a.example/ab/cd/efgh/32-32-image-png-crop"]
        for path in [*strays, "local_content/README"]:
            client.put_object(Bucket=self.s3.bucket, Key=PREFIX + path, Body=b"stray")
        client.put_object(Bucket=self.s3.bucket, Key="local_content/ab/cd/elsewhere", Body=b"not below the prefix")
        self.upload(b"plain", "text/plain")
        self.age_all()
        # What the bucket wrote just now is old for a homeserver whose clock is two hours ahead.
        self.reactor.advance(self.ahead_of_the_bucket())
        report = self.look()["report"]
        assert set(self.stray(report)["the S3 bucket media"]) >= set(strays)
        assert "local_content/ab/cd/elsewhere" not in str(report)
        assert report["foreign_files"] >= 1

    def ahead_of_the_bucket(self) -> float:
        client = self.backend().client
        newest = max(each["LastModified"] for each in client.list_objects_v2(Bucket=self.s3.bucket)["Contents"])
        return float(newest.timestamp() + 7_200 - self.reactor.seconds())

    def test_a_bucket_that_is_away_leaves_rows_undecided(self) -> None:
        self.upload(b"plain", "text/plain")
        self.age_all()
        for name in self.files():
            (self.store / name).unlink()
        backend = self.backend()
        backend.bucket = "nowhere"
        run = self.look()
        assert run["state"] == "failed"
        assert "NoSuchBucket" in run["error"]
        assert run["report"]["undecided_rows"] == 1
        assert self.lost(run["report"]) == {}

    def test_a_homeserver_without_a_media_store_asks_the_bucket_alone(self) -> None:
        self.upload(PICTURE)
        self.add_preview()
        self.age_all()
        for name in self.files():
            (self.store / name).unlink()
        self.hs.config.media.enable_local_media_storage = False
        run = self.look()
        assert run["state"] == "done", run["error"]
        assert self.lost(run["report"]) == {}, "previews have no file there by design"
        assert run["report"]["complete"]


class StuckThreads:
    """Threads that never come to an end, until they are let go."""

    def __init__(self) -> None:
        self.begun: list[tuple[Deferred[Any], Callable[[], Any]]] = []

    async def run(self, function: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the function returns
        stuck: Deferred[Any] = Deferred()
        self.begun.append((stuck, function))
        return await make_deferred_yieldable(stuck)


class HangingTests(OrphanTestCase):
    def test_a_place_that_hangs_is_given_up_and_asked_nothing_more_until_its_thread_is_back(self) -> None:
        self.put("local_content/ab/cd/efgh")
        threads: Any = StuckThreads()
        looker = Looker(self.hs.get_module_api(), threads, Folder("the media store", self.store))
        first = ensureDeferred(looker.present(["local_content/ab/cd/efgh"]))
        self.reactor.advance(LIMIT_S + 1)
        self.get_failure(first, HangsError)
        self.get_failure(looker.present([]), HangsError)
        ((_stuck, function),) = threads.begun
        function()
        ensureDeferred(looker.present([]))
        assert len(threads.begun) == 2

    def test_a_look_at_a_place_that_hangs_ends_and_says_so(self) -> None:
        self.upload(PICTURE)
        self.age_all()
        threads: Any = StuckThreads()
        with patch("synapse_bum.deletion.listings.Threads", lambda *_: threads):
            run_id = self.queue()
            turn = self.tick()
            for _ in range(50):
                self.reactor.advance(LIMIT_S / 25)
            self.get_success(turn)
        run = self.run_of(run_id)
        assert run["state"] == "failed"
        assert "it has not answered for a long time" in run["error"]
        assert self.lost(run["report"]) == {}
        assert run["report"]["undecided_rows"] > 0
        assert len(threads.begun) == 1
