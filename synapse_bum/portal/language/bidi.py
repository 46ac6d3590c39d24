"""Text of which nobody knows in which direction it runs, beside other text. Pure.

Whoever chooses a name can put characters into it that turn round what stands behind them: a room called
`Plan <U+202E>` lets the rest of a sentence be read backwards (Unicode Standard Annex 9; TR 36, 3.1).
"""

import re
import unicodedata
from typing import Final

_ISOLATE: Final = "\u2068"
_END: Final = "\u2069"
_BEGINNINGS: Final = frozenset("\u2066\u2067\u2068")

_NEVER_NEEDED: Final = re.compile("[\u202a-\u202e]")
"""Embeddings, overrides and their end: isolates do what they are for, and overrides only mislead."""

_TURNING: Final = frozenset({"R", "AL", "AN", "LRI", "RLI", "FSI"})
"""Kinds of characters that have a say in which direction those around them run."""

_LINE_ENDS: Final = "\n\r\x1c\x1d\x1e\x85\u2029"
_LINES: Final = re.compile(f"[^{_LINE_ENDS}]*[{_LINE_ENDS}]|[^{_LINE_ENDS}]+")


def isolated(text: str) -> str:
    """Returns text that changes the direction of nothing around it, to be put into a sentence or a heading.

    Text that runs from left to right comes back as it is. What directs other text is left out unless it is paired.
    """
    if text.isascii():
        return text
    return "".join(map(_isolated_line, _LINES.findall(text)))


def _isolated_line(line: str) -> str:
    """The end of a paragraph ends isolates too, so each line has its own."""
    kept = _paired(_NEVER_NEEDED.sub("", line))
    if _TURNING.isdisjoint(map(unicodedata.bidirectional, kept)):
        return kept
    words = kept.rstrip(_LINE_ENDS)
    return f"{_ISOLATE}{words}{_END}{kept[len(words) :]}"


def _paired(text: str) -> str:
    """Leaves out isolates that are never ended, and ends of none."""
    unpaired: set[int] = set()
    open_ones: list[int] = []
    for index, character in enumerate(text):
        if character in _BEGINNINGS:
            open_ones.append(index)
        elif character == _END:
            if open_ones:
                open_ones.pop()
            else:
                unpaired.add(index)
    unpaired.update(open_ones)
    return "".join(character for index, character in enumerate(text) if index not in unpaired) if unpaired else text
