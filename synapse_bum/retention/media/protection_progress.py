"""How far the tables of what protects files are read: one row, which a crash leaves as it was."""

import json
from collections.abc import Sequence
from enum import Enum
from typing import Final

import attr

from synapse_bum.database import Cursor
from synapse_bum.homeserver.media_references import Positions

_COLUMNS: Final = "generation, step, after_key, state_position, account_data_position, complete_ts, rules"
# One row. The UPDATE takes its lock: on PostgreSQL two transactions that read the same sources would otherwise both
# read them first, and the one that had read what is out of date might write last.
_LOCK: Final = "UPDATE synapse_bum_retention_protection SET only_row = only_row"
_READ: Final = f"SELECT {_COLUMNS} FROM synapse_bum_retention_protection"  # noqa: S608
_WRITE: Final = (
    "UPDATE synapse_bum_retention_protection SET generation = ?, step = ?, after_key = ?, state_position = ?,"
    " account_data_position = ?, complete_ts = ?, rules = ?"
)


class BuildStep(Enum):
    """What a rebuilding reads, in this order; the values are stored."""

    MEMBERS = "members"
    ROOMS = "rooms"
    ACCOUNT_DATA = "account_data"
    SWEEP = "sweep"
    """Removes what was not found again."""
    SETTLE = "settle"
    """Decides for every user what his allowance covers."""

    @property
    def start(self) -> tuple[str, ...]:
        """The key behind which the step begins."""
        widths = {BuildStep.MEMBERS: 2, BuildStep.ACCOUNT_DATA: 2, BuildStep.SWEEP: 5}
        return ("",) * widths.get(self, 1)

    @property
    def following(self) -> "BuildStep | None":
        """The next step; None after the last one."""
        steps = list(BuildStep)
        place = steps.index(self) + 1
        return steps[place] if place < len(steps) else None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Progress:
    """How far it is.

    Attributes:
        generation: of the rebuilding that was begun last.
        step: where that one is; None when it has ended.
        after_key: behind which the step goes on.
        positions: changes up to here are in the tables, or in what the rebuilding has still to read.
        complete_ts: when a rebuilding has ended, in ms since the epoch; None before the first.
        rules: the configuration by which allowances were settled.
    """

    generation: int
    step: BuildStep | None
    after_key: tuple[str, ...]
    positions: Positions
    complete_ts: int | None
    rules: str

    @property
    def is_usable(self) -> bool:
        """Whether everything that protects a file stands in the table, but for changes behind the positions."""
        return self.complete_ts is not None and self.step is None

    def begun(self, positions: Positions) -> "Progress":
        """A rebuilding begins.

        Args:
            positions: of the streams before anything is read: what changes later comes by the streams.
        """
        first = next(iter(BuildStep))
        return attr.evolve(self, generation=self.generation + 1, step=first, after_key=first.start, positions=positions)

    def advanced(self, after_key: Sequence[str] | None, now_ms: int, rules: str) -> "Progress":
        """A page was read.

        Args:
            after_key: behind which its step goes on; None when the step has ended.
            now_ms: ms since the epoch.
            rules: the configuration by which allowances are settled.
        """
        if after_key is not None:
            return attr.evolve(self, after_key=tuple(after_key))
        following = self.step.following if self.step is not None else None
        if following is None:
            return attr.evolve(self, step=None, after_key=(), complete_ts=now_ms, rules=rules)
        return attr.evolve(self, step=following, after_key=following.start)


def read(txn: Cursor) -> Progress:
    """Reads the row."""
    txn.execute(_READ)
    row = txn.fetchone()
    if row is None:
        raise LookupError("the row of synapse_bum_retention_protection is gone")
    generation, step, after_key, state, account_data, complete_ts, rules = row
    return Progress(
        generation,
        None if step is None else BuildStep(step),
        tuple(json.loads(after_key)),
        Positions(state, account_data),
        complete_ts,
        rules,
    )


def locked(txn: Cursor) -> Progress:
    """Reads the row, and has others who change what protects files wait until this transaction ends.

    To be called before any source is read that the tables are to follow.
    """
    txn.execute(_LOCK)
    return read(txn)


def write(txn: Cursor, progress: Progress) -> None:
    """Writes the row."""
    txn.execute(
        _WRITE,
        (
            progress.generation,
            None if progress.step is None else progress.step.value,
            json.dumps(progress.after_key),
            progress.positions.state,
            progress.positions.account_data,
            progress.complete_ts,
            progress.rules,
        ),
    )
