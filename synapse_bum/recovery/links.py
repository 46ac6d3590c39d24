"""Links of accounts to identity providers: one that was taken away is taken away again.

A link that took the place of another one, as when the claim that names people changes, takes it again: otherwise nobody
would come in. One that was only added does not come back.
"""

from collections.abc import Sequence

from synapse.module_api import LoggingTransaction

from synapse_bum.after_restore import LATER_MS, Done, Logged, State
from synapse_bum.database import Component
from synapse_bum.homeserver import stored_identities


class Links:
    """The source of links."""

    name = "links"
    every_ms = LATER_MS
    summary = None
    tells_only_ends = False
    tells_ends = True
    ends_unknown = False
    components: Sequence[Component] = ()
    live = stored_identities.LINKS

    def state_of(self, state: str) -> State:  # noqa: ARG002 - of `Source`: the key says it all
        """Nothing but that it is there."""
        return {}

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Takes links away, and puts those in their place that were."""
        done: list[Done] = []
        moved = set()
        for each in logged:
            ended = stored_identities.end_link(txn, each.key) if each.state is None else None
            if ended is not None:
                moved.add(ended)
                done.append(Done("recovery.link_removed", ended[0], ended[1], None))
        for each in logged:
            if each.state is not None and stored_identities.owner_of_link(each.key) in moved:
                user_id, idp_id = stored_identities.owner_of_link(each.key)
                if stored_identities.put_link(txn, each.key):
                    done.append(Done("recovery.link_moved", user_id, None, idp_id))
        return done
