"""The bundle in read-only containers without pip, on all processes of a homeserver with workers."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final

import pytest

from synapse_bum.portal.addresses import PORTAL
from synapse_bum.rest.resource import BASE
from synapse_bum.testing import malware
from synapse_bum.testing.container import TMP_BYTES, USER
from synapse_bum.testing.container_stack import BUNDLE_KEY, GENERIC, ContainerStack
from synapse_bum.testing.content_scanner_client import CLEAN, INFECTED, ContentScannerClient
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.http_client import HttpClient
from synapse_bum.testing.stack_site import ADMIN_HOST
from synapse_bum.testing.workers import MEDIA, SENDER

pytestmark = [
    pytest.mark.requires("clamd", "postgresql", "redis", "root"),
    pytest.mark.any_synapse,
    pytest.mark.long,
]

REPOSITORY: Final = Path(__file__).resolve().parents[3]
PROCESSES: Final = ("main", MEDIA, SENDER, GENERIC)
BIG: Final = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerStack]:
    dist = tmp_path_factory.mktemp("dist")
    script = REPOSITORY / "scripts" / "make_bundle.py"
    subprocess.run([sys.executable, "-W", "ignore", str(script), "--folder", str(dist)], check=True, timeout=300)
    with ContainerStack(next(dist.iterdir())) as started:
        yield started


@pytest.fixture(scope="module")
def anna(stack: ContainerStack) -> ContentScannerClient:
    """Somebody whose files come to the media worker, as the ingress has it."""
    user = stack.main.register("anna")
    return ContentScannerClient(stack.workers[MEDIA].base_url, user.user_id, user.token or "")


@pytest.mark.parametrize("name", PROCESSES)
def test_each_process_serves_from_the_bundle_as_nobody_on_a_read_only_root(stack: ContainerStack, name: str) -> None:
    process, root = stack.processes[name], stack.root(name)
    assert HttpClient(process.base_url).get("/health").status == HTTPStatus.OK
    status = Path(f"/proc/{process.pid}/status").read_text()
    assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}\n" in status
    assert f"CapEff:\t{0:016x}\n" in status
    for place in ("", "etc", "modules", "synapse/config"):
        with pytest.raises(OSError, match="Read-only") as refused:
            (root / place / "x").touch()
        assert refused.value.errno == errno.EROFS
    assert (root / "modules" / BUNDLE_KEY).readlink() == Path("..data", BUNDLE_KEY)
    tmp = os.statvfs(root / "tmp")
    assert tmp.f_blocks * tmp.f_frsize == TMP_BYTES
    assert not (root / str(REPOSITORY / "synapse_bum").lstrip("/")).exists(), "this tree would do the bundle's work"
    assert f'File "/modules/{BUNDLE_KEY}' not in process.log_text(), "a traceback through the bundle"


def test_only_the_media_worker_has_the_media(stack: ContainerStack) -> None:
    there = {name for name in PROCESSES if (stack.root(name) / "synapse" / "data" / "media").exists()}
    assert there == {MEDIA}


def test_a_clean_file_comes_in_and_an_infected_one_does_not(anna: ContentScannerClient) -> None:
    uploaded = anna.upload(b"a clean file")
    assert uploaded.status == HTTPStatus.OK, uploaded.body
    assert anna.download(uploaded.json["content_uri"]).body == b"a clean file"
    refused = anna.upload(malware.EICAR)
    assert refused.status == HTTPStatus.BAD_REQUEST, refused.body


def test_an_encrypted_file_of_5_mb_is_scanned_without_room_in_tmp(
    stack: ContainerStack, anna: ContentScannerClient
) -> None:
    tmp = stack.root(MEDIA) / "tmp"
    before = sorted(tmp.iterdir())  # the folder of an interpreter that lies there
    clean = anna.store(encrypted(malware.pdf_with_attachment(malware.unique_bytes(BIG), "minutes.bin")))
    infected = anna.store(encrypted(bytes(BIG) + malware.EICAR))
    assert sorted(tmp.iterdir()) == before
    full = tmp / "full"
    with pytest.raises(OSError, match="No space left"):
        full.write_bytes(bytes(TMP_BYTES + 1))
    assert os.statvfs(tmp).f_bavail == 0
    try:
        assert anna.scan_encrypted(clean.file).json == CLEAN
        assert anna.download_encrypted(clean.file).body == clean.attachment.ciphertext
        assert anna.scan_encrypted(infected.file).json == INFECTED
    finally:
        full.unlink()
    assert sorted(tmp.iterdir()) == before


@pytest.mark.parametrize("name", PROCESSES)
def test_each_process_shows_the_portal_to_administrators(stack: ContainerStack, name: str) -> None:
    url = stack.processes[name].base_url
    shown = HttpClient(url).request("GET", f"{PORTAL}/login", headers={"Host": ADMIN_HOST})
    assert shown.status == HTTPStatus.OK
    assert "Anmelden" in shown.body.decode()


@pytest.mark.parametrize("name", PROCESSES)
def test_each_process_answers_the_api(stack: ContainerStack, anna: ContentScannerClient, name: str) -> None:
    answer = HttpClient(stack.processes[name].base_url, anna.token).get(f"{BASE}/media")
    assert answer.status == HTTPStatus.OK, answer.body
    assert answer.json["total"] == len(answer.json["media"])


def test_check_works_inside_with_the_client_of_the_bundle(stack: ContainerStack) -> None:
    checked = stack.run("check", "-c", "/synapse/config/homeserver.yaml")
    assert "finds the EICAR test file" in checked.stdout, checked.stdout + checked.stderr
    assert "ERROR" not in checked.stdout, checked.stdout
    assert checked.returncode == 0


def test_a_command_of_the_host_says_so(stack: ContainerStack) -> None:
    asked = stack.run("backup", "-c", "/synapse/config/homeserver.yaml")
    assert asked.returncode == 1
    assert "is for the host, with the installed package" in asked.stderr
