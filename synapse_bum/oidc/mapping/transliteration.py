"""Latin letters in ASCII: German ones become two letters, so that Bächli and Bachli stay two names.

The tables are made once, when this file is imported, from Python's Unicode database.
"""

import re
import unicodedata
from typing import Final

_USUAL: Final = {
    "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss",
    "æ": "ae", "œ": "oe", "ø": "oe", "å": "aa", "ð": "d", "þ": "th",
    "đ": "d", "ħ": "h", "ĸ": "k", "ł": "l", "ŋ": "ng", "ŧ": "t",
    "ƀ": "b", "ɓ": "b", "ɖ": "d", "ɗ": "d", "ǝ": "e", "ə": "e", "ɛ": "e", "ƒ": "f", "ɨ": "i", "ƙ": "k", "ɲ": "n",
    "ɔ": "o", "ʉ": "u", "ƴ": "y", "ƶ": "z",
    "\N{LATIN SMALL LETTER DOTLESS I}": "i", "\N{LATIN SMALL LETTER GAMMA}": "g",
    "\N{LATIN SMALL LETTER V WITH HOOK}": "v",
}  # fmt: skip
"""Letters that are no ASCII letter with a mark, or that are written with other letters than that one."""

# Latin-1, Extended-A and -B, IPA; Extended Additional; Extended-C and -D; ligatures; full-width forms.
_BLOCKS: Final = (
    range(0x00DF, 0x02B0), range(0x1E00, 0x1F00), range(0x2C60, 0x2C80), range(0xA720, 0xA800),
    range(0xFB00, 0xFB07), range(0xFF41, 0xFF5B),
)  # fmt: skip
_MARKS: Final = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff"


def in_ascii(name: str) -> str:
    """Writes the Latin letters of a name in ASCII; everything else stays as it is.

    Args:
        name: in NFC and in lower case.
    """
    return _LETTERS_WITH_MARKS.sub("", name).translate(_LETTERS)


def _in_ascii(letter: str) -> str | None:
    """Takes one letter apart, mark by mark: `ǻ` is an `å` with an acute, so it is `aa`."""
    if letter in _USUAL:
        return _USUAL[letter]
    if letter.isascii() and letter.isalpha():
        return letter.lower()
    parts = [chr(int(part, 16)) for part in unicodedata.decomposition(letter).split() if not part.startswith("<")]
    found = ["" if unicodedata.category(part) == "Mn" else _in_ascii(part) for part in parts]
    known = [part for part in found if part is not None]
    return "".join(known) or None if len(known) == len(found) else None


def _letters() -> dict[int, str]:
    found: dict[int, str] = {}
    for block in _BLOCKS:
        for code in block:
            written = _in_ascii(chr(code)) if "LATIN " in unicodedata.name(chr(code), "") else None
            if written is not None:
                found[code] = written
    return found


_LETTERS: Final = _letters()

# A letter that has no character of its own together with its marks keeps them in NFC: `x` with a circumflex.
_LETTERS_WITH_MARKS: Final = re.compile(f"(?<=[a-z{''.join(map(chr, _LETTERS))}])[{_MARKS}]+")
