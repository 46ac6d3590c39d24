"""Decrypting an encrypted attachment from one file into another, in constant memory.

For a thread: it blocks, and knows neither Twisted nor Synapse. Attachments are AES-256-CTR with a counter of 64 bits
(client-server API, "Sending encrypted attachments"); browsers count so (WebCrypto, `length: 64`), while `cryptography`
carries into the upper half. Where the two would differ, a client sees another file than a scanner, and nothing is
decrypted.
"""

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

PIECE_BYTES: Final = 262_144
"""How much is read, decrypted and written at once: what fits into a processor's cache beside its decryption."""

MEMFD_NAME: Final = "synapse_bum-attachment"
"""What files in memory are called in `/proc/<pid>/fd`."""

_BLOCK_BYTES: Final = 16
_COUNTERS: Final = 1 << 64
# Linux 6.3, linux/memfd.h; Python has no name for it yet.
_MFD_NOEXEC_SEAL: Final = 0x0008


class AttachmentError(Exception):
    """An attachment was not decrypted."""


class CounterOverflowError(AttachmentError):
    """The counter would overflow within the file, where decryptions of clients and ours differ."""


class AttachmentChangedError(AttachmentError):
    """The file got longer or shorter while it was read."""


class DecryptionCancelledError(AttachmentError):
    """The caller did not want the rest any more."""


def counter_overflows(iv: bytes, size: int) -> bool:
    """Whether the low 64 bits of the counter overflow within a file.

    Args:
        iv: the first counter block, 16 bytes.
        size: of the file, in bytes.
    """
    blocks = -(-size // _BLOCK_BYTES)
    return int.from_bytes(iv[8:], "big") + blocks > _COUNTERS


def open_memfd() -> int:
    """Opens an empty file in memory, for plaintext that must never be on a disk; the caller closes the descriptor."""
    # Kernels that know the flag may be set to insist on it (sysctl vm.memfd_noexec); older ones refuse it.
    with contextlib.suppress(OSError):
        return os.memfd_create(MEMFD_NAME, os.MFD_CLOEXEC | _MFD_NOEXEC_SEAL)
    return os.memfd_create(MEMFD_NAME, os.MFD_CLOEXEC)


def decrypt_into(
    source_fd: int,
    target_fd: int,
    *,
    key: bytes,
    iv: bytes,
    cancelled: Callable[[], bool],
    piece_bytes: int = PIECE_BYTES,
) -> bytes:
    """Decrypts a whole file into another one, from the beginning of both, and hashes what it reads.

    Whoever uses the target has to compare the hash first. After an error the target holds a part of the plaintext.

    Args:
        source_fd: a regular file with the ciphertext; its position is neither used nor changed.
        target_fd: an empty file, usually of `open_memfd`; its position is neither used nor changed.
        key: of AES-256-CTR, 32 bytes.
        iv: the first counter block, 16 bytes.
        cancelled: asked before every piece, in the thread that decrypts.
        piece_bytes: how much is decrypted at once.

    Returns:
        the SHA-256 digest of the ciphertext, 32 bytes.

    Raises:
        CounterOverflowError: before anything is read.
        AttachmentChangedError: the source changed its size.
        DecryptionCancelledError: `cancelled` said so.
        OSError: of reading or writing.
    """
    size = os.fstat(source_fd).st_size
    if counter_overflows(iv, size):
        raise CounterOverflowError("the counter of the iv overflows within the file")
    digest = hashlib.sha256()
    decryptor = Cipher(AES256(key), CTR(iv)).decryptor()
    piece = memoryview(bytearray(piece_bytes))
    # `update_into` wants room for one block more, less a byte.
    plain = memoryview(bytearray(piece_bytes + _BLOCK_BYTES - 1))
    offset = 0
    while offset < size:
        if cancelled():
            raise DecryptionCancelledError("the decryption was cancelled")
        length = os.preadv(source_fd, [piece[: size - offset]], offset)
        if length == 0:
            raise AttachmentChangedError("the file got shorter while it was read")
        digest.update(piece[:length])
        decryptor.update_into(piece[:length], plain)
        _write(target_fd, plain[:length], offset)
        offset += length
    if os.fstat(source_fd).st_size != size:
        raise AttachmentChangedError("the file changed its size while it was read")
    return digest.digest()


def _write(fd: int, content: memoryview, offset: int) -> None:
    while content:
        written = os.pwrite(fd, content, offset)
        if written == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        content, offset = content[written:], offset + written
