"""Steps about uploads: what is clean is delivered, what is infected or can't be scanned is not stored."""

import contextlib
from collections.abc import Iterator
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from synapse_bum.cli.demo.promise import require
from synapse_bum.cli.demo.stage import Stage
from synapse_bum.cli.demo.step import Step
from synapse_bum.testing import malware
from synapse_bum.testing.http_client import Response, mxc_path
from synapse_bum.testing.malware import EICAR
from synapse_bum.testing.raw_clamd import memory_file, scan_descriptor

_MIB = 1 << 20
_NESTING = 3


def refusal(answer: Response) -> str:
    """Insist that an upload was refused; returns the answer in words.

    Raises:
        BrokenPromiseError: it was not.
    """
    require(answer.status == HTTPStatus.BAD_REQUEST, f"The upload was answered with HTTP {answer.status}, not with 400.")
    return f'HTTP 400, "{answer.json["error"]}"'


def delivered(stage: Stage, answer: Response, content: bytes) -> None:
    """Insist that an upload of Alice's was accepted and that the administrator downloads the same bytes.

    Raises:
        BrokenPromiseError: it was refused, can't be downloaded, or is not the same.
    """
    require(answer.status == HTTPStatus.OK, f"The upload was answered with HTTP {answer.status}, not with 200.")
    download = stage.admin.download(answer.json["content_uri"])
    require(download.status == HTTPStatus.OK, f"The download was answered with HTTP {download.status}, not with 200.")
    require(download.body == content, "The bytes that were downloaded are not those that were uploaded.")


@contextlib.contextmanager
def nothing_is_stored(stage: Stage) -> Iterator[None]:
    """Insist that no file is added to the media store inside this context.

    Raises:
        BrokenPromiseError: one was.
    """
    before = stage.stored_files()
    yield
    added = stage.stored_files() - before
    require(not added, f"{len(added)} new file(s) lie in the media store.")


def _clean(stage: Stage) -> Iterator[str]:
    content = malware.unique_bytes(_MIB)
    delivered(stage, stage.alice.upload(content), content)
    yield (
        "Alice uploads 1 MiB that nobody has seen before: HTTP 200. The administrator downloads the same bytes"
        f" (SHA-256 {sha256(content).hexdigest()[:16]}...)."
    )


def _infected(stage: Stage) -> Iterator[str]:
    with nothing_is_stored(stage):
        yield f"Alice uploads the EICAR test file: {refusal(stage.alice.upload(EICAR))}."
    yield "Nothing of it is left in the media store."


def _asynchronous(stage: Stage) -> Iterator[str]:
    mxc = stage.alice.create_upload().json["content_uri"]
    with nothing_is_stored(stage):
        yield f"Alice reserves {mxc}"
        yield f"and uploads EICAR to it: {refusal(stage.alice.upload_to(mxc, EICAR))}."
    download = stage.admin.get(f"/_matrix/client/v1/media/download/{mxc_path(mxc)}", timeout_ms=0)
    require(download.status != HTTPStatus.OK, "The refused file can be downloaded.")
    yield f"Whoever asks for it: HTTP {download.status}, \"{download.json['error']}\"."


def _nested(stage: Stage) -> Iterator[str]:
    content = malware.nested_zip(_NESTING)
    with nothing_is_stored(stage):
        answer = stage.alice.upload(content, "application/zip", "documents.zip")
        yield f"Alice uploads a ZIP file with EICAR {_NESTING} levels deep inside it: {refusal(answer)}."


def _too_large(stage: Stage) -> Iterator[str]:
    infected = malware.eicar_at_start(26 * _MIB)
    with memory_file(infected) as descriptor:
        verdict = scan_descriptor(stage.clamd.address_unix, descriptor).decode().rstrip("\0").rpartition(": ")[2]
    yield f"Asked directly, clamd says `{verdict}` about a file of 26 MiB that begins with EICAR: it is above MaxFileSize."
    with nothing_is_stored(stage):
        yield f"Alice uploads this file: {refusal(stage.alice.upload(infected))}."
    clean = malware.unique_bytes(24 * _MIB)
    delivered(stage, stage.alice.upload(clean), clean)
    yield "A clean file of 24 MiB, within the limit, is stored and delivered."


STEPS: Final = (
    Step(
        "A clean file is delivered byte for byte",
        "Scanning changes nothing for files that are in order.",
        _clean,
    ),
    Step(
        "An infected file is refused",
        "A virus is never stored, so nobody can download it.",
        _infected,
    ),
    Step(
        "Asynchronous upload is no way round",
        "Both ways of uploading that Matrix has are guarded.",
        _asynchronous,
    ),
    Step(
        "Archives are unpacked",
        "Wrapping a virus does not hide it.",
        _nested,
    ),
    Step(
        "A file that is too large for the scanner is refused",
        "What was not scanned whole never counts as clean, whatever clamd says.",
        _too_large,
    ),
)
