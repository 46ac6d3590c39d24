"""From results of probes to outages in the table: in the transaction that takes the results over.

Results may come late and twice: a probe keeps them while the server is away. So the outages around new results are
found anew from all results there, and compared with what the table says:

* A measured outage that is in the table follows its results: its end comes, it may grow or shrink.
* One that is not there yet is written, with an audit row.
* One that no result speaks of any more goes, unless an operator has said something about it.
* One that an operator has removed stays removed.
"""

from collections.abc import Sequence
from typing import Final

import attr

from synapse_bum import audit
from synapse_bum.audit import Detail
from synapse_bum.audit.table import Transaction
from synapse_bum.availability import outages, probes
from synapse_bum.availability.measuring import Measured, Slices
from synapse_bum.availability.outages import Outage, Source
from synapse_bum.availability.probes import MAX_CLOCK_OFFSET_MS, ProbeResult, ProbeState
from synapse_bum.availability.turn import take_turn

JOB: Final = "availability.probe"
"""Who it is that measures, in the audit."""

MAX_AGE_MS: Final = 62 * 86_400_000
"""Results that come later than that are not taken: their month was reported long ago."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Delivered:
    """What became of some results.

    Attributes:
        stored: taken over now.
        known: taken over before.
        refused: too old to be taken.
        clock_wrong: of those that were stored, how many don't count because of the probe's clock.
    """

    stored: int = 0
    known: int = 0
    refused: int = 0
    clock_wrong: int = 0


def judged(result: ProbeResult, sent_offset_ms: int, now_ms: int) -> ProbeResult:
    """Returns a result as it counts: one with a wrong clock says nothing about its minute. Pure.

    Args:
        result: as the probe says.
        sent_offset_ms: how far the probe's clock was ahead of ours when it sent it.
        now_ms: the present.
    """
    offset_ms = result.clock_offset_ms
    is_wrong = (
        abs(sent_offset_ms) > MAX_CLOCK_OFFSET_MS
        or (offset_ms is not None and abs(offset_ms) > MAX_CLOCK_OFFSET_MS)
        or result.ts > now_ms + MAX_CLOCK_OFFSET_MS
    )
    return attr.evolve(result, state=ProbeState.CLOCK_WRONG) if is_wrong else result


def deliver(
    txn: Transaction, results: Sequence[ProbeResult], sent_offset_ms: int, slices: Slices, now_ms: int
) -> Delivered:
    """Takes results over, and brings the outages around them up to date.

    Args:
        txn: of `Database.run`.
        results: in any order, known ones too.
        sent_offset_ms: how far the probe's clock is ahead of ours.
        slices: how time is cut.
        now_ms: the present.
    """
    take_turn(txn)
    young = [judged(result, sent_offset_ms, now_ms) for result in results if result.ts >= now_ms - MAX_AGE_MS]
    added = [result for result in young if probes.add(txn, result)]
    counted = [result.ts for result in added if result.state in {ProbeState.OK, ProbeState.FAILED}]
    if counted:
        bring_up_to_date(txn, min(counted), max(counted) + 1, slices, now_ms)
    return Delivered(
        stored=len(added),
        known=len(young) - len(added),
        refused=len(results) - len(young),
        clock_wrong=sum(result.state is ProbeState.CLOCK_WRONG for result in added),
    )


def bring_up_to_date(txn: Transaction, begin_ms: int, end_ms: int, slices: Slices, now_ms: int) -> None:
    """Compares the outages around a span with the results there; the caller has taken the turn.

    Args:
        txn: of `Database.run`.
        begin_ms: first moment, ms since the epoch.
        end_ms: the first one behind it.
        slices: how time is cut.
        now_ms: the present.
    """
    around, results = probes.results_around(txn, begin_ms, end_ms, slices)
    known = outages.read_measured(txn, around)
    for measured in slices.outages(results, now_ms):
        same = [pair for pair in known if measured.touches(pair[0].from_ts, pair[0].to_ts)]
        if same:
            # What an operator has said stays with the outage that it was said of.
            same.sort(key=lambda pair: (pair[0].is_untouched, pair[0].from_ts))
            known.remove(same[0])
            _follow(txn, same[0][0], measured, now_ms, is_removed=same[0][1])
        else:
            _begin(txn, measured, now_ms)
    for outage, is_removed in known:
        if outage.is_untouched and not is_removed:
            outages.retract(txn, outage)
            audit.append(txn, _entry(now_ms, "availability.retracted", outage, outage.as_json(), None))


def _begin(txn: Transaction, measured: Measured, now_ms: int) -> None:
    outage = Outage(
        outages.new_id(),
        measured.begin_ms,
        measured.end_ms,
        ticket=None,
        excuse=None,
        reason=None,
        source=Source.MEASURED,
        created_by=JOB,
        created_ts=now_ms,
        changed_ts=now_ms,
    )
    outages.add(txn, outage)
    audit.append(txn, _entry(now_ms, "availability.measured", outage, None, outage.as_json()))


def _follow(txn: Transaction, outage: Outage, measured: Measured, now_ms: int, *, is_removed: bool) -> None:
    if (outage.from_ts, outage.to_ts) == (measured.begin_ms, measured.end_ms):
        return
    followed = attr.evolve(outage, from_ts=measured.begin_ms, to_ts=measured.end_ms, changed_ts=now_ms)
    outages.change(txn, followed)
    if not is_removed:
        audit.append(txn, _entry(now_ms, "availability.followed", outage, outage.as_json(), followed.as_json()))


def _entry(now_ms: int, action: str, outage: Outage, old: Detail | None, new: Detail | None) -> audit.Entry:
    return audit.Entry(now_ms, JOB, action, outage.outage_id, old, new)
