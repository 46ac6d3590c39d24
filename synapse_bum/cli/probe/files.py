"""Small files that are there whole or not at all, readable by their owner only."""

import os
from pathlib import Path

_OWNER_ONLY = 0o600


def write_whole(path: Path, content: str) -> None:
    """Writes a file in the place of the one that was there.

    Raises:
        OSError: it could not be written; the one that was there stays.
    """
    beside = path.with_name(path.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read_secret(path: Path) -> str:
    """Reads a file that holds one secret.

    Returns:
        the content without the white space around it.

    Raises:
        ValueError: it can't be read or is empty; the text says which and why.
    """
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is no UTF-8 text") from None
    if not secret or not secret.isprintable() or not secret.isascii():
        raise ValueError(f"{path}: must hold one line of ASCII")
    return secret
