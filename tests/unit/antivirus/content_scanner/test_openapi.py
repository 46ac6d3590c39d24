"""The OpenAPI description of the content scanner says what the code does."""

import inspect
import json
import os
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from synapse_bum.antivirus.content_scanner import errors
from synapse_bum.antivirus.content_scanner.errors import ContentScannerError
from synapse_bum.antivirus.content_scanner.pk_encryption import RequestKey
from synapse_bum.antivirus.content_scanner.request_body import MAX_BODY_BYTES, ScanRequest, read_scan_request
from synapse_bum.antivirus.content_scanner.resource import PATH, ContentScannerResource
from synapse_bum.testing import malware, pk_encryption
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.openapi import anything, conforming, read_description

DESCRIPTION: Final = read_description(Path(__file__).resolve().parents[4] / "docs" / "openapi" / "content-scanner.yaml")
SCHEMAS: Final = DESCRIPTION["components"]["schemas"]
REQUESTS: Final = Draft202012Validator(SCHEMAS["ScanRequest"])
KEY: Final = RequestKey(os.urandom(32))
MXC: Final = "mxc://messenger.example/AbCdEf"

FORMATS: Final = {
    "matrix-mxc-uri": st.sampled_from([MXC, "mxc://[::1]:8448/a", "mxc://10.0.0.1/a=b-c_d", "mxc://a.b:65535/x"]),
    "matrix-room-id": st.sampled_from(["!room:messenger.example", "!" + "r" * 43]),
    "matrix-event-id": st.sampled_from(["$" + "e" * 43, "$event:messenger.example"]),
}

FACTORIES: Final = [
    made(*["a sentence"] * len(inspect.signature(made).parameters))
    for made in vars(errors).values()
    if inspect.isfunction(made)
    and inspect.signature(made).return_annotation is ContentScannerError
    and made is not errors.unrecognized
] + [errors.unrecognized(HTTPStatus.NOT_FOUND), errors.unrecognized(HTTPStatus.METHOD_NOT_ALLOWED)]


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    """Path and method to operation."""
    return {
        (path, method): item[method]
        for path, item in DESCRIPTION["paths"].items()
        for method in ("get", "head", "post", "put", "patch", "delete", "trace")
        if method in item
    }


def reasons_of(operation: dict[str, Any]) -> set[tuple[int, str]]:
    """Status and `reason` of each answer that has one."""
    return {
        (int(status), reason)
        for status, response in operation["responses"].items()
        for media in response["content"].values()
        for reason in media.get("schema", {}).get("properties", {}).get("reason", {}).get("enum", [])
    }


def read(body: object) -> ScanRequest:
    return read_scan_request(json.dumps(body).encode(), KEY)


def test_the_server_is_where_the_resource_is() -> None:
    assert [server["url"] for server in DESCRIPTION["servers"]] == [PATH]


def test_paths_methods_and_parameters() -> None:
    resource = ContentScannerResource(Mock(), Mock(), Mock(), Mock())
    served = {(name, route.method.lower(), route.parameters) for name, route in resource._routes.items()}
    described = {(path.split("/")[1], method, path.count("{")) for path, method in operations()}
    assert described == served | {("public_key", "get", 0)}


def test_only_the_public_key_needs_no_token() -> None:
    assert [path for (path, _), operation in operations().items() if operation.get("security") == []] == ["/public_key"]
    assert DESCRIPTION["security"] == [{"accessToken": []}, {"accessTokenInQuery": []}]


@pytest.mark.parametrize("error", FACTORIES, ids=lambda error: f"{error.status.value} {error.reason}")
def test_each_error_is_described_and_looks_as_described(error: ContentScannerError) -> None:
    described = set().union(*(reasons_of(operation) for operation in operations().values()))
    assert (error.status.value, error.reason) in described
    Draft202012Validator(SCHEMAS["Error"]).validate(error.body)


def test_no_reason_of_the_content_scanner_is_invented() -> None:
    made = {(error.status.value, error.reason) for error in FACTORIES}
    described = set().union(*(reasons_of(operation) for operation in operations().values()))
    assert {pair for pair in described if pair[1].startswith("MCS_")} == {
        pair for pair in made if pair[1].startswith("MCS_")
    }


def test_no_answer_may_be_stored() -> None:
    for operation in operations().values():
        for response in operation["responses"].values():
            assert response["headers"]["Cache-Control"]["schema"]["pattern"] == "no-store"


def test_the_limit_of_bodies_is_the_one_in_the_text() -> None:
    assert f"{MAX_BODY_BYTES:,} bytes" in DESCRIPTION["components"]["requestBodies"]["EncryptedFile"]["description"]


@given(body=conforming(SCHEMAS["OpenRequest"], FORMATS))
def test_what_conforms_is_read(body: dict[str, Any]) -> None:
    REQUESTS.validate(body)
    read(body)
    sealed = {"encrypted_body": pk_encryption.encrypt(KEY.public_key, json.dumps(body).encode())}
    REQUESTS.validate(sealed)
    assert read(sealed) == read(body)


@given(data=st.data())
def test_what_is_read_conforms(data: st.DataObject) -> None:
    """Of bodies in which one field was replaced or removed."""
    body: dict[str, Any] = {
        "file": encrypted(malware.EICAR).file(MXC),
        "room_id": "!room:a.example",
        "event_id": "$event:a.example",
    }
    places = [body, body["file"], body["file"]["key"], body["file"]["hashes"]]
    place = data.draw(st.sampled_from(places))
    name = data.draw(st.sampled_from(sorted(place)))
    if data.draw(st.booleans()):
        del place[name]
    else:
        near = st.sampled_from(["", "A" * 43, "A" * 43 + "=", "A" * 22 + "==", "A" * 42, "mxc://a/b/c", "RSA", [], {}])
        place[name] = data.draw(near | anything())
    try:
        read(body)
    except ContentScannerError:
        return
    # JSON null counts as missing, which a schema can't say without telling clients to send it.
    present = {key: value for key, value in body.items() if value is not None}
    REQUESTS.validate(present)
