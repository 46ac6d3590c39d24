"""What templates must be told of Unicode, because they have neither its database nor its normal forms."""

import unicodedata
from collections import defaultdict
from typing import Final

from synapse_bum.oidc.mapping.transliteration import in_ascii

INVISIBLE: Final[tuple[tuple[str, str], ...]] = (
    ("\x00", "\x1f"), ("\x7f", "\x9f"), ("\xad", "\xad"), ("\u0600", "\u0605"), ("\u061c", "\u061c"),
    ("\u06dd", "\u06dd"), ("\u070f", "\u070f"), ("\u0890", "\u0891"), ("\u08e2", "\u08e2"), ("\u180e", "\u180e"),
    ("\u200b", "\u200f"), ("\u2028", "\u202e"), ("\u2060", "\u206f"), ("\ue000", "\uf8ff"), ("\ufeff", "\ufeff"),
    ("\ufff9", "\ufffb"), ("\U000110bd", "\U000110bd"), ("\U000110cd", "\U000110cd"), ("\U00013430", "\U0001343f"),
    ("\U0001bca0", "\U0001bca3"), ("\U0001d173", "\U0001d17a"), ("\U000e0000", "\U000e00ff"),
    ("\U000f0000", "\U0010ffff"),
)  # fmt: skip
"""Control, format and private characters, line and paragraph separators: first and last of each range (Unicode 15)."""

CONTROL: Final[tuple[tuple[str, str], ...]] = (("\x00", "\x1f"), ("\x7f", "\x9f"), ("\u2028", "\u2029"))
"""What no subject may hold. Surrogates are no characters of a template."""

LINE_ENDS: Final = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85\u2028\u2029"
"""Control characters that are white space to Python; not all are to a template."""

MARKS: Final[tuple[tuple[str, str], ...]] = (("\u0300", "\u036f"), ("\u1ab0", "\u1aff"), ("\u1dc0", "\u1dff"))
"""Marks that stand behind the letter that they belong to."""

UNSEEN_ALONE: Final[tuple[tuple[str, str], ...]] = (
    *MARKS, ("\u200c", "\u200d"), ("\u20d0", "\u20ff"), ("\ufe0e", "\ufe0f"), ("\ufe20", "\ufe2f"),
)  # fmt: skip
"""Marks, joiners and selectors: a name of nothing else shows nothing."""

_PLANE: Final = range(0x80, 0x10000)


def letters_in_ascii() -> list[tuple[str, str]]:
    """Lists the Latin letters that have a usual form in ASCII: that form, and all lower-case letters written so."""
    groups: defaultdict[str, str] = defaultdict(str)
    for letter in map(chr, _PLANE):
        written = in_ascii(letter)
        if written != letter and letter == letter.lower():
            groups[written] += letter
    return list(groups.items())


def composed_umlauts() -> list[tuple[str, str]]:
    """Lists letters of which the form in ASCII differs from the bare letter's: taken apart, and as one character."""
    found = []
    for written, letters in letters_in_ascii():
        for letter in letters:
            apart = unicodedata.normalize("NFD", letter)
            if len(apart) == 2 and apart[0].isascii() and written != apart[0]:
                found.append((apart, letter))
    return found
