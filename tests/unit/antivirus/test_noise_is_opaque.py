"""What a wrong key makes of a file is never taken for plaintext, and no file can make the look at it expensive."""

import os
import random
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from hypothesis import given, settings
from hypothesis import strategies as st

from synapse_bum.antivirus.media_types import SIGNATURES, identify, is_opaque
from synapse_bum.antivirus.media_types.signature import LONG_MAGIC_BYTES, Signature

NOISES = 150
GIGABYTE = 1 << 30
SHORT = [signature for signature in SIGNATURES if sum(len(magic) for _, magic in signature.magic) < LONG_MAGIC_BYTES]


@contextmanager
def a_file(content: bytes) -> Iterator[int]:
    fd = os.memfd_create("sample")
    try:
        os.write(fd, content)
        yield fd
    finally:
        os.close(fd)


def opaque(content: bytes) -> bool:
    with a_file(content) as fd:
        return is_opaque(fd, len(content))


def noise(size: int, *seed: object) -> bytes:
    return random.Random(repr(seed)).randbytes(size)  # noqa: S311 - the same in every run


def overlaid(content: bytes, parts: tuple[tuple[int, bytes], ...]) -> bytes:
    changed = bytearray(content)
    for offset, part in parts:
        changed[offset : offset + len(part)] = part
    return bytes(changed)


@given(size=st.integers(min_value=1, max_value=70_000), seed=st.integers())
def test_noise_of_any_size_is_opaque(size: int, seed: int) -> None:
    # Up to five bytes may well be the letters of a text, but a text of five bytes is opaque too.
    assert opaque(noise(size, seed))


@pytest.mark.parametrize("size", range(1, 66))
def test_short_noise_is_opaque_though_it_is_often_text(size: int) -> None:
    assert all(opaque(noise(size, number)) for number in range(200))


@pytest.mark.parametrize("signature", SHORT, ids=lambda signature: f"{signature.media_type} {signature.magic}")
def test_a_short_magic_before_noise_proves_nothing(signature: Signature) -> None:
    """Who tries keys gets three bytes of his choice after 2^24 of them."""
    for size in (60, 600, 20_000):
        for number in range(NOISES):
            assert opaque(overlaid(noise(size, signature.media_type, number), signature.magic))


def test_a_magic_without_structure_is_long() -> None:
    for signature in SIGNATURES:
        if signature.confirm is None:
            assert sum(len(magic) for _, magic in signature.magic) >= LONG_MAGIC_BYTES, signature.media_type


@pytest.mark.parametrize("flags", range(256))
def test_noise_can_not_hide_in_the_header_of_a_gzip(flags: int) -> None:
    """An extra field of noise would be skipped as a whole, and nothing be left to inflate."""
    for number in range(20):
        header = b"\x1f\x8b\x08" + bytes([flags])
        assert opaque(overlaid(noise(20_000, flags, number), ((0, header), (10, b"\xff\xf0"))))
        assert opaque(overlaid(noise(20_000, flags, number).replace(b"\0", b"\1"), ((0, header),)))


@settings(max_examples=20)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_plaintext_under_a_wrong_key_is_opaque(right: bytes, wrong: bytes) -> None:
    plain = b"%PDF-1.7\n" + b"Sehr geehrte Damen und Herren, " * 50
    assert not opaque(plain)
    ciphertext = Cipher(AES256(right), CTR(bytes(16))).encryptor().update(plain)
    assert opaque(ciphertext)
    decrypted = Cipher(AES256(wrong), CTR(bytes(16))).decryptor().update(ciphertext)
    assert opaque(decrypted) is (right != wrong)


@given(
    signature=st.sampled_from(SIGNATURES),
    content=st.binary(min_size=1, max_size=300),
    changes=st.lists(st.tuples(st.integers(0, 300), st.binary(max_size=8)), max_size=4),
)
def test_nothing_behind_a_magic_ends_in_an_error(
    signature: Signature, content: bytes, changes: list[tuple[int, bytes]]
) -> None:
    hostile = overlaid(content.ljust(300, b"\0"), (*signature.magic, *changes))
    for size in (len(hostile), len(content), len(hostile) + 5000):  # the last as if the file had been cut meanwhile
        with a_file(hostile) as fd:
            identify(fd, size)


@contextmanager
def a_gigabyte(head: bytes, tail: bytes) -> Iterator[int]:
    with a_file(head) as fd:
        os.ftruncate(fd, GIGABYTE)
        os.pwrite(fd, tail, GIGABYTE - len(tail))
        yield fd


@pytest.mark.parametrize(
    ("head", "tail"),
    [
        (b"", b""),
        (b"a" * 4096, b"a" * 100_000),
        (b"\xff\xd8\xff\xe0\xff\xff", b""),
        (b"ID3\4\0\0\0\0\0\0", b""),
        (b"\x1f\x8b\x08\0", b""),
        (b"PK\3\4", b"PK\5\6" * 16_000),
        # The directory states that it has 65,535 entries and fills the file.
        (b"PK\3\4PK\1\2", struct.pack("<4s4HIIH", b"PK\5\6", 0, 0, 65_535, 65_535, GIGABYTE - 26, 4, 0)),
    ],
)
def test_a_gigabyte_costs_no_more_than_a_few_reads(head: bytes, tail: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    real = os.pread

    def counted(fd: int, length: int, offset: int) -> bytes:
        nonlocal read
        found = real(fd, length, offset)
        read += len(found)
        return found

    with a_gigabyte(head, tail) as fd:
        monkeypatch.setattr(os, "pread", counted)
        identify(fd, GIGABYTE)
    assert read < 1_400_000


@pytest.mark.parametrize("segment", [b"\xff\xe0\0\2", b"\xff"])
def test_a_jpeg_of_endless_segments_is_given_up(segment: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    real = os.pread

    def counted(fd: int, length: int, offset: int) -> bytes:
        nonlocal reads
        reads += 1
        return real(fd, length, offset)

    monkeypatch.setattr(os, "pread", counted)
    assert opaque(b"\xff\xd8" + segment * 100_000 + b"\0")
    assert reads < 10_000


def test_a_compressed_gigabyte_is_inflated_in_small_pieces() -> None:
    stream = zlib.compressobj(9, wbits=31)
    bomb = b"".join([stream.compress(bytes(1 << 20)) for _ in range(64)]) + stream.flush()
    with a_file(bomb) as fd:
        tracemalloc.start()
        try:
            assert not is_opaque(fd, len(bomb))
            assert tracemalloc.get_traced_memory()[1] < 500_000
        finally:
            tracemalloc.stop()
