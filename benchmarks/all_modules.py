"""A homeserver with all modules beside one without: messages, sync, uploads of 1 MB, memory; and the start of it all.

Both are single processes on a PostgreSQL of their own and take turns. A second one without modules shows what this
machine makes of two equal servers: a goal that it misses as well is undecided, and so is one whose limit lies within
the interval of what was measured (95 %, by bootstrap over the rounds). Beside time stands the processor time of the
homeserver's process, which other work on the machine disturbs less.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import attr

from benchmarks.clamd_peers import RawSessions
from benchmarks.http_connections import Connection, Request, ask_all
from benchmarks.measuring import Batch, Effort, Goal, Turns, interval, ratio, spread, take_turns
from benchmarks.report import Row, Section, rounds_in_words
from benchmarks.sample_files import SampleFiles
from benchmarks.servers import clamd_for_large_files
from synapse_bum.rest import BASE
from synapse_bum.testing.all_modules import ModulePlaces, all_modules, write_secrets
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.local_server import LOOPBACK
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.service_stack import ServiceStack
from synapse_bum.testing.synapse import RealSynapse

WITHOUT: Final = "without modules"
AGAIN: Final = "without modules, a second one"
WITH: Final = "with all modules"
SCAN: Final = "the scan alone, raw"

SLOWER: Final = 1.02
MEMORY_MB: Final = 15
START_S: Final = 20

_MS: Final = 1_000
_MB: Final = 1_000_000
_KIB: Final = 1_024
_UPLOAD_BYTES: Final = 1_000_000
_READY_S: Final = 120.0
_SETTLE_S: Final = 5.0
_COLUMNS: Final = ("Synapse", "ms each", "its CPU ms each", "time against without", "CPU against without")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Contender:
    """One homeserver and the user who asks it.

    Attributes:
        synapse: the homeserver.
        connection: of the user.
        room_id: where he writes.
    """

    synapse: RealSynapse
    connection: Connection
    room_id: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Contest:
    """What is asked for.

    Attributes:
        what: a heading.
        count: requests of a turn.
        request: makes one, of a contender and a number that never comes twice.
        thorough: how often, by default.
        quick: how often, in a hurry.
    """

    what: str
    count: int
    request: Callable[[Contender, int], Request]
    thorough: Turns
    quick: Turns


def _message(contender: Contender, number: int) -> Request:
    room = quote(contender.room_id, safe="")
    body = json.dumps({"msgtype": "m.text", "body": f"message {number}"}).encode()
    return Request("PUT", f"/_matrix/client/v3/rooms/{room}/send/m.room.message/t{number}", body)


def _sync(_contender: Contender, number: int) -> Request:
    # Another filter each time: Synapse remembers whole answers for a while.
    wanted = quote(json.dumps({"room": {"timeline": {"limit": 20 + number % 1_000}}}))
    return Request("GET", f"/_matrix/client/v3/sync?timeout=0&filter={wanted}")


def _upload(_contender: Contender, _number: int) -> Request:
    return Request("POST", "/_matrix/media/v3/upload", os.urandom(_UPLOAD_BYTES), "application/octet-stream")


MESSAGES: Final = Contest("message", 25, _message, Turns(3, 40, 400, 90), Turns(2, 8, 60, 25))
SYNCS: Final = Contest("sync of a room", 25, _sync, Turns(3, 40, 400, 60), Turns(2, 8, 60, 15))
UPLOADS: Final = Contest("upload of 1 MB", 3, _upload, Turns(2, 20, 100, 45), Turns(1, 6, 20, 15))


def measure(effort: Effort) -> Iterator[Section]:
    """Measure; yields each section when it is done."""
    with ExitStack() as everything:
        clamd = everything.enter_context(clamd_for_large_files())
        folder = Path(everything.enter_context(tempfile.TemporaryDirectory(prefix="bum-bench-")))
        contenders = {
            WITHOUT: _contender(everything, []),
            AGAIN: _contender(everything, []),
            WITH: _contender(everything, _modules(folder, clamd)),
        }
        _await_self_test(contenders[WITH].synapse)
        for contest in (MESSAGES, SYNCS):
            yield _of_requests(contest, contenders, effort)
        samples = everything.enter_context(tempfile.TemporaryDirectory(prefix="bum-bench-"))
        yield _of_uploads(contenders, clamd, SampleFiles(Path(samples), _UPLOAD_BYTES, UPLOADS.count), effort)
        yield _of_memory(contenders)
    yield _of_the_start(1 if effort is Effort.QUICK else 3)


def _modules(folder: Path, clamd: RealClamd) -> Sequence[Mapping[str, Any]]:
    places = ModulePlaces(folder, clamd.address_unix, LOOPBACK, f"http://{LOOPBACK}")
    write_secrets(places)
    return all_modules(places)


def _contender(everything: ExitStack, modules: Sequence[Mapping[str, Any]]) -> Contender:
    postgres = everything.enter_context(RealPostgres())
    config = {"federation_domain_whitelist": [], "background_updates": {"sleep_enabled": False}}
    synapse = everything.enter_context(RealSynapse(modules=modules, config=config, postgres_dsn=postgres.dsn()))
    user = synapse.register("writer")
    room_id = user.create_room().json["room_id"]
    connection = everything.enter_context(Connection(synapse.base_url, user.token or ""))
    return Contender(synapse, connection, room_id)


def _await_self_test(synapse: RealSynapse) -> None:
    administrator = synapse.register("administrator", admin=True)
    deadline = time.monotonic() + _READY_S
    while None in administrator.get(f"{BASE}/antivirus/status").json["self_test"].values():
        if time.monotonic() > deadline:
            raise TimeoutError("the self-test of the scanner does not end")
        time.sleep(0.25)


def _turn(contest: Contest, contender: Contender, numbers: Iterator[int]) -> Batch:
    requests = [contest.request(contender, next(numbers)) for _ in range(contest.count)]
    cpu_began = _cpu_s(contender.synapse.pid)
    batch = ask_all([contender.connection], requests)
    return attr.evolve(batch, cpu_s=_cpu_s(contender.synapse.pid) - cpu_began)


def _of_requests(contest: Contest, contenders: Mapping[str, Contender], effort: Effort) -> Section:
    numbers = iter(range(10**9))
    turns = contest.quick if effort is Effort.QUICK else contest.thorough
    batches = take_turns({name: partial(_turn, contest, one, numbers) for name, one in contenders.items()}, turns)
    goals = [
        _not_slower(f"{what} of a {contest.what} with all modules against without", values, values[WITHOUT], SLOWER)
        for what, values in (("time", _seconds(batches)), ("processor time", _cpu_seconds(batches)))
    ]
    return Section(
        title=f"All modules: {contest.what}",
        columns=_COLUMNS,
        rows=_rows(batches),
        goals=goals,
        remarks=[rounds_in_words(batches, contest.count).capitalize()],
    )


def _of_uploads(contenders: Mapping[str, Contender], clamd: RealClamd, samples: SampleFiles, effort: Effort) -> Section:
    numbers = iter(range(10**9))
    who: dict[str, Callable[[], Batch]] = {
        name: partial(_turn, UPLOADS, one, numbers) for name, one in contenders.items()
    }
    who[SCAN] = lambda: RawSessions(clamd).scan(samples.fresh(UPLOADS.count), 1)
    batches = take_turns(who, UPLOADS.quick if effort is Effort.QUICK else UPLOADS.thorough)
    seconds = _seconds(batches)
    bound = [sum(pair) for pair in zip(seconds[WITHOUT], seconds[SCAN], strict=True)]
    # The second one without modules is asked the same question: one equal server and a scan.
    again = [sum(pair) for pair in zip(seconds[AGAIN], seconds[SCAN], strict=True)]
    goal = _not_slower(
        "time of an upload of 1 MB with all modules against one without and a raw scan",
        {**seconds, AGAIN: again},
        bound,
        1.0,
    )
    return Section(
        title="All modules: upload of 1 MB",
        columns=_COLUMNS,
        rows=_rows(batches),
        goals=[goal],
        remarks=[rounds_in_words(batches, UPLOADS.count).capitalize()],
    )


def _of_memory(contenders: Mapping[str, Contender]) -> Section:
    time.sleep(_SETTLE_S)
    resident = {name: _resident_bytes(one.synapse.pid) / _MB for name, one in contenders.items()}
    more = resident[WITH] - resident[WITHOUT]
    return Section(
        title="All modules: memory of a process after all of the above",
        columns=("Synapse", "resident MB", "more than without, MB"),
        rows=[(name, value, value - resident[WITHOUT]) for name, value in resident.items()],
        goals=[Goal("memory of a process with all modules, more than without", more, MEMORY_MB, "MB")],
    )


def _of_the_start(times: int) -> Section:
    seconds: list[float] = []
    for _ in range(times):
        with ServiceStack() as stack:
            seconds.append(stack.start_seconds)
    found = spread(seconds)
    what = "five processes with all modules, PostgreSQL, Redis, clamd, nginx and a second organisation"
    return Section(
        title="All modules: start of the whole service",
        columns=("", "s"),
        rows=[(what, found)],
        goals=[Goal("start of the whole service", found.median, START_S, "s")],
    )


def _not_slower(promise: str, values: Mapping[str, Sequence[float]], bound: Sequence[float], limit: float) -> Goal:
    """Compare, round by round, both the homeserver with modules and the second one without with a bound."""
    ratios = [ours / theirs for ours, theirs in zip(values[WITH], bound, strict=True)]
    return Goal(
        promise,
        statistics.median(ratios),
        limit,
        "x",
        without_us=ratio(values[AGAIN], bound).median,
        between=interval(ratios),
    )


def _seconds(batches: Mapping[str, Sequence[Batch]]) -> dict[str, list[float]]:
    return {name: [batch.latency_s for batch in rounds] for name, rounds in batches.items()}


def _cpu_seconds(batches: Mapping[str, Sequence[Batch]]) -> dict[str, list[float]]:
    return {name: [batch.cpu_per_file_s for batch in rounds] for name, rounds in batches.items()}


def _rows(batches: Mapping[str, Sequence[Batch]]) -> list[Row]:
    """The processor time is that of the homeserver's process; it is steadier on a machine that has other work."""
    seconds, cpu = _seconds(batches), _cpu_seconds(batches)
    return [
        (
            name,
            spread([value * _MS for value in seconds[name]]),
            None if name == SCAN else spread([value * _MS for value in cpu[name]]),
            None if name in {SCAN, WITHOUT} else ratio(seconds[name], seconds[WITHOUT]),
            None if name in {SCAN, WITHOUT} else ratio(cpu[name], cpu[WITHOUT]),
        )
        for name in batches
    ]


def _cpu_s(pid: int) -> float:
    """Processor time of a process so far (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _resident_bytes(pid: int) -> int:
    """Memory of a process that is not shared with files (proc_pid_status(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * _KIB for line in lines if line.startswith("RssAnon:"))
