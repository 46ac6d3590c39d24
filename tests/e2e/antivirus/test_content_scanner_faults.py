"""The scanner or the homeserver ends in the middle of a scan: no verdict is made up, and none is lost."""

import hashlib
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from typing import Final

import pytest

from synapse_bum.antivirus.content_scanner.attachment import MEMFD_NAME
from synapse_bum.testing import malware
from synapse_bum.testing.content_scanner_client import CLEAN, INFECTED, ContentScannerClient, StoredAttachment
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.http_client import Response
from synapse_bum.testing.outside_view import memory_files
from synapse_bum.testing.scanned_homeserver import ScannedHomeserver, wait_until

pytestmark = pytest.mark.requires("clamd")

LARGE: Final = 20 << 20
"""Bytes that take clamd long enough to be caught in the middle."""


@pytest.fixture(scope="module")
def server() -> Iterator[ScannedHomeserver]:
    with ScannedHomeserver() as server:
        yield server


@pytest.fixture
def askers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as askers:
        yield askers


def content(end: bytes, seed: int = 0) -> bytes:
    return malware.filler(LARGE - len(end), seed) + end


def caught_in_the_middle(
    server: ScannedHomeserver, askers: ThreadPoolExecutor, asker: ContentScannerClient, files: list[StoredAttachment]
) -> list[Future[Response]]:
    """Have files scanned, and stop clamd when it holds the plaintext of all of them."""
    asked = [askers.submit(asker.scan_encrypted, stored.file) for stored in files]
    # clamd goes on for a few milliseconds at a time, so that no scan ends before the last has begun.
    pid = server.clamd.pid

    def holds_all() -> bool:
        os.kill(pid, signal.SIGSTOP)
        held = len(memory_files(pid, MEMFD_NAME)) == len(files)
        if not held:
            os.kill(pid, signal.SIGCONT)
        return held

    wait_until(holds_all, poll_seconds=0.01)
    assert not any(one.done() for one in asked), "the scan is not over"
    return asked


def recorded(server: ScannedHomeserver, table: str, files: list[StoredAttachment]) -> list[tuple[object, ...]]:
    """What one of our tables holds about files."""
    query = f"SELECT * FROM synapse_bum_antivirus_{table} WHERE media_id = ?"  # noqa: S608 - our own table
    return [row for stored in files for row in server.rows(query, stored.mxc.rpartition("/")[2])]


def test_a_scanner_that_is_killed_in_the_middle_of_two_scans(
    server: ScannedHomeserver, askers: ThreadPoolExecutor
) -> None:
    alice = server.user("asks-of-clamd")
    virus, minutes = content(malware.EICAR), content(b"the end", seed=1)
    infected, clean = alice.store(encrypted(virus)), alice.store(encrypted(minutes))
    asked = caught_in_the_middle(server, askers, alice, [infected, clean])
    server.clamd.kill()
    for response in (one.result() for one in asked):
        assert response.status == HTTPStatus.BAD_GATEWAY
        assert response.json["reason"] == "MCS_MEDIA_REQUEST_FAILED"
    assert alice.download_encrypted(infected.file).status == HTTPStatus.BAD_GATEWAY
    assert recorded(server, "findings", [infected, clean]) == []
    assert recorded(server, "key_verdicts", [infected, clean]) == []
    hashes = {hashlib.sha256(plaintext).hexdigest() for plaintext in (virus, minutes)}
    assert not hashes & {sha256 for (sha256,) in server.rows("SELECT sha256 FROM synapse_bum_antivirus_suspects")}, (
        "not even a hash of plaintext"
    )
    assert alice.download(infected.mxc).status == HTTPStatus.OK, "nothing is known of it"

    server.clamd.start()
    assert alice.scan_encrypted(infected.file).json == INFECTED
    assert alice.scan_encrypted(clean.file).json == CLEAN
    assert alice.download(infected.mxc).status == HTTPStatus.NOT_FOUND
    assert alice.download_encrypted(clean.file).body == clean.attachment.ciphertext


def test_a_homeserver_that_is_killed_in_the_middle_of_two_scans(
    server: ScannedHomeserver, askers: ThreadPoolExecutor
) -> None:
    alice = server.user("asks-of-synapse")
    public_key = alice.public_key()
    infected = alice.store(encrypted(content(malware.EICAR, seed=2)))
    clean = alice.store(encrypted(content(b"the end", seed=3)))
    asked = caught_in_the_middle(server, askers, alice, [infected, clean])
    server.synapse.kill()
    for one in asked:
        assert isinstance(one.exception(), OSError), "nobody was told anything"
    os.kill(server.clamd.pid, signal.SIGCONT)
    server.synapse.start()
    assert recorded(server, "findings", [infected, clean]) == []
    assert recorded(server, "key_verdicts", [infected, clean]) == []
    assert alice.public_key() == public_key
    assert alice.scan_encrypted(infected.file).json == INFECTED
    assert alice.scan_encrypted(clean.file).json == CLEAN
    assert alice.download(infected.mxc).status == HTTPStatus.NOT_FOUND
    assert alice.download_encrypted(clean.file).body == clean.attachment.ciphertext
    assert server.findings()[0]["reporter"] == alice.user_id


def test_what_is_known_survives_a_restart(server: ScannedHomeserver) -> None:
    alice, bob = server.user("alice"), server.user("bob")
    public_key = alice.public_key()
    clean = [alice.store(encrypted(malware.unique_bytes(100) + b"minutes")) for _ in range(10)]
    infected = alice.store(encrypted(malware.unique_bytes(100) + malware.EICAR))
    assert [alice.scan_encrypted(stored.file).json for stored in clean] == [CLEAN] * 10
    assert alice.scan_encrypted(infected.file).json == INFECTED
    before = server.findings()
    wait_until(lambda: len(recorded(server, "key_verdicts", clean)) == 10)

    server.synapse.restart()
    server.await_scanner()
    assert alice.public_key() == public_key
    assert [bob.scan_encrypted(stored.file).json for stored in clean] == [CLEAN] * 10
    assert bob.scan_encrypted(infected.file).json == INFECTED
    assert bob.download(infected.mxc).status == HTTPStatus.NOT_FOUND
    verdicts = "synapse_bum_antivirus_content_scanner_verdicts_total"
    assert server.metric(verdicts, by="known") == 10
    assert server.metric(verdicts, by="scanned") == 0, "nothing is scanned twice"
    assert server.metric("synapse_bum_antivirus_scans_total", source="content_scanner") == 0
    assert server.findings() == before
    assert bob.scan_encrypted(clean[0].wrong_file).json == CLEAN
    assert server.metric(verdicts, by="scanned") == 1, "another key is another file"
