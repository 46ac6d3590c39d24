"""State machines as tables: what may follow what is written down once, and nothing else ever reaches the database."""

from collections.abc import Mapping
from enum import Enum
from typing import Generic, TypeVar

import attr

S = TypeVar("S", bound=Enum)


class IllegalTransitionError(Exception):
    """The table does not allow this step."""


def _total(_machine: object, _attribute: object, transitions: Mapping[S, frozenset[S]]) -> None:
    reachable = {state for following in transitions.values() for state in following}
    missing = reachable - transitions.keys()
    if missing:
        raise ValueError(f"states without an entry of their own: {sorted(state.name for state in missing)}")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class StateMachine(Generic[S]):
    """Allowed transitions of one kind of thing.

    Attributes:
        name: of the thing, for messages, for example `finding`.
        transitions: for each state the states that may follow; a final state has an empty set. A state may stay as it
            is only where the table says so.
    """

    name: str
    transitions: Mapping[S, frozenset[S]] = attr.ib(validator=_total)

    def allows(self, old: S, new: S) -> bool:
        """Whether this step is in the table."""
        return new in self.transitions[old]

    def check(self, old: S, new: S) -> None:
        """Lets an allowed step pass.

        Raises:
            IllegalTransitionError: the step is not in the table.
        """
        if not self.allows(old, new):
            raise IllegalTransitionError(f"a {self.name} can't go from {old.value} to {new.value}")

    def is_final(self, state: S) -> bool:
        """Whether nothing follows this state."""
        return not self.transitions[state]

    def before(self, new: S) -> frozenset[S]:
        """Returns the states from which this one can be reached, for `UPDATE ... WHERE state IN (...)`."""
        return frozenset(old for old, following in self.transitions.items() if new in following)
