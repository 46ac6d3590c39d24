"""The content scanner with `require_scan`, with types, and with files of other servers."""

from http import HTTPStatus

from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.testing import malware
from synapse_bum.testing.content_scanner_case import CLEAN, INFECTED, ContentScannerTestCase
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.remote_media import elsewhere


class TypesTest(ContentScannerTestCase):
    """`allowed_mimetypes`."""

    antivirus = {"content_scanner": {"allowed_mimetypes": ["image/png"]}}

    def test_the_content_decides(self) -> None:
        mxc, attachment = self.uploaded(malware.png())
        assert self.scan(attachment, mxc).json_body == CLEAN
        mxc, attachment = self.uploaded(b"%PDF-1.7 and more of it, but no image at all " * 20)
        self.assert_refused(self.scan(attachment, mxc), 403, "MCS_MIME_TYPE_FORBIDDEN")
        self.assert_refused(self.scan(attachment, mxc), 403, "MCS_MIME_TYPE_FORBIDDEN")
        plain = self.upload(b"text that says it is an image", content_type="image/png").removeprefix("mxc://")
        self.assert_refused(self.get(f"download/{plain}"), 403, "MCS_MIME_TYPE_FORBIDDEN")

    def test_infected_comes_before_forbidden(self) -> None:
        mxc, attachment = self.uploaded(EICAR)
        assert self.scan(attachment, mxc).json_body == INFECTED


class HeldTest(ContentScannerTestCase):
    """`require_scan`."""

    antivirus = {"require_scan": True}

    def test_held_until_its_key_finds_it_clean(self) -> None:
        mxc, attachment = self.uploaded(malware.png())
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        self.assert_refused(self.get(f"download/{mxc.removeprefix('mxc://')}"), 404, "M_NOT_FOUND")
        assert self.scan(attachment.with_wrong_key(), mxc).json_body == CLEAN
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        assert self.scan(attachment, mxc).json_body == CLEAN
        assert self.download(mxc).code == HTTPStatus.OK

    def test_held_after_the_mark_and_a_second_upload(self) -> None:
        mxc, attachment = self.uploaded(malware.png())
        self.settle()
        again = self.upload(attachment.ciphertext)
        self.settle()
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        assert self.scan(attachment, mxc).json_body == CLEAN
        assert self.download(mxc).code == HTTPStatus.OK
        assert self.download(again).code == HTTPStatus.NOT_FOUND
        assert self.scan(attachment, again).json_body == CLEAN
        assert self.download(again).code == HTTPStatus.OK

    def test_infected_is_never_let_go(self) -> None:
        mxc, attachment = self.uploaded(EICAR)
        self.settle()
        assert self.scan(attachment, mxc).json_body == INFECTED
        self.settle()
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        assert self.findings()[0]["state"] == "blocked"

    def test_plain_files_are_not_held(self) -> None:
        assert self.download(self.upload(malware.png())).code == HTTPStatus.OK
        assert self.download(self.upload(b"a text of some length that anybody can read")).code == HTTPStatus.OK


class RemoteFileTest(ContentScannerTestCase):
    """Encrypted files of other servers."""

    def setUp(self) -> None:
        super().setUp()
        self.fetched: list[str] = []

    def test_clean(self) -> None:
        attachment = encrypted(malware.png())
        with elsewhere(self.hs, attachment.ciphertext, self.fetched):
            assert self.scan(attachment, "mxc://remote.example/one").json_body == CLEAN
        downloaded = self.post("download_encrypted", {"file": attachment.file("mxc://remote.example/one")})
        assert downloaded.result["body"] == attachment.ciphertext
        assert self.fetched == ["one"]

    def test_infected_is_blocked_and_never_fetched_again(self) -> None:
        attachment = encrypted(EICAR)
        mxc = "mxc://remote.example/two"
        with elsewhere(self.hs, attachment.ciphertext, self.fetched):
            assert self.scan(attachment, mxc).json_body == INFECTED
            assert self.download(mxc).code == HTTPStatus.NOT_FOUND
            assert self.download("mxc://remote.example/copy").code == HTTPStatus.NOT_FOUND
        assert self.fetched == ["two", "copy"]
        copy, found = self.findings()
        assert (found["state"], found["source"], found["uploader"]) == ("blocked", "content_scanner", None)
        assert (copy["state"], copy["source"]) == ("rejected", "remote")


class RemoteHeldTest(ContentScannerTestCase):
    """Encrypted files of other servers, with `require_scan`."""

    antivirus = {"require_scan": True}

    def setUp(self) -> None:
        super().setUp()
        self.fetched: list[str] = []

    def test_held_until_its_key_finds_it_clean(self) -> None:
        attachment = encrypted(malware.png())
        mxc = "mxc://remote.example/held"
        with elsewhere(self.hs, attachment.ciphertext, self.fetched):
            assert self.download(mxc).code == HTTPStatus.NOT_FOUND
            self.settle()
            assert self.download(mxc).code == HTTPStatus.NOT_FOUND
            assert self.fetched == ["held"]
            assert self.scan(attachment.with_wrong_key(), mxc).json_body == CLEAN
            assert self.download(mxc).code == HTTPStatus.NOT_FOUND
            assert self.scan(attachment, mxc).json_body == CLEAN
            assert self.download(mxc).code == HTTPStatus.OK

    def test_scanned_before_anybody_downloads_it(self) -> None:
        attachment = encrypted(malware.png())
        mxc = "mxc://remote.example/first"
        with elsewhere(self.hs, attachment.ciphertext, self.fetched):
            assert self.scan(attachment, mxc).json_body == CLEAN
            assert self.download(mxc).code == HTTPStatus.OK

    def test_infected_is_never_let_go(self) -> None:
        attachment = encrypted(EICAR)
        mxc = "mxc://remote.example/bad"
        with elsewhere(self.hs, attachment.ciphertext, self.fetched):
            assert self.scan(attachment, mxc).json_body == INFECTED
            assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        assert self.findings()[0]["state"] == "blocked"
