"""What a check says."""

from enum import Enum

import attr

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.quantities import escaped


class Level(Enum):
    """How much it matters."""

    ERROR = "ERROR"
    """Synapse does not start with it, or does not protect anybody."""
    WARNING = "WARNING"
    """It works, and leaves something open that the operator has to know."""
    NOTE = "NOTE"
    """It was not looked at, and how it would be."""
    OK = "OK"
    """It was looked at and is as it should be."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Remark:
    """One line of the answer.

    Attributes:
        check: what was looked at.
        level: how much it matters.
        says: a sentence for the operator.
        where: the module, key, file or machine that it is about; None for the area of the check.
        remedy: what to change, when that is more exact than what stands in the catalogue; printed behind the sentence.
    """

    check: Check
    level: Level
    says: str
    where: str | None = None
    remedy: str | None = None

    @property
    def place(self) -> str:
        """What it is about."""
        return self.check.area if self.where is None else self.where

    @property
    def text(self) -> str:
        """The sentence with its place, as it is printed."""
        return escaped(f"{self.place}: {self.says}" + ("" if self.remedy is None else f"; {self.remedy}"))

    @property
    def is_good(self) -> bool:
        """Whether there is nothing to change."""
        return self.level is Level.OK

    def as_json(self) -> dict[str, str | None]:
        """The line as `--json` prints it."""
        return {
            "check": self.check.value,
            "level": self.level.name.lower(),
            "where": self.place.replace("`", ""),
            "says": self.says,
            "remedy": None if self.is_good else self.remedy or self.check.remedy,
        }


def error(check: Check, says: str, where: str | None = None, remedy: str | None = None) -> Remark:
    """A remark of level ERROR."""
    return Remark(check, Level.ERROR, says, where, remedy)


def warning(check: Check, says: str, where: str | None = None, remedy: str | None = None) -> Remark:
    """A remark of level WARNING."""
    return Remark(check, Level.WARNING, says, where, remedy)


def note(check: Check, says: str, where: str | None = None, remedy: str | None = None) -> Remark:
    """A remark of level NOTE."""
    return Remark(check, Level.NOTE, says, where, remedy)


def fine(check: Check, says: str, where: str | None = None) -> Remark:
    """A remark of level OK."""
    return Remark(check, Level.OK, says, where)
