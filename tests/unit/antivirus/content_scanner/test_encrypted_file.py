"""What passes for an `EncryptedFile` and for a request body, and that messages hold no values."""

import base64
import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.antivirus.content_scanner.encrypted_file import (
    MAX_JSON_DEPTH,
    EncryptedFile,
    MalformedFileError,
    MalformedJsonError,
    parse_json_body,
)

KEY, IV, SHA256 = bytes(range(200, 232)), bytes(range(100, 108)) + bytes(8), bytes(range(32))
MISSING = object()


def a_file(**changes: object) -> dict[str, object]:
    """The example of the specification; `key__k="x"` changes `key.k`, and MISSING leaves a field out."""
    file: dict[str, object] = {
        "url": "mxc://example.org/FHyPlCeYUSFFxlgbQYZmoEoe",
        "key": {
            "kty": "oct",
            "key_ops": ["encrypt", "decrypt"],
            "alg": "A256CTR",
            "k": base64.urlsafe_b64encode(KEY).decode().rstrip("="),
            "ext": True,
        },
        "iv": base64.b64encode(IV).decode().rstrip("="),
        "hashes": {"sha256": base64.b64encode(SHA256).decode().rstrip("=")},
        "v": "v2",
    }
    for path, value in changes.items():
        *above, name = path.split("__")
        parent: dict[str, object] = file
        for step in above:
            inner = parent[step]
            assert isinstance(inner, dict)
            parent = inner
        if value is MISSING:
            del parent[name]
        else:
            parent[name] = value
    return file


def test_the_example_of_the_specification() -> None:
    assert EncryptedFile.parse(a_file()) == EncryptedFile(
        server_name="example.org", media_id="FHyPlCeYUSFFxlgbQYZmoEoe", key=KEY, iv=IV, sha256=SHA256
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"v": MISSING},
        {"key__ext": MISSING},
        {"key__key_ops": MISSING},
        {"key__key_ops": ["decrypt", "wrapKey", "encrypt"]},
        {"key__k": base64.urlsafe_b64encode(KEY).decode()},
        {"iv": base64.b64encode(IV).decode()},
        {"hashes__sha256": base64.b64encode(SHA256).decode()},
        {"hashes__sha512": "AAAA", "mimetype": "image/png", "size": 5, "key__use": {"a": [None]}},
    ],
)
def test_what_clients_leave_out_pad_or_add_is_accepted(changes: dict[str, object]) -> None:
    assert EncryptedFile.parse(a_file(**changes)) == EncryptedFile.parse(a_file())


@pytest.mark.parametrize(
    ("url", "server_name"),
    [
        ("mxc://example.org:8448/a-_Z9", "example.org:8448"),
        ("mxc://[2001:db8::1]/a", "[2001:db8::1]"),
        ("mxc://[::1]:8448/a", "[::1]:8448"),
        ("mxc://127.0.0.1:1/a", "127.0.0.1:1"),
    ],
)
def test_servers_of_every_kind(url: str, server_name: str) -> None:
    assert EncryptedFile.parse(a_file(url=url)).server_name == server_name


BAD_URLS = [
    *(
        "",
        "mxc://",
        "mxc://a",
        "mxc://a/",
        "mxc:///b",
        "http://a/b",
        "MXC://a/b",
        "mxc:/a/b",
        " mxc://a/b",
        "mxc://a/b ",
    ),
    *("mxc://a/b/c", "mxc://a//b", "mxc://a/b/", "mxc://../b", "mxc://a/..", "mxc://a/.", "mxc://a/../../b"),
    *("mxc://a%2f/b", "mxc://a/%2fb", "mxc://a/%2e%2e", "mxc://a/b%00", "mxc://a/b\0", "mxc://a\0/b", "mxc://a/b\n"),
    *("mxc://a/b?c", "mxc://a/b#c", "mxc://u@a/b", "mxc://a:0/b", "mxc://a:65536/b", "mxc://a:/b", "mxc://[::1/b"),
    *(
        "mxc://[1.2.3.4]/b",
        "mxc://a_b/b",
        "mxc://a/b\\c",
        "mxc://a/b ",
        "mxc://a/\u0661",
        "mxc://a/\ud800",
        "mxc://a/" + "b" * 256,
    ),
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_urls_that_are_no_content_uri(url: str) -> None:
    with pytest.raises(MalformedFileError, match=r"^`file.url` must be `mxc://` with a server name and a media id$"):
        EncryptedFile.parse(a_file(url=url))


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("v", ["v1", 2, None]),
        ("url", [MISSING, None, 5, ["mxc://a/b"]]),
        ("key", [MISSING, None, "k", []]),
        ("key__kty", [MISSING, "RSA", None]),
        ("key__alg", [MISSING, "A128CTR", "A256GCM", None]),
        ("key__key_ops", ["encrypt decrypt", [], ["encrypt"], ["decrypt"], None, [["encrypt", "decrypt"]]]),
        ("key__ext", [False, "true", 1, None]),
        ("key__k", [MISSING, None, 5, "", "AAAA", "A" * 44, "A" * 42 + "==", "+" * 43, "/" * 43, "A" * 43 + "\n"]),
        ("iv", [MISSING, None, 5, "", "A" * 10, "A" * 23, "A" * 32, "-" * 22, " " + "A" * 22]),
        ("hashes", [MISSING, None, "AAAA", []]),
        ("hashes__sha256", [MISSING, None, 5, "", "A" * 22, "A" * 86, "_" * 43]),
    ],
)
def test_each_field_is_named_when_it_is_wrong(field: str, bad: list[object]) -> None:
    for value in bad:
        with pytest.raises(MalformedFileError) as caught:
            EncryptedFile.parse(a_file(**{field: value}))
        assert str(caught.value).startswith(f"`file.{field.replace('__', '.')}` must be ")


@pytest.mark.parametrize("value", [None, [], "file", 5, True])
def test_what_is_no_object_is_no_file(value: object) -> None:
    with pytest.raises(MalformedFileError, match=r"^`file` must be an object$"):
        EncryptedFile.parse(value)


SECRET_MARK = "c2VjcmV0"


@pytest.mark.parametrize("field", ["v", "url", "key__k", "key__kty", "key__alg", "key__ext", "iv", "hashes__sha256"])
def test_no_message_and_no_repr_holds_a_value(field: str) -> None:
    with pytest.raises(MalformedFileError) as caught:
        EncryptedFile.parse(a_file(**{field: SECRET_MARK}))
    assert SECRET_MARK not in str(caught.value)
    shown = repr(EncryptedFile.parse(a_file()))
    assert not any(repr(secret)[2:-1] in shown or secret.hex() in shown for secret in (KEY, IV, SHA256))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON_VALUES, st.sampled_from(["url", "key", "iv", "hashes", "key__k", "key__key_ops", "hashes__sha256", "v"]))
def test_no_value_ends_in_another_error(value: object, field: str) -> None:
    with contextlib.suppress(MalformedFileError):
        EncryptedFile.parse(a_file(**{field: value}))


@given(st.binary(min_size=8, max_size=8))
def test_the_counter_is_standard_when_its_low_64_bits_are_zero(high: bytes) -> None:
    def is_standard(low: int) -> bool:
        iv = high + low.to_bytes(8, "big")
        return EncryptedFile.parse(a_file(iv=base64.b64encode(iv).decode())).has_standard_counter

    assert is_standard(0)
    assert not any(is_standard(1 << bit) for bit in range(64))


@given(st.dictionaries(st.text(), JSON_VALUES, max_size=3))
def test_a_json_object_is_read_as_python_reads_it(value: dict[str, object]) -> None:
    for ascii_only in (True, False):
        content = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        try:
            expected = json.loads(content.decode())
        except UnicodeDecodeError:
            with pytest.raises(MalformedJsonError):
                parse_json_body(content, 1 << 20)
        else:
            assert parse_json_body(content, 1 << 20) == expected


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b" ", b"null", b"[]", b'"a"', b"5", b"{", b"{}}", b"{} {}", b"{'a': 1}", b'{"a": 1,}', b'{"a" 1}'),
        *(b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": "\n"}', b"\xef\xbb\xbf{}", b'{"a": "\xff"}'),
        *("{}".encode("utf-16"), b'{"a": ' + b"9" * 5000 + b"}", b'{"a": "', b'{"a": "\\', b"\0"),
    ],
)
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(MalformedJsonError, match=r"^The body is not a JSON object$"):
        parse_json_body(content, 1 << 20)


def nested(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


def test_bodies_are_limited_in_length_and_depth() -> None:
    assert parse_json_body(nested(MAX_JSON_DEPTH), 1 << 20)
    with pytest.raises(MalformedJsonError, match="deeper than 32"):
        parse_json_body(nested(MAX_JSON_DEPTH + 1), 1 << 20)
    with pytest.raises(MalformedJsonError, match="more than 10 bytes"):
        parse_json_body(b'{"a": 1234}', 10)
    brackets_in_a_string = json.dumps({"a": '["' * 100, "b": "{" * 100}).encode()
    assert parse_json_body(brackets_in_a_string, 1 << 20)


@pytest.mark.parametrize(
    "content", [b"[" * 1_000_000, b'{"a":' * 200_000, b'"' * 1_000_000, b'"' + b'\\"' * 500_000, b'"\\' * 500_000]
)
def test_a_megabyte_of_anything_takes_no_recursion_and_little_time(content: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(MalformedJsonError):
        parse_json_body(content, 1 << 20)
    assert time.process_time() - begun < 2
