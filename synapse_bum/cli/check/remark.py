"""What a check says."""

from enum import Enum

import attr


class Level(Enum):
    """How much it matters."""

    ERROR = "ERROR"
    """Synapse does not start with it, or does not protect anybody."""
    WARNING = "WARNING"
    """It works, and leaves something open that the operator has to know."""
    OK = "OK"
    """It was looked at and is as it should be."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Remark:
    """One line of the answer.

    Attributes:
        level: how much it matters.
        text: a sentence for the operator, with the key and what would be right.
    """

    level: Level
    text: str
