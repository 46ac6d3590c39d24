"""How a media type shows: bytes at offsets, and a structure behind them that confirms it."""

import zlib
from collections.abc import Callable
from typing import Final

import attr

from synapse_bum.antivirus.media_types.content import Content, EndOfContentError

LONG_MAGIC_BYTES: Final = 6
"""A magic of so many bytes needs no structure to confirm it: noise has it once in 2^48 files."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Signature:
    """How one format shows.

    Attributes:
        media_type: of the format.
        magic: the bytes at offsets that every file of the format has.
        confirm: whether the structure behind the magic is that of the format too. Together with the magic it passes
            for noise less often than once in 2^44 files. None for a long magic. May raise `EndOfContentError` and
            `zlib.error` for "no".
        refine: the media type of a confirmed container by its content; None when that does not tell.
        names_alone: whether the magic names the format of a file whose structure isn't right, a cut off one perhaps.
    """

    media_type: str
    magic: tuple[tuple[int, bytes], ...]
    confirm: Callable[[Content], bool] | None = None
    refine: Callable[[Content], str | None] | None = None
    names_alone: bool = True

    def may_begin_with(self, byte: int) -> bool:
        """Whether a file of this format can have this first byte."""
        return all(expected[0] == byte for offset, expected in self.magic if offset == 0)

    def has_magic(self, content: Content) -> bool:
        """Whether the magic is there."""
        return all(content.head.startswith(expected, offset) for offset, expected in self.magic)

    def is_confirmed(self, content: Content) -> bool:
        """Whether the structure is there too."""
        try:
            return self.confirm is None or self.confirm(content)
        except (EndOfContentError, zlib.error):
            return False

    def refined(self, content: Content) -> str:
        """Returns the media type of a file that `is_confirmed`."""
        try:
            return (self.refine and self.refine(content)) or self.media_type
        except EndOfContentError:
            return self.media_type
