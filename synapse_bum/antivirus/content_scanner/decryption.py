"""From the stored ciphertext to plaintext that only this process can see, for as long as it is needed."""

import contextlib
import hmac
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from synapse_bum.antivirus.content_scanner.attachment import (
    AttachmentError,
    CounterOverflowError,
    counter_overflows,
    decrypt_into,
    open_memfd,
)
from synapse_bum.antivirus.content_scanner.encrypted_file import EncryptedFile
from synapse_bum.antivirus.content_scanner.errors import failed_to_decrypt, no_verdict
from synapse_bum.antivirus.scanning.scanner import SMALL_BYTES
from synapse_bum.homeserver.threads import Threads

_WRONG_COUNTER: Final = "The counter of `file.iv` overflows within the file"
_WRONG_HASH: Final = "The file does not have the hash in `file.hashes.sha256`"


def check_counter(file: EncryptedFile, size: int) -> None:
    """Refuse what clients and we would decrypt differently.

    Raises:
        ContentScannerError: 400.
    """
    if counter_overflows(file.iv, size):
        raise failed_to_decrypt(_WRONG_COUNTER)


@contextlib.asynccontextmanager
async def decrypted(threads: Threads, path: str, file: EncryptedFile) -> AsyncIterator[int]:
    """Decrypt a stored file into memory.

    Args:
        threads: for large files.
        path: of the ciphertext.
        file: key, iv and expected hash.

    Yields:
        A descriptor of the plaintext, in memory and on no disk; closed afterwards.

    Raises:
        ContentScannerError: 400 when hash or counter don't fit, 502 when the file can't be read.
    """
    target = open_memfd()
    large = size_of(path) > SMALL_BYTES
    try:
        digest = await _decrypt(threads, path, target, file, large=large)
        if not hmac.compare_digest(digest, file.sha256):
            raise failed_to_decrypt(_WRONG_HASH)
        yield target
    finally:
        # Giving 50 MB of memory back takes the kernel some 10 ms.
        if large:
            threads.begin(os.close, target)
        else:
            os.close(target)


async def _decrypt(threads: Threads, path: str, target: int, file: EncryptedFile, *, large: bool) -> bytes:
    try:
        if not large:
            return _decrypt_file(path, target, file)
        # The thread works on a descriptor of its own: a caller that is gone closes this one.
        return await threads.run(_decrypt_and_close, path, os.dup(target), file)
    except CounterOverflowError:
        raise failed_to_decrypt(_WRONG_COUNTER) from None
    except (AttachmentError, OSError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise no_verdict(f"The file can't be read: {what}") from None


def size_of(path: str) -> int:
    """Size of a stored file in bytes."""
    return Path(path).stat().st_size


def _decrypt_and_close(path: str, target: int, file: EncryptedFile) -> bytes:
    try:
        return _decrypt_file(path, target, file)
    finally:
        os.close(target)


def _decrypt_file(path: str, target: int, file: EncryptedFile) -> bytes:
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return decrypt_into(source, target, key=file.key, iv=file.iv, cancelled=_never)
    finally:
        os.close(source)


def _never() -> bool:
    return False
