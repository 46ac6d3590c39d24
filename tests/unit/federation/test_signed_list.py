"""Which lists are believed: only whole ones, with a good signature of somebody whose key is known."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from authlib.jose import JsonWebSignature  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.federation import jws_authlib, jws_joserfc, signed_list
from synapse_bum.federation.jws import BadSignatureError
from synapse_bum.federation.partner import Partner, Source
from synapse_bum.federation.signed_list import (
    MAX_BYTES,
    ListRefusedError,
    SignedList,
    dropped,
    drops_too_many,
    read_list,
)
from synapse_bum.testing.list_signer import ListSigner

LIBRARIES = [jws_authlib, jws_joserfc]
SIGNER = ListSigner()
KEYS = SIGNER.key_set()
NOW = 1_000


def read(content: bytes, keys: bytes = KEYS, *, allow_wildcards: bool = False, now_ms: int = NOW) -> SignedList:
    return read_list(content, keys, own_name="own.example", allow_wildcards=allow_wildcards, now_ms=now_ms)


def payload(*partners: object, **fields: object) -> dict[str, Any]:
    return {"version": 3, "expires_ts": 5_000, "partners": list(partners), **fields}


@pytest.fixture(autouse=True, scope="module", params=LIBRARIES, ids=["authlib", "joserfc"])
def library(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test here runs with each of the libraries that may be all that there is."""
    with patch.object(signed_list, "payload_of", request.param.payload_of):
        yield


def test_a_good_list_is_read() -> None:
    entry = {"server_name": "A.example", "organisation": "Amt A", "valid_from_ts": 1, "valid_until_ts": 9, "more": 1}
    found = read(SIGNER.sign(payload(entry, {"server_name": "b.example:8448"}, more=2)) + b"\n")
    assert (found.version, found.expires_ts) == (3, 5_000)
    assert sorted(found.partners) == ["a.example", "b.example:8448"]
    partner = found.partners["a.example"]
    assert (partner.organisation, partner.source) == ("Amt A", Source.SIGNED_LIST)
    assert (partner.valid_from_ts, partner.valid_until_ts, partner.created_ts) == (1, 9, NOW)


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize(
    ("kind", "kind_option", "alg"), [("EC", "P-384", "ES384"), ("RSA", 2048, "PS256"), ("OKP", "Ed25519", "EdDSA")]
)
def test_several_kinds_of_keys_are_known(kind: str, kind_option: str | int, alg: str) -> None:
    signer = ListSigner("other", kind, kind_option)
    signed = signer.sign(payload({"server_name": "a.example"}), alg=alg)
    assert list(read(signed, SIGNER.key_set(signer)).partners) == ["a.example"]


def test_this_server_stands_in_the_list_too() -> None:
    assert list(read(SIGNER.list("Own.example", "a.example")).partners) == ["a.example"]


def test_this_server_is_known_by_either_form_of_its_name() -> None:
    found = read_list(
        SIGNER.list("B\u00fccher.example", "a.example"),
        KEYS,
        own_name="xn--bcher-kva.example",
        allow_wildcards=False,
        now_ms=NOW,
    )
    assert list(found.partners) == ["a.example"]


@pytest.mark.parametrize("curve", ["X25519", "X448"])
def test_keys_that_sign_nothing_prove_nothing(curve: str) -> None:
    public = base64.urlsafe_b64encode(bytes(32 if curve == "X25519" else 56)).rstrip(b"=").decode()
    key = {"kty": "OKP", "crv": curve, "x": public, "kid": "2026"}
    content = unsigned({"alg": "EdDSA", "kid": "2026"}, payload({"server_name": "a.example"})) + b"AAAA"
    with pytest.raises(ListRefusedError, match="key that is not in `keys_path`"):
        read(content, json.dumps({"keys": [key]}).encode())
    # Nor does the library, asked by itself, do more than refuse.
    for library in LIBRARIES:
        with pytest.raises(BadSignatureError):
            library.payload_of(content, key)


def test_a_key_for_encryption_proves_nothing() -> None:
    (key,) = json.loads(KEYS)["keys"]
    assert read(GOOD, json.dumps({"keys": [{**key, "use": "sig"}]}).encode()).version == 3
    with pytest.raises(ListRefusedError, match="key that is not in `keys_path`"):
        read(GOOD, json.dumps({"keys": [{**key, "use": "enc"}]}).encode())


def unsigned(header: object, content: object) -> bytes:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, content)]
    return b".".join([*parts, b""])


def signed_with_the_public_key() -> bytes:
    """The classic: a reader that lets the list choose takes the public key for a shared secret."""
    header = {"alg": "HS256", "kid": SIGNER.kid}
    secret = json.loads(KEYS)["keys"][0]["x"]
    content = json.dumps(payload({"server_name": "a.example"})).encode()
    signed: bytes = JsonWebSignature().serialize_compact(header, content, secret)
    return signed


GOOD = SIGNER.sign(payload({"server_name": "a.example"}))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "signature"),
        (b"{}", "signature"),
        (b"\xff\xfe", "signature"),
        (GOOD[:-10], "signature"),
        (GOOD[: len(GOOD) // 2], "signature"),
        (GOOD.replace(b".", b"..", 1), "signature"),
        (GOOD[:-4] + b"AAAA", "signature"),
        (b".".join([GOOD.split(b".")[0], SIGNER.list("b.example").split(b".")[1], GOOD.split(b".")[2]]), "signature"),
        (unsigned({"alg": "none", "kid": "2026"}, payload({"server_name": "a.example"})), "signature"),
        (signed_with_the_public_key(), "signature"),
        (ListSigner("2026").list("a.example"), "signature"),
        (ListSigner("2027").list("a.example"), "key that is not in `keys_path`"),
        (unsigned({"alg": "ES256", "kid": "2026", "crit": ["b64"], "b64": False}, payload()), "list"),
        (SIGNER.sign(payload()), "empty"),
        (SIGNER.list("own.example"), "empty"),
        (SIGNER.sign(payload({"server_name": "a.example"}, expires_ts=NOW)), "over"),
        (SIGNER.sign(payload({"server_name": "a.example"}, {"server_name": "A.example"})), "twice"),
        (SIGNER.sign(payload({"server_name": "*.example.org"})), "allow_wildcards"),
        (SIGNER.sign(payload({"server_name": "de"})), "public suffix"),
        (SIGNER.sign(payload({"server_name": "a.example", "valid_until_ts": "9"})), "valid_until_ts"),
        (SIGNER.sign(payload({"organisation": "A"})), "missing required key"),
        (SIGNER.sign(payload("a.example")), "partners.0"),
        (SIGNER.sign({"version": 1, "partners": []}), "expires_ts"),
        (SIGNER.sign({"version": True, "expires_ts": 9_000, "partners": []}), "version"),
        (SIGNER.sign({"version": 1, "expires_ts": 9_000, "partners": {}}), "partners"),
        (SIGNER.sign([]), "no JSON object"),
        (SIGNER.sign(b"no json"), "no JSON object"),
        (SIGNER.sign(b"[" * 100_000), "no JSON object"),
        (b"a" * (MAX_BYTES + 1), "bytes"),
    ],
)
def test_anything_else_is_refused_as_a_whole(content: bytes, sentence: str) -> None:
    with pytest.raises(ListRefusedError, match=sentence):
        read(content)


@pytest.mark.parametrize("keys", [b"", b"[]", b"{}", b'{"keys": 1}', b'{"keys": [{}]}', b'{"keys": [{"kty": "EC"}]}'])
def test_keys_that_are_none_are_refused(keys: bytes) -> None:
    with pytest.raises(ListRefusedError, match="keys_path"):
        read(GOOD, keys)


def test_a_list_may_be_long_where_joserfc_is() -> None:
    with patch.object(signed_list, "payload_of", jws_joserfc.payload_of):
        assert len(read(SIGNER.list(*(f"s{number}.example" for number in range(20_000)))).partners) == 20_000


@given(st.binary(max_size=200), st.integers(0, len(GOOD)))
def test_no_bytes_in_a_list_do_more_than_have_it_refused(noise: bytes, place: int) -> None:
    changed = GOOD[:place] + noise + GOOD[place + len(noise) :]
    try:
        found = read(changed)
    except ListRefusedError:
        return
    # The last character of a Base64 text has bits that say nothing.
    assert found == read(GOOD)


def partners(*names: str, begin: int | None = None, end: int | None = None) -> dict[str, Partner]:
    return {name: Partner(name, None, Source.SIGNED_LIST, begin, end) for name in names}


def test_a_list_that_takes_away_more_than_a_fifth_has_to_be_confirmed() -> None:
    names = [str(number) for number in range(10)]
    old = partners(*names)
    assert not drops_too_many(old, partners(*names[2:]), NOW)
    assert drops_too_many(old, partners(*names[3:]), NOW)
    assert drops_too_many(old, partners(*names[3:], "x", "y", "z"), NOW)
    assert not drops_too_many({}, partners("x"), NOW)
    assert dropped(old, partners(*names[2:]), NOW) == ["0", "1"]


def test_to_end_a_partner_in_the_list_takes_it_away_too() -> None:
    names = [str(number) for number in range(10)]
    old, kept, ended = partners(*names), partners(*names[3:]), partners(*names[:3], end=NOW)
    assert drops_too_many(old, kept | ended, NOW)
    assert dropped(old, kept | ended, NOW) == ["0", "1", "2"]
    assert not drops_too_many(old, kept | partners(*names[:3], end=NOW + 1), NOW)
    # What was over before is missed by nobody.
    assert not drops_too_many(kept | ended, kept, NOW)


def test_to_have_a_partner_begin_later_takes_it_away_too() -> None:
    names = [str(number) for number in range(10)]
    old, kept = partners(*names), partners(*names[3:])
    assert drops_too_many(old, kept | partners(*names[:3], begin=NOW + 1), NOW)
    assert not drops_too_many(old, kept | partners(*names[:3], begin=NOW), NOW)
    later = kept | partners(*names[:3], begin=NOW + 5)
    assert not drops_too_many(later, later, NOW)
