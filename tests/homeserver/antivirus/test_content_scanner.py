"""The content scanner API: what clients of the BundesMessenger see of clean, infected and unreadable files."""

import hashlib
import json
import os
from http import HTTPStatus
from typing import Any

from synapse_bum.antivirus.engines.engine import Infected
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.testing import malware, pk_encryption
from synapse_bum.testing.content_scanner_case import BASE, CLEAN, INFECTED, ContentScannerTestCase
from synapse_bum.testing.engines import finds_eicar


class EncryptedFileTest(ContentScannerTestCase):
    """Files with a key."""

    def test_clean_is_clean_and_downloaded_as_ciphertext(self) -> None:
        mxc, attachment = self.uploaded(b"minutes of the meeting " * 1000)
        scanned = self.scan(attachment, mxc)
        assert (scanned.code, scanned.json_body) == (HTTPStatus.OK, CLEAN)
        downloaded = self.post("download_encrypted", {"file": attachment.file(mxc)})
        assert downloaded.code == HTTPStatus.OK
        assert downloaded.result["body"] == attachment.ciphertext
        assert downloaded.headers.getRawHeaders("Cache-Control") == ["no-store"]

    def test_infected_is_not_clean_and_gone_for_everybody(self) -> None:
        mxc, attachment = self.uploaded(EICAR)
        assert self.download(mxc).code == HTTPStatus.OK
        scanned = self.scan(attachment, mxc)
        assert (scanned.code, scanned.json_body) == (HTTPStatus.OK, INFECTED)
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        self.assert_refused(self.post("download_encrypted", {"file": attachment.file(mxc)}), 403, "MCS_MEDIA_NOT_CLEAN")
        (finding,) = self.findings()
        assert finding["state"] == "blocked"
        assert finding["source"] == "content_scanner"
        assert finding["mxc"] == mxc
        assert finding["uploader"] == self.user
        assert finding["reporter"] == self.user
        assert finding["sha256"] == hashlib.sha256(attachment.ciphertext).hexdigest()

    def test_infected_ciphertext_can_not_be_uploaded_again(self) -> None:
        mxc, attachment = self.uploaded(EICAR)
        self.scan(attachment, mxc)
        assert self.upload(attachment.ciphertext, expect=HTTPStatus.BAD_REQUEST) == ""
        again = self.findings()[0]
        assert (again["state"], again["source"]) == ("rejected", "upload")

    def test_copies_that_are_stored_already_are_blocked_too(self) -> None:
        mxc, attachment = self.uploaded(EICAR)
        copy = self.upload(attachment.ciphertext)
        assert self.scan(attachment, mxc).json_body == INFECTED
        assert self.download(copy).code == HTTPStatus.NOT_FOUND
        assert {finding["mxc"]: finding["state"] for finding in self.findings()} == {mxc: "blocked", copy: "blocked"}

    def test_infected_stays_infected_with_any_key(self) -> None:
        mxc, attachment = self.uploaded(EICAR)
        self.scan(attachment, mxc)
        assert self.scan(attachment.with_wrong_key(), mxc).json_body == INFECTED

    def test_a_wrong_key_says_nothing_about_the_right_one(self) -> None:
        mxc, attachment = self.uploaded(EICAR)
        assert self.scan(attachment.with_wrong_key(), mxc).json_body == CLEAN
        assert self.scan(attachment, mxc).json_body == INFECTED

    def test_a_known_verdict_is_not_scanned_again(self) -> None:
        mxc, attachment = self.uploaded(b"minutes of the meeting " * 1000)
        self.scan(attachment, mxc)
        scans = len(self.engine.scanned)
        assert self.scan(attachment, mxc).json_body == CLEAN
        self.settle()
        assert self.scan(attachment, mxc).json_body == CLEAN
        assert len(self.engine.scanned) == scans

    def test_new_signatures_end_a_clean_verdict(self) -> None:
        mxc, attachment = self.uploaded(b"minutes of the meeting " * 1000)
        self.scan(attachment, mxc)
        self.settle()
        self.engine.signature_version = "27801"
        self.engine.incarnation += 1
        self.engine.answer = lambda content: Infected("Win.Late") if b"minutes" in content else finds_eicar(content)
        self.settle()
        self.settle()
        assert self.scan(attachment, mxc).json_body == INFECTED

    def test_a_restart_of_a_scanner_without_versions_ends_clean_verdicts_too(self) -> None:
        self.engine.signature_version = None
        self.engine.incarnation += 1
        self.settle()
        mxc, attachment = self.uploaded(b"minutes of the meeting " * 1000)
        assert self.scan(attachment, mxc).json_body == CLEAN
        self.settle()
        scans = len(self.engine.scanned)
        assert self.scan(attachment, mxc).json_body == CLEAN
        assert not any(b"minutes" in content for content in self.engine.scanned[scans:])
        self.engine.incarnation += 1
        self.engine.answer = lambda content: Infected("Win.Late") if b"minutes" in content else finds_eicar(content)
        assert self.scan(attachment, mxc).json_body == INFECTED

    def test_a_rescan_of_an_operator_ends_clean_verdicts(self) -> None:
        mxc, attachment = self.uploaded(b"minutes of the meeting " * 1000)
        self.scan(attachment, mxc)
        self.settle()
        self.engine.answer = lambda content: Infected("Win.Late") if b"minutes" in content else finds_eicar(content)
        path = "/_synapse/client/bum/v1/antivirus/rescan"
        assert self.make_request("POST", path, {}, access_token=self.admin_token).code == HTTPStatus.ACCEPTED
        assert self.scan(attachment, mxc).json_body == INFECTED

    def test_a_scanner_that_is_away_is_neither_clean_nor_infected_and_is_asked_again(self) -> None:
        mxc, attachment = self.uploaded(EICAR)
        self.engine.reachable = False
        self.assert_refused(self.scan(attachment, mxc), 502, "MCS_MEDIA_REQUEST_FAILED")
        self.assert_refused(
            self.post("download_encrypted", {"file": attachment.file(mxc)}), 502, "MCS_MEDIA_REQUEST_FAILED"
        )
        self.engine.reachable = True
        self.settle()
        assert self.findings() == []
        assert self.scan(attachment, mxc).json_body == INFECTED

    def test_a_part_of_a_file(self) -> None:
        mxc, attachment = self.uploaded(b"0123456789" * 100)
        body = {"file": attachment.file(mxc)}
        channel = self.make_request(
            "POST",
            f"{BASE}/download_encrypted",
            body,
            access_token=self.user_token,
            shorthand=False,
            custom_headers=[("Range", "bytes=10-19")],
        )
        assert channel.code == HTTPStatus.PARTIAL_CONTENT
        assert channel.result["body"] == attachment.ciphertext[10:20]
        assert channel.headers.getRawHeaders("Content-Range") == ["bytes 10-19/1000"]

    def test_a_wrong_hash_is_refused(self) -> None:
        mxc, attachment = self.uploaded(b"minutes")
        file = attachment.file(mxc) | {"hashes": {"sha256": "A" * 43}}
        self.assert_refused(self.post("scan_encrypted", {"file": file}), 400, "MCS_MEDIA_FAILED_TO_DECRYPT")

    def test_an_iv_whose_counter_wraps_within_the_file_is_refused(self) -> None:
        wrapping = os.urandom(8) + b"\xff" * 8
        mxc, attachment = self.uploaded(b"0123456789abcdef" * 3, iv=wrapping)
        self.assert_refused(self.scan(attachment, mxc), 400, "MCS_MEDIA_FAILED_TO_DECRYPT")

    def test_a_key_with_a_solved_iv_blocks_for_itself_only(self) -> None:
        mxc, attachment = self.uploaded(EICAR, iv=os.urandom(16)[:-1] + b"\x00")
        assert self.scan(attachment, mxc).json_body == INFECTED
        assert self.download(mxc).code == HTTPStatus.OK
        assert self.scan(attachment.with_wrong_key(), mxc).json_body == CLEAN
        (finding,) = self.findings()
        assert (finding["state"], finding["reporter"]) == ("rejected", self.user)
        assert self.scan(attachment, mxc).json_body == INFECTED

    def test_heuristics_block_for_one_key_only(self) -> None:
        self.engine.answer = lambda content: (
            Infected("Heuristics.Broken.Media") if b"suspicious" in content else finds_eicar(content)
        )
        mxc, attachment = self.uploaded(b"suspicious " * 20)
        assert self.scan(attachment, mxc).json_body == INFECTED
        assert self.download(mxc).code == HTTPStatus.OK

    def test_five_keys_for_a_file(self) -> None:
        mxc, attachment = self.uploaded(b"minutes of the meeting " * 100)
        for _ in range(5):
            assert self.scan(attachment.with_wrong_key(), mxc).code == HTTPStatus.OK
        self.assert_refused(self.scan(attachment, mxc), 429, "M_LIMIT_EXCEEDED")
        other = self.admin_token
        assert self.scan(attachment, mxc, token=other).json_body == CLEAN
        self.reactor.advance(3601)
        assert self.scan(attachment, mxc).json_body == CLEAN

    def test_the_request_body_may_be_encrypted(self) -> None:
        mxc, attachment = self.uploaded(EICAR)
        key = self.make_request("GET", f"{BASE}/public_key", shorthand=False).json_body["public_key"]
        body = pk_encryption.encrypt(key, json.dumps({"file": attachment.file(mxc)}).encode())
        assert self.post("scan_encrypted", {"encrypted_body": body}).json_body == INFECTED

    def test_bad_padding_and_no_json_answer_alike(self) -> None:
        key = self.make_request("GET", f"{BASE}/public_key", shorthand=False).json_body["public_key"]
        answers = [
            self.post("scan_encrypted", {"encrypted_body": body})
            for body in (
                pk_encryption.encrypt_padded(key, b"no valid padding" * 4),
                pk_encryption.encrypt(key, b"no JSON"),
                pk_encryption.encrypt(key, b'{"file": {'),
                pk_encryption.encrypt(key, b"[1]"),
                {"ciphertext": "AAAA", "mac": "AAAA", "ephemeral": "AAAA"},
            )
        ]
        for answer in answers:
            self.assert_refused(answer, 403, "MCS_BAD_DECRYPTION")
        assert len({json.dumps(answer.json_body) for answer in answers}) == 1


class PlainFileTest(ContentScannerTestCase):
    """Files without a key."""

    def test_scan_and_download(self) -> None:
        mxc = self.upload(b"hello world", content_type="text/plain").removeprefix("mxc://")
        assert self.get(f"scan/{mxc}").json_body == CLEAN
        downloaded = self.get(f"download/{mxc}")
        assert downloaded.result["body"] == b"hello world"
        assert downloaded.headers.getRawHeaders("Cache-Control") == ["no-store"]

    def test_thumbnail(self) -> None:
        mxc = self.upload(malware.png(), content_type="image/png").removeprefix("mxc://")
        channel = self.get(f"thumbnail/{mxc}?width=32&height=32&method=crop")
        assert channel.code == HTTPStatus.OK
        assert channel.headers.getRawHeaders("Content-Type") == ["image/png"]
        assert channel.headers.getRawHeaders("Cache-Control") == ["no-store"]

    def test_infected_is_blocked(self) -> None:
        mxc = self.upload(b"minutes of the meeting " * 100)
        self.engine.signature_version, self.engine.incarnation = "27801", 1
        self.engine.answer = lambda content: Infected("Win.Late") if b"minutes" in content else finds_eicar(content)
        self.settle()
        name = mxc.removeprefix("mxc://")
        assert self.get(f"scan/{name}").json_body == INFECTED
        self.assert_refused(self.get(f"download/{name}"), 403, "MCS_MEDIA_NOT_CLEAN")
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND

    def test_what_is_not_there(self) -> None:
        self.assert_refused(self.get(f"scan/{self.hs.hostname}/nothing"), 404, "M_NOT_FOUND")


class AllowlistTest(ContentScannerTestCase):
    """Servers that this one does not exchange anything with."""

    server = {"federation_domain_whitelist": []}

    def test_files_of_other_servers_are_not_there(self) -> None:
        _mxc, attachment = self.uploaded(b"minutes")
        self.assert_refused(self.scan(attachment, "mxc://elsewhere.example/file"), 404, "M_NOT_FOUND")
        self.assert_refused(self.get("scan/elsewhere.example/file"), 404, "M_NOT_FOUND")


class RequestTest(ContentScannerTestCase):
    """What is refused before any file is looked at."""

    def test_a_token_is_needed(self) -> None:
        mxc, attachment = self.uploaded(b"minutes of the meeting " * 100)
        self.scan(attachment, mxc)
        for path in ("scan_encrypted", "download_encrypted"):
            channel = self.make_request("POST", f"{BASE}/{path}", {"file": attachment.file(mxc)}, shorthand=False)
            self.assert_refused(channel, 401, "M_MISSING_TOKEN")
            self.assert_refused(self.post(path, {"file": attachment.file(mxc)}, token="nope"), 401, "M_UNKNOWN_TOKEN")
        for path in ("scan", "download", "thumbnail"):
            channel = self.make_request("GET", f"{BASE}/{path}/{mxc.removeprefix('mxc://')}", shorthand=False)
            self.assert_refused(channel, 401, "M_MISSING_TOKEN")

    def test_bodies(self) -> None:
        mxc, attachment = self.uploaded(b"minutes")
        good: dict[str, Any] = attachment.file(mxc)
        assert self.post("scan_encrypted", {"file": good | {"x": 1}, "y": [2]}).code == HTTPStatus.OK
        padded = good | {"iv": good["iv"] + "=="}
        assert self.post("scan_encrypted", {"file": padded}).code == HTTPStatus.OK
        for body in (
            b"",
            b"[]",
            b"{",
            b"\xff",
            b'{"a":' * 100_000,
            json.dumps({"file": good, "filler": "x" * 70_000}).encode(),
            json.dumps({"file": good | {"iv": "AAAA"}}).encode(),
            json.dumps({"file": good | {"key": good["key"] | {"alg": "A128CTR"}}}).encode(),
            json.dumps({"file": good | {"url": "mxc://test/../../etc"}}).encode(),
            json.dumps({"file": good | {"url": "mxc://test/%2f"}}).encode(),
            json.dumps({"file": good | {"url": "mxc://test/a\x00b"}}).encode(),
            json.dumps({"file": good, "event_id": 3, "room_id": "!a:test"}).encode(),
        ):
            channel = self.post("scan_encrypted", None, content=body)
            self.assert_refused(channel, 400, "MCS_MALFORMED_JSON")
            assert good["iv"] not in channel.text_body

    def test_paths_and_methods(self) -> None:
        self.assert_refused(self.get("nothing"), 404, "M_NOT_FOUND")
        self.assert_refused(self.get("scan_encrypted"), 405, "M_UNRECOGNIZED")
        self.assert_refused(self.get("scan/..%2f/x"), 404, "M_NOT_FOUND")
