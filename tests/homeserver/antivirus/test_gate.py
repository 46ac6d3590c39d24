"""Inside a homeserver: what is refused, what is stored, and what is written down about it."""

import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import patch

from synapse_bum.antivirus.engines.engine import Clean, Failed, FailureReason, Infected, ScanResult
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.testing import malware
from synapse_bum.testing.antivirus_case import AntivirusTestCase
from synapse_bum.testing.engines import limits

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
        with patch("synapse_bum.antivirus.findings.records.record_finding", side_effect=RuntimeError("no database")):
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

    def test_the_same_bytes_in_another_request_have_a_verdict_of_their_own(self) -> None:
        self.upload(EICAR)
        assert not self.module.gate.births.is_expected(SHA256, "another request")
        self.engine.answer = lambda _: Clean()
        mxc = self.upload(EICAR)
        assert self.quarantined_by(mxc) is None or self.hash_index_is_done()

    def hash_index_is_done(self) -> bool:
        updates = self.hs.get_datastores().main.db_pool.updates
        done: bool = self.get_success(updates.has_completed_background_update("remote_media_cache_sha256_idx"))
        return done

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
