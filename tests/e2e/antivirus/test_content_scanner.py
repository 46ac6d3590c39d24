"""Real Synapse, real clamd: encrypted files through the content scanner, and what everybody else sees of them."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Final

import pytest
import vodozemac

from synapse_bum.antivirus.content_scanner import unpadded_base64
from synapse_bum.testing import malware
from synapse_bum.testing.clamd import EICAR_SIGNATURE
from synapse_bum.testing.content_scanner_client import (
    CLEAN,
    INFECTED,
    PATH,
    ContentScannerClient,
    StoredAttachment,
)
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.http_client import MatrixClient, Response, mxc_path
from synapse_bum.testing.scanned_homeserver import ScannedHomeserver

pytestmark = pytest.mark.requires("clamd")

MIB: Final = 1 << 20
ROUNDS: Final = 200
NO_WORK_SECONDS: Final = 15.0
"""Within which even a busy machine reads ten megabytes; parsing them in a bad way takes minutes."""


@pytest.fixture(scope="module")
def server() -> Iterator[ScannedHomeserver]:
    # Without authenticated media, so that the old ways to a file stand open until it is blocked.
    with ScannedHomeserver(config={"enable_authenticated_media": False}) as server:
        yield server


@pytest.fixture(scope="module")
def alice(server: ScannedHomeserver) -> ContentScannerClient:
    return server.user("alice")


@pytest.fixture(scope="module")
def bob(server: ScannedHomeserver) -> ContentScannerClient:
    return server.user("bob")


def picture() -> bytes:
    return malware.png() + malware.unique_bytes(16)


def virus() -> bytes:
    return malware.unique_bytes(16) + malware.EICAR


def doors(reader: MatrixClient, mxc: str) -> dict[str, int]:
    """The status of each way to a file that does not know of the scanner."""
    size = "width=32&height=32"
    paths = [f"/_matrix/client/v1/media/download/{mxc_path(mxc)}"]
    paths += [f"/_matrix/client/v1/media/thumbnail/{mxc_path(mxc)}?{size}"]
    for version in ("r0", "v1", "v3"):
        paths += [f"/_matrix/media/{version}/download/{mxc_path(mxc)}"]
        paths += [f"/_matrix/media/{version}/thumbnail/{mxc_path(mxc)}?{size}"]
    return {path.replace(mxc_path(mxc), "..."): reader.get(path).status for path in paths}


def assert_refused(response: Response, status: int, reason: str) -> None:
    assert (response.status, response.json["reason"]) == (status, reason)
    assert "no-store" in response.headers["cache-control"]


def test_a_clean_file_comes_back_byte_for_byte(alice: ContentScannerClient, bob: ContentScannerClient) -> None:
    stored = alice.store(encrypted(picture()))
    assert bob.scan_encrypted(stored.file).json == CLEAN
    ciphertext = stored.attachment.ciphertext
    downloaded = bob.download_encrypted(stored.file)
    assert (downloaded.status, downloaded.body) == (HTTPStatus.OK, ciphertext)
    assert "no-store" in downloaded.headers["cache-control"]
    part = bob.download_encrypted(stored.file, part="bytes=-100")
    assert (part.status, part.body) == (HTTPStatus.PARTIAL_CONTENT, ciphertext[-100:])
    size = len(ciphertext)
    assert part.headers["content-range"] == f"bytes {size - 100}-{size - 1}/{size}"
    assert_refused(bob.download_encrypted(stored.file, part=f"bytes={size}-"), 416, "M_INVALID_PARAM")
    assert bob.download(stored.mxc).body == ciphertext


@pytest.mark.parametrize("header", ["Range", "If-Range"])
def test_a_header_that_is_no_text_is_ignored(alice: ContentScannerClient, header: str) -> None:
    stored = alice.store(encrypted(picture()))
    headers = {header: "bytes=0-9\xff"}
    answer = alice.request("POST", f"{PATH}/download_encrypted", json_body={"file": stored.file}, headers=headers)
    assert (answer.status, answer.body) == (HTTPStatus.OK, stored.attachment.ciphertext)


def test_an_infected_file_is_gone_for_everybody_as_soon_as_the_scan_is_answered(
    server: ScannedHomeserver, alice: ContentScannerClient, bob: ContentScannerClient
) -> None:
    stored = alice.store(encrypted(virus()))
    before = doors(alice, stored.mxc)
    assert HTTPStatus.NOT_FOUND not in before.values(), before
    assert {status for path, status in before.items() if "download" in path} == {HTTPStatus.OK}
    assert bob.scan_encrypted(stored.file).json == INFECTED
    after = doors(alice, stored.mxc)
    assert set(after.values()) == {HTTPStatus.NOT_FOUND}, after
    assert_refused(bob.download_encrypted(stored.file), 403, "MCS_MEDIA_NOT_CLEAN")
    assert alice.scan_encrypted(stored.wrong_file).json == INFECTED, "no key makes it clean any more"
    (finding,) = [finding for finding in server.findings() if finding["mxc"] == stored.mxc]
    assert finding["state"] == "blocked"
    assert finding["source"] == "content_scanner"
    assert finding["signature"] == EICAR_SIGNATURE
    assert (finding["uploader"], finding["reporter"]) == (alice.user_id, bob.user_id)


def test_request_bodies_that_another_implementation_encrypted(
    alice: ContentScannerClient, bob: ContentScannerClient
) -> None:
    key = vodozemac.Curve25519PublicKey.from_base64(bob.public_key())

    def sealed(body: dict[str, Any]) -> dict[str, Any]:
        message = vodozemac.PkEncryption.from_key(key).encrypt(json.dumps(body).encode())
        parts = {"ciphertext": message.ciphertext, "mac": message.mac, "ephemeral": message.ephemeral_key}
        return {"encrypted_body": {name: unpadded_base64.encode(bytes(part)) for name, part in parts.items()}}

    clean, infected = alice.store(encrypted(picture())), alice.store(encrypted(virus()))
    assert bob.post(f"{PATH}/scan_encrypted", sealed({"file": clean.file})).json == CLEAN
    assert bob.post(f"{PATH}/download_encrypted", sealed({"file": clean.file})).body == clean.attachment.ciphertext
    assert bob.post(f"{PATH}/scan_encrypted", sealed({"file": infected.file})).json == INFECTED
    assert_refused(bob.post(f"{PATH}/scan_encrypted", sealed({"file": 1})), 400, "MCS_MALFORMED_JSON")
    broken = sealed({"file": clean.file})
    broken["encrypted_body"]["mac"] = "AAAAAAAAAAA"
    assert_refused(bob.post(f"{PATH}/scan_encrypted", broken), 403, "MCS_BAD_DECRYPTION")


def test_wrong_keys_beside_the_right_one_change_nothing(
    server: ScannedHomeserver, alice: ContentScannerClient, bob: ContentScannerClient
) -> None:
    """200 times, at the same moment: the right key twice, and a wrong one."""
    carol = server.user("carol")
    files = [alice.store(encrypted(virus() if number % 2 else picture())) for number in range(ROUNDS)]
    answers: list[tuple[Any, Any, Any]] = []
    with ThreadPoolExecutor(max_workers=3) as askers:
        for number, stored in enumerate(files):
            together = threading.Barrier(3)

            def ask(who: ContentScannerClient, file: dict[str, Any], together: threading.Barrier = together) -> Any:  # noqa: ANN401 - JSON
                together.wait()
                return who.scan_encrypted(file).json

            asked = [(bob, stored.file), (carol, stored.wrong_file), (alice, stored.file)]
            # Whose request comes first changes from round to round.
            order = [(number + turn) % 3 for turn in range(3)]
            pending = {index: askers.submit(ask, *asked[index]) for index in order}
            answers.append((pending[0].result(), pending[1].result(), pending[2].result()))
    infected = [stored.mxc for number, stored in enumerate(files) if number % 2]
    for number, (right, wrong, again) in enumerate(answers):
        expected = INFECTED if number % 2 else CLEAN
        assert (right, again) == (expected, expected), f"round {number}"
        # Noise is clean, unless the right key was faster: then the file is gone, whatever the key is.
        assert wrong == CLEAN or (number % 2 and wrong == INFECTED), f"round {number}"
    found = {finding["mxc"]: finding for finding in server.findings() if finding["mxc"] in {s.mxc for s in files}}
    assert sorted(found) == sorted(infected)
    assert {finding["state"] for finding in found.values()} == {"blocked"}
    assert carol.user_id not in {finding["reporter"] for finding in found.values()}
    for number, stored in enumerate(files):
        if not number % 2:
            assert alice.download(stored.mxc).body == stored.attachment.ciphertext
            assert bob.download_encrypted(stored.file).body == stored.attachment.ciphertext


def test_a_virus_at_the_end_of_fifty_megabytes(alice: ContentScannerClient, bob: ContentScannerClient) -> None:
    def large(end: bytes) -> StoredAttachment:
        return alice.store(encrypted(malware.filler(50 * MIB - len(end), seed=len(end)) + end))

    infected, clean = large(malware.EICAR), large(b"the end")
    assert bob.scan_encrypted(infected.file).json == INFECTED
    assert bob.download(infected.mxc).status == HTTPStatus.NOT_FOUND
    assert bob.scan_encrypted(clean.file).json == CLEAN
    assert bob.download_encrypted(clean.file).body == clean.attachment.ciphertext


@pytest.mark.parametrize("name", ["scan_encrypted", "download_encrypted"])
def test_a_body_of_ten_megabytes_is_refused_at_once(alice: ContentScannerClient, name: str) -> None:
    stored = alice.store(encrypted(picture()))
    for body in (
        json.dumps({"file": stored.file, "more": "x" * 10 * MIB}).encode(),
        b"[" * 10 * MIB,
        bytes(10 * MIB),
    ):
        began = time.monotonic()
        assert_refused(alice.request("POST", f"{PATH}/{name}", body=body), 400, "MCS_MALFORMED_JSON")
        assert time.monotonic() - began < NO_WORK_SECONDS
