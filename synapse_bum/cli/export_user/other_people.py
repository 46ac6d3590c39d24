"""Other people's user ids in data about a person, replaced: their rights stand beside the person's. Pure.

What they are called in free text nobody can know: docs/auskunft.md says who looks through it.
"""

import itertools
import re
from collections.abc import Mapping
from typing import Any, Final

ANOTHER_PERSON: Final = "(andere Person)"

# Names of old accounts and of other servers' hold any character; rather a word too much is replaced than a name left.
_USER_ID: Final = re.compile(
    r"@[^\s:\x00-\x1f]+:(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-]*[A-Za-z0-9])(?::[0-9]{1,5})?", re.ASCII
)


def concealed(value: Any, user_id: str) -> Any:  # noqa: ANN401 - any JSON value
    """Replace user ids in a JSON value.

    Args:
        value: text, or whatever holds text.
        user_id: of the person, which stays.
    """
    if isinstance(value, str):
        return _USER_ID.sub(lambda found: found[0] if found[0] == user_id else ANOTHER_PERSON, value)
    if isinstance(value, dict):
        kept: dict[str, Any] = {}
        for key, inner in value.items():
            kept[_free(concealed(key, user_id), kept)] = concealed(inner, user_id)
        return kept
    if isinstance(value, list):
        return [concealed(inner, user_id) for inner in value]
    return value


def _free(key: str, taken: Mapping[str, Any]) -> str:
    """The key, with a number where another person has it already."""
    return next(
        name for name in itertools.chain([key], (f"{key} {n}" for n in itertools.count(2))) if name not in taken
    )


def names(text: str, user_id: str) -> bool:
    """Whether a text holds this user id, and not only a longer one that begins with it."""
    return re.search(rf"{re.escape(user_id)}(?![A-Za-z0-9_\-])(?![.:][A-Za-z0-9])", text) is not None
