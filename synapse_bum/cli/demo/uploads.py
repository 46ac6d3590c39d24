"""Steps about uploads: what is clean is delivered; what is infected, or can't be scanned whole, is not stored."""

import contextlib
from collections.abc import Iterator
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from synapse_bum.cli.demo.promise import require, wait_until
from synapse_bum.cli.demo.stage import Stage
from synapse_bum.cli.demo.step import Step
from synapse_bum.testing import malware
from synapse_bum.testing.http_client import Response, mxc_path
from synapse_bum.testing.malware import EICAR
from synapse_bum.testing.raw_clamd import memory_file, scan_descriptor

_MIB: Final = 1 << 20
_NESTING: Final = 3
_SELF_TEST_SECONDS: Final = 30.0


def refusal(answer: Response) -> str:
    """Insist that an upload was refused.

    Returns:
        The answer in words.

    Raises:
        BrokenPromiseError: it was not.
    """
    require(
        answer.status == HTTPStatus.BAD_REQUEST, f"The upload was answered with HTTP {answer.status}, not with 400."
    )
    return f'HTTP 400, "{answer.json["error"]}"'


def check_delivery(stage: Stage, answer: Response, content: bytes) -> None:
    """Insist that an upload was accepted, and that the administrator downloads the same bytes.

    Raises:
        BrokenPromiseError: it was refused, can't be downloaded, or is not the same.
    """
    require(answer.status == HTTPStatus.OK, f"The upload was answered with HTTP {answer.status}, not with 200.")
    download = stage.admin.download(answer.json["content_uri"])
    require(download.status == HTTPStatus.OK, f"The download was answered with HTTP {download.status}, not with 200.")
    require(download.body == content, "The bytes that were downloaded are not those that were uploaded.")


@contextlib.contextmanager
def nothing_is_stored(stage: Stage) -> Iterator[None]:
    """Insist that the media store has no new file at the end of this context.

    Raises:
        BrokenPromiseError: it has one.
    """
    before = stage.stored_files()
    yield
    added = stage.stored_files() - before
    require(not added, f"{len(added)} new file(s) lie in the media store.")


def _clean(stage: Stage) -> Iterator[str]:
    content = malware.unique_bytes(_MIB)
    check_delivery(stage, stage.alice.upload(content), content)
    yield (
        "Alice uploads 1 MiB of random bytes: HTTP 200. The administrator downloads the same bytes"
        f" (SHA-256 {sha256(content).hexdigest()[:16]}...)."
    )


def _infected(stage: Stage) -> Iterator[str]:
    with nothing_is_stored(stage):
        yield f"Alice uploads the EICAR test file: {refusal(stage.alice.upload(EICAR))}."
    yield "Nothing of it is left in the media store."


def _asynchronous(stage: Stage) -> Iterator[str]:
    mxc = stage.alice.create_upload().json["content_uri"]
    with nothing_is_stored(stage):
        yield f"Alice reserves an address and uploads EICAR to it later: {refusal(stage.alice.upload_to(mxc, EICAR))}."
    download = stage.admin.get(f"/_matrix/client/v1/media/download/{mxc_path(mxc)}", timeout_ms=0)
    require(download.status != HTTPStatus.OK, "The refused file can be downloaded.")
    yield f'Whoever wants to download {mxc} gets HTTP {download.status}, "{download.json["error"]}".'


def _nested(stage: Stage) -> Iterator[str]:
    content = malware.nested_zip(_NESTING)
    with nothing_is_stored(stage):
        answer = stage.alice.upload(content, "application/zip", "documents.zip")
        yield f"Alice uploads a ZIP file with EICAR {_NESTING} levels deep inside it: {refusal(answer)}."


def _too_large(stage: Stage) -> Iterator[str]:
    def limit() -> int:
        return int(stage.antivirus_status()["effective_max_scan_bytes"])

    wait_until(lambda: limit() > 0, _SELF_TEST_SECONDS, "The self-test did not say how large a file may be")
    infected = malware.eicar_at_start(limit() + _MIB)
    size = f"{len(infected) / _MIB:.0f} MiB"
    with memory_file(infected) as descriptor:
        verdict = scan_descriptor(stage.clamd.address_unix, descriptor).decode().rstrip("\0").rpartition(": ")[2]
    yield f"A file of {size} begins with EICAR. Asked directly, clamd says `{verdict}`: it is above MaxFileSize."
    with nothing_is_stored(stage):
        yield f"Alice uploads it: {refusal(stage.alice.upload(infected))}."
    clean = malware.unique_bytes(limit() - _MIB)
    check_delivery(stage, stage.alice.upload(clean), clean)
    yield f"A clean file of {len(clean) / _MIB:.0f} MiB, below the limit, is stored and delivered."


STEPS: Final = (
    Step("A clean file is delivered byte for byte", "scanning changes nothing for files that are in order", _clean),
    Step("An infected file is refused", "a virus is never stored, so that nobody can download it", _infected),
    Step(
        "Asynchronous upload is guarded too", "both of Matrix' ways to upload lead through the scanner", _asynchronous
    ),
    Step("Archives are unpacked", "wrapping a virus does not hide it", _nested),
    Step(
        "A file that is too large for the scanner is refused",
        "what was not scanned whole is never called clean, whatever clamd says",
        _too_large,
    ),
)
