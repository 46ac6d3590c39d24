"""A false positive that an operator releases is really there again, and nothing else is."""

import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, BinaryIO, ClassVar
from unittest.mock import patch

from synapse.module_api import LoggingTransaction
from tests.server import FakeChannel

from synapse_bum.antivirus.engines.engine import Clean, Failed, FailureReason, Infected, ScanResult
from synapse_bum.antivirus.findings.enforcement import Enforcer
from synapse_bum.antivirus.findings.finding import Finding, FindingState, Source
from synapse_bum.antivirus.findings.records import write_blocked, write_rejected
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.testing import malware
from synapse_bum.testing.antivirus_case import BASE, AntivirusTestCase
from synapse_bum.testing.engines import finds_eicar

PICTURE = malware.png(900, 700)
SHA256 = hashlib.sha256(PICTURE).hexdigest()
SIGNATURE = "Win.Test.Mishap-1"
REASON = "signature of a picture of ours"


class ReleaseTestCase(AntivirusTestCase):
    """Every file with this picture counts as infected."""

    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block"}

    def setUp(self) -> None:
        super().setUp()
        self.signature = SIGNATURE
        self.engine.answer = self.answer

    def answer(self, content: bytes) -> ScanResult:
        return Infected(self.signature) if content == PICTURE else Clean()

    def infected(self) -> str:
        mxc = self.upload(PICTURE, content_type="image/png")
        self.settle()
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        return mxc

    def post(self, path: str, body: dict[str, Any] | None = None, token: str | None = None) -> FakeChannel:
        return self.make_request("POST", f"{BASE}/{path}", body or {}, access_token=token or self.admin_token)

    def release(self, mxc: str, **body: object) -> FakeChannel:
        return self.post(f"antivirus/findings/{mxc.removeprefix('mxc://')}/release", body or {"reason": REASON})

    def thumbnail(self, mxc: str) -> FakeChannel:
        path = f"/_matrix/client/v1/media/thumbnail/{mxc.removeprefix('mxc://')}?width=320&height=240&method=scale"
        return self.make_request("GET", path, access_token=self.user_token, shorthand=False)

    def finding(self, mxc: str) -> dict[str, Any]:
        return self.ask(f"antivirus/findings/{mxc.removeprefix('mxc://')}")

    def row(self, mxc: str) -> tuple[str | None, str | None]:
        """Who has quarantined a local file, and its hash."""
        media = self.get_success(self.hs.get_datastores().main.get_local_media(mxc.rsplit("/", 1)[1]))
        assert media is not None
        return media.quarantined_by, media.sha256

    def set_quarantine(self, mxc: str, marker: str | None) -> None:
        def update(txn: LoggingTransaction) -> None:
            sql = "UPDATE local_media_repository SET quarantined_by = ? WHERE media_id = ?"
            txn.execute(sql, (marker, mxc.rsplit("/", 1)[1]))

        self.get_success(self.hs.get_module_api().run_db_interaction("test", update))


class ReleasedFileTests(ReleaseTestCase):
    def test_a_released_file_can_be_downloaded_and_its_thumbnail_too(self) -> None:
        mxc = self.infected()
        answer = self.release(mxc)
        assert answer.code == HTTPStatus.OK
        assert answer.json_body == self.finding(mxc)
        assert answer.json_body["state"] == "released"
        assert self.download(mxc).result["body"] == PICTURE
        assert self.thumbnail(mxc).code == HTTPStatus.OK
        assert self.row(mxc) == (None, SHA256)

    def test_it_stays_available_although_the_scanner_still_finds_the_same(self) -> None:
        mxc = self.infected()
        self.release(mxc)
        scans = len(self.engine.scanned)
        self.settle()
        assert len(self.engine.scanned) > scans, "it was not scanned again"
        assert self.download(mxc).code == HTTPStatus.OK
        assert self.ask("antivirus/status")["totals"]["unscanned"] == 0
        assert self.finding(mxc)["state"] == "released"

    def test_any_other_signature_still_blocks_it(self) -> None:
        mxc = self.infected()
        self.release(mxc)
        self.signature = "Win.Other-1"
        self.settle()
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        found = self.finding(mxc)
        assert (found["state"], found["signature"], found["source"]) == ("blocked", "Win.Other-1", "rescan")

    def test_a_new_upload_of_the_same_bytes_is_served(self) -> None:
        self.release(self.infected())
        mxc = self.upload(PICTURE, content_type="image/png")
        self.settle()
        assert self.download(mxc).code == HTTPStatus.OK

    def test_other_bytes_with_the_same_signature_are_still_blocked(self) -> None:
        self.release(self.infected())
        self.engine.answer = lambda content: Infected(SIGNATURE) if content == b"something else" else Clean()
        mxc = self.upload(b"something else")
        self.settle()
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND

    def test_copies_of_the_same_bytes_are_released_together_each_with_its_audit_row(self) -> None:
        both = [self.infected(), self.infected()]
        self.release(both[0])
        assert [self.download(mxc).code for mxc in both] == [HTTPStatus.OK] * 2
        rows = self.ask("audit?action=antivirus.released")["audit"]
        assert {row["target"] for row in rows} == set(both)
        assert {(row["actor"], row["reason"], row["old"]) for row in rows} == {(self.admin, REASON, "blocked")}

    def test_a_second_release_answers_the_same_and_writes_nothing(self) -> None:
        mxc = self.infected()
        first, second = self.release(mxc), self.release(mxc)
        assert (second.code, second.json_body) == (HTTPStatus.OK, first.json_body)
        assert len(self.ask("audit?action=antivirus.released")["audit"]) == 1

    def test_a_release_in_the_moment_of_the_upload_is_not_lost(self) -> None:
        mxc = self.upload(PICTURE, content_type="image/png")
        assert self.row(mxc)[0] == "system"
        assert self.release(mxc).code == HTTPStatus.OK
        self.settle()
        assert self.download(mxc).code == HTTPStatus.OK

    def test_a_file_that_takes_down_scanners_can_be_released(self) -> None:
        self.engine.answer = lambda _: Clean()
        mxc = self.upload(PICTURE)
        self.settle()
        self.engine.answer = lambda content: (
            Failed(FailureReason.LOST, "gone") if content == PICTURE else finds_eicar(content)
        )
        run = self.post("antivirus/rescan").json_body["run_id"]
        self.settle()
        assert self.ask(f"antivirus/rescan/{run}")["infected"] == 1
        assert self.finding(mxc)["signature"] == "synapse_bum.Unscannable"
        self.release(mxc)
        self.settle()
        assert self.download(mxc).code == HTTPStatus.OK


class OthersQuarantineTests(ReleaseTestCase):
    def test_a_moderators_quarantine_stays_and_is_said(self) -> None:
        mxc = self.infected()
        self.set_quarantine(mxc, "@moderator:test")
        with self.assertLogs("synapse_bum.antivirus.findings.release", "WARNING") as logs:
            answer = self.release(mxc)
        assert answer.json_body["state"] == "released"
        assert "stays quarantined by @moderator:test" in "".join(logs.output)
        assert self.row(mxc)[0] == "@moderator:test"
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND

    def test_the_same_hash_quarantined_by_a_moderator_stays_after_our_release(self) -> None:
        ours, others = self.infected(), self.infected()
        self.set_quarantine(others, "@moderator:test")
        with self.assertLogs("synapse_bum.antivirus.findings.release", "WARNING") as logs:
            self.release(ours)
        assert [self.download(mxc).code for mxc in (ours, others)] == [HTTPStatus.NOT_FOUND] * 2
        assert (self.row(ours)[0], self.row(others)[0]) == ("system", "@moderator:test")
        assert "stays quarantined by system" in "".join(logs.output)

    def test_a_mark_of_ours_on_the_same_hash_keeps_nothing_back(self) -> None:
        both = [self.infected(), self.infected()]
        self.set_quarantine(both[1], "synapse_bum:held")
        self.release(both[0])
        assert self.download(both[0]).code == HTTPStatus.OK
        assert self.row(both[1])[0] == "synapse_bum:held"

    def test_what_synapse_quarantined_by_itself_stays(self) -> None:
        mxc = self.infected()
        self.set_quarantine(mxc, "system")
        self.release(mxc)
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND


class LateVerdictTests(ReleaseTestCase):
    """Verdicts of scans that had begun before the release."""

    def write(self, mxc: str, signature: str, begun_ms: int) -> object:
        now_ms = self.hs.get_clock().time_msec()
        media_id = mxc.rsplit("/", 1)[1]
        stored = StoredMedia("test", media_id, media_id, local=True)

        def finding(state: FindingState) -> Finding:
            return Finding("test", media_id, SHA256, signature, state, Source.RESCAN, self.user, None, now_ms)

        database = self.module.backlog._database
        return self.get_success(database.run("test", write_blocked, stored, finding, begun_ms=begun_ms))

    def test_they_do_not_block_again_whatever_they_call_it(self) -> None:
        mxc = self.infected()
        begun_ms = self.hs.get_clock().time_msec()
        self.reactor.advance(1)
        self.release(mxc)
        for signature in (SIGNATURE, "renamed"):
            assert self.write(mxc, signature, begun_ms) is None
        assert self.download(mxc).code == HTTPStatus.OK
        assert self.finding(mxc)["state"] == "released"

    def test_a_scan_that_began_after_the_release_blocks_what_it_calls_by_another_name(self) -> None:
        mxc = self.infected()
        self.release(mxc)
        self.reactor.advance(1)
        assert self.write(mxc, "renamed", self.hs.get_clock().time_msec()) is not None
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND


class RefusedReleaseTests(ReleaseTestCase):
    def test_without_a_reason(self) -> None:
        mxc = self.infected()
        for body, code in (
            ({}, "M_MISSING_PARAM"),
            ({"reason": " "}, "M_INVALID_PARAM"),
            ({"reason": 1}, "M_INVALID_PARAM"),
        ):
            path = f"antivirus/findings/{mxc.removeprefix('mxc://')}/release"
            answer = self.make_request("POST", f"{BASE}/{path}", body, access_token=self.admin_token)
            assert (answer.code, answer.json_body["errcode"]) == (HTTPStatus.BAD_REQUEST, code)
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND

    def test_by_a_user(self) -> None:
        mxc = self.infected()
        path = f"antivirus/findings/{mxc.removeprefix('mxc://')}/release"
        assert self.post(path, {"reason": REASON}, self.user_token).code == HTTPStatus.FORBIDDEN
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND

    def test_of_an_unknown_file(self) -> None:
        assert self.release("mxc://test/nothing").code == HTTPStatus.NOT_FOUND
        assert self.post("antivirus/signatures/Nothing/release", {"reason": REASON}).code == HTTPStatus.NOT_FOUND


class RejectedUploadTests(ReleaseTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "refuse"}

    def test_there_is_nothing_to_release(self) -> None:
        self.upload(PICTURE, expect=HTTPStatus.BAD_REQUEST)
        (finding,) = self.findings()
        answer = self.release(finding["mxc"])
        assert (answer.code, answer.json_body["errcode"]) == (HTTPStatus.CONFLICT, "M_UNKNOWN")
        assert self.findings() == [finding]

    def test_bytes_that_only_a_key_showed_infected_may_be_uploaded_again_after_their_release(self) -> None:
        noise = bytes((n * 197 + n * n * 31 + 7) % 256 for n in range(5_000))
        mxc = self.upload(noise)
        media_id = mxc.rsplit("/", 1)[1]
        stored = StoredMedia("test", media_id, media_id, local=True)
        sha256, now_ms = hashlib.sha256(noise).hexdigest(), self.hs.get_clock().time_msec()

        def finding(state: FindingState) -> Finding:
            source = Source.CONTENT_SCANNER
            return Finding("test", media_id, sha256, SIGNATURE, state, source, self.user, "@bob:test", now_ms)

        enforcer = Enforcer(self.hs.get_module_api(), self.module.backlog._database)
        self.get_success(enforcer.block(stored, finding, begun_ms=now_ms))
        self.upload(noise, expect=HTTPStatus.BAD_REQUEST)
        assert {found["state"] for found in self.findings()} == {"blocked", "rejected"}
        self.release(mxc)
        assert self.download(self.upload(noise)).result["body"] == noise


class OperatorTests(ReleaseTestCase):
    antivirus: ClassVar[Mapping[str, Any]] = {"on_infected_upload": "block", "operator_users": ["@boss:test"]}

    def test_an_administrator_who_is_no_operator_reads_only(self) -> None:
        mxc = self.infected()
        assert self.release(mxc).code == HTTPStatus.FORBIDDEN
        assert self.post("antivirus/rescan").code == HTTPStatus.FORBIDDEN
        assert self.finding(mxc)["state"] == "blocked"


class RemoteTests(ReleaseTestCase):
    def fetch(self, content: bytes) -> FakeChannel:
        async def download(_server: str, _media: str, output_stream: BinaryIO, *_: object, **__: object) -> Any:  # noqa: ANN401 - Synapse's type
            output_stream.write(content)
            return len(content), {b"Content-Type": [b"image/png"]}, b"{}"

        with patch.object(self.hs.get_federation_client(), "federation_download_media", download):
            return self.download("mxc://remote.example/remote1")

    def test_a_remote_file_that_was_refused_is_fetched_again_after_its_release(self) -> None:
        assert self.fetch(PICTURE).code == HTTPStatus.NOT_FOUND
        assert self.finding("mxc://remote.example/remote1")["state"] == "rejected"
        assert self.fetch(PICTURE).code == HTTPStatus.NOT_FOUND
        assert self.release("mxc://remote.example/remote1").code == HTTPStatus.OK
        assert self.fetch(PICTURE).result["body"] == PICTURE

    def test_a_stored_remote_file_is_blocked_by_a_rescan_and_shown_again_after_its_release(self) -> None:
        self.engine.answer = lambda _: Clean()
        assert self.fetch(PICTURE).code == HTTPStatus.OK
        self.settle()
        self.engine.answer = self.answer
        self.post("antivirus/rescan")
        self.settle()
        assert self.fetch(PICTURE).code == HTTPStatus.NOT_FOUND
        assert self.finding("mxc://remote.example/remote1")["state"] == "blocked"
        self.release("mxc://remote.example/remote1")
        assert self.fetch(PICTURE).result["body"] == PICTURE


class OneKeyTests(ReleaseTestCase):
    """Findings of the content scanner that refuse one key and not the file."""

    def refused_key(self, mxc: str) -> bool:
        server_name, media_id = mxc.removeprefix("mxc://").split("/")
        now_ms = self.hs.get_clock().time_msec()
        finding = Finding(
            server_name,
            media_id,
            SHA256,
            SIGNATURE,
            FindingState.REJECTED,
            Source.CONTENT_SCANNER,
            None,
            self.user,
            now_ms,
        )

        def write(txn: LoggingTransaction) -> bool:
            txn.execute(
                "INSERT INTO synapse_bum_antivirus_key_verdicts VALUES ('b', ?, ?, 'infected', ?, NULL, 1, 0)"
                " ON CONFLICT DO NOTHING",
                (server_name, media_id, SIGNATURE),
            )
            return write_rejected(txn, finding)

        written: bool = self.get_success(self.module.backlog._database.run("test", write))
        return written

    def key_verdicts(self) -> int:
        def count(txn: LoggingTransaction) -> int:
            txn.execute("SELECT COUNT(*) FROM synapse_bum_antivirus_key_verdicts")
            (row,) = txn.fetchall()
            return int(row[0])

        found: int = self.get_success(self.module.backlog._database.run("test", count))
        return found

    def test_the_file_is_still_fetched_for_others(self) -> None:
        self.refused_key("mxc://remote.example/remote1")
        refused = self.get_success(self.module.gate.refuses_remote("remote.example", "remote1"))
        assert not refused

    def test_a_release_drops_the_verdicts_of_its_keys(self) -> None:
        self.refused_key("mxc://remote.example/remote1")
        assert self.key_verdicts() == 1
        assert self.release("mxc://remote.example/remote1").json_body["state"] == "released"
        assert self.key_verdicts() == 0

    def test_they_never_take_the_place_of_a_finding_about_the_file(self) -> None:
        mxc = self.infected()
        assert not self.refused_key(mxc)
        assert self.finding(mxc)["state"] == "blocked"


class SignatureTests(ReleaseTestCase):
    def test_everything_that_a_signature_hit_is_released(self) -> None:
        hit = [b"file number %d" % number for number in range(5)]
        self.engine.answer = lambda content: Infected("A (b)/c") if content in hit else Clean()
        mxcs = [self.upload(content) for content in hit]
        self.settle()
        with patch("synapse_bum.antivirus.findings.release.PAGE", 2):
            answer = self.post("antivirus/signatures/A%20(b)%2Fc/release", {"reason": REASON})
        assert (answer.code, answer.json_body) == (HTTPStatus.OK, {"released": 5})
        self.settle()
        assert [self.download(mxc).code for mxc in mxcs] == [HTTPStatus.OK] * 5
        again = self.post("antivirus/signatures/A%20(b)%2Fc/release", {"reason": REASON})
        assert again.json_body == {"released": 0}
