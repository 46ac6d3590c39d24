"""One user tries ten thousand keys on a large file: memory, tables and everybody else's answers stay as they are."""

import base64
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest

from synapse_bum.antivirus.content_scanner.attachment import MEMFD_NAME
from synapse_bum.antivirus.content_scanner.budgets import KEYS_PER_HOUR
from synapse_bum.testing import malware
from synapse_bum.testing.content_scanner_client import CLEAN, PATH, ContentScannerClient
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.http_load import Request, percentile, send_all
from synapse_bum.testing.outside_view import memory_files
from synapse_bum.testing.scanned_homeserver import ScannedHomeserver

pytestmark = [pytest.mark.requires("clamd"), pytest.mark.alone, pytest.mark.any_synapse]

MIB: Final = 1 << 20
KEYS: Final = 10_000
CONNECTIONS: Final = 4
SCANS_PER_USER: Final = 2
UNDISTURBED: Final = 50
"""Scans of the neighbour before the attack."""


@pytest.fixture
def server() -> Iterator[ScannedHomeserver]:
    with ScannedHomeserver(content_scanner={"scans_per_user": SCANS_PER_USER}) as server:
        server.await_self_test()
        yield server


@contextmanager
def watched(look: Callable[[], int]) -> Iterator[list[int]]:
    """Look every few milliseconds, beside what is done inside; yields the values."""
    seen: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            seen.append(look())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def resident_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def rows_of_ours(server: ScannedHomeserver) -> int:
    tables = server.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'synapse_bum_%'")
    return sum(server.rows(f"SELECT count(*) FROM {name}")[0][0] for (name,) in tables)  # noqa: S608 - our own tables


def with_another_key(file: dict[str, Any]) -> dict[str, Any]:
    return {**file, "key": {**file["key"], "k": base64.urlsafe_b64encode(os.urandom(32)).decode()}}


def scan_times(user: ContentScannerClient, count: int, until: threading.Event | None = None) -> list[float]:
    """Seconds that each scan of a new file of 10 KB takes, its upload not included."""
    seconds: list[float] = []
    while len(seconds) < count or (until is not None and not until.is_set()):
        stored = user.store(encrypted(malware.unique_bytes(10_000)))
        began = time.monotonic()
        assert user.scan_encrypted(stored.file).json == CLEAN
        seconds.append(time.monotonic() - began)
    return seconds


def test_ten_thousand_keys_for_one_file(server: ScannedHomeserver) -> None:
    mallory, bob = server.user("mallory"), server.user("bob")
    stored = mallory.store(encrypted(malware.filler(50 * MIB)))
    undisturbed = percentile(scan_times(bob, UNDISTURBED), 0.95)
    pid = server.synapse.pid
    resident, rows_before = resident_bytes(pid), rows_of_ours(server)

    headers = {"Authorization": f"Bearer {mallory.token}", "Content-Type": "application/json"}
    file = stored.file
    attack = [
        Request("POST", f"{PATH}/scan_encrypted", headers, json.dumps({"file": with_another_key(file)}).encode())
        for _ in range(KEYS)
    ]
    over, disturbed = threading.Event(), list[float]()
    neighbour = threading.Thread(target=lambda: disturbed.extend(scan_times(bob, UNDISTURBED, over)))
    with (
        watched(lambda: sum(memory_files(pid, MEMFD_NAME))) as plaintext,
        watched(lambda: resident_bytes(pid)) as grown,
    ):
        neighbour.start()
        outcomes = send_all(server.synapse.base_url, attack, connections=CONNECTIONS, timeout=120)
        over.set()
        neighbour.join()

    answers = Counter(outcome.status for outcome in outcomes)
    assert answers == {HTTPStatus.OK: KEYS_PER_HOUR, HTTPStatus.TOO_MANY_REQUESTS: KEYS - KEYS_PER_HOUR}
    refused = next(outcome.response for outcome in outcomes if outcome.status == HTTPStatus.TOO_MANY_REQUESTS)
    assert refused is not None
    assert refused.json["reason"] == "M_LIMIT_EXCEEDED"
    # As many large files as he may have at a time, and a small one.
    assert 50 * MIB <= max(plaintext) <= SCANS_PER_USER * 50 * MIB + MIB
    assert max(grown) - resident < 64 * MIB
    # Each file of the neighbour has two verdicts; some of those from before the attack are written late.
    assert rows_of_ours(server) - rows_before <= KEYS_PER_HOUR + 2 * len(disturbed) + 2 * UNDISTURBED
    assert percentile(disturbed, 0.95) < max(0.25, 8 * undisturbed), f"{undisturbed:.3f} s before"
    assert server.metric("synapse_bum_antivirus_plaintext_bytes") == 0
    assert bob.scan_encrypted(stored.file).json == CLEAN, "his own keys are counted, not the attacker's"
