"""The second layer: Synapse's callbacks for events, invitations and joins.

The list closes every way by which two servers talk. What is left is what a partner passes on: events of servers that
are not partners in rooms with him. Synapse asks `check_event_for_spam` about each event that it takes in, whichever way
it came, and hides one that is refused: it keeps only what a redaction leaves, and shows it to nobody.
"""

from typing import Any, Final, Literal

from synapse.module_api import NOT_SPAM, EventBase, ModuleApi
from synapse.module_api.errors import Codes

from synapse_bum.federation.config import Relay
from synapse_bum.federation.whitelist import Current
from synapse_bum.homeserver import federation_callbacks

_MEMBER: Final = "m.room.member"

Answer = Literal["NOT_SPAM"] | Codes


class Gate:
    """The callbacks of one homeserver."""

    def __init__(self, api: ModuleApi, current: Current, relay: Relay) -> None:
        self._api = api
        self._current = current
        self._relay = relay
        self._own = api.server_name

    def register(self) -> None:
        """Registers what this version of Synapse has."""
        callbacks: dict[str, Any] = {
            "check_event_for_spam": self.check_event,
            "user_may_invite": self.check_invitation,
            "user_may_join_room": self.check_join,
        }
        if federation_callbacks.asks_about_incoming_invitations():
            callbacks["federated_user_may_invite"] = self.check_incoming_invitation
        self._api.register_spam_checker_callbacks(**callbacks)

    async def check_event(self, event: EventBase) -> Answer:
        """Whether an event may be seen here: one of our users, or of a partner's."""
        return NOT_SPAM if self._relay is Relay.SHOW else self._answer(event.sender)

    async def check_invitation(self, inviter: str, invitee: str, room_id: str) -> Answer:
        """Whether one of our users may invite somebody; administrators are not asked."""
        del inviter, room_id
        return self._answer(invitee)

    async def check_join(self, user: str, room: str, is_invited: bool) -> Answer:  # noqa: FBT001 - Synapse's signature
        """Whether one of our users may join a room; not on the invitation of somebody who is no partner any more."""
        if not is_invited:
            return NOT_SPAM
        inviter = await federation_callbacks.inviter_of(self._api, user, room)
        return NOT_SPAM if inviter is None else self._answer(inviter)

    async def check_incoming_invitation(self, event: EventBase) -> Answer:
        """Whether somebody may invite one of our users."""
        return self._answer(event.sender)

    def _answer(self, user_id: str) -> Answer:
        server = user_id.partition(":")[2]
        if server == self._own:
            return NOT_SPAM
        allowlist = self._current.allowlist
        if allowlist is not None and allowlist.lets_in(server, self._api.get_current_time_msec()):
            return NOT_SPAM
        return Codes.FORBIDDEN
