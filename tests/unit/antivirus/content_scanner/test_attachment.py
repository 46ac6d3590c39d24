"""Decryption of attachments: the same bytes as every other way gives, and never those that a client would not see."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB
from hypothesis import example, given
from hypothesis import strategies as st

from synapse_bum.antivirus.content_scanner import attachment
from synapse_bum.antivirus.content_scanner.attachment import (
    AttachmentChangedError,
    CounterOverflowError,
    DecryptionCancelledError,
    counter_overflows,
    decrypt_into,
    open_memfd,
)

KEY = bytes(range(32))
IV = bytes(range(8)) + bytes(8)
LAST_COUNTER = (1 << 64) - 1


@contextmanager
def a_file(content: bytes = b"") -> Iterator[int]:
    fd = open_memfd()
    try:
        os.pwrite(fd, content, 0)
        yield fd
    finally:
        os.close(fd)


def never() -> bool:
    return False


def decrypted(ciphertext: bytes, iv: bytes = IV, key: bytes = KEY, piece_bytes: int = attachment.PIECE_BYTES) -> bytes:
    with a_file(ciphertext) as source, a_file() as target:
        digest = decrypt_into(source, target, key=key, iv=iv, piece_bytes=piece_bytes, cancelled=never)
        assert digest == hashlib.sha256(ciphertext).digest()
        assert os.lseek(source, 0, os.SEEK_CUR) == os.lseek(target, 0, os.SEEK_CUR) == 0
        return os.pread(target, len(ciphertext) + 1, 0)


def as_a_browser_decrypts(ciphertext: bytes, key: bytes, iv: bytes) -> bytes:
    """AES-CTR with a counter of 64 bits (WebCrypto, `length: 64`), built from single blocks."""
    block = Cipher(AES256(key), ECB()).encryptor()  # noqa: S305 - the block cipher itself
    low = int.from_bytes(iv[8:], "big")
    blocks = range(-(-len(ciphertext) // 16))
    stream = b"".join(block.update(iv[:8] + ((low + n) % (1 << 64)).to_bytes(8, "big")) for n in blocks)
    return bytes(a ^ b for a, b in zip(ciphertext, stream, strict=False))


@given(st.binary(max_size=3000), st.integers(min_value=1, max_value=700), st.binary(min_size=32, max_size=32))
def test_pieces_of_any_size_give_what_one_piece_gives(ciphertext: bytes, piece_bytes: int, key: bytes) -> None:
    whole = Cipher(AES256(key), CTR(IV)).decryptor()
    assert decrypted(ciphertext, key=key, piece_bytes=piece_bytes) == whole.update(ciphertext) + whole.finalize()


@given(st.binary(max_size=600), st.binary(min_size=8, max_size=8), st.integers(0, LAST_COUNTER))
@example(bytes(32), bytes(8), LAST_COUNTER)
@example(bytes(32), bytes(8), LAST_COUNTER - 1)
@example(bytes(33), bytes(8), LAST_COUNTER - 1)
@example(b"", bytes(8), LAST_COUNTER)
def test_a_file_is_decrypted_as_a_browser_does_or_not_at_all(ciphertext: bytes, high: bytes, low: int) -> None:
    iv = high + low.to_bytes(8, "big")
    if counter_overflows(iv, len(ciphertext)):
        with pytest.raises(CounterOverflowError):
            decrypted(ciphertext, iv)
    else:
        assert decrypted(ciphertext, iv) == as_a_browser_decrypts(ciphertext, KEY, iv)


def test_two_counters_that_overflow_are_where_browsers_differ() -> None:
    """The reason for the rule: `cryptography` goes on in the upper half, and the second block differs."""
    iv = IV[:8] + LAST_COUNTER.to_bytes(8, "big")
    ours = Cipher(AES256(KEY), CTR(iv)).decryptor().update(bytes(32))
    browsers = as_a_browser_decrypts(bytes(32), KEY, iv)
    assert ours[:16] == browsers[:16]
    assert ours[16:] != browsers[16:]


@pytest.mark.parametrize(
    ("low", "longest"), [(LAST_COUNTER, 16), (LAST_COUNTER - 1, 32), (LAST_COUNTER - 9, 160), (0, 1 << 68)]
)
def test_the_last_counter_may_be_used_and_no_more(low: int, longest: int) -> None:
    iv = b"\xff" * 8 + low.to_bytes(8, "big")
    assert not counter_overflows(iv, 0)
    assert not counter_overflows(iv, longest)
    assert counter_overflows(iv, longest + 1)


def test_nothing_is_written_when_the_counter_overflows() -> None:
    with a_file(bytes(32)) as source, a_file() as target:
        with pytest.raises(CounterOverflowError):
            decrypt_into(source, target, key=KEY, iv=b"\xff" * 16, cancelled=never)
        assert os.fstat(target).st_size == 0


def test_short_reads_and_writes_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    real_preadv, real_pwrite = os.preadv, os.pwrite

    def short_preadv(fd: int, buffers: list[memoryview], offset: int) -> int:
        return real_preadv(fd, [buffers[0][:7]], offset)

    def short_pwrite(fd: int, content: memoryview, offset: int) -> int:
        return real_pwrite(fd, content[:3], offset)

    ciphertext = bytes(range(256)) * 2
    expected = decrypted(ciphertext)
    with a_file(ciphertext) as source, a_file() as target:
        monkeypatch.setattr(os, "preadv", short_preadv)
        monkeypatch.setattr(os, "pwrite", short_pwrite)
        assert decrypt_into(source, target, key=KEY, iv=IV, cancelled=never) == hashlib.sha256(ciphertext).digest()
        assert os.pread(target, 1000, 0) == expected


@pytest.mark.parametrize("size", [0, 100, 999, 1001, 5000])
def test_a_file_that_changes_its_size_has_no_digest(size: int) -> None:
    with a_file(bytes(1000)) as source, a_file() as target:
        asked = iter([False, False])

        def resize() -> bool:
            if not next(asked, True):
                os.ftruncate(source, size)
            return False

        with pytest.raises(AttachmentChangedError):
            decrypt_into(source, target, key=KEY, iv=IV, piece_bytes=100, cancelled=resize)


def test_whoever_cancels_gets_no_more_than_the_piece_that_was_begun() -> None:
    with a_file(bytes(1000)) as source, a_file() as target:
        answers = iter([False, False, True])
        with pytest.raises(DecryptionCancelledError):
            decrypt_into(source, target, key=KEY, iv=IV, piece_bytes=100, cancelled=lambda: next(answers))
        assert os.fstat(target).st_size == 200


def test_a_file_in_memory_is_inherited_by_nobody_and_not_executable() -> None:
    with a_file() as fd:
        assert str(Path(f"/proc/self/fd/{fd}").readlink()).startswith(f"/memfd:{attachment.MEMFD_NAME}")
        assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        knows_the_flag = tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 3)
        assert os.fstat(fd).st_mode & 0o111 == 0 or not knows_the_flag


def test_kernels_without_the_flag_get_a_file_in_memory_too(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.memfd_create

    def of_an_old_kernel(name: str, flags: int) -> int:
        if flags & ~os.MFD_CLOEXEC:
            raise OSError(22, "Invalid argument")
        return real(name, flags)

    monkeypatch.setattr(os, "memfd_create", of_an_old_kernel)
    with a_file(b"a") as fd:
        assert os.pread(fd, 2, 0) == b"a"
