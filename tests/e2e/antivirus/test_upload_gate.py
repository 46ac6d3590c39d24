"""Real Synapse, real clamd: what clients see when they upload."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import pytest

from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.testing import malware
from synapse_bum.testing.c_icap import RealCIcap
from synapse_bum.testing.clamd import EICAR_SIGNATURE, RealClamd
from synapse_bum.testing.fake_clamd import Answer, FakeClamd
from synapse_bum.testing.files_below import files_below
from synapse_bum.testing.http_client import MatrixClient
from synapse_bum.testing.local_server import ServerError
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.synapse import RealSynapse

pytestmark = [pytest.mark.requires("clamd"), pytest.mark.long]

BASE = "/_synapse/client/bum/v1"
MIB = 1 << 20
WITHIN_SECONDS = 120.0


def antivirus(*addresses: str, timeout: str = "20s", **keys: object) -> dict[str, Any]:
    """The module's section in homeserver.yaml."""
    scanner = {"address": list(addresses), "timeout": timeout, "max_connections": 8}
    return {"module": "synapse_bum.antivirus.AntivirusModule", "config": {"scanner": scanner, **keys}}


@pytest.fixture
def everything() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def wait_for(what: Callable[[], bool], instead: Callable[[], str] = str, poll_seconds: float = 0.1) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not what():
        assert time.monotonic() < deadline, f"it did not happen in time; {instead()}"
        time.sleep(poll_seconds)


def scans_a_file_below(folder: Path, clamd: RealClamd) -> bool:
    """Whether clamd has been handed such a file."""
    for entry in Path(f"/proc/{clamd.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed a moment ago
            if entry.readlink().is_relative_to(folder):
                return True
    return False


def status(admin: MatrixClient) -> dict[str, Any]:
    return cast("dict[str, Any]", admin.get(f"{BASE}/antivirus/status").json)


def findings(admin: MatrixClient) -> dict[str, Any]:
    return cast("dict[str, Any]", admin.get(f"{BASE}/antivirus/findings?limit=1000").json)


def test_a_thousand_uploads_at_once_of_which_every_tenth_is_infected(everything: ExitStack) -> None:
    clamd = everything.enter_context(RealClamd())
    synapse = everything.enter_context(RealSynapse(modules=[antivirus(clamd.address_unix)]))
    registered = synapse.register("admin", admin=True)
    admin = MatrixClient(synapse.base_url, registered.user_id, registered.token or "", timeout=180)
    contents = [malware.unique_bytes(2_000) + (EICAR if number % 10 == 7 else b"") for number in range(1000)]
    with ThreadPoolExecutor(max_workers=64) as uploaders:
        answers = list(uploaders.map(admin.upload, contents))
    refused = [answer for answer, content in zip(answers, contents, strict=True) if content.endswith(EICAR)]
    stored = [
        (answer, content) for answer, content in zip(answers, contents, strict=True) if not content.endswith(EICAR)
    ]
    assert [answer.status for answer in refused] == [HTTPStatus.BAD_REQUEST] * 100
    assert [answer.status for answer, _ in stored] == [HTTPStatus.OK] * 900
    with ThreadPoolExecutor(max_workers=16) as readers:
        delivered = list(readers.map(lambda pair: admin.download(pair[0].json["content_uri"]).body, stored))
    assert delivered == [content for _, content in stored]
    files = files_below(synapse.media_directory)
    assert len(files) == 900
    assert findings(admin)["total"] == 100
    expected = {"scanned": 1000, "clean": 900, "infected": 100, "failed": 0, "unscanned": 0}
    wait_for(lambda: status(admin)["totals"] == expected, lambda: str(status(admin)["totals"]))


def test_clamd_absent_at_start_refuses_until_it_is_there(everything: ExitStack) -> None:
    clamd = everything.enter_context(RealClamd())
    clamd.stop()
    synapse = everything.enter_context(RealSynapse(modules=[antivirus(clamd.address_unix)]))
    admin = synapse.register("admin", admin=True)
    assert admin.upload(b"clean").status == HTTPStatus.BAD_REQUEST
    assert status(admin)["scanner_ok"] is False
    assert "is not used (unreachable)" in synapse.log_text()
    clamd.start()
    assert admin.upload(b"clean").status == HTTPStatus.OK, "the first upload after its return is scanned"
    assert admin.upload(EICAR).status == HTTPStatus.BAD_REQUEST
    wait_for(lambda: status(admin)["scanner_ok"])


def test_clamd_killed_in_the_middle_of_a_scan_loses_nothing(everything: ExitStack) -> None:
    clamd = everything.enter_context(RealClamd(MaxFileSize="100M", StreamMaxLength="100M"))
    synapse = everything.enter_context(RealSynapse(modules=[antivirus(clamd.address_unix)]))
    admin = synapse.register("admin", admin=True)
    assert admin.upload(b"before").status == HTTPStatus.OK
    answers: list[Any] = []
    uploading = threading.Thread(target=lambda: answers.append(admin.upload(malware.filler(45 * MIB))))
    uploading.start()
    wait_for(lambda: scans_a_file_below(synapse.media_directory, clamd) or bool(answers), poll_seconds=0.005)
    clamd.kill()
    uploading.join(timeout=120)
    clamd.start()
    assert admin.upload(EICAR).status == HTTPStatus.BAD_REQUEST
    again = admin.upload(malware.filler(45 * MIB))
    assert again.status == HTTPStatus.OK, "a file that was only there when clamd died is acquitted"
    assert admin.download(again.json["content_uri"]).body == malware.filler(45 * MIB)
    stored = files_below(synapse.media_directory / "local_content")
    assert len(stored) == sum(answer.status == HTTPStatus.OK for answer in [*answers, again]) + 1


def test_accepted_while_clamd_was_away_and_blocked_when_it_is_back(everything: ExitStack) -> None:
    clamd = everything.enter_context(RealClamd())
    modules = [antivirus(clamd.address_unix, when_scanner_fails="accept")]
    synapse = everything.enter_context(RealSynapse(modules=modules))
    admin = synapse.register("admin", admin=True)
    assert admin.upload(b"before").status == HTTPStatus.OK
    clamd.kill()
    infected, clean = admin.upload(EICAR), admin.upload(b"clean")
    assert (infected.status, clean.status) == (HTTPStatus.OK, HTTPStatus.OK)
    wait_for(lambda: status(admin)["totals"]["unscanned"] == 2)
    synapse.restart()
    clamd.start()
    mxc = infected.json["content_uri"]
    wait_for(lambda: admin.download(mxc).status == HTTPStatus.NOT_FOUND)
    wait_for(lambda: status(admin)["totals"]["unscanned"] == 0)
    assert admin.download(clean.json["content_uri"]).body == b"clean"
    (finding,) = findings(admin)["findings"]
    assert (finding["mxc"], finding["state"], finding["source"]) == (mxc, "blocked", "rescan")


def test_the_second_scanner_takes_over_when_the_first_dies(everything: ExitStack) -> None:
    first, second = everything.enter_context(RealClamd()), everything.enter_context(RealClamd(tcp=True))
    synapse = everything.enter_context(RealSynapse(modules=[antivirus(first.address_unix, second.address_tcp)]))
    admin = synapse.register("admin", admin=True)
    assert admin.upload(EICAR).status == HTTPStatus.BAD_REQUEST
    first.kill()
    assert admin.upload(EICAR).status == HTTPStatus.BAD_REQUEST
    assert admin.upload(b"clean").status == HTTPStatus.OK
    assert findings(admin)["total"] == 2


def test_a_scanner_that_accepts_but_never_answers_refuses_in_bounded_time(everything: ExitStack) -> None:
    clamd = everything.enter_context(FakeClamd())
    synapse = everything.enter_context(RealSynapse(modules=[antivirus(clamd.address, timeout="2s")]))
    admin = synapse.register("admin", admin=True)
    assert admin.upload(b"clean").status == HTTPStatus.OK
    clamd.judge = lambda _: Answer(silent=True)
    clamd.replies["VERSION"] = Answer(silent=True)
    started = time.monotonic()
    with ThreadPoolExecutor(max_workers=20) as uploaders:
        answers = list(uploaders.map(lambda number: admin.upload(b"%d" % number), range(20)))
    assert {answer.status for answer in answers} == {HTTPStatus.BAD_REQUEST}
    # One after another they would take 80 s and more.
    assert time.monotonic() - started < 60
    hasty = MatrixClient(synapse.base_url, admin.user_id, admin.token or "", timeout=10)
    assert hasty.get("/_matrix/client/versions").status == HTTPStatus.OK


def test_debians_limit_of_25_mb_is_found_said_and_kept(everything: ExitStack) -> None:
    clamd = everything.enter_context(RealClamd(MaxFileSize="25M", StreamMaxLength="25M", MaxScanSize="100M"))
    synapse = everything.enter_context(RealSynapse(modules=[antivirus(clamd.address_unix)]))
    admin = synapse.register("admin", admin=True)
    wait_for(lambda: status(admin)["effective_max_scan_bytes"] == 25 * MIB)
    wait_for(lambda: status(admin)["self_test"]["oversize"] == "passed")
    assert "scans files of at most 26214400 bytes" in synapse.log_text()
    wait_for(lambda: "AlertExceedsMax" in synapse.log_text())
    assert admin.upload(malware.eicar_at_start(26 * MIB)).status == HTTPStatus.BAD_REQUEST
    assert admin.upload(malware.filler(26 * MIB)).status == HTTPStatus.BAD_REQUEST
    assert admin.upload(malware.filler(24 * MIB)).status == HTTPStatus.OK


def test_stream_max_length_of_100_bytes_is_no_scanner(everything: ExitStack) -> None:
    clamd = everything.enter_context(RealClamd(tcp=True, StreamMaxLength="100"))
    synapse = everything.enter_context(RealSynapse(modules=[antivirus(clamd.address_tcp)]))
    admin = synapse.register("admin", admin=True)
    assert admin.upload(malware.unique_bytes(1000)).status == HTTPStatus.BAD_REQUEST
    wait_for(lambda: "StreamMaxLength" in synapse.log_text())


def test_findings_and_metrics_survive_a_restart(everything: ExitStack) -> None:
    clamd = everything.enter_context(RealClamd())
    synapse = everything.enter_context(
        RealSynapse(modules=[antivirus(clamd.address_unix)], listeners=[["client", "media"], ["metrics"]])
    )
    admin = synapse.register("admin", admin=True)
    admin.upload(EICAR)
    admin.upload(b"clean")
    metrics_client = MatrixClient(synapse.base_urls[1], admin.user_id, admin.token or "")
    text = metrics_client.get("/_synapse/metrics").body.decode()
    assert 'synapse_bum_antivirus_scans_total{result="clean",source="upload"} 1.0' in text
    assert 'synapse_bum_antivirus_scans_total{result="infected",source="upload"} 1.0' in text
    assert "synapse_bum_antivirus_scanner_up 1.0" in text
    assert metrics_client.get(f"{BASE}/antivirus/status").status == HTTPStatus.NOT_FOUND, "not on a metrics listener"
    synapse.restart()
    (finding,) = findings(admin)["findings"]
    assert finding["signature"] == EICAR_SIGNATURE


@pytest.mark.requires("postgresql")
def test_blocking_and_catching_up_on_postgresql(everything: ExitStack) -> None:
    postgres, clamd = everything.enter_context(RealPostgres()), everything.enter_context(RealClamd())
    keys = {"on_infected_upload": "block", "when_scanner_fails": "accept"}
    synapse = everything.enter_context(
        RealSynapse(modules=[antivirus(clamd.address_unix, **keys)], postgres_dsn=postgres.dsn())
    )
    admin = synapse.register("admin", admin=True)
    blocked = admin.upload(EICAR).json["content_uri"]
    assert admin.download(blocked).status == HTTPStatus.NOT_FOUND
    reserved = admin.create_upload().json["content_uri"]
    assert admin.upload_to(reserved, EICAR).status == HTTPStatus.OK
    assert admin.download(reserved).status == HTTPStatus.NOT_FOUND
    clamd.kill()
    late = admin.upload(EICAR).json["content_uri"]
    assert status(admin)["totals"]["unscanned"] == 1
    clamd.start()
    wait_for(lambda: admin.download(late).status == HTTPStatus.NOT_FOUND)
    wait_for(lambda: status(admin)["totals"]["unscanned"] == 0)
    assert {finding["mxc"] for finding in findings(admin)["findings"]} == {blocked, reserved, late}
    assert {finding["state"] for finding in findings(admin)["findings"]} == {"blocked"}
    actions = [row["action"] for row in admin.get(f"{BASE}/audit").json["audit"]]
    assert actions == ["antivirus.blocked"] * 3


@pytest.mark.requires("c-icap")
def test_icap_as_bwi_runs_it(everything: ExitStack) -> None:
    clamd = everything.enter_context(RealClamd(MaxFileSize="50M", MaxScanSize="100M", StreamMaxLength="100"))
    c_icap = everything.enter_context(RealCIcap(clamd.socket_path))
    scanner = {"engine": "icap", "address": c_icap.address, "timeout": "30s"}
    module = {"module": "synapse_bum.antivirus.AntivirusModule", "config": {"scanner": scanner}}
    synapse = everything.enter_context(RealSynapse(modules=[module]))
    admin = synapse.register("admin", admin=True)
    assert admin.upload(malware.nested_zip(3)).status == HTTPStatus.BAD_REQUEST
    assert admin.upload(malware.eicar_at_end(20 * MIB)).status == HTTPStatus.BAD_REQUEST
    picture = malware.png()
    assert admin.download(admin.upload(picture, "image/png").json["content_uri"]).body == picture
    wait_for(lambda: status(admin)["effective_max_scan_bytes"] == 50 * MIB)
    assert status(admin)["engine"] == "icap"
    assert findings(admin)["total"] == 2


def test_a_scanner_that_can_not_scan_any_more_is_not_believed(everything: ExitStack) -> None:
    clamd = everything.enter_context(RealClamd())
    synapse = everything.enter_context(RealSynapse(modules=[antivirus(clamd.address_unix)]))
    admin = synapse.register("admin", admin=True)
    assert admin.upload(b"before").status == HTTPStatus.OK
    shutil.rmtree(clamd.temporary_directory)
    assert admin.upload(EICAR).status == HTTPStatus.BAD_REQUEST
    assert admin.upload(b"clean").status == HTTPStatus.BAD_REQUEST
    assert status(admin)["totals"]["clean"] <= 1
    clamd.temporary_directory.mkdir()
    assert admin.upload(b"clean").status == HTTPStatus.OK


def test_a_wrong_key_stops_the_start_with_its_path(everything: ExitStack) -> None:
    synapse = RealSynapse(modules=[{**antivirus("unix:/x"), "config": {"scanner": {"adress": "unix:/x"}}}])
    everything.callback(synapse.close)
    with pytest.raises(ServerError) as error:
        synapse.start()
    text = str(error.value)
    assert "config.scanner.adress" in text
    assert "did you mean `address`?" in text
    assert "Traceback" not in text
