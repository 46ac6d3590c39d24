"""The scanner or the homeserver ends in the middle of a scan: no verdict is made up, and none is lost."""

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from typing import Final

import attr
import pytest

from synapse_bum.antivirus.content_scanner.attachment import MEMFD_NAME
from synapse_bum.testing import malware
from synapse_bum.testing.content_scanner_client import CLEAN, INFECTED, ContentScannerClient, StoredAttachment
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.http_client import Response
from synapse_bum.testing.outside_view import memory_files
from synapse_bum.testing.scanned_homeserver import ScannedHomeserver, wait_until

pytestmark = [pytest.mark.requires("clamd"), pytest.mark.any_synapse]

LARGE: Final = 20 << 20
"""Bytes that take clamd long enough to be caught in the middle."""
TRIES: Final = 10


@pytest.fixture(scope="module")
def server() -> Iterator[ScannedHomeserver]:
    with ScannedHomeserver() as server:
        yield server


@pytest.fixture
def askers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as askers:
        yield askers


def content(end: bytes) -> bytes:
    return malware.filler(LARGE - len(end)) + end


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Caught:
    """Two scans that clamd has begun and can't end, because it was stopped.

    Attributes:
        infected: has `virus` in it.
        clean: has `minutes` in it.
        asked: what the client waits for.
    """

    virus: bytes
    minutes: bytes
    infected: StoredAttachment
    clean: StoredAttachment
    asked: list[Future[Response]]


def caught_in_the_middle(server: ScannedHomeserver, askers: ThreadPoolExecutor, asker: ContentScannerClient) -> Caught:
    """Have two files scanned, and stop clamd when it holds the plaintext of both."""
    pid = server.clamd.pid
    for _ in range(TRIES):
        virus, minutes = (content(malware.unique_bytes(16) + end) for end in (malware.EICAR, b"the end"))
        infected, clean = (asker.store(encrypted(plaintext)) for plaintext in (virus, minutes))
        asked = [askers.submit(asker.scan_encrypted, stored.file) for stored in (infected, clean)]
        # clamd goes on for a few milliseconds at a time, so that no scan ends before the last has begun; on a machine
        # that is too busy for that, the next two files may have more luck.
        while not any(one.done() for one in asked):
            os.kill(pid, signal.SIGSTOP)
            if len(memory_files(pid, MEMFD_NAME)) == len(asked):
                return Caught(virus, minutes, infected, clean, asked)
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.01)
        for one in asked:
            one.result()
    raise AssertionError("one scan was always over before the other had begun")


def recorded(server: ScannedHomeserver, table: str, files: list[StoredAttachment]) -> list[tuple[object, ...]]:
    """What one of our tables holds about files."""
    query = f"SELECT * FROM synapse_bum_antivirus_{table} WHERE media_id = ?"  # noqa: S608 - our own table
    return [row for stored in files for row in server.rows(query, stored.mxc.rpartition("/")[2])]


def test_a_scanner_that_is_killed_in_the_middle_of_two_scans(
    server: ScannedHomeserver, askers: ThreadPoolExecutor
) -> None:
    alice = server.user("asks-of-clamd")
    caught = caught_in_the_middle(server, askers, alice)
    infected, clean = caught.infected, caught.clean
    server.clamd.kill()
    for response in (one.result() for one in caught.asked):
        assert response.status == HTTPStatus.BAD_GATEWAY
        assert response.json["reason"] == "MCS_MEDIA_REQUEST_FAILED"
    assert alice.download_encrypted(infected.file).status == HTTPStatus.BAD_GATEWAY
    assert recorded(server, "findings", [infected, clean]) == []
    assert recorded(server, "key_verdicts", [infected, clean]) == []
    hashes = {hashlib.sha256(plaintext).hexdigest() for plaintext in (caught.virus, caught.minutes)}
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
    caught = caught_in_the_middle(server, askers, alice)
    infected, clean = caught.infected, caught.clean
    server.synapse.kill()
    for one in caught.asked:
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
