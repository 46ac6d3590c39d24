"""What a partner is, and what the answer about a server is. Values only."""

from enum import Enum
from typing import Any, Final

import attr


class Source(Enum):
    """Where a partner stands. The first that has a name decides about it alone."""

    STATIC = "static"
    """In homeserver.yaml."""
    MANAGED = "managed"
    """In our table, put there by an operator."""
    SIGNED_LIST = "signed_list"
    """In the list that the federation signs."""


PRECEDENCE: Final = (Source.STATIC, Source.MANAGED, Source.SIGNED_LIST)


class Because(Enum):
    """Why a server is allowed or not."""

    PARTNER = "partner"
    """It is one, now."""
    NOT_LISTED = "not_listed"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    LIST_IS_STALE = "list_is_stale"
    """It stands in a signed list that has not been confirmed for too long."""
    BEING_REMOVED = "being_removed"
    """Nothing comes in any more; kicks may still leave."""
    OWN_NAME = "own_name"
    """This server does not federate with itself."""
    NOT_LOADED = "not_loaded"
    """The partners have not been read from the database since the start of this process."""
    DOOR_OPEN = "door_open"
    """A place in Synapse does not ask this module, so nothing is allowed at all."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Partner:
    """A server, or all servers below a name, with which this one talks.

    Attributes:
        server_name: in its compared form (`names.partner_name`), maybe a wildcard.
        organisation: to whom it belongs.
        source: where it stands.
        valid_from_ts: ms since the epoch; None for always.
        valid_until_ts: the first ms in which it is not valid any more; None for ever.
        reason: why it is a partner.
        ticket: of the request.
        requested_by: who asked for it.
        created_by: user id of who put it there; None for the configuration and the list.
        created_ts: when; None for the configuration.
        leaving_until_ts: None, or while it is being removed: until when kicks may leave.
    """

    server_name: str
    organisation: str | None
    source: Source
    valid_from_ts: int | None = None
    valid_until_ts: int | None = None
    reason: str | None = None
    ticket: str | None = None
    requested_by: str | None = None
    created_by: str | None = None
    created_ts: int | None = None
    leaving_until_ts: int | None = None

    def as_json(self) -> dict[str, Any]:
        """As the API shows it."""
        shown = attr.asdict(self, filter=lambda field, _value: field.name != "leaving_until_ts")
        return shown | {"source": self.source.value}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Decision:
    """The answer about one server.

    Attributes:
        allowed: whether it may talk with us, in both directions.
        because: why.
        matched: name of the partner that decided; None when there is none.
    """

    allowed: bool
    because: Because
    matched: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return {"allowed": self.allowed, "matched": self.matched, "because": self.because.value}
