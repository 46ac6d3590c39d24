"""Who becomes an administrator by a role at an identity provider, and who stays one. Pure.

A grant is the record that an identity provider made somebody an administrator. Who was appointed by hand has none, and
is never touched.

| what is said | no grant | held | kept | revoked |
|---|---|---|---|---|
| yes | appoint, unless appointed by hand | confirm | confirm | appoint again |
| no, or too old | nothing | end | end | nothing |
| unknown | nothing | nothing | nothing | nothing |

Ending a grant takes the right away, unless another identity provider still says yes, or nobody else could administer
the server. Then the grant is kept, and ends as soon as somebody else can.
"""

from collections.abc import Callable
from enum import Enum

import attr

from synapse_bum.oidc.mapping import AdminClaim


class GrantState(Enum):
    """What has become of a grant; the values are those of the column `revoking`."""

    HELD = 0
    """The identity provider's last word was yes."""
    REVOKED = 1
    """The right is gone. The row stays until all processes have been told."""
    KEPT = 2
    """The role is gone. The right stays as long as nobody else could administer the server."""


class Act(Enum):
    """What is done about a grant."""

    NOTHING = "nothing"
    APPOINT = "appoint"
    CONFIRM = "confirm"
    WITHDRAW = "withdraw"
    """The grant ends, and nothing else changes."""
    REVOKE = "revoke"
    KEEP = "keep"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Standing:
    """How things are with an account.

    Attributes:
        is_admin: whether it administers the server.
        is_open: whether it is neither locked nor deactivated.
        own: the state of the grant of the identity provider in question; None when there is none.
        others: the states of other identity providers' grants.
    """

    is_admin: bool
    is_open: bool
    own: GrantState | None = None
    others: frozenset[GrantState] = frozenset()

    @property
    def is_appointed_by_hand(self) -> bool:
        """Whether the right comes from no identity provider."""
        return self.is_admin and not {self.own, *self.others} & {GrantState.HELD, GrantState.KEPT}


def claim_by_age(claim: AdminClaim, age_ms: int, ttl_ms: int) -> AdminClaim:
    """What a login says that was a while ago: a yes does not count for longer than any other.

    Args:
        claim: of the login.
        age_ms: since the login; negative when a clock was wrong.
        ttl_ms: how long a role counts.
    """
    return AdminClaim.UNKNOWN if claim is AdminClaim.YES and age_ms > ttl_ms else claim


def on_claim(claim: AdminClaim, standing: Standing, another_stays: Callable[[], bool]) -> Act:
    """Decides what a login changes.

    Args:
        claim: what it says of the person's role.
        standing: of the person's account.
        another_stays: whether somebody else could administer the server; costs something to find out.
    """
    if claim is AdminClaim.NO:
        return on_end(standing, another_stays)
    if claim is AdminClaim.UNKNOWN or not standing.is_open or standing.is_appointed_by_hand:
        return Act.NOTHING
    return Act.CONFIRM if standing.is_admin else Act.APPOINT


def on_end(standing: Standing, another_stays: Callable[[], bool]) -> Act:
    """Decides what becomes of a grant whose role is gone, or was shown too long ago; arguments as for `on_claim`."""
    if standing.own not in {GrantState.HELD, GrantState.KEPT}:
        return Act.NOTHING
    if GrantState.HELD in standing.others or not standing.is_admin:
        return Act.WITHDRAW
    # Who can't act administers nothing: the server loses nobody.
    if not standing.is_open or another_stays():
        return Act.REVOKE
    return Act.KEEP
