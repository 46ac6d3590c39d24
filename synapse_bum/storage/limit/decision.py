"""Whether an upload still fits: into the limit of the server, and into one user's share of it. Pure."""

from decimal import Decimal
from enum import Enum

import attr


class Refusal(Enum):
    """Why an upload is refused; the values are labels of a metric."""

    POOL = "pool"
    """The limit of the server would be exceeded."""
    USER = "user"
    """One user's share of it would be exceeded."""
    UNKNOWN = "unknown"
    """What is stored is not known: not counted yet, or the database can't be asked."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Used:
    """What counts as used, in bytes.

    Attributes:
        pool_bytes: by everybody.
        user_bytes: by the one who uploads.
    """

    pool_bytes: int
    user_bytes: int

    def plus(self, other: "Used") -> "Used":
        """Both together."""
        return Used(self.pool_bytes + other.pool_bytes, self.user_bytes + other.user_bytes)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Limits:
    """How much may be stored.

    Attributes:
        pool_bytes: by everybody.
        user_bytes: by one user.
        gigabyte: bytes of the unit that sentences use.
    """

    pool_bytes: int
    user_bytes: int
    gigabyte: int

    @classmethod
    def of(cls, *, hard_limit_gb: Decimal, user_share: float, included_gb_per_user: Decimal, gigabyte: int) -> "Limits":
        """What the configuration means.

        One user may always store what he brings to the pool, and otherwise his share of the limit; it is the same for
        everybody, also for administrators and for users who are excluded from the count of registered ones.

        Args:
            hard_limit_gb: of the server, in units of `gigabyte`.
            user_share: of one user, from 0 to 1.
            included_gb_per_user: in units of `gigabyte`.
            gigabyte: bytes.
        """
        user_gb = max(included_gb_per_user, hard_limit_gb * Decimal(str(user_share)))
        return cls(int(hard_limit_gb * gigabyte), int(user_gb * gigabyte), gigabyte)

    def sentence(self, refusal: Refusal) -> str:
        """What the client is told."""
        if refusal is Refusal.POOL:
            return "The storage of this server is full; the file was not stored. Please tell your administrator."
        if refusal is Refusal.USER:
            share = f"{Decimal(self.user_bytes) / self.gigabyte:.3f}".rstrip("0").rstrip(".")
            return (
                f"The file does not fit into your share of this server's storage ({share} GB); it was not stored."
                " Delete files that you no longer need, or ask your administrator."
            )
        return "It can't be told whether the file fits into this server's storage. Please try again later."


def decide(limits: Limits, used: Used, size_bytes: int) -> Refusal | None:
    """Whether a file fits.

    Args:
        limits: how much may be stored.
        used: what is stored already, with all that is on its way.
        size_bytes: of the file.

    Returns:
        why not; None when it fits. The limit itself may be reached, by the byte.
    """
    if used.pool_bytes + size_bytes > limits.pool_bytes:
        return Refusal.POOL
    if used.user_bytes + size_bytes > limits.user_bytes:
        return Refusal.USER
    return None
