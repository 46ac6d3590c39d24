"""The antivirus gate beside other ways to have the same clamd scan the same files.

Ours is timed inside a real Synapse on SQLite: `UploadGate.check` with a file on disk, as Synapse calls it, and the bare
engines below it.
"""

import itertools
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import attr

from benchmarks.clamd_peers import ClamdPackage, Clamdscan, Peer, RawConnections, RawSessions, RawWindow
from benchmarks.measuring import Batch, Effort, Goal, GoalResult, Spread, Turns, fastest, ratio, spread, take_turns
from benchmarks.report import Row, Section, rounds_in_words
from benchmarks.sample_files import SampleFiles
from benchmarks.servers import await_self_test, clamd_for_large_files, peak_memory, synapse_with
from benchmarks.synapse_probe import GATE, Outcome, Probe
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.synapse import RealSynapse

_KB: Final = 1_000
_MB: Final = 1_000_000
_MS: Final = 1_000

OUR_GATE: Final = "our gate"
OUR_ENGINE: Final = "our engine, FILDES"
OUR_STREAM: Final = "our engine, INSTREAM over TCP"
NOTHING_OF_OURS: Final = "nothing, while somebody else has clamd scan"

FILES_PER_SECOND: Final = 2_400
SHARE_OF_RAW: Final = 0.9
LONGEST_STALL_MS: Final = 15
MEMORY_GROWTH_MB: Final = 16


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Contest:
    """One size of file and one number of scans at a time.

    Attributes:
        label: of the size.
        size: of each file, in bytes.
        concurrency: scans at a time.
        files: that each contender scans in one turn.
        thorough: how often, by default.
        quick: how often, in a hurry; None leaves it out.
        goal: how much longer than the fastest raw client our gate may take, as a ratio; None where nothing was
            promised.
    """

    label: str
    size: int
    concurrency: int
    files: int
    thorough: Turns
    quick: Turns | None
    goal: float | None = None

    @property
    def title(self) -> str:
        """For headings."""
        return f"Scans of {self.label}, {self.concurrency} at a time"


CONTESTS: Final = (
    Contest("10 KB", 10 * _KB, 1, 10, Turns(5, 30, 500, 18), Turns(2, 10, 100, 4), goal=1.3),
    Contest("10 KB", 10 * _KB, 8, 160, Turns(1, 8, 60, 22), Turns(1, 2, 10, 5)),
    Contest("1 MB", _MB, 1, 3, Turns(1, 10, 60, 20), Turns(0, 3, 20, 5), goal=1.1),
    Contest("1 MB", _MB, 8, 16, Turns(0, 4, 20, 20), Turns(0, 1, 10, 5)),
    Contest("50 MB", 50 * _MB, 1, 1, Turns(0, 6, 20, 35), Turns(0, 1, 10, 1), goal=1.1),
    Contest("50 MB", 50 * _MB, 8, 8, Turns(0, 1, 5, 15), None),
)


class Laboratory:
    """The servers and clients of this subject.

    Attributes:
        clamd: scans for all.
        synapse: with our module and the probe.
        probe: gives orders to that Synapse.
        remarks: a sentence for each peer that is missing.
    """

    def __init__(self, clamd: RealClamd, synapse: RealSynapse) -> None:
        self.clamd = clamd
        self.synapse = synapse
        self.probe = Probe(synapse.base_url)
        kinds: list[type[ClamdPackage | Clamdscan]] = [ClamdPackage, Clamdscan]
        self.remarks = [sentence for kind in kinds if (sentence := kind.missing())]
        self._others = [kind(clamd) for kind in kinds if kind.missing() is None]

    def raw_clients(self, concurrency: int) -> list[Peer]:
        """The ways to speak FILDES without anything around it."""
        alone: list[Peer] = [RawConnections(self.clamd), RawSessions(self.clamd)]
        return alone if concurrency == 1 else [*alone, RawWindow(self.clamd)]

    def contenders(self, contest: Contest, samples: SampleFiles) -> dict[str, Callable[[], Batch]]:
        """Everybody who takes part, by name."""
        targets = {
            OUR_GATE: GATE,
            OUR_ENGINE: self.clamd.address_unix,
            OUR_STREAM: self.clamd.address_tcp,
        }

        def by_us(target: str) -> Callable[[], Batch]:
            return lambda: self.probe.scan(target, samples.fresh(contest.files), contest.concurrency).batch

        def by_peer(peer: Peer) -> Callable[[], Batch]:
            return lambda: peer.scan(samples.fresh(contest.files), contest.concurrency)

        peers = [*self.raw_clients(contest.concurrency), *self._others]
        ours = {name: by_us(target) for name, target in targets.items()}
        return ours | {peer.name: by_peer(peer) for peer in peers}


def measure(effort: Effort) -> Iterator[Section]:
    """Measure the gate; yields each section when it is done."""
    with ExitStack() as everything:
        clamd = everything.enter_context(clamd_for_large_files())
        synapse = everything.enter_context(
            synapse_with("benchmarks.synapse_probe.ProbedAntivirusModule", {"scanner": {"address": clamd.address_unix}})
        )
        await_self_test(synapse)
        laboratory = Laboratory(clamd, synapse)
        for _, contests in itertools.groupby(CONTESTS, key=lambda contest: contest.size):
            with tempfile.TemporaryDirectory(prefix="bum-bench-") as directory:
                yield from _of_one_size(laboratory, list(contests), effort, Path(directory))


def _of_one_size(
    laboratory: Laboratory, contests: Sequence[Contest], effort: Effort, directory: Path
) -> Iterator[Section]:
    samples = SampleFiles(directory, contests[0].size, max(contest.files for contest in contests))
    for contest in contests:
        turns = contest.quick if effort is Effort.QUICK else contest.thorough
        if turns is not None:
            batches = take_turns(laboratory.contenders(contest, samples), turns)
            raw = [peer.name for peer in laboratory.raw_clients(contest.concurrency)]
            yield _contest_section(contest, batches, raw, laboratory.remarks)
    if contests[0].size == 50 * _MB:
        yield _stalls_and_memory(laboratory, samples, 4 if effort is Effort.QUICK else 20)


def _contest_section(
    contest: Contest, batches: Mapping[str, Sequence[Batch]], raw: Sequence[str], remarks: Sequence[str]
) -> Section:
    seconds = {
        name: [batch.latency_s if contest.concurrency == 1 else batch.seconds_per_file for batch in rounds]
        for name, rounds in batches.items()
    }
    yardstick = fastest({name: seconds[name] for name in raw})
    against_raw = {name: ratio(values, seconds[yardstick]) for name, values in seconds.items()}
    rows: list[Row] = [
        (
            name,
            spread([batch.latency_s * _MS for batch in rounds]),
            spread([1 / batch.seconds_per_file for batch in rounds]),
            spread([batch.cpu_per_file_s * _MS for batch in rounds]).median,
            against_raw[name],
        )
        for name, rounds in batches.items()
    ]
    what = "Latency" if contest.concurrency == 1 else "Throughput"
    return Section(
        title=contest.title,
        columns=("", "ms a file", "files/s", "its own CPU ms a file", "time against raw"),
        rows=rows,
        goals=_goals(contest, against_raw[OUR_GATE], spread([1 / value for value in seconds[OUR_GATE]])),
        remarks=[
            f"{what}: {rounds_in_words(batches, contest.files)} Raw is the fastest of them: {yardstick}.",
            *remarks,
        ],
    )


def _goals(contest: Contest, against_raw: Spread, files_per_second: Spread) -> list[Goal]:
    if contest.goal is not None:
        return [Goal(f"latency of our gate at {contest.label} against raw", against_raw.median, contest.goal, "x")]
    if contest.size != 10 * _KB:
        return []
    promise = f"throughput of our gate at {contest.label}, {contest.concurrency} at a time"
    share = Goal(f"{promise}, against raw", 1 / against_raw.median, SHARE_OF_RAW, "x", at_least=True)
    rate = Goal(promise, files_per_second.median, FILES_PER_SECOND, "files/s", at_least=True)
    # Either is enough: a slow machine can't do the number, whatever the client does.
    return [rate if rate.result is GoalResult.MET else share]


def _stalls_and_memory(laboratory: Laboratory, samples: SampleFiles, scans: int) -> Section:
    pid = laboratory.synapse.pid
    outcomes: dict[str, list[Outcome]] = {}
    growth_mb: dict[str, float] = {}
    for name, target in ((OUR_GATE, GATE), (OUR_STREAM, laboratory.clamd.address_tcp)):
        laboratory.probe.scan(target, samples.fresh(1), 1)
        with peak_memory(pid) as growth:
            outcomes[name] = [laboratory.probe.scan(target, samples.fresh(1), 1, watched=True) for _ in range(scans)]
        growth_mb[name] = growth[0] / _MB
    seconds = spread([outcome.batch.latency_s for outcome in outcomes[OUR_GATE]]).median
    outcomes[NOTHING_OF_OURS] = [_watch_idle(laboratory, samples, seconds) for _ in range(scans)]
    stalls = {
        name: spread([outcome.longest_stall_s * _MS for outcome in of_name]) for name, of_name in outcomes.items()
    }
    rows: list[Row] = [(name, stall, stall.highest, growth_mb.get(name)) for name, stall in stalls.items()]
    alone = stalls[NOTHING_OF_OURS].highest
    return Section(
        title="Other requests and memory during scans of 50 MB",
        columns=("Synapse does", "longest stall of a scan, ms", "of all scans, ms", "growth of memory at its peak, MB"),
        rows=rows,
        goals=[
            *(
                Goal(f"longest stall, {name}", stalls[name].highest, LONGEST_STALL_MS, "ms", without_us=alone)
                for name in growth_mb
            ),
            *(Goal(f"growth of memory, {name}", growth, MEMORY_GROWTH_MB, "MB") for name, growth in growth_mb.items()),
        ],
        remarks=[
            f"{scans} scans each, one at a time. A stall is how late a timer of 1 ms came in the reactor of Synapse.",
            "The last row is what the machine alone does to such a timer.",
        ],
    )


def _watch_idle(laboratory: Laboratory, samples: SampleFiles, seconds: float) -> Outcome:
    paths = samples.fresh(1)
    scan = threading.Thread(target=RawConnections(laboratory.clamd).scan, args=(paths, 1))
    scan.start()
    try:
        return laboratory.probe.idle(seconds)
    finally:
        scan.join()
