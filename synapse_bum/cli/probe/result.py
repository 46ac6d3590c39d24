"""How a try went, and what that means. Pure."""

from enum import Enum
from typing import Any, Final

import attr

_LONGEST: Final = 200


class State(Enum):
    """What a try says about the service."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Something of the probe's own was wrong: nobody knows how the service was."""


class TryError(Exception):
    """A try did not come to its end.

    Attributes:
        state: what that says about the service.
        step: where.
        what: what happened, in a few words without secrets.
    """

    def __init__(self, step: str, what: str, state: State = State.FAILED) -> None:
        super().__init__(f"{step}: {what}")
        self.step = step
        self.what = what[:_LONGEST]
        self.state = state


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Result:
    """One try, as it is kept and delivered.

    Attributes:
        probe_id: no other result has it.
        ts: when it began, ms since the epoch.
        state: what it says.
        step: where it ended early, None when it did not.
        error: what happened there.
        direct_ms: from sending to receiving in the room of two; None when it did not come so far.
        group_ms: the same in the group.
        clock_offset_ms: how far this clock was ahead of the server's; None when no server answered.
    """

    probe_id: str
    ts: int
    state: State
    step: str | None = None
    error: str | None = None
    direct_ms: int | None = None
    group_ms: int | None = None
    clock_offset_ms: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Returns it as it is stored and sent."""
        return attr.asdict(self) | {"state": self.state.value}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Result":
        """Reads what `as_json` wrote.

        Raises:
            ValueError: it is something else.
            TypeError: the same.
            KeyError: the same.
        """
        return cls(**{**stored, "state": State(stored["state"])})

    def summary(self) -> str:
        """Says it in one line."""
        if self.state is State.OK:
            return f"ok, direct {self.direct_ms} ms, group {self.group_ms} ms"
        return f"{self.state.value} at {self.step}: {self.error}"
