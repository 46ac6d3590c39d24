"""What happens to a file while it is scanned counts more than what the scan says."""

import contextlib
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from unittest.mock import patch

from synapse.module_api import ModuleApi
from synapse.server import HomeServer
from tests.server import FakeChannel
from twisted.internet.defer import Deferred

from synapse_bum.antivirus import AntivirusModule
from synapse_bum.antivirus.config import AntivirusConfig
from synapse_bum.antivirus.engines.engine import EngineVersion, Infected, ScanResult
from synapse_bum.antivirus.findings.enforcement import Enforcer
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.testing import malware
from synapse_bum.testing.content_scanner_case import BASE, CLEAN, INFECTED, ContentScannerTestCase
from synapse_bum.testing.encrypted_files import Attachment, encrypted
from synapse_bum.testing.engines import FakeEngine, finds_eicar

API = "/_synapse/client/bum/v1"
TEXT = b"minutes of the meeting " * 100


def late(content: bytes) -> ScanResult:
    """A base that has learned of something."""
    return Infected("Win.Late") if b"minutes" in content else finds_eicar(content)


class _Case(ContentScannerTestCase):
    def begin(self, name: str, attachment: Attachment, mxc: str, token: str | None = None) -> FakeChannel:
        """Send a request whose scan does not end."""
        if self.engine.hold is None:
            self.engine.hold = Deferred()
        channel = self.make_request(
            "POST",
            f"{BASE}/{name}",
            content=json.dumps({"file": attachment.file(mxc)}).encode(),
            access_token=token or self.user_token,
            shorthand=False,
            await_result=False,
        )
        self.pump()
        return channel

    def go_on(self, held: "Deferred[None]", *channels: FakeChannel) -> None:
        held.callback(None)
        for _ in range(20):
            self.reactor.advance(0.05)
            self.pump()
        assert all(channel.is_finished() for channel in channels)

    def take_hold(self) -> "Deferred[None]":
        """Later scans end at once; the returned Deferred ends those that wait."""
        held, self.engine.hold = self.engine.hold, None
        assert held is not None
        return held

    def order(self, path: str, token: str | None = None) -> FakeChannel:
        return self.make_request("POST", path, {"reason": "it is none"}, access_token=token or self.admin_token)


class MeanwhileTest(_Case):
    """The file was looked into, and then it was not to be served any more."""

    def test_quarantined_by_a_moderator(self) -> None:
        mxc, attachment = self.uploaded(TEXT)
        downloaded = self.begin("download_encrypted", attachment, mxc)
        held = self.take_hold()
        assert self.order(f"/_synapse/admin/v1/media/quarantine/{mxc.removeprefix('mxc://')}").code == HTTPStatus.OK
        self.go_on(held, downloaded)
        self.assert_refused(downloaded, 404, "M_NOT_FOUND")

    def test_blocked_by_the_right_key(self) -> None:
        mxc, attachment = self.uploaded(EICAR)
        wrong = attachment.with_wrong_key()
        downloaded = self.begin("download_encrypted", wrong, mxc)
        scanned = self.begin("scan_encrypted", attachment.with_wrong_key(), mxc)
        held = self.take_hold()
        assert self.scan(attachment, mxc, token=self.admin_token).json_body == INFECTED
        self.go_on(held, downloaded, scanned)
        self.assert_refused(downloaded, 403, "MCS_MEDIA_NOT_CLEAN")
        assert scanned.json_body == INFECTED

    def test_deleted(self) -> None:
        mxc, attachment = self.uploaded(TEXT)
        downloaded = self.begin("download_encrypted", attachment, mxc)
        held = self.take_hold()
        path = f"{API}/media/{mxc.removeprefix('mxc://')}"
        assert self.make_request("DELETE", path, access_token=self.user_token).code == HTTPStatus.OK
        self.go_on(held, downloaded)
        self.assert_refused(downloaded, 404, "M_NOT_FOUND")

    def test_deleted_by_an_operator_and_infected(self) -> None:
        mxc, attachment = self.uploaded(b"suspicious " * 20)
        self.engine.answer = lambda content: (
            Infected("Heuristics.X.Y") if b"suspicious" in content else finds_eicar(content)
        )
        assert self.scan(attachment, mxc).json_body == INFECTED
        self.engine.answer = lambda content: Infected("Real") if b"suspicious" in content else finds_eicar(content)
        self.engine.signature_version, self.engine.incarnation = "27801", 1
        self.settle()
        scanned = self.begin("scan_encrypted", attachment, mxc)
        held = self.take_hold()
        path = f"{API}/antivirus/findings/{mxc.removeprefix('mxc://')}"
        assert self.make_request("DELETE", path, access_token=self.admin_token).code == HTTPStatus.OK
        self.go_on(held, scanned)
        self.assert_refused(scanned, 502, "MCS_MEDIA_REQUEST_FAILED")
        assert self.scan(attachment, mxc).json_body == INFECTED

    def test_released_right_after_a_refusal(self) -> None:
        mxc, attachment = self.uploaded(b"suspicious " * 20)
        other = attachment.with_wrong_key()
        plain = b"suspicious " * 20
        self.engine.answer = lambda content: (
            Infected("Heuristics.A.A")
            if b"suspicious" in content
            else Infected("Heuristics.B.B")
            if len(content) == len(plain)
            else finds_eicar(content)
        )
        assert self.scan(attachment, mxc).json_body == INFECTED
        assert self.scan(other, mxc, token=self.admin_token).json_body == INFECTED
        self.engine.answer = finds_eicar
        path = f"{API}/antivirus/findings/{mxc.removeprefix('mxc://')}/release"
        assert self.order(path).code == HTTPStatus.OK
        self.settle()
        assert self.scan(attachment, mxc).json_body == CLEAN
        assert self.scan(other, mxc, token=self.admin_token).json_body == CLEAN

    def test_nobody_waits_in_the_queue_of_somebody_else(self) -> None:
        mxc, shared = self.uploaded(b"shared file " * 100)
        mine = [self.uploaded(b"file %d " % number * 100) for number in range(2)]
        waiting = [self.begin("scan_encrypted", attachment, address) for address, attachment in mine]
        waiting.append(self.begin("scan_encrypted", shared, mxc))
        held = self.take_hold()
        assert self.scan(shared, mxc, token=self.admin_token).json_body == CLEAN
        self.go_on(held, *waiting)


class HeldMeanwhileTest(_Case):
    """The same with `require_scan`."""

    antivirus = {"require_scan": True}

    def test_blocked_by_the_right_key(self) -> None:
        mxc, attachment = self.uploaded(EICAR)
        self.settle()
        downloaded = self.begin("download_encrypted", attachment.with_wrong_key(), mxc)
        held = self.take_hold()
        assert self.scan(attachment, mxc, token=self.admin_token).json_body == INFECTED
        self.go_on(held, downloaded)
        self.assert_refused(downloaded, 403, "MCS_MEDIA_NOT_CLEAN")

    def test_an_error_between_leaves_it_held(self) -> None:
        mxc, attachment = self.uploaded(EICAR)
        self.settle()
        with patch.object(Enforcer, "block", side_effect=RuntimeError("the database is away")):
            assert self.scan(attachment, mxc).code == HTTPStatus.INTERNAL_SERVER_ERROR
        assert self.ask("antivirus/held")["total"] == 1
        assert self.scan(attachment, mxc).json_body == INFECTED
        assert self.ask("antivirus/held")["total"] == 0
        assert self.findings()[0]["state"] == "blocked"

    def test_the_same_bytes_twice_at_once(self) -> None:
        attachment = encrypted(malware.png())
        mxcs = [self.upload(attachment.ciphertext) for _ in range(2)]
        self.settle()
        for mxc in mxcs:
            assert self.download(mxc).code == HTTPStatus.NOT_FOUND
            assert self.scan(attachment, mxc).json_body == CLEAN
            assert self.download(mxc).code == HTTPStatus.OK


class LimitsTest(_Case):
    """Sizes and storage."""

    def test_what_is_too_large_is_not_even_decrypted(self) -> None:
        mxc, attachment = self.uploaded(malware.unique_bytes(1_900_000))
        decrypt = "synapse_bum.antivirus.content_scanner.decryption.decrypt_into"
        limit = "synapse_bum.antivirus.scanning.scanner.Scanner.max_scan_bytes"
        with patch(limit, 1_000_000), patch(decrypt, side_effect=AssertionError("it was decrypted")):
            self.assert_refused(self.scan(attachment, mxc), 502, "MCS_MEDIA_REQUEST_FAILED")

    def test_a_storage_provider_that_fails(self) -> None:
        mxc, attachment = self.uploaded(TEXT)

        @contextlib.asynccontextmanager
        async def broken(_api: object, _stored: object) -> AsyncIterator[str]:
            raise RuntimeError("S3 is away")
            yield ""

        with patch("synapse_bum.homeserver.media.stored_file", broken):
            self.assert_refused(self.scan(attachment, mxc), 502, "MCS_MEDIA_REQUEST_FAILED")
        assert self.scan(attachment, mxc).json_body == CLEAN

    def test_a_verdict_of_a_scanner_without_versions_is_not_believed_for_long(self) -> None:
        self.engine.signature_version = None
        self.engine.incarnation += 1
        self.settle()
        mxc, attachment = self.uploaded(TEXT)
        plain = self.upload(TEXT, content_type="text/plain")
        assert self.scan(attachment, mxc).json_body == CLEAN
        self.settle()
        self.engine.answer = late
        assert self.scan(attachment, mxc).json_body == CLEAN
        self.reactor.advance(3_601)
        assert self.scan(attachment, mxc).json_body == INFECTED
        assert self.get(f"scan/{plain.removeprefix('mxc://')}").json_body == INFECTED


class _DatedEngine(FakeEngine):
    """A scanner that says when its base was built."""

    async def version(self) -> EngineVersion:
        version = await super().version()
        return EngineVersion(version.engine_version, version.signature_version, int(version.signature_version or 0))


class FailoverTest(ContentScannerTestCase):
    """Two scanners, one of them with an older base."""

    def make_homeserver(self, *_reactor_and_clock: object) -> HomeServer:
        self.engine, self.old = _DatedEngine("fake:new"), _DatedEngine("fake:old")
        self.engine.signature_version, self.old.signature_version = "200", "100"
        self.modules: list[AntivirusModule] = []
        remember = AntivirusModule.__init__

        def init(module: AntivirusModule, config: AntivirusConfig, api: ModuleApi) -> None:
            self.modules.append(module)
            remember(module, config, api)

        with (
            patch("synapse_bum.antivirus.module.build_engines", return_value=[self.engine, self.old]),
            patch.object(AntivirusModule, "__init__", init),
        ):
            return self.setup_test_homeserver()

    def test_a_verdict_is_worth_what_the_scanner_knew_that_gave_it(self) -> None:
        self.old.reachable = False
        self.old.incarnation += 1
        self.settle()
        mxc, attachment = self.uploaded(TEXT)
        self.engine.answer = late
        self.engine.reachable, self.old.reachable = False, True
        assert self.scan(attachment, mxc).json_body == CLEAN
        self.engine.reachable, self.old.reachable = True, False
        self.old.incarnation += 1
        self.settle()
        self.settle()
        assert self.scan(attachment, mxc).json_body == INFECTED
