"""Steps about end-to-end encrypted files: a reader's client hands their key to the content scanner."""

from collections.abc import Iterator
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

from synapse_bum.cli.demo.promise import require, wait_until
from synapse_bum.cli.demo.stage import API, Stage
from synapse_bum.cli.demo.step import Step
from synapse_bum.testing import malware
from synapse_bum.testing.encrypted_files import Attachment, encrypted
from synapse_bum.testing.http_client import MatrixClient, Response, mxc_path
from synapse_bum.testing.malware import EICAR

SCANNER: Final = "/_matrix/media_proxy/unstable"
"""Where the content scanner API is (MSC1453)."""

_BLOCKED_SECONDS: Final = 10.0
_GONE_SECONDS: Final = 10.0


def _send(stage: Stage, content: bytes) -> tuple[str, Attachment]:
    attachment = encrypted(content)
    answer = stage.alice.upload(attachment.ciphertext)
    require(answer.status == HTTPStatus.OK, f"The upload was answered with HTTP {answer.status}, not with 200.")
    return answer.json["content_uri"], attachment


def _scan(reader: MatrixClient, attachment: Attachment, mxc: str) -> Any:  # noqa: ANN401 - JSON
    answer = reader.post(f"{SCANNER}/scan_encrypted", {"file": attachment.file(mxc)})
    require(answer.status == HTTPStatus.OK, f"The scan was answered with HTTP {answer.status}, not with 200.")
    return answer.json


def _clean(stage: Stage) -> Iterator[str]:
    mxc, attachment = _send(stage, malware.png(256, 256))
    require(_scan(stage.admin, attachment, mxc)["clean"] is True, "The file was not found clean.")
    yield "Alice sends an encrypted picture. The administrator's client gives its key to the scanner: clean."
    answer: Response = stage.admin.post(f"{SCANNER}/download_encrypted", {"file": attachment.file(mxc)})
    require(answer.body == attachment.ciphertext, "The bytes that were delivered are not those that were uploaded.")
    yield (
        f"What he downloads is the ciphertext as Alice's client made it (SHA-256 {sha256(answer.body).hexdigest()[:16]}"
        "...); plaintext was in the server's memory only, and for the time of the scan."
    )


def _infected(stage: Stage) -> Iterator[str]:
    mxc, attachment = _send(stage, EICAR)
    before = stage.admin.download(mxc)
    require(before.status == HTTPStatus.OK, f"The ciphertext was answered with HTTP {before.status}, not with 200.")
    yield "Alice sends the EICAR test file, encrypted. The server sees noise: HTTP 200, and it can be downloaded."
    result = _scan(stage.admin, attachment, mxc)
    require(result["clean"] is False, "The infected file was found clean.")
    yield f'The administrator\'s client asks with the key: clean is false, "{result["info"]}".'
    seconds = wait_until(
        lambda: stage.admin.download(mxc).status == HTTPStatus.NOT_FOUND, _BLOCKED_SECONDS, "It can still be downloaded"
    )
    yield f"From then on everybody who wants to download it gets HTTP 404 (looked {seconds * 1000:.0f} ms later)."
    finding = stage.admin.get(f"{API}/antivirus/findings/{mxc_path(mxc)}").json
    require(finding["state"] == "blocked", f"The finding is {finding['state']}, not blocked.")
    yield f"The finding: {finding['signature']}, {finding['state']}, uploaded by {finding['uploader']}."
    again = stage.alice.upload(attachment.ciphertext)
    require(again.status == HTTPStatus.BAD_REQUEST, f"The same bytes were accepted with HTTP {again.status}.")
    yield f"Alice uploads the same ciphertext once more: HTTP {again.status}."


def _deleted(stage: Stage) -> Iterator[str]:
    mxc, attachment = _send(stage, EICAR)
    require(_scan(stage.admin, attachment, mxc)["clean"] is False, "The infected file was found clean.")
    before = stage.stored_files()
    own = stage.alice.get(f"{API}/media", limit=1).json["media"][0]
    require(own["mxc"] == mxc and own["scan_state"] == "blocked", f"Alice's list shows {own}.")
    yield "Alice sends another one, and it is blocked. Her own list of files says so: blocked."
    answer = stage.alice.delete(f"{API}/media/{mxc_path(mxc)}")
    require(answer.status == HTTPStatus.OK, f"The deletion was answered with HTTP {answer.status}, not with 200.")
    seconds = wait_until(lambda: len(stage.stored_files()) < len(before), _GONE_SECONDS, "It is still on the disk")
    yield f"She deletes it: HTTP 200, and {seconds:.1f} s later it is off the disk."
    state = stage.admin.get(f"{API}/antivirus/findings/{mxc_path(mxc)}").json["state"]
    require(state == "deleted", f"The finding is {state}, not deleted.")
    yield "The finding stays as the record, as deleted."


def _wrong_key(stage: Stage) -> Iterator[str]:
    mxc, attachment = _send(stage, EICAR)
    require(_scan(stage.admin, attachment.with_wrong_key(), mxc)["clean"] is True, "Noise was found to be infected.")
    yield "Somebody asks with a wrong key: noise, and clean as far as anybody can tell."
    require(_scan(stage.admin, attachment, mxc)["clean"] is False, "A wrong key's verdict answered for the right one.")
    yield "The right key gets an answer of its own all the same: infected."


STEPS: Final = (
    Step("An encrypted file is scanned and delivered", "end-to-end encryption stays as it is", _clean),
    Step(
        "An encrypted virus is blocked for everybody",
        "one reader's scan protects all others, those without a scanner too",
        _infected,
    ),
    Step("Its sender deletes it", "what is blocked needs no administrator to go away", _deleted),
    Step("A wrong key answers for nobody else", "a verdict belongs to a key and never to a file alone", _wrong_key),
)
