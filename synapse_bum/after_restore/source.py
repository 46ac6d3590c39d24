"""What a feature tells the recovery log about: a source. It says what there is, and closes again what a backup opened.

Sources are compared, not called back: whoever changes something in whichever way, in SQL too, is seen seconds later.
"""

import json
from collections.abc import Sequence
from typing import Final, Protocol

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.after_restore.lines import State
from synapse_bum.database import Component

NOTHING: Final = "\x01"
"""Stands for NULL in a state."""
SEPARATOR: Final = "\x1f"
"""Between the columns of a state."""

SOON_MS: Final = 2_000
LATER_MS: Final = 10_000


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Logged:
    """The last word of the log about a thing that the database does not know.

    Attributes:
        key: of the thing.
        state: in which it was left; None when it was gone. Of a source that tells only ends an empty state says that it
            was gone and came again later. What the backup holds is what was there before, so who takes no notice of
            this ends it: right for a session; not where only the last word counts.
        ts: when that was seen, ms since the epoch.
        seq: number of the line that says so; None when no line does.
    """

    key: str
    state: State
    ts: int
    seq: int | None = None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Done:
    """One thing that was brought up to date; an audit row.

    Attributes:
        action: of the audit, for example `recovery.account_locked`.
        target: of the audit.
        old: what the backup had brought back, as the audit shows it.
        new: what it is now.
    """

    action: str
    target: str
    old: str | None
    new: str | None


class Source(Protocol):
    """Things of one kind whose state must survive a restore."""

    @property
    def name(self) -> str:
        """Stands in the log and in the database; never changed."""

    @property
    def components(self) -> Sequence[Component]:
        """Our tables that its SQL needs."""

    @property
    def live(self) -> str:
        """A SELECT of `key` and `state`, both text and never NULL, of all things there are; it needs no parameters."""

    @property
    def every_ms(self) -> int:
        """How often it is compared; a query that reads a long table is asked less often."""

    @property
    def summary(self) -> str | None:
        """A SELECT of one row that is another one whenever `live` is; None when nothing is so much quicker."""

    @property
    def tells_only_ends(self) -> bool:
        """Whether only things that have gone are told: what they were before says nothing."""

    @property
    def tells_ends(self) -> bool:
        """Whether it says something that a thing is not there any more."""

    @property
    def ends_unknown(self) -> bool:
        """Whether a restore ends what came so shortly before the backup that its end could not be told."""

    def state_of(self, state: str) -> State:
        """What stands in the log for a state of `live`; None when it is as good as gone. Pure."""

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Brings what is stored up to the last word of the log, in a transaction before the first request."""


def text_of(*columns: str) -> str:
    """Returns the SQL expression of several columns as one text, to be read with `columns_of`."""
    texts = (f"coalesce(CAST({column} AS TEXT), '{NOTHING}')" for column in columns)
    return f" || '{SEPARATOR}' || ".join(texts)


def columns_of(state: str) -> list[str | None]:
    """Reads what `text_of` has put together."""
    return [None if part == NOTHING else part for part in state.split(SEPARATOR)]


def stored(state: State) -> str:
    """A state as it waits in the database for being written."""
    return json.dumps(state, separators=(",", ":"), allow_nan=False)
