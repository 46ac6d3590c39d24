"""Administrators: who appointed them, and what may be done about each. Pure."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

import attr


class AppointedBy(Enum):
    """Who gave an account its right, as far as the server tells."""

    HERE = "here"
    IDENTITY_PROVIDER = "idp"
    NOT_TOLD = "not_told"
    """There is no identity module that would know."""
    UNKNOWN = "unknown"
    """It could not be asked just now."""


class Removal(Enum):
    """Whether an administrator can be removed here."""

    POSSIBLE = "possible"
    YOURSELF = "yourself"
    THE_LAST = "the_last"
    OPERATOR = "is_operator"
    """An operator's account; only operators take his right away."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Administrator:
    """One administrator.

    Attributes:
        user_id: who.
        display_name: as the user has chosen it; empty for none.
        is_locked: whether the account is locked, and of no use for now.
        appointed_by: who gave the right.
        removal: whether it can be taken away here.
    """

    user_id: str
    display_name: str
    is_locked: bool
    appointed_by: AppointedBy
    removal: Removal


def appointed_by(links: Sequence[dict[str, Any]]) -> AppointedBy:
    """Who appointed an administrator.

    Args:
        links: of the account, as `GET B/oidc/links` has them.
    """
    is_by_provider = any(link.get("admin_by") == "idp" for link in links)
    return AppointedBy.IDENTITY_PROVIDER if is_by_provider else AppointedBy.HERE


def removal_of(user_id: str, me: str, usable: Sequence[str]) -> Removal:
    """Whether an administrator can be removed.

    Args:
        user_id: of the administrator.
        me: who asks.
        usable: all administrators who can log in.
    """
    if user_id == me:
        return Removal.YOURSELF
    return Removal.POSSIBLE if any(other != user_id for other in usable) else Removal.THE_LAST
