"""What Synapse asks modules about other servers' users, and who invited whom.

Run on Synapse 1.133.0 and 1.163.2: `synapse/module_api/callbacks/spamchecker_callbacks.py`,
`synapse/storage/databases/main/roommember.py`.
"""

import inspect

from synapse.module_api import ModuleApi


def asks_about_incoming_invitations() -> bool:
    """Whether this Synapse has the callback `federated_user_may_invite`, which came with 1.134."""
    return "federated_user_may_invite" in inspect.signature(ModuleApi.register_spam_checker_callbacks).parameters


async def inviter_of(api: ModuleApi, user_id: str, room_id: str) -> str | None:
    """Who invited a local user to a room where he is only invited; None when nobody did."""
    invitation = await api._store.get_invite_for_local_user_in_room(user_id, room_id)
    return None if invitation is None else invitation.sender
