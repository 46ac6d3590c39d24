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
        wrong = attachment.with_wrong_key()
        assert self.scan(wrong, mxc).json_body == CLEAN
        self.assert_refused(self.post("download_encrypted", {"file": wrong.file(mxc)}), 404, "M_NOT_FOUND")
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        downloaded = self.post("download_encrypted", {"file": attachment.file(mxc)})
        assert downloaded.result["body"] == attachment.ciphertext
        assert self.download(mxc).code == HTTPStatus.OK

    def test_a_short_text_is_let_go(self) -> None:
        mxc, attachment = self.uploaded("Bis morgen um zehn, im großen Besprechungsraum!".encode())
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        assert self.scan(attachment, mxc).json_body == CLEAN
        assert self.download(mxc).code == HTTPStatus.OK

    def test_an_operator_lets_go_what_nobody_can_look_into(self) -> None:
        content = malware.unique_bytes(500)
        mxc = self.upload(content)
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        (held,) = self.ask("antivirus/held")["held"]
        assert (held["mxc"], held["uploader"], held["size_bytes"]) == (mxc, self.user, len(content))
        path = f"/_synapse/client/bum/v1/antivirus/held/{mxc.removeprefix('mxc://')}/release"
        for token, body, status in (
            (self.user_token, {"reason": "our own format"}, 403),
            (self.admin_token, {}, 400),
            (self.admin_token, {"reason": "our own format"}, 200),
            (self.admin_token, {"reason": "our own format"}, 404),
        ):
            assert self.make_request("POST", path, body, access_token=token).code == status
        assert self.download(mxc).result["body"] == content
        assert self.ask("antivirus/held")["total"] == 0
        assert self.ask("audit?action=antivirus.let_go")["audit"][0]["reason"] == "our own format"

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

    def test_the_same_bytes_twice_before_any_mark(self) -> None:
        first, attachment = self.uploaded(malware.png())
        second = self.upload(attachment.ciphertext)
        for mxc in (first, second):
            assert self.download(mxc).code == HTTPStatus.NOT_FOUND
            assert self.scan(attachment, mxc).json_body == CLEAN
            assert self.download(mxc).code == HTTPStatus.OK

    def test_bytes_that_a_moderator_quarantined_are_not_ours_to_serve(self) -> None:
        mxc, attachment = self.uploaded(malware.png())
        assert self.scan(attachment, mxc).json_body == CLEAN
        path = f"/_synapse/admin/v1/media/quarantine/{mxc.removeprefix('mxc://')}"
        assert self.make_request("POST", path, {}, access_token=self.admin_token).code == HTTPStatus.OK
        again = self.upload(attachment.ciphertext)
        self.scan(attachment, again)
        assert self.download(again).code == HTTPStatus.NOT_FOUND
        assert self.ask("antivirus/held")["total"] == 0

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


class HeldTypesTest(ContentScannerTestCase):
    """`require_scan` with types that are not allowed."""

    antivirus = {"require_scan": True, "content_scanner": {"blocked_mimetypes": ["image/png"]}}

    def test_a_forbidden_type_stays_held(self) -> None:
        mxc, attachment = self.uploaded(malware.png())
        self.assert_refused(self.scan(attachment, mxc), 403, "MCS_MIME_TYPE_FORBIDDEN")
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND


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
