"""Ten thousand requests that nobody planned: no failure, no hang, and no secret of a file anywhere."""

import base64
import copy
import hashlib
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import attr
import pytest
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from synapse_bum.testing import malware, pk_encryption
from synapse_bum.testing.content_scanner_client import CLEAN, INFECTED, PATH, ContentScannerClient, StoredAttachment
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.files_below import files_below
from synapse_bum.testing.fuzzed_requests import Fuzzer, Operation, operations_of
from synapse_bum.testing.http_client import HttpClient
from synapse_bum.testing.http_load import Outcome, Request, send_all
from synapse_bum.testing.openapi import read_description
from synapse_bum.testing.scanned_homeserver import ScannedHomeserver

pytestmark = [pytest.mark.requires("clamd"), pytest.mark.any_synapse]

REQUESTS: Final = 10_000
USERS: Final = 3
CONNECTIONS: Final = 8
CLEAN_FILES: Final = 6
INFECTED_FILES: Final = 3
LONGEST_SECONDS: Final = 60.0
DESCRIPTION: Final = Path(__file__).resolve().parents[3] / "docs" / "openapi" / "content-scanner.yaml"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Marks:
    """What must not be written anywhere, recognisable in each form in which a program might write it."""

    plaintext: bytes = attr.ib(factory=lambda: b"plaintext-" + os.urandom(12).hex().encode())
    key: bytes = attr.ib(factory=lambda: b"key-mark" + os.urandom(12).hex().encode())
    iv: bytes = attr.ib(factory=lambda: b"iv" + os.urandom(3).hex().encode())

    def forms(self) -> dict[str, bytes]:
        """Name of a form to its bytes."""
        found = {}
        for name, mark in (("plaintext", self.plaintext), ("key", self.key), ("iv", self.iv)):
            found[name] = mark
            found[f"{name} in hexadecimal"] = mark.hex().encode()
            # What whole groups of three bytes give, whatever follows.
            whole = mark[: len(mark) // 3 * 3]
            found[f"{name} in Base64"] = base64.b64encode(whole)
            found[f"{name} in URL-safe Base64"] = base64.urlsafe_b64encode(whole)
        return found


@pytest.fixture
def server() -> Iterator[ScannedHomeserver]:
    # No server may be asked for files: their names are made up.
    with ScannedHomeserver(config={"federation_domain_whitelist": []}, log_level="DEBUG") as server:
        yield server


def stored_files(user: ContentScannerClient, marks: Marks) -> list[StoredAttachment]:
    """Clean files and infected ones with the marked plaintext, key and iv; each has another ciphertext."""
    iv = marks.iv + bytes(8)
    contents = [b"%d %b" % (number, marks.plaintext * 20) for number in range(CLEAN_FILES)]
    contents += [b"%d %b %b" % (number, marks.plaintext, malware.EICAR) for number in range(INFECTED_FILES)]
    return [user.store(encrypted(content, key=marks.key, iv=iv)) for content in contents]


def check(outcome: Outcome, operation: Operation | None) -> str | None:
    """What is wrong with an answer; None when it is as described."""
    if outcome.response is None:
        return "no answer"
    if outcome.seconds > LONGEST_SECONDS:
        return f"{outcome.seconds:.1f} s"
    if outcome.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"{outcome.status} {outcome.response.body[:200]!r}"
    if operation is None:
        return None
    described = operation.responses.get(str(outcome.status))
    if described is None:
        return f"{outcome.status} is not described"
    if "no-store" not in outcome.response.headers.get("cache-control", ""):
        return f"{outcome.status} may be stored"
    schema = described["content"].get("application/json", {}).get("schema")
    errors = [] if schema is None else list(Draft202012Validator(schema).iter_errors(outcome.response.json))
    return f"{outcome.status}: {errors[0].message}" if errors else None


def assert_no_mark(server: ScannedHomeserver, marks: Marks, more: tuple[str, bytes]) -> None:
    """Look into every file of the homeserver: logs, database, media."""
    hashes = {"hash of plaintext": hashlib.sha256(marks.plaintext * 20).hexdigest().encode()}
    files = files_below(server.synapse.directory)
    contents = [(path.name, path.read_bytes()) for path in files]
    assert {"homeserver.db", "homeserver.log", "output.log"} <= {name for name, _ in contents}
    for name, content in [*contents, more]:
        for form, mark in {**marks.forms(), **hashes}.items():
            assert mark not in content, f"{form} in {name}"


def test_fuzzed_requests(server: ScannedHomeserver) -> None:
    marks = Marks()
    users = [server.user(f"user{number}") for number in range(USERS)]
    stored = stored_files(users[0], marks)
    picture = users[0].upload(malware.png(), "image/png").json["content_uri"]
    text = users[0].upload(b"a text of some length that anybody can read", "text/plain").json["content_uri"]
    key = users[0].public_key()
    chance = random.Random(seed := random.randrange(1 << 32))  # noqa: S311 - nothing is secret
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails

    def adapted(body: dict[str, Any]) -> dict[str, Any]:
        """Mostly about files that are there, with their own key; at times in an encrypted body."""
        if "file" not in body:
            return body
        body = copy.deepcopy(body)
        file = chance.choice(stored).file
        # Unknown fields of the body stay; each of the known ones is the right one at times.
        right = [name for name in ("key", "iv", "url", "hashes") if chance.random() < 0.85]
        body["file"].update({name: file[name] for name in right})
        if chance.random() < 0.1:
            plaintext = repr(body) if chance.random() < 0.3 else json.dumps(body)
            return {"encrypted_body": pk_encryption.encrypt(key, plaintext.encode(errors="replace"))}
        return body

    formats = {
        "matrix-mxc-uri": st.sampled_from([one.mxc for one in stored] + [picture, "mxc://elsewhere.example/file"]),
        "matrix-room-id": st.sampled_from(["!room:messenger.example", "!" + "r" * 43]),
        "matrix-event-id": st.sampled_from(["$" + "e" * 43, "$event:messenger.example"]),
    }
    operations = operations_of(read_description(DESCRIPTION), formats, 150)
    known = {
        "serverName": ["messenger.example"],
        "mediaId": [mxc.rpartition("/")[2] for mxc in [picture, text, *(one.mxc for one in stored)]],
        "Range": ["bytes=0-9", "bytes=-5", "bytes=99999999-"],
        "width": ["32"],
        "height": ["32"],
    }
    tokens = [user.token or "" for user in users]
    fuzzer = Fuzzer(PATH, operations, seed, tokens=tokens, known=known, adapt=adapted)
    pairs = list(fuzzer.requests(REQUESTS))
    operation_of = {id(request): operation for request, operation in pairs}
    requests: list[Request] = [request for request, _ in pairs]
    outcomes = send_all(server.synapse.base_url, requests, connections=CONNECTIONS, timeout=LONGEST_SECONDS)

    assert len(outcomes) == REQUESTS
    wrong = [
        (complaint, outcome) for outcome in outcomes if (complaint := check(outcome, operation_of[id(outcome.request)]))
    ]
    assert not wrong, f"{len(wrong)}: {wrong[:3]}"
    # The requests were worth sending.
    seen = Counter(outcome.status for outcome in outcomes)
    assert all(seen[status] >= 10 for status in (200, 206, 400, 401, 403, 404, 405, 416, 429)), seen

    # The server is well, and right.
    asker = server.user("asker")
    last = asker.store(encrypted(marks.plaintext, key=marks.key, iv=marks.iv + bytes(8)))
    assert [asker.scan_encrypted(one.file).json for one in stored] == [CLEAN] * CLEAN_FILES + [
        INFECTED
    ] * INFECTED_FILES
    assert {finding["mxc"] for finding in server.findings()} == {one.mxc for one in stored[CLEAN_FILES:]}
    server.clamd.kill()
    assert asker.scan_encrypted(last.file).status == HTTPStatus.BAD_GATEWAY

    metrics = HttpClient(server.synapse.base_urls[1]).get("/_synapse/metrics").body
    server.synapse.stop()
    assert "Traceback" not in server.synapse.log_text()
    assert_no_mark(server, marks, ("metrics", metrics))
