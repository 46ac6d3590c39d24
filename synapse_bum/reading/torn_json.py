"""Telling a JSON text that was cut off from one that is wrong. Pure."""

import json
from typing import Final

_WORDS: Final = ("null", "true", "false", "-")


def ends_too_early(raw: bytes, error: json.JSONDecodeError) -> bool:
    """Whether nothing but the end of an object is wrong: it is missing, a text has none, or a word is a piece of one.

    Args:
        raw: the text.
        error: what reading it said.
    """
    if not raw.startswith(b"{"):
        return False
    rest = raw.decode(errors="replace")[error.pos :]
    if not rest or error.msg.startswith(("Unterminated string", "Invalid \\u")):
        return True
    return error.msg == "Expecting value" and any(word.startswith(rest) for word in _WORDS)
