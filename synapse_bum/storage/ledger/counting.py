"""Bringing the ledger up to date, and counting all anew.

Both read and write in one transaction on one snapshot (`Database.run_on_snapshot`), so they may come at any moment, end
at any moment, and lose nothing. Two at once on PostgreSQL: the second fails at the row of the ledger, and is run again.
"""

from collections.abc import Mapping
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.deletion import tally
from synapse_bum.homeserver import stored_bytes
from synapse_bum.homeserver.stored_bytes import total
from synapse_bum.storage.ledger import book, settling, uploaders, watched
from synapse_bum.storage.ledger.book import Ledger, Part
from synapse_bum.storage.ledger.settling import Seen, Step
from synapse_bum.storage.usage import Stored

TOO_OLD_MS: Final = 2 * 86_400_000
"""A ledger that was left alone for so long is not gone on with: counting all anew is cheaper."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Recounted:
    """What a full recount found.

    Attributes:
        stored: in all.
        drift_bytes: what it corrected, its sums minus those of the ledger, by `local`, `remote` and `thumbnails`; None
            when there was nothing to compare with.
    """

    stored: Stored
    drift_bytes: Mapping[str, int] | None


def advance(api: ModuleApi, txn: LoggingTransaction, now_ms: int) -> Stored:
    """Bring the ledger up to date.

    What came and went is looked at, not what stayed. All is counted anew instead where the ledger may have missed
    something: the first time, when changes were not noted for a while, or when the clock was set back.

    Args:
        api: of the homeserver.
        txn: of `Database.run_on_snapshot`.
        now_ms: ms since the epoch.
    """
    ledger = book.read(txn)
    if ledger is None or not _can_go_on(ledger, tally.period(txn), now_ms):
        return recount(api, txn, now_ms).stored
    until_ts = settling.settled_until(now_ms)
    step = _step(api, txn, ledger, until_ts, now_ms)
    settled = Part(settling.of_local(step.settled), settling.of_remote(step.settled))
    ledger = attr.evolve(
        ledger,
        settled_ts=until_ts,
        as_of_ts=now_ms,
        settled=ledger.settled + settled,
        recent=Part(settling.of_local(step.recent), settling.of_remote(step.recent)),
    )
    book.write(txn, ledger)
    uploaders.add_settled(txn, settling.of_uploaders(step.settled))
    uploaders.replace_recent(txn, settling.of_uploaders(step.recent))
    watched.replace_watched(txn, step.watched)
    watched.forget_arrivals(txn, until_ts)
    return ledger.stored


def recount(api: ModuleApi, txn: LoggingTransaction, now_ms: int) -> Recounted:
    """Count all anew, and say how far the ledger was off.

    Args:
        api: of the homeserver.
        txn: of `Database.run_on_snapshot`.
        now_ms: ms since the epoch.
    """
    until_ts = settling.settled_until(now_ms)
    period = tally.period(txn)
    ledger = book.read(txn)
    if ledger is not None and now_ms - ledger.settled_ts > TOO_OLD_MS:
        ledger = None
    step = _step(api, txn, ledger, until_ts, now_ms)
    local = stored_bytes.all_local(txn, until_ts)
    remote = stored_bytes.all_remote(txn, until_ts)
    counted = Ledger(
        settled_ts=until_ts,
        as_of_ts=now_ms,
        recounted_ts=now_ms,
        period=period,
        settled=Part(total(parts.settled for parts in local.values()), remote.settled),
        recent=Part(total(parts.recent for parts in local.values()), remote.recent),
    )
    drift = None if ledger is None else _drift(counted.stored, ledger, step)
    book.write(txn, attr.evolve(counted, drift_bytes=drift))
    uploaders.replace_settled(txn, {user_id: parts.settled for user_id, parts in local.items()})
    uploaders.replace_recent(txn, {user_id: parts.recent for user_id, parts in local.items()})
    watched.replace_watched(txn, (*step.watched, *_reserved(api, txn, step, until_ts, now_ms)))
    watched.forget_arrivals(txn, until_ts)
    # Those that nobody has noted, as before the first count.
    watched.note_arrivals(txn, stored_bytes.all_remote_since(txn, until_ts))
    # From now on, if not yet. What changes until this is committed may be missed, so the next one is a recount too.
    tally.begin_reading(txn)
    return Recounted(counted.stored, drift)


def _can_go_on(ledger: Ledger, period: int | None, now_ms: int) -> bool:
    """Whether all that has changed since the ledger was written can be known."""
    return (
        period is not None
        and ledger.period == period
        and ledger.as_of_ts <= now_ms
        and now_ms - ledger.settled_ts <= TOO_OLD_MS
    )


def _step(api: ModuleApi, txn: LoggingTransaction, ledger: Ledger | None, until_ts: int, now_ms: int) -> Step:
    """What has changed since the ledger was written; without one, what is watched on."""
    stored_bytes.prepare_sums(txn)
    settled_ts = until_ts if ledger is None else ledger.settled_ts
    watch, notes, arrived = watched.watched_files(txn), tally.take_notes(txn), watched.arrived(txn)
    names = {*(file.name for file in watch), *(note.name for note in notes)}
    present = stored_bytes.files_named(txn, names.union(arrived))
    fresh = stored_bytes.local_files_since(txn, settled_ts, uploaders.TABLE) if ledger is not None else []
    fresh += [present[name] for name in arrived if name in present and present[name].created_ts > settled_ts]
    seen = Seen(watched=watch, notes=notes, present=present, fresh=fresh)
    reservation_ms = stored_bytes.reservation_lifetime_ms(api)
    return settling.settle(seen, settled_ts, until_ts, now_ms=now_ms, reservation_ms=reservation_ms)


def _reserved(
    api: ModuleApi, txn: LoggingTransaction, step: Step, until_ts: int, now_ms: int
) -> list[settling.Watched]:
    """The reserved ids that are settled and that nobody watches yet."""
    reservation_ms = stored_bytes.reservation_lifetime_ms(api)
    after_ts = now_ms - reservation_ms - settling.LATE_UPLOAD_MS
    known = {(watch.name, watch.created_ts) for watch in step.watched}
    return [
        settling.watch_reserved(file, reservation_ms)
        for file in stored_bytes.local_files_since(txn, after_ts, uploaders.TABLE, only_reserved=True)
        if file.created_ts <= until_ts and (file.name, file.created_ts) not in known
    ]


def _drift(counted: Stored, ledger: Ledger, step: Step) -> Mapping[str, int]:
    """How far the ledger would have been off at this moment."""
    settled = Part(settling.of_local(step.settled), settling.of_remote(step.settled))
    recent = Part(settling.of_local(step.recent), settling.of_remote(step.recent))
    expected = attr.evolve(ledger, settled=ledger.settled + settled, recent=recent).stored
    return {kind: size - expected.by_kind().get(kind, 0) for kind, size in counted.by_kind().items()}
