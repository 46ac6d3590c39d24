"""Storage accounting on PostgreSQL: what asking and counting cost with 1, 3 and 10 million uploaded files.

One homeserver with 50,000 users, whose database grows from stage to stage. At each stage hours go by, by a clock of
their own, in which files come and go; after them everything is counted anew, which has to find no difference. At 10
million files that takes about 12 GB of disk.
"""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote

import attr

import benchmarks
from benchmarks.http_connections import Connection, Request, ask_all
from benchmarks.measuring import Effort, Goal, Spread, Turns, ratio, spread, take_turns
from benchmarks.report import Row, Section
from benchmarks.retention_events import Clients
from benchmarks.retention_server import RunError, wait_until
from benchmarks.storage_probe import MODULE, CountProbe
from benchmarks.storage_rows import CAME_IN_AN_HOUR, HOUR_MS, USERS, StorageRows
from benchmarks.synthetic_rows import LargePostgres
from synapse_bum.rest import BASE
from synapse_bum.testing.server_database import ServerDatabase
from synapse_bum.testing.synapse import RealSynapse

ASKING_MS: Final = 5
TIMES_THE_SMALLEST: Final = 1.5
"""What counts as flat: the rest is noise."""
TIMES_AS_FAST: Final = 1_000
UPDATE_S: Final = 0.3
RECOUNT_S: Final = 5
LONGEST_WAIT_MS: Final = 100

POOL: Final = "pool"
USERS_PAGE: Final = "page of users"
HISTORY_PAGE: Final = "page of history"
NOTHING: Final = "who am I"
PEER: Final = "statistics"

_ADMIN: Final = "/_synapse/admin/v1"
_REQUESTS: Final[Mapping[str, Request]] = {
    POOL: Request("GET", f"{BASE}/storage/usage"),
    USERS_PAGE: Request("GET", f"{BASE}/storage/users?limit=100&order_by=used_bytes&dir=b"),
    HISTORY_PAGE: Request("GET", f"{BASE}/storage/history?limit=100"),
    NOTHING: Request("GET", "/_matrix/client/v3/account/whoami"),
    PEER: Request("GET", f"{_ADMIN}/statistics/users/media?limit=100"),
}
_ASKED_IN_A_TURN: Final = 20
"""Of everything but the peer's."""

_PROGRAMS: Final = ("initdb", "postgres")
_MS: Final = 1_000
_MILLION: Final = 1_000_000
_GONE_IN_AN_HOUR: Final = 500
_STAGE_HOURS: Final = 7
_IDLE_SECONDS: Final = 10.0


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Stage:
    """What was measured at one size of the database.

    Attributes:
        files: that were uploaded.
        asked_s: how long each request took in each turn.
        update_s: counts of what an hour has brought.
        recount_s: full counts.
        wait_ms: the worst wait of a client during all of these.
        idle_ms: the same for some seconds in which nobody counts.
    """

    files: int
    asked_s: Mapping[str, Sequence[float]]
    update_s: Spread
    recount_s: Spread
    wait_ms: float
    idle_ms: float


class Growth:
    """A homeserver whose database grows."""

    def __init__(self, everything: ExitStack, counts: Sequence[int]) -> None:
        """Start it, with the users and two clients in a room.

        Args:
            everything: stops it when it is closed.
            counts: uploaded files at each stage.
        """
        postgres = everything.enter_context(LargePostgres())
        synapse = everything.enter_context(
            RealSynapse(
                modules=[{"module": MODULE, "config": {}}],
                # The module's own counts would disturb: their clock is not that of the hours which go by here.
                config={"background_updates": {"sleep_enabled": False}, "run_background_tasks_on": "nobody"},
                postgres_dsn=postgres.dsn(),
                python_path=[Path(benchmarks.__file__).parent.parent],
            )
        )
        self._database = everything.enter_context(ServerDatabase(synapse))
        self._admin = synapse.register("administrator", admin=True)
        wait_until(lambda: self._database.rows("SELECT count(*) FROM background_updates") == [(0,)])
        # Answers when our tables are there.
        self._admin.get(f"{BASE}/storage/usage")
        alice, bob = (synapse.register(name) for name in ("alice", "bob"))
        room_id = alice.create_room(preset="public_chat").json["room_id"]
        if bob.post(f"/_matrix/client/v3/join/{quote(room_id, safe='')}", {}).status != HTTPStatus.OK:
            raise RunError("the room can't be joined")
        self._clients = Clients(synapse.base_url, alice, bob, room_id)
        self._connection = everything.enter_context(Connection(synapse.base_url, self._admin.token or ""))
        self._probe = CountProbe(synapse.base_url)
        self._now_ms = int(time.time() * _MS) - _STAGE_HOURS * len(counts) * HOUR_MS
        self._rows = StorageRows(self._database, synapse.server_name, counts[-1], self._now_ms - 24 * HOUR_MS)
        self._gone = 0

    def stage(self, count: int, hours: int, turns: Turns) -> Stage:
        """Measure at a size.

        Args:
            count: uploaded files.
            hours: that go by; as many full counts follow.
            turns: of those who ask.

        Raises:
            RunError: what was counted is not what is stored.
        """
        self._rows.grow_to(count)
        self._probe.count(self._now_ms, full=True)
        updates = [self._hour() for _ in range(hours)]
        asked = take_turns({name: partial(self._ask, name) for name in _REQUESTS}, turns)
        with self._clients.at_work() as idle:
            time.sleep(_IDLE_SECONDS)
        with self._clients.at_work() as waits:
            recounts = [self._recount() for _ in range(hours)]
        return Stage(
            count,
            asked,
            spread(updates),
            spread(recounts),
            max(map(max, waits)) * _MS,
            max(map(max, idle)) * _MS,
        )

    def _hour(self) -> float:
        """Have an hour go by, and return how long its count took."""
        self._rows.write_hour(self._now_ms)
        self._gone += _GONE_IN_AN_HOUR
        before_ts = self._rows.came_before(self._gone)
        path = f"{_ADMIN}/media/delete?before_ts={before_ts}&keep_profiles=false"
        deleted = self._admin.post(path, {}).json["total"]
        if deleted != _GONE_IN_AN_HOUR:
            raise RunError(f"Synapse has deleted {deleted} files instead of {_GONE_IN_AN_HOUR}")
        self._now_ms += HOUR_MS
        return self._probe.count(self._now_ms, full=False).seconds

    def _recount(self) -> float:
        """Count all anew, and insist that nothing was wrong; returns how long it took."""
        counted = self._probe.count(self._now_ms, full=True)
        if any((counted.drift_bytes or {"nothing to compare with": 1}).values()):
            raise RunError(f"the ledger was wrong by {counted.drift_bytes}")
        return counted.seconds

    def _ask(self, name: str) -> float:
        times = 1 if name == PEER else _ASKED_IN_A_TURN
        return ask_all([self._connection], [_REQUESTS[name]] * times).latency_s


def measure(effort: Effort) -> Iterator[Section]:
    """Measure the accounting; yields each section when it is done."""
    if not all(map(shutil.which, _PROGRAMS)):
        remark = "PostgreSQL is not installed (Debian: postgresql), so nothing was measured."
        yield Section(title="Storage", columns=("",), rows=[], remarks=[remark])
        return
    quick = effort is Effort.QUICK
    counts = (300_000, _MILLION) if quick else (_MILLION, 3 * _MILLION, 10 * _MILLION)
    hours = 3 if quick else 5
    turns = Turns(warm_up=1, least=3, most=5, seconds=15 if quick else 60)
    with ExitStack() as everything:
        growth = Growth(everything, counts)
        stages = [growth.stage(count, hours, turns) for count in counts]
    yield _asking_section(stages, goal_of_the_peer=not quick)
    yield _pages_section(stages)
    yield _counting_section(stages, hours)


def _asking_section(stages: Sequence[Stage], *, goal_of_the_peer: bool) -> Section:
    faster = [ratio(stage.asked_s[PEER], stage.asked_s[POOL]) for stage in stages]
    rows: list[Row] = [
        (_size(stage.files), *(_in_ms(stage.asked_s[name]) for name in (POOL, PEER)), times)
        for stage, times in zip(stages, faster, strict=True)
    ]
    smallest, largest = (_in_ms(stages[place].asked_s[POOL]).median for place in (0, -1))
    machine = _in_ms(stages[-1].asked_s[NOTHING]).median
    goals = [
        Goal("`GET storage/usage`, at the largest", largest, ASKING_MS, "ms", without_us=machine),
        Goal("the same, the largest beside the smallest", largest / smallest, TIMES_THE_SMALLEST, "x"),
    ]
    if goal_of_the_peer:
        goals.append(Goal("times as fast, at the largest", faster[-1].median, TIMES_AS_FAST, "x", at_least=True))
    return Section(
        title=f"Asking what is stored: our pool beside Synapse's statistics, {USERS:,} users",
        columns=("uploaded files", "`storage/usage`, ms", "`statistics/users/media`, ms", "times as fast"),
        rows=rows,
        goals=goals,
    )


def _pages_section(stages: Sequence[Stage]) -> Section:
    names = (USERS_PAGE, HISTORY_PAGE, NOTHING)
    return Section(
        title="Pages of 100: users by what they have stored, and the history of two years",
        columns=("uploaded files", "`storage/users`, ms", "`storage/history`, ms", "`account/whoami`, ms"),
        rows=[(_size(stage.files), *(_in_ms(stage.asked_s[name]) for name in names)) for stage in stages],
        remarks=[
            f"Medians of {len(stages[-1].asked_s[POOL])} rounds or more, in brackets the lowest and the highest.",
            "`whoami` is what any request with a token costs on this machine.",
        ],
    )


def _counting_section(stages: Sequence[Stage], hours: int) -> Section:
    largest = stages[-1]
    return Section(
        title="Bringing up to date after an hour, and counting all anew while two clients send and sync",
        columns=("uploaded files", "update, s", "full count, s", "worst wait of a client, ms", "nobody counts, ms"),
        rows=[(_size(stage.files), stage.update_s, stage.recount_s, stage.wait_ms, stage.idle_ms) for stage in stages],
        goals=[
            Goal("update, the slowest at the largest", largest.update_s.highest, UPDATE_S, "s"),
            Goal("full count, the slowest at the largest", largest.recount_s.highest, RECOUNT_S, "s"),
            Goal(
                "worst wait during full counts, at the largest",
                largest.wait_ms,
                LONGEST_WAIT_MS,
                "ms",
                without_us=largest.idle_ms,
            ),
        ],
        remarks=[
            f"An hour: {CAME_IN_AN_HOUR:,} files come, a fifth as many copies, and Synapse deletes {_GONE_IN_AN_HOUR}.",
            f"Of each {hours} in a row; in brackets the fastest and the slowest. No full count found a difference.",
            "Beside the uploaded files: a fifth as many copies of others' files, and three tenths as many thumbnails.",
        ],
    )


def _in_ms(seconds: Sequence[float]) -> Spread:
    return spread([second * _MS for second in seconds])


def _size(files: int) -> str:
    return f"{files / _MILLION:g} million"
