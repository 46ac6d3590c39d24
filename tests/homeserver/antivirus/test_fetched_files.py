"""Files that the homeserver fetches from elsewhere: from other servers, and for URL previews."""

import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import patch

from synapse.media.media_storage import SpamMediaException
from synapse.types import UserID
from tests.server import FakeChannel
from twisted.internet.defer import Deferred, ensureDeferred, succeed

from synapse_bum.antivirus.engines.engine import Clean, ScanResult
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.testing.antivirus_case import AntivirusTestCase
from synapse_bum.testing.remote_media import download_of, elsewhere

SHA256 = hashlib.sha256(EICAR).hexdigest()
CLEAN = b"Guten Tag"


class RemoteTests(AntivirusTestCase):
    """Files of another server, with the fetch itself replaced."""

    def setUp(self) -> None:
        super().setUp()
        self.fetched: list[str] = []

    def download_of(self, content: bytes) -> Callable[..., Awaitable[object]]:
        return download_of(content, self.fetched)

    def fetch(self, content: bytes, media_id: str = "remote1") -> FakeChannel:
        with elsewhere(self.hs, content, self.fetched):
            return self.download(f"mxc://remote.example/{media_id}")

    def test_a_clean_file_is_delivered(self) -> None:
        assert self.fetch(CLEAN).result["body"] == CLEAN

    def test_an_infected_file_is_404_and_never_fetched_again(self) -> None:
        for _ in range(3):
            assert self.fetch(EICAR).code == HTTPStatus.NOT_FOUND
        assert self.fetched == ["remote1"]
        (finding,) = self.findings()
        assert finding["mxc"] == "mxc://remote.example/remote1"
        assert (finding["state"], finding["source"]) == ("rejected", "remote")
        assert (finding["uploader"], finding["reporter"]) == (None, self.user)
        assert self.stored_files() == []

    def test_a_file_without_a_verdict_is_fetched_again_when_the_scanner_is_back(self) -> None:
        self.engine.reachable = False
        assert self.fetch(CLEAN).code != HTTPStatus.OK
        self.engine.reachable = True
        assert self.fetch(CLEAN).result["body"] == CLEAN

    def test_a_file_that_was_refused_leaves_no_row_behind(self) -> None:
        self.fetch(EICAR)
        self.engine.reachable = False
        self.fetch(CLEAN, "unscanned")
        store = self.hs.get_datastores().main
        for media_id in ("remote1", "unscanned"):
            assert self.get_success(store.get_cached_remote_media("remote.example", media_id)) is None

    def test_no_other_process_serves_a_file_that_is_still_being_scanned(self) -> None:
        shown: list[object] = []

        def look(_content: bytes) -> ScanResult:
            row = self.hs.get_datastores().main.get_cached_remote_media("remote.example", "remote1")
            ensureDeferred(row).addCallback(shown.append)
            return Clean()

        self.engine.answer = look
        assert self.fetch(CLEAN).result["body"] == CLEAN
        (row,) = shown
        assert row is None or getattr(row, "quarantined_by", None) == "synapse_bum:scanning"

    def test_a_scan_that_died_with_its_process_leaves_nothing_that_is_served_or_lost(self) -> None:
        held: Deferred[None] = Deferred()
        self.engine.hold = held
        path = "/_matrix/client/v1/media/download/remote.example/remote1"
        with patch.object(self.hs.get_federation_client(), "federation_download_media", self.download_of(CLEAN)):
            self.make_request("GET", path, access_token=self.user_token, shorthand=False, await_result=False)
            self.pump()
        self.engine.hold = None
        self.reactor.advance(2 * 3_600)
        self.settle()
        store = self.hs.get_datastores().main
        assert self.get_success(store.get_cached_remote_media("remote.example", "remote1")) is None
        held.callback(None)
        self.pump()

    def test_a_row_whose_file_vanished_does_not_stand_in_the_way_of_a_new_download(self) -> None:
        assert self.fetch(CLEAN).code == HTTPStatus.OK
        (path,) = self.stored_files()
        path.unlink()
        assert self.fetch(CLEAN).result["body"] == CLEAN

    def test_a_local_upload_of_the_same_bytes_is_not_touched_while_a_remote_file_is_scanned(self) -> None:
        mxcs: list[str] = []

        def upload_meanwhile(_content: bytes) -> ScanResult:
            if not mxcs:
                mxcs.append("")
                store = self.hs.get_datastores().main
                sha256 = hashlib.sha256(CLEAN).hexdigest()
                done = succeed(bool(sha256))
                with patch.object(store.db_pool.updates, "has_completed_background_update", return_value=done):
                    ensureDeferred(store.get_is_hash_quarantined(sha256)).addCallback(
                        lambda quarantined: mxcs.append(str(quarantined))
                    )
            return Clean()

        self.engine.answer = upload_meanwhile
        assert self.fetch(CLEAN).result["body"] == CLEAN
        assert mxcs == ["", "False"]

    def test_two_files_keep_their_own_names(self) -> None:
        self.fetch(EICAR, "one")
        self.fetch(CLEAN, "two")
        self.fetch(EICAR, "three")
        assert {finding["mxc"] for finding in self.findings()} == {
            "mxc://remote.example/one",
            "mxc://remote.example/three",
        }


class UrlPreviewTests(AntivirusTestCase):
    server: ClassVar[Mapping[str, Any]] = {
        "url_preview_enabled": True,
        "url_preview_ip_range_blacklist": ["127.0.0.0/8"],
        "max_spider_size": "1M",
    }

    def test_a_clean_preview_is_stored(self) -> None:
        previewer = self.hs.get_media_repository().url_previewer
        assert previewer is not None
        url = "data:application/octet-stream;base64," + base64.b64encode(CLEAN).decode()
        user = UserID.from_string(self.user)
        self.get_success(previewer._handle_url(url, user, allow_data_urls=True))
        assert len(self.stored_files()) == 1
        assert self.findings() == []

    def test_an_infected_preview_is_not_stored(self) -> None:
        previewer = self.hs.get_media_repository().url_previewer
        assert previewer is not None
        url = "data:application/octet-stream;base64," + base64.b64encode(EICAR).decode()
        user = UserID.from_string(self.user)
        self.get_failure(previewer._handle_url(url, user, allow_data_urls=True), SpamMediaException)
        assert self.stored_files() == []
        (finding,) = self.findings()
        assert (finding["source"], finding["state"]) == ("url_preview", "rejected")
