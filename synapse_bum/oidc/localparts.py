"""Who gets which localpart: chosen and reserved in one transaction, from the mapping to the registration.

Two processes may map two people to one name at the same time, and between the mapping and the registration may lie a
page on which the person accepts terms. The first who reserves a name has it for an hour; a name of an account, in
whatever case, is nobody's.
"""

from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from itertools import count
from typing import Final

import attr
from synapse.module_api import ModuleApi

from synapse_bum.database import Cursor
from synapse_bum.homeserver.external_ids import user_of
from synapse_bum.homeserver.taken_user_ids import is_reserved, is_taken
from synapse_bum.oidc.mapping import Decision, LocalpartError, MappingConfig, candidate

RESERVED_MS: Final = 3_600_000
"""How long a name is kept for somebody who does not come back, in ms. Synapse keeps what he was about to do for a
quarter of it (`SsoHandler._MAPPING_SESSION_VALIDITY_PERIOD_MS`)."""

_UNDER_WAY_MS: Final = 60_000
"""A registration ends within this time or not at all, in ms."""

# A walk over the names of the last hour. A time far ahead of the present is from a clock that ran ahead.
_DROP_OLD: Final = "DELETE FROM synapse_bum_oidc_localparts WHERE reserved_ts <= ? OR reserved_ts > ?"
# By primary key. `_RESERVE` waits for another process that reserves the same name, and then changes nothing.
_HOLDER: Final = "SELECT idp_id, subject, reserved_ts FROM synapse_bum_oidc_localparts WHERE localpart = ?"
_RESERVE: Final = (
    "INSERT INTO synapse_bum_oidc_localparts (localpart, idp_id, subject, reserved_ts) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (localpart) DO UPDATE SET reserved_ts = excluded.reserved_ts"
    " WHERE synapse_bum_oidc_localparts.idp_id = excluded.idp_id"
    " AND synapse_bum_oidc_localparts.subject = excluded.subject"
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Newcomer:
    """Somebody who may need a localpart.

    Attributes:
        idp_id: of his identity provider.
        auth_provider: how Synapse names that one.
        subject: his own there.
        server_name: of this homeserver.
        candidates: localparts in the order in which he would get them.
    """

    idp_id: str
    auth_provider: str
    subject: str
    server_name: str
    candidates: tuple[str, ...]

    def user_id(self, localpart: str) -> str:
        """The user id that he would get."""
        return f"@{localpart}:{self.server_name}"


class Outcome(Enum):
    """What became of the wish for a localpart."""

    FREE = "free"
    """There is one, and now it is reserved if that was wanted."""
    LINKED = "linked"
    """He has an account."""
    UNDER_WAY = "under way"
    """An account with the localpart that was reserved for him has just been made, but it is not linked to him yet: he
    is registered by another process at this moment, or somebody else took the name."""
    NONE_LEFT = "none left"
    """All candidates are taken."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Choice:
    """The answer to the wish for a localpart.

    Attributes:
        outcome: what became of it.
        user_id: the free or the linked one; None when there is neither.
    """

    outcome: Outcome
    user_id: str | None = None

    @property
    def localpart(self) -> str | None:
        """Of the user id."""
        return None if self.user_id is None else self.user_id[1:].partition(":")[0]


def newcomer(api: ModuleApi, config: MappingConfig, decision: Decision) -> Newcomer:
    """Somebody whose login is allowed, with the localparts that nobody else has a right to.

    Args:
        api: of the homeserver.
        config: of the mapping.
        decision: that allows the login.
    """
    subject = decision.subject or ""
    attempts = _attempts(decision.localpart or "", config.idp_id, subject, api.server_name)
    candidates = tuple(localpart for localpart in attempts if not is_reserved(api, f"@{localpart}:{api.server_name}"))
    return Newcomer(config.idp_id, config.auth_provider, subject, api.server_name, candidates)


def _attempts(base: str, idp_id: str, subject: str, server_name: str) -> Iterator[str]:
    with suppress(LocalpartError):
        for attempt in count():
            yield candidate(base, idp_id=idp_id, subject=subject, server_name=server_name, attempt=attempt)


def reserve(txn: Cursor, person: Newcomer, now_ms: int) -> Choice:
    """Reserves the first free localpart of somebody who has no account.

    Args:
        txn: in a transaction that sees what others have committed when it waited for them: READ COMMITTED.
        person: who needs it.
        now_ms: the present, ms since the epoch.
    """
    return _choose(txn, person, now_ms, may_reserve=True)


def look_up(txn: Cursor, person: Newcomer, now_ms: int) -> Choice:
    """What `reserve` would answer, without a change."""
    return _choose(txn, person, now_ms, may_reserve=False)


def _choose(txn: Cursor, person: Newcomer, now_ms: int, *, may_reserve: bool) -> Choice:
    linked = user_of(txn, person.auth_provider, person.subject)
    if linked is not None:
        return Choice(Outcome.LINKED, linked)
    if may_reserve:
        txn.execute(_DROP_OLD, (now_ms - RESERVED_MS, now_ms + RESERVED_MS))
    for localpart in person.candidates:
        user_id = person.user_id(localpart)
        holder = _holder(txn, localpart, now_ms)
        if is_taken(txn, user_id):
            if holder is not None and holder.is_just(person, now_ms):
                return Choice(Outcome.UNDER_WAY)
            continue
        if may_reserve:
            txn.execute(_RESERVE, (localpart, person.idp_id, person.subject, now_ms))
            is_his = txn.rowcount == 1
        else:
            is_his = holder is None or holder.is_person(person)
        if is_his:
            return Choice(Outcome.FREE, user_id)
    return Choice(Outcome.NONE_LEFT)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Holder:
    """For whom a localpart is reserved, and since when (ms since the epoch)."""

    idp_id: str
    subject: str
    reserved_ts: int

    def is_person(self, person: Newcomer) -> bool:
        return (self.idp_id, self.subject) == (person.idp_id, person.subject)

    def is_just(self, person: Newcomer, now_ms: int) -> bool:
        """Whether the reservation is this person's, and so young that he may be in the middle of his registration."""
        return self.is_person(person) and abs(now_ms - self.reserved_ts) < _UNDER_WAY_MS


def _holder(txn: Cursor, localpart: str, now_ms: int) -> _Holder | None:
    txn.execute(_HOLDER, (localpart,))
    row = txn.fetchone()
    holder = None if row is None else _Holder(*row)
    return holder if holder is not None and -RESERVED_MS < holder.reserved_ts - now_ms <= RESERVED_MS else None
