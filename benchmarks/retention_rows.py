"""Runs over millions of rows: what the first files, a run with nothing to do, and 1,000 expired files cost.

The database grows from stage to stage: so many local files, remote files, memberships and rows of current state, and a
tenth as many messages, of which nothing is expired. What the same 1,000 files cost at each stage says whether the cost
grows with what is deleted or with what is kept.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

import attr

from benchmarks.measuring import Effort, Goal, Spread, Turns, spread, take_turns
from benchmarks.report import Row, Section
from benchmarks.retention_probe import FIRST, MODULE, OURS, SYNAPSES, SelectionProbe
from benchmarks.retention_server import RetentionServer, run_seconds, wait_until
from benchmarks.synthetic_rows import OLDEST_LOCAL_DAYS, USERS, SyntheticRows
from synapse_bum.testing.retention_data import DAY_MS, MediaWriter
from synapse_bum.testing.server_database import ServerDatabase, stopped
from synapse_bum.testing.written_messages import MessageWriter, NewMessage

FIRST_MS: Final = 20
NOTHING_TO_DO_S: Final = 1
TIMES_THE_SMALLEST: Final = 2
"""What counts as "does not grow with what is kept": the rest is noise and depth of indexes."""

_MS: Final = 1_000
_ROOMS: Final = 20
_EXPIRED: Final = 1_000
_EVENTS_SHARE: Final = 10
_EVENTS_DAYS: Final = 300
_QUIET_RUNS: Final = 3


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Stage:
    """What was measured at one size of the database; all in seconds.

    Attributes:
        kept: rows in each of the large tables.
        first: an operator's run, the first after the database has grown: it reads everything that is new.
        quiet: scheduled runs with nothing to do.
        expired: scheduled runs with the same number of expired files.
    """

    kept: int
    first: float
    quiet: Spread
    expired: Spread


class Growth:
    """A homeserver whose database grows."""

    def __init__(self, everything: ExitStack, most: int) -> None:
        """Start it, with the users.

        Args:
            everything: stops it when it is closed.
            most: rows at the last stage.
        """
        self._server = RetentionServer(everything, MODULE, interval="3s")
        alice = self._server.synapse.register("alice")
        self._rooms = []
        for _ in range(_ROOMS):
            room_id = alice.create_room(preset="public_chat").json["room_id"]
            alice.send(room_id, "m.room.message", {"msgtype": "m.text", "body": "the first"}, room_id)
            self._rooms.append(room_id)
        self._rows = SyntheticRows(self._server.database, self._server.synapse.server_name)
        self._begin_ms = int(time.time() * _MS) - _EVENTS_DAYS * DAY_MS
        self._events, self._most_events = 0, most // _EVENTS_SHARE
        self._written = 0
        self.probe = SelectionProbe(self._server.synapse.base_url)

    def grow_to(self, count: int) -> None:
        """Make the large tables have so many rows."""
        with stopped(self._server.synapse) as database:
            self._rows.grow_to(count)
            last = count // _EVENTS_SHARE
            for _message in MessageWriter(database).write(map(self._message, range(self._events, last))):
                pass
            self._events = last
            database.execute("VACUUM ANALYZE")

    def stage(self, rounds: int) -> Stage:
        """Measure at the present size.

        Args:
            rounds: of expired files.
        """
        first = run_seconds(self._server.run())
        begin_ms = time.time() * _MS
        wait_until(lambda: len(self._server.scheduled_runs_from(begin_ms)) >= _QUIET_RUNS)
        quiet = [run_seconds(run) for run in self._server.scheduled_runs_from(begin_ms)]
        expired = [self._delete_expired() for _ in range(rounds)]
        return Stage(self._rows.count, first, spread(quiet), spread(expired))

    def _message(self, number: int) -> NewMessage:
        ts = self._begin_ms + number * _EVENTS_DAYS * DAY_MS // self._most_events
        return NewMessage(self._rooms[number % _ROOMS], ts, f"message number{number} of somebody to all in the room")

    def _delete_expired(self) -> float:
        """Have files of many users expire, and return how long the runs took that deleted them."""
        begin_ms = time.time() * _MS
        self._write_expired(self._server.database)
        runs: list[dict[str, Any]] = []

        def is_over() -> bool:
            runs[:] = [run for run in self._server.scheduled_runs_from(begin_ms) if run["deleted"]["local_media"]]
            return sum(int(run["deleted"]["local_media"]) for run in runs) >= _EXPIRED

        wait_until(is_over)
        return sum(map(run_seconds, runs))

    def _write_expired(self, database: ServerDatabase) -> None:
        writer = MediaWriter(self._server.synapse, database)
        created_ts = int(time.time() * _MS) - 100 * DAY_MS
        for number in range(_EXPIRED):
            user_id = f"@user{number * USERS // _EXPIRED}:{self._server.synapse.server_name}"
            writer.local(f"ex{self._written:022d}", b"expired", created_ts=created_ts, user_id=user_id)
            self._written += 1
        writer.flush()


def measure(effort: Effort) -> Iterator[Section]:
    """Measure runs over many rows; yields each section when it is done."""
    counts, rounds = ((1_000_000, 3_000_000), 2) if effort is Effort.QUICK else ((1_000_000, 3_000_000, 10_000_000), 5)
    with ExitStack() as everything:
        growth = Growth(everything, counts[-1])
        stages = []
        for count in counts:
            growth.grow_to(count)
            stages.append(growth.stage(rounds))
        yield _stages_section(stages)
        yield _selection_section(growth.probe, counts[-1], Turns(1, rounds, rounds, 0))


def _stages_section(stages: Sequence[Stage]) -> Section:
    rows: list[Row] = [
        (f"{stage.kept / 1_000_000:g} million", stage.first, stage.quiet, stage.expired) for stage in stages
    ]
    smallest, largest = stages[0], stages[-1]
    grown = largest.expired.median / smallest.expired.median
    return Section(
        title="Scheduled runs over so many local files, remote files and memberships each, and a tenth of messages",
        columns=("kept", "first run, s", "nothing to do, s", f"{_EXPIRED:,} expired local files, s"),
        rows=rows,
        goals=[
            Goal("run with nothing to do, at the largest", largest.quiet.highest, NOTHING_TO_DO_S, "s"),
            Goal(f"{_EXPIRED:,} expired files, the largest beside the smallest", grown, TIMES_THE_SMALLEST, "x"),
        ],
        remarks=[
            "The first run is an operator's, which goes through everything, after rows were written past Synapse.",
            "Medians, in brackets the lowest and the highest.",
        ],
    )


def _selection_section(probe: SelectionProbe, count: int, turns: Turns) -> Section:
    now_ms = int(time.time() * _MS)
    quarter_ts = now_ms - OLDEST_LOCAL_DAYS * 3 // 4 * DAY_MS
    # The oldest files spread evenly over the time: so late a cut-off leaves about two thousand behind it.
    few_ts = now_ms - OLDEST_LOCAL_DAYS * DAY_MS + OLDEST_LOCAL_DAYS * DAY_MS * 2_000 // count
    rows: list[Row] = []
    goals = []
    for name, cutoff_ts in (("a quarter is expired", quarter_ts), ("about 2,000 are expired", few_ts)):
        contenders: dict[str, Callable[[], tuple[float, int]]] = {
            OURS: partial(probe.select, OURS, cutoff_ts),
            SYNAPSES: partial(probe.select, SYNAPSES, cutoff_ts),
        }
        taken = take_turns(contenders, turns)
        ms = {whose: spread([seconds * _MS for seconds, _files in rounds]) for whose, rounds in taken.items()}
        ours, theirs = taken[OURS][-1][1], taken[SYNAPSES][-1][1]
        rows += [(f"ours, {name}", ours, ms[OURS]), (f"`get_local_media_ids`, {name}", theirs, ms[SYNAPSES])]
        goals.append(Goal(f"first {FIRST} expired local files, {name}", ms[OURS].median, FIRST_MS, "ms"))
    return Section(
        title=f"Selecting expired local files among {count:,}, beside {count:,} memberships",
        columns=("", "files selected", "ms"),
        rows=rows,
        goals=goals,
        remarks=[f"Synapse selects all at once, ours the first {FIRST}, inside the same Synapse, in its transactions."],
    )
