"""Display names: what an identity provider writes, without what could make it read as something else."""

import re
import unicodedata
from typing import Final

_LONGEST: Final = 256
"""Characters, Synapse's own limit (`handlers/profile.py`, `MAX_DISPLAYNAME_LEN`)."""

_LONGEST_READ: Final = 16 * _LONGEST
"""Code points that are looked at: a name that has nothing within these has nothing to say."""

_JOINERS: Final = "\u200c\u200d"
"""They shape Persian and Indic words and join emoji; alone they are nothing."""

BLANK: Final[tuple[tuple[str, str], ...]] = (
    ("\u034f", "\u034f"), ("\u115f", "\u1160"), ("\u17b4", "\u17b5"), ("\u180b", "\u180f"), ("\u2800", "\u2800"),
    ("\u3164", "\u3164"), ("\ufe00", "\ufe0d"), ("\uffa0", "\uffa0"), ("\U00013441", "\U00013442"),
    ("\U0001d159", "\U0001d159"), ("\U000e0100", "\U000e01ef"),
)  # fmt: skip
"""Letters, signs and marks that show nothing: fillers, blanks, selectors other than those of emoji. First and last of
each range (Unicode 15, `Default_Ignorable_Code_Point`, and characters whose name says that they are blank)."""

_BLANK: Final = re.compile(f"[{''.join(f'{first}-{last}' for first, last in BLANK)}]")


def cleaned_display_name(written: str) -> str | None:
    """Brings a name into the form that is shown.

    Args:
        written: anything.

    Returns:
        at most 256 characters in NFC, without control, bidirectional and other invisible characters, with single
        spaces; None when nothing remains that can be seen.
    """
    name = written[:_LONGEST_READ]
    if not name.isprintable():
        name = "".join(filter(_may_stand, name))
    name = _BLANK.sub("", name)
    # Composed last: what stood between a letter and its mark is gone now.
    name = unicodedata.normalize("NFC", " ".join(name.split()))[:_LONGEST].rstrip(f" {_JOINERS}")
    return name if any(map(_is_seen, name)) else None


def _may_stand(character: str) -> bool:
    return character.isprintable() or character.isspace() or character in _JOINERS or _is_emoji(character)


def _is_seen(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNPS" or _is_emoji(character)


def _is_emoji(character: str) -> bool:
    """Whether it is in a block of emoji; a Python may be older than the emoji."""
    return "\U0001f000" <= character <= "\U0001faff"
