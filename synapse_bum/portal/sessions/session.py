"""What a session is, and when it has ended. Pure.

A session lives in an encrypted cookie of the browser, so that every process knows it without asking anybody. That it
was ended by hand is noted in a table (`records.py`): a cookie that was copied before must not work afterwards.
"""

import secrets
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import attr

TOLERATED_SKEW_MS: Final = 300_000
"""The processes of a homeserver may run on machines whose clocks differ by so much."""


class Standing(Enum):
    """Whether a session may be used."""

    ALIVE = "alive"
    IDLE = "idle"
    """Nobody used it for too long."""
    OLD = "old"
    """It began too long ago."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Limits:
    """How long sessions last, in ms.

    Attributes:
        idle_ms: without a request.
        absolute_ms: in any case.
    """

    idle_ms: int
    absolute_ms: int


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Session:
    """One administrator in one browser.

    Attributes:
        session_id: random; tells sessions apart, opens nothing.
        user_id: who is logged in.
        device_id: the device that Synapse made for this session; `session_tokens.py` has its access token.
        form_secret: authenticates the forms of this session; left out of the `repr`.
        begun_ms: when the login was, ms since the epoch.
        seen_ms: when it was used last, give or take a minute.
    """

    session_id: str
    user_id: str
    device_id: str
    form_secret: str = attr.ib(repr=False)
    begun_ms: int
    seen_ms: int

    @classmethod
    def begin(cls, user_id: str, device_id: str, now_ms: int) -> "Session":
        """Makes the session of a login that has just happened."""
        return cls(secrets.token_urlsafe(18), user_id, device_id, secrets.token_urlsafe(32), now_ms, now_ms)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Session":
        """Restores a session from what `attr.asdict` gave, out of a cookie that nobody else could have made."""
        return cls(**content)

    def seen(self, now_ms: int) -> "Session":
        """Returns the session as it is after a request."""
        return attr.evolve(self, seen_ms=max(now_ms, self.seen_ms))

    def standing(self, limits: Limits, now_ms: int) -> Standing:
        """Whether the session may be used now. One from the future may not: its clock can't be believed."""
        if not -TOLERATED_SKEW_MS <= now_ms - self.begun_ms < limits.absolute_ms:
            return Standing.OLD
        if not -TOLERATED_SKEW_MS <= now_ms - self.seen_ms < limits.idle_ms:
            return Standing.IDLE
        return Standing.ALIVE

    def over_ms(self, limits: Limits) -> int:
        """From when on it can't be used whatever happens, on machines with other clocks too; ms since the epoch."""
        return self.begun_ms + limits.absolute_ms + TOLERATED_SKEW_MS

    def unused_ms(self, limits: Limits) -> int:
        """From when on it can't be used unless it is used before; as `over_ms`."""
        return min(self.over_ms(limits), self.seen_ms + limits.idle_ms + TOLERATED_SKEW_MS)
