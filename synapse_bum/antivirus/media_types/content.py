"""The content of a file, read at offsets: what recognising a media type needs, and no byte more."""

import os
from typing import Final, Literal

HEAD_BYTES: Final = 4096


class EndOfContentError(Exception):
    """The file ends before what was asked for."""


class Content:
    """A regular file whose position is neither used nor changed.

    Attributes:
        size: of the file, in bytes. What lies behind is not read, even if the file has become longer.
        head: its first `HEAD_BYTES` bytes.
    """

    __slots__ = ("_fd", "head", "size")

    def __init__(self, fd: int, size: int) -> None:
        """Reads the head.

        Raises:
            OSError: of reading, here and in the methods.
        """
        self._fd = fd
        self.size = size
        self.head = self._read(0, min(size, HEAD_BYTES))

    def at(self, offset: int, length: int) -> bytes:
        """Returns exactly `length` bytes from `offset`.

        Raises:
            EndOfContentError: the file has fewer.
        """
        if offset < 0 or offset + length > self.size:
            raise EndOfContentError
        if offset + length <= len(self.head):
            return self.head[offset : offset + length]
        found = self._read(offset, length)
        if len(found) < length:
            raise EndOfContentError
        return found

    def number(self, offset: int, length: int, order: Literal["big", "little"]) -> int:
        """Returns the unsigned number of `length` bytes at `offset`.

        Raises:
            EndOfContentError: the file has fewer bytes.
        """
        return int.from_bytes(self.at(offset, length), order)

    def up_to(self, offset: int, length: int) -> bytes:
        """Returns `length` bytes from `offset`, or as many of them as there are."""
        return self._read(offset, max(0, min(length, self.size - offset)))

    def _read(self, offset: int, length: int) -> bytes:
        pieces = []
        while length:
            piece = os.pread(self._fd, length, offset)
            if not piece:
                break
            pieces.append(piece)
            offset, length = offset + len(piece), length - len(piece)
        return b"".join(pieces)
