"""What the audit knows of attempts to make the first administrator: planned before, done or failed after.

An attempt that was killed leaves its plan, so that an administrator whose password nobody has is never without a trace.
"""

import datetime as dt
import time
from collections.abc import Sequence
from typing import Final

import attr

from synapse_bum.audit import AUDIT
from synapse_bum.audit.chain import Entry, Row
from synapse_bum.audit.table import Selection, append, read_page
from synapse_bum.database import Dialect
from synapse_bum.database.schema import migrate
from synapse_bum.homeserver.offline_database import OfflineDatabase, OfflineTransaction, administrators_of

ACTOR: Final = "cli:provision"
PLANNED: Final = "provision.first_admin_planned"
DONE: Final = "provision.first_admin"
FAILED: Final = "provision.first_admin_failed"

_NOT_KNOWN: Final = "not known"

LONGEST_MS: Final = 10 * 60_000
"""After this an attempt that has not ended was killed: each of its few requests gives up after half a minute."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Attempt:
    """The last attempt that the audit knows.

    Attributes:
        user_id: whom it was to make.
        ts: when it was planned or ended, in ms since the epoch.
        has_ended: whether its end is known.
        is_unclear: whether the account may be there although nobody was told its password.
    """

    user_id: str
    ts: int
    has_ended: bool
    is_unclear: bool


def refusal(administrators: Sequence[str], last: Attempt | None, now_ms: int) -> str | None:
    """Why nobody is made now. Pure.

    Args:
        administrators: whose accounts are open.
        last: None when there was no attempt.
        now_ms: in ms since the epoch.

    Returns:
        A sentence that says what to do; None when there is nothing against it.
    """
    if last is not None and last.is_unclear and last.user_id in administrators:
        return (
            f"{last.user_id} is an administrator already, made by a run of this command at {_moment(last.ts)} that did"
            " not end: perhaps nobody knows its password, and its login may be open. Make another one with Synapse's"
            f" `register_new_matrix_user --admin`, who gives {last.user_id} a new password in the portal or deletes it"
        )
    if administrators:
        first = administrators[0]
        return f"{first} is an administrator already; whoever is one appoints others, in the portal for example"
    if last is not None and not last.has_ended and abs(now_ms - last.ts) < LONGEST_MS:
        return (
            f"another run of this command makes {last.user_id}, since {_moment(last.ts)}: wait for its end; if it was"
            f" killed, run this again {LONGEST_MS // 60_000} minutes after that"
        )
    return None


def plan(database: OfflineDatabase, user_id: str) -> str | None:
    """Write down that an administrator is about to be made, unless something is against it.

    Returns:
        As `refusal`.

    Raises:
        OfflineDatabaseError: nothing was written.
        SchemaTooNewError: nothing was written.
    """
    now_ms = int(time.time() * 1000)
    with database.transaction() as txn:
        # On PostgreSQL its lock, on SQLite that of the transaction: another run waits here, and then sees this one.
        migrate(txn, _dialect(database), (AUDIT,))
        sentence = refusal(administrators_of(txn), _last(txn), now_ms)
        if sentence is None:
            append(txn, Entry(now_ms, ACTOR, PLANNED, user_id))
            txn.keep()
    return sentence


def done(database: OfflineDatabase, user_id: str, password: str) -> None:
    """Write down that an administrator was made, and whoever has to know the password knows it.

    Args:
        database: of the homeserver.
        user_id: of the account.
        password: in words, who knows it.

    Raises:
        OfflineDatabaseError: nothing was written.
    """
    _append(database, Entry(_now(), ACTOR, DONE, user_id, None, {"administrator": True, "password": password}))


def failed(database: OfflineDatabase, user_id: str, *, is_unclear: bool) -> None:
    """Write down that an attempt has ended, and what is known of the account.

    Raises:
        OfflineDatabaseError: nothing was written.
    """
    account = _NOT_KNOWN if is_unclear else "not made"
    _append(database, Entry(_now(), ACTOR, FAILED, user_id, None, {"account": account}))


def _append(database: OfflineDatabase, entry: Entry) -> None:
    with database.transaction() as txn:
        append(txn, entry)
        txn.keep()


def _last(txn: OfflineTransaction) -> Attempt | None:
    found: list[Row] = []
    for action in (PLANNED, DONE, FAILED):
        rows, _total = read_page(txn, Selection(0, 1, action=action))
        found += rows
    if not found:
        return None
    row = max(found, key=lambda one: one.id)
    is_unclear = row.action == PLANNED or (row.action == FAILED and _NOT_KNOWN in str(row.new))
    return Attempt(row.target, row.ts, row.action != PLANNED, is_unclear)


def _dialect(database: OfflineDatabase) -> Dialect:
    return Dialect.POSTGRES if database.is_postgres else Dialect.SQLITE


def _now() -> int:
    return int(time.time() * 1000)


def _moment(ts: int) -> str:
    return f"{dt.datetime.fromtimestamp(ts / 1000, dt.timezone.utc):%Y-%m-%d %H:%M} UTC"
