"""What only ends: whatever was taken away after the backup is taken away again, whoever did it.

Addresses, invitations, names of rooms, and rooms in the directory. What came after the
backup does not come back, so nothing else is told of them.
"""

from collections.abc import Callable, Sequence

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.after_restore import LATER_MS, Done, Logged, Source, State
from synapse_bum.database import Component
from synapse_bum.homeserver import stored_identities, stored_rooms


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Ends:
    """A source of things that are there or not.

    Attributes:
        name: as `Source`.
        live: as `Source`.
        action: of the audit.
        end: takes a thing away; returns the audit's target and what there was, or None when there was nothing.
        may_come_again: whether a thing that went and came again is the one that the backup holds.
    """

    name: str
    live: str
    action: str
    end: Callable[[LoggingTransaction, str], tuple[str, str] | None]
    may_come_again: bool
    every_ms: int = LATER_MS
    summary: str | None = None
    tells_only_ends: bool = True
    tells_ends: bool = True
    ends_unknown: bool = False
    components: Sequence[Component] = ()

    def state_of(self, state: str) -> State:  # noqa: ARG002 - of `Source`: only ends are told
        """Nothing: only ends are told."""
        return None

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Takes away what a backup brought back."""
        gone = [each.key for each in logged if each.state is None or not self.may_come_again]
        ended = [self.end(txn, key) for key in gone]
        return [Done(self.action, target, old, None) for target, old in filter(None, ended)]


def all_ends() -> tuple[Source, ...]:
    """All sources of this kind."""
    return (
        Ends(
            "addresses",
            stored_identities.ADDRESSES,
            "recovery.address_removed",
            stored_identities.end_address,
            may_come_again=True,
        ),
        # With other limits it is another one.
        Ends(
            "registration_tokens",
            stored_identities.REGISTRATION_TOKENS,
            "recovery.registration_token_removed",
            stored_identities.end_registration_token,
            may_come_again=False,
        ),
        # So is a name that was given to another room.
        Ends(
            "rooms.aliases",
            stored_rooms.ALIASES,
            "recovery.room_alias_removed",
            stored_rooms.end_alias,
            may_come_again=False,
        ),
        Ends(
            "rooms.listed",
            stored_rooms.LISTED,
            "recovery.room_unlisted",
            stored_rooms.end_listing,
            may_come_again=True,
        ),
    )
