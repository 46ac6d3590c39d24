"""Inside a homeserver: what is refused, what is stored, and what is written down about it."""

import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, BinaryIO, ClassVar
from unittest.mock import patch

from synapse.media.media_storage import SpamMediaException
from synapse.module_api import LoggingTransaction
from synapse.types import UserID
from tests.server import FakeChannel
from twisted.internet.defer import Deferred, ensureDeferred

from synapse_bum.antivirus.engines.engine import Clean, Failed, FailureReason, Infected, ScanResult
from synapse_bum.antivirus.probes import EICAR
from synapse_bum.testing import malware
from synapse_bum.testing.antivirus_case import AntivirusTestCase
from synapse_bum.testing.engines import finds_eicar, limits

SHA256 = hashlib.sha256(EICAR).hexdigest()
CLEAN = b"Guten Tag"


class UploadTests(AntivirusTestCase):
    def test_a_clean_file_is_stored_and_delivered(self) -> None:
        mxc = self.upload(CLEAN)
        assert self.download(mxc).result["body"] == CLEAN
        assert self.findings() == []

    def test_an_infected_upload_is_refused_and_nothing_of_it_is_stored(self) -> None:
        self.upload(EICAR, expect=HTTPStatus.BAD_REQUEST)
        assert self.stored_files() == []
        (finding,) = self.findings()
        assert finding["state"] == "rejected"
        assert finding["source"] == "upload"
        assert finding["signature"] == "Eicar-Test-Signature"
        assert finding["sha256"] == SHA256
        assert finding["uploader"] == self.user
        assert finding["reporter"] is None
        assert finding["mxc"].startswith("mxc://test/")

    def test_an_infected_asynchronous_upload_is_refused_under_its_own_id(self) -> None:
        mxc, answer = self.upload_async(EICAR)
        assert answer.code == HTTPStatus.BAD_REQUEST
        (finding,) = self.findings()
        assert finding["mxc"] == mxc
        assert finding["uploader"] == self.user
        assert self.download(mxc + "?timeout_ms=0").code == HTTPStatus.GATEWAY_TIMEOUT, "not yet uploaded"

    def test_a_reserved_id_takes_a_clean_file_after_an_infected_one_was_refused(self) -> None:
        mxc, _refused = self.upload_async(EICAR)
        path = f"/_matrix/media/v3/upload/{mxc.removeprefix('mxc://')}"
        headers = [("Content-Length", str(len(CLEAN)))]
        put = self.make_request("PUT", path, CLEAN, access_token=self.user_token, custom_headers=headers)
        assert put.code == HTTPStatus.OK
        assert self.download(mxc).result["body"] == CLEAN

    def test_the_finding_is_shown_by_its_own_address(self) -> None:
        self.upload(EICAR, expect=HTTPStatus.BAD_REQUEST)
        (finding,) = self.findings()
        path = finding["mxc"].removeprefix("mxc://")
        assert self.ask(f"antivirus/findings/{path}") == finding

    def test_a_finding_leaves_one_audit_row_and_one_log_line(self) -> None:
        with self.assertLogs("synapse_bum", "INFO") as logs:
            self.upload(EICAR, expect=HTTPStatus.BAD_REQUEST)
        (finding,) = self.findings()
        (row,) = self.ask("audit")["audit"]
        assert (row["action"], row["target"], row["actor"]) == ("antivirus.rejected", finding["mxc"], "antivirus")
        assert row["new"] == finding
        assert len([line for line in logs.output if finding["mxc"] in line]) == 1

    def test_an_unknown_finding_is_404(self) -> None:
        channel = self.make_request(
            "GET", "/_synapse/client/bum/v1/antivirus/findings/test/nothing", access_token=self.admin_token
        )
        assert (channel.code, channel.json_body["errcode"]) == (HTTPStatus.NOT_FOUND, "M_NOT_FOUND")

    def test_users_see_neither_status_nor_findings(self) -> None:
        for path in ("status", "findings", "findings/test/x"):
            channel = self.make_request(
                "GET", f"/_synapse/client/bum/v1/antivirus/{path}", access_token=self.user_token
            )
            assert (channel.code, channel.json_body["errcode"]) == (HTTPStatus.FORBIDDEN, "M_FORBIDDEN")

    def test_findings_come_newest_first_and_in_pages(self) -> None:
        for number in range(5):
            self.reactor.advance(1)
            self.upload(EICAR + b"%d" % number, expect=HTTPStatus.BAD_REQUEST)
        newest_first = self.findings()
        assert [finding["found_ts"] for finding in newest_first] == sorted(
            (finding["found_ts"] for finding in newest_first), reverse=True
        )
        first = self.ask("antivirus/findings?limit=2")
        assert first["findings"] == newest_first[:2]
        assert first["total"] == 5
        second = self.ask(f"antivirus/findings?limit=2&from={first['next_token']}")
        assert second["findings"] == newest_first[2:4]

    def test_thumbnails_of_a_scanned_picture_are_not_scanned_again(self) -> None:
        before = len(self.engine.scanned)
        mxc = self.upload(malware.png(900, 700), content_type="image/png")
        path = f"/_matrix/client/v1/media/thumbnail/{mxc.removeprefix('mxc://')}?width=320&height=240&method=scale"
        assert self.make_request("GET", path, access_token=self.user_token, shorthand=False).code == HTTPStatus.OK
        assert len(self.engine.scanned) == before + 1

    def test_a_file_above_max_scan_size_is_refused_without_a_scan(self) -> None:
        before = len(self.engine.scanned)
        self.upload(bytes(2 * 1024 * 1024 + 1), expect=HTTPStatus.BAD_REQUEST)
        assert len(self.engine.scanned) == before
        self.upload(bytes(2 * 1024 * 1024))

    def test_an_empty_file_is_stored(self) -> None:
        self.upload(b"")

    def test_a_file_that_was_not_fully_scanned_is_refused(self) -> None:
        self.engine.answer = lambda _: limits()
        self.upload(CLEAN, expect=HTTPStatus.BAD_REQUEST)
        assert self.stored_files() == []

    def test_every_kind_of_failure_refuses(self) -> None:
        for reason in FailureReason:
            self.engine.answer = lambda _, reason=reason: Failed(reason, "no")  # type: ignore[misc]
            self.upload(b"file for " + reason.value.encode(), expect=HTTPStatus.BAD_REQUEST)
        assert self.stored_files() == []
        assert self.findings() == []

    def test_totals_count_every_decision(self) -> None:
        self.upload(CLEAN)
        self.upload(EICAR, expect=HTTPStatus.BAD_REQUEST)
        self.engine.answer = lambda _: limits()
        self.upload(CLEAN, expect=HTTPStatus.BAD_REQUEST)
        self.settle()
        assert self.ask("antivirus/status")["totals"] == {
            "scanned": 2,
            "clean": 1,
            "infected": 1,
            "failed": 1,
            "unscanned": 0,
        }

    def test_encrypted_archives_are_stored_and_reported_by_default(self) -> None:
        self.engine.answer = lambda _: Infected("Heuristics.Encrypted.Zip")
        with self.assertLogs("synapse_bum", "WARNING") as logs:
            self.upload(CLEAN)
        assert "Heuristics.Encrypted.Zip" in "".join(logs.output)

    def test_a_database_that_does_not_answer_refuses_an_infected_file(self) -> None:
        with patch("synapse_bum.antivirus.records.record_finding", side_effect=RuntimeError("no database")):
            self.upload(EICAR, expect=HTTPStatus.INTERNAL_SERVER_ERROR)
        assert self.stored_files() == []

    def test_a_file_that_changes_while_it_is_scanned_is_refused(self) -> None:
        def grows(_content: bytes) -> ScanResult:
            (path,) = self.stored_files()
            path.write_bytes(b"more than before")
            return Clean()

        self.engine.answer = grows
        self.upload(CLEAN, expect=HTTPStatus.BAD_REQUEST)


class BlockTests(AntivirusTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block"}

    def test_an_infected_upload_is_stored_and_served_to_nobody_from_the_first_moment(self) -> None:
        mxc = self.upload(EICAR)
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        assert len(self.stored_files()) == 1
        (finding,) = self.findings()
        assert (finding["state"], finding["mxc"]) == ("blocked", mxc)
        self.settle()
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        assert self.quarantined_by(mxc) == "synapse_bum:infected"
        assert self.findings() == [finding]

    def test_an_asynchronous_upload_is_blocked_the_same_way(self) -> None:
        mxc, answer = self.upload_async(EICAR)
        assert answer.code == HTTPStatus.OK
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        self.settle()
        assert self.quarantined_by(mxc) == "synapse_bum:infected"

    def test_the_same_bytes_twice_are_blocked_twice(self) -> None:
        both = [self.upload(EICAR), self.upload(EICAR)]
        self.settle()
        assert [self.download(mxc).code for mxc in both] == [HTTPStatus.NOT_FOUND] * 2

    def test_other_uploads_are_not_touched(self) -> None:
        self.upload(EICAR)
        mxc = self.upload(CLEAN)
        self.settle()
        assert self.download(mxc).code == HTTPStatus.OK
        assert self.quarantined_by(mxc) is None

    def quarantined_by(self, mxc: str) -> str | None:
        media = self.get_success(self.hs.get_datastores().main.get_local_media(mxc.rsplit("/", 1)[1]))
        assert media is not None
        return media.quarantined_by


class AcceptTests(AntivirusTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"when_scanner_fails": "accept"}

    def test_a_file_is_stored_unscanned_and_scanned_when_the_scanner_is_back(self) -> None:
        self.engine.reachable = False
        mxc = self.upload(CLEAN)
        self.settle()
        assert self.ask("antivirus/status")["totals"]["unscanned"] == 1
        assert self.download(mxc).code == HTTPStatus.OK
        self.engine.reachable = True
        self.settle()
        totals = self.ask("antivirus/status")["totals"]
        assert (totals["unscanned"], totals["clean"]) == (0, 1)

    def test_an_infected_file_that_came_while_the_scanner_was_away_is_blocked_when_it_is_back(self) -> None:
        self.engine.reachable = False
        mxc = self.upload(EICAR)
        self.engine.reachable = True
        self.settle()
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        (finding,) = self.findings()
        assert (finding["mxc"], finding["state"], finding["source"]) == (mxc, "blocked", "rescan")
        assert finding["uploader"] == self.user

    def test_what_no_later_scan_could_judge_is_refused_even_now(self) -> None:
        self.engine.answer = lambda _: limits()
        self.upload(CLEAN, expect=HTTPStatus.BAD_REQUEST)
        self.upload(bytes(3 * 1024 * 1024), expect=HTTPStatus.BAD_REQUEST)

    def test_a_file_that_takes_down_the_scanner_twice_is_refused_for_good(self) -> None:
        killer = b"kills the scanner"

        def answer(content: bytes) -> ScanResult:
            if content == killer:
                return Failed(FailureReason.LOST, "gone")
            return Infected("Eicar-Test-Signature") if EICAR in content else Clean()

        self.engine.answer = answer
        self.upload(killer, expect=HTTPStatus.BAD_REQUEST)
        assert self.engine.scanned.count(killer) == 2
        self.upload(killer, expect=HTTPStatus.BAD_REQUEST)
        assert self.engine.scanned.count(killer) == 2, "not even asked"
        self.upload(b"same length here!")

    def test_a_file_that_was_only_there_when_the_scanner_died_is_acquitted(self) -> None:
        innocent = b"innocent"
        died: list[bool] = []

        def answer(content: bytes) -> ScanResult:
            if content == innocent and not died:
                died.append(True)
                return Failed(FailureReason.LOST, "gone")
            return Infected("Eicar-Test-Signature") if EICAR in content else Clean()

        self.engine.answer = answer
        mxc = self.upload(innocent)
        assert self.download(mxc).code == HTTPStatus.OK
        self.settle()
        assert self.ask("antivirus/status")["totals"]["unscanned"] == 0


class StoredBeforeTests(AntivirusTestCase):
    """Files that Synapse had before the module was loaded."""

    def stored_before(self, *contents: bytes) -> list[str]:
        """Uploads past the gate, then puts everything as it is when the module starts for the first time."""
        self.engine.reachable = False
        spam_checker = self.hs.get_module_api_callbacks().spam_checker
        with patch.object(spam_checker, "_check_media_file_for_spam_callbacks", []):
            mxcs = [self.upload(content) for content in contents]

        def forget_walks(txn: LoggingTransaction) -> None:
            txn.execute("DELETE FROM synapse_bum_antivirus_walks")

        self.get_success(self.hs.get_module_api().run_db_interaction("test", forget_walks))
        return mxcs

    def unscanned(self) -> int:
        return int(self.ask("antivirus/status")["totals"]["unscanned"])

    def test_they_are_queued_scanned_and_blocked_when_infected(self) -> None:
        old = self.stored_before(EICAR, CLEAN, malware.png())
        self.settle()
        assert self.unscanned() == 3
        assert self.download(old[0]).code == HTTPStatus.OK
        self.engine.reachable = True
        self.settle()
        assert [self.download(mxc).code for mxc in old] == [HTTPStatus.NOT_FOUND, HTTPStatus.OK, HTTPStatus.OK]
        assert self.unscanned() == 0
        (finding,) = self.findings()
        assert (finding["mxc"], finding["state"]) == (old[0], "blocked")

    def test_a_file_whose_row_is_protected_shows_as_block_failed(self) -> None:
        (mxc,) = self.stored_before(EICAR)
        store = self.hs.get_datastores().main
        self.get_success(store.mark_local_media_as_safe(mxc.rsplit("/", 1)[1]))
        self.engine.reachable = True
        self.settle()
        (finding,) = self.findings()
        assert finding["state"] == "block_failed"

    def test_a_file_that_is_gone_from_disk_does_not_stop_the_others(self) -> None:
        self.stored_before(b"lost")
        (path,) = self.stored_files()
        path.unlink()
        others = self.stored_before(*(b"other %d" % number for number in range(30)))
        self.engine.reachable = True
        for _ in range(3):
            self.settle()
        assert self.unscanned() == 1
        assert self.download(others[0]).code == HTTPStatus.OK

    def test_more_files_than_one_page_are_all_found(self) -> None:
        with patch("synapse_bum.antivirus.backlog.WALK_PAGE", 3):
            self.stored_before(*(b"file %d" % number for number in range(10)))
            self.settle()
            assert self.unscanned() == 10

    def test_a_stored_file_that_takes_down_scanners_is_blocked(self) -> None:
        (mxc,) = self.stored_before(b"killer")
        self.engine.answer = lambda content: (
            Failed(FailureReason.LOST, "gone") if content == b"killer" else finds_eicar(content)
        )
        self.engine.reachable = True
        self.settle()
        (finding,) = self.findings()
        assert (finding["signature"], finding["state"]) == ("synapse_bum.Unscannable", "blocked")
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND


class RemoteTests(AntivirusTestCase):
    """Files of another server, with the fetch itself replaced."""

    def setUp(self) -> None:
        super().setUp()
        self.fetched: list[str] = []

    def download_of(self, content: bytes) -> Callable[..., Awaitable[object]]:
        """Stands for the request to the other server."""

        async def download(
            _server: str, media: str, output_stream: BinaryIO, *_: object, **__: object
        ) -> tuple[int, dict[bytes, list[bytes]], bytes]:
            self.fetched.append(media)
            output_stream.write(content)
            return len(content), {b"Content-Type": [b"text/plain"]}, b"{}"

        return download

    def fetch(self, content: bytes, media_id: str = "remote1") -> FakeChannel:
        client = self.hs.get_federation_client()
        repository = self.hs.get_media_repository()
        assert repository.client is client
        with patch.object(client, "federation_download_media", self.download_of(content)):
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

    def test_an_infected_preview_is_not_stored(self) -> None:
        previewer = self.hs.get_media_repository().url_previewer
        assert previewer is not None
        url = "data:application/octet-stream;base64," + base64.b64encode(EICAR).decode()
        user = UserID.from_string(self.user)
        self.get_failure(previewer._handle_url(url, user, allow_data_urls=True), SpamMediaException)
        assert self.stored_files() == []
        (finding,) = self.findings()
        assert (finding["source"], finding["state"]) == ("url_preview", "rejected")
