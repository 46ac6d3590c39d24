"""Our content scanner API beside matrix-content-scanner: the same Synapse, the same clamd, the same kind of files.

Ours answers inside Synapse. The peer is a service of its own, fetches each file from that Synapse by HTTP, and has
`clamdscan --fdpass` hand it to the same clamd. Clients ask both for `scan_encrypted` over connections that stay open,
each as another user, with the settings that each side has by default. Each side has files of its own, of the same
content but for a stamp, which nobody has scanned before unless the contest says so.
"""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import Final

import attr

from benchmarks.attachments import MOST_KEYS, scan_requests
from benchmarks.clamd_peers import Clamdscan
from benchmarks.content_scanner_burden import VERSIONS, burden_of, burden_section, stall_of_the_machine
from benchmarks.http_connections import Request
from benchmarks.matrix_content_scanner import MatrixContentScanner
from benchmarks.measuring import Batch, Effort, Goal, Turns, ratio, spread, take_turns
from benchmarks.report import Row, Section, rounds_in_words
from benchmarks.sample_files import SampleFiles
from benchmarks.scanner_services import PUBLIC_KEY, ScannerService
from benchmarks.servers import await_self_test, clamd_for_large_files, synapse_with

_KB: Final = 1_000
_MB: Final = 1_000_000
_MS: Final = 1_000
_LARGE: Final = 50 * _MB

OURS: Final = "ours, inside Synapse"
PEER: Final = "matrix-content-scanner"

WARM_MS: Final = 2

_MOST_AT_A_TIME: Final = 8
_WARM_UP: Final = 2
_KEYS_ASKED_FOR: Final = 100
_SETTLING_SECONDS: Final = 0.5
"""What uploads and scans leave to be written afterwards is written by then."""

_SELF_TEST_SECONDS: Final = 10.0
"""The self-test of a restarted Synapse, which keeps clamd busy, is over by then."""


class Past(Enum):
    """What happened to the files of a contest before it."""

    NEW = "New"
    SCANNED = "Scanned before"
    FORGOTTEN = "Scanned before a restart"
    """Homeserver and peer were restarted since; only what is in a database can be remembered."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Contest:
    """One size of file and one number of requests at a time.

    Attributes:
        label: of the size.
        size: of each file, in bytes.
        concurrency: requests at a time.
        files: that each contender scans in one round.
        thorough: rounds, by default.
        quick: rounds, in a hurry; None leaves it out.
        goal: how many times as fast as the peer ours has to be; None where nothing was promised.
        past: of the files.
    """

    label: str
    size: int
    concurrency: int
    files: int
    thorough: int
    quick: int | None
    goal: float | None = None
    past: Past = Past.NEW

    @property
    def title(self) -> str:
        """For headings and goals."""
        return f"{self.past.value}: attachments of {self.label}, {self.concurrency} at a time"


CONTESTS: Final = (
    Contest("10 KB", 10 * _KB, 1, 10, 30, 8, goal=6),
    Contest("10 KB", 10 * _KB, 8, 80, 10, 3, goal=10),
    Contest("10 KB", 10 * _KB, 1, 20, 40, 15, goal=5, past=Past.SCANNED),
    Contest("10 KB", 10 * _KB, 1, 10, 30, None, past=Past.FORGOTTEN),
    Contest("1 MB", _MB, 1, 3, 15, 5, goal=2),
    Contest("1 MB", _MB, 8, 16, 5, None),
    Contest("50 MB", _LARGE, 1, 1, 9, 2, goal=1.7),
)


class Laboratory:
    """The servers of this subject and their users.

    Attributes:
        clamd: scans for all.
        services: by name; ours first, and the peer where it can take part.
        remarks: why the peer can't, where it can't.
    """

    def __init__(self, everything: ExitStack) -> None:
        """Start them.

        Args:
            everything: stops them when it is closed.
        """
        self.clamd = everything.enter_context(clamd_for_large_files())
        settings = {"scanner": {"address": self.clamd.address_unix}}
        synapse = everything.enter_context(synapse_with("synapse_bum.antivirus.AntivirusModule", settings))
        await_self_test(synapse)
        self._uploader = synapse.register("uploader")
        tokens = [synapse.register(f"reader-{number}").token or "" for number in range(_MOST_AT_A_TIME)]
        self.services = {OURS: ScannerService(synapse, synapse.base_url, tokens)}
        absent = MatrixContentScanner.missing() or Clamdscan.missing()
        self.remarks = [] if absent is None else [absent]
        if absent is None:
            peer = everything.enter_context(MatrixContentScanner(synapse.base_url, self.clamd))
            self.services[PEER] = ScannerService(peer, peer.base_url, tokens)

    def uploaded(self, content: bytes, count: int, *, keys: int = 1) -> list[Request]:
        """Upload attachments, see `scan_requests`; returns when Synapse is at rest again."""
        requests = list(scan_requests(self._uploader, content, count, keys=keys))
        time.sleep(_SETTLING_SECONDS)
        return requests

    def contenders(self, contest: Contest, rounds: int) -> dict[str, Callable[[], Batch]]:
        """Who takes part, by name, with files for so many rounds."""
        count = contest.files * (1 if contest.past is Past.SCANNED else rounds)
        content = os.urandom(contest.size)
        requests = {name: self.uploaded(content, count) for name in self.services}
        if contest.past is not Past.NEW:
            for name, service in self.services.items():
                service.scan(requests[name], _MOST_AT_A_TIME)
            time.sleep(_SETTLING_SECONDS)
        if contest.past is Past.FORGOTTEN:
            for service in self.services.values():
                service.server.restart()
            time.sleep(_SELF_TEST_SECONDS)
        return {name: _turn(service, contest, requests[name]) for name, service in self.services.items()}


def _turn(service: ScannerService, contest: Contest, requests: Sequence[Request]) -> Callable[[], Batch]:
    again_and_again = itertools.cycle(requests)
    return lambda: service.scan(list(itertools.islice(again_and_again, contest.files)), contest.concurrency)


def measure(effort: Effort) -> Iterator[Section]:
    """Measure the content scanner API; yields each section when it is done."""
    with ExitStack() as everything:
        laboratory = Laboratory(everything)
        yield _asking_section(laboratory, Turns(1, 5, 5, 0))
        for contest in CONTESTS:
            rounds = contest.quick if effort is Effort.QUICK else contest.thorough
            if rounds is not None:
                contenders = laboratory.contenders(contest, _WARM_UP + rounds)
                batches = take_turns(contenders, Turns(_WARM_UP, rounds, rounds, 0))
                yield _contest_section(contest, batches)
        yield _burden(laboratory, 3 if effort is Effort.QUICK else 20)


def _asking_section(laboratory: Laboratory, turns: Turns) -> Section:
    """What of all other times is HTTP and this client."""

    def ask(service: ScannerService, concurrency: int) -> Callable[[], Batch]:
        return lambda: service.ask_for_key(_KEYS_ASKED_FOR, concurrency)

    rows: list[Row] = []
    for concurrency in (1, _MOST_AT_A_TIME):
        contenders = {name: ask(service, concurrency) for name, service in laboratory.services.items()}
        rows += [
            (
                f"{name}, {concurrency} at a time",
                spread([batch.latency_s * _MS for batch in batches]),
                spread([1 / batch.seconds_per_file for batch in batches]),
                spread([batch.cpu_per_file_s * _MS for batch in batches]),
            )
            for name, batches in take_turns(contenders, turns).items()
        ]
    return Section(
        title="Requests for `public_key`: what HTTP and this client cost",
        columns=("", "ms a request", "requests/s", "the client's CPU ms a request"),
        rows=rows,
        remarks=laboratory.remarks,
    )


def _contest_section(contest: Contest, batches: Mapping[str, Sequence[Batch]]) -> Section:
    seconds = {
        name: [batch.latency_s if contest.concurrency == 1 else batch.seconds_per_file for batch in rounds]
        for name, rounds in batches.items()
    }
    rows: list[Row] = [
        (
            name,
            spread([batch.latency_s * _MS for batch in rounds]),
            spread([1 / batch.seconds_per_file for batch in rounds]),
            spread([batch.cpu_per_file_s * _MS for batch in rounds]).median,
            ratio(seconds[PEER], seconds[name]) if PEER in seconds else None,
        )
        for name, rounds in batches.items()
    ]
    what = "Latency" if contest.concurrency == 1 else "Throughput"
    return Section(
        title=contest.title,
        columns=("", "ms a file", "files/s", "the client's CPU ms a file", "times as fast as the peer"),
        rows=rows,
        goals=_goals(contest, seconds),
        remarks=[f"{what}: {rounds_in_words(batches, contest.files)}"],
    )


def _goals(contest: Contest, seconds: Mapping[str, Sequence[float]]) -> list[Goal]:
    goals = []
    if contest.past is Past.SCANNED:
        goals.append(Goal(f"{contest.title}, ours", spread(seconds[OURS]).median * _MS, WARM_MS, "ms"))
    if contest.goal is not None and PEER in seconds:
        times = ratio(seconds[PEER], seconds[OURS]).median
        goals.append(Goal(f"{contest.title}, ours beside the peer", times, contest.goal, "x", at_least=True))
    return goals


def _burden(laboratory: Laboratory, scans: int) -> Section:
    with tempfile.TemporaryDirectory(prefix="bum-bench-") as directory:
        samples = SampleFiles(Path(directory), _LARGE, 1)
        ours = laboratory.services[OURS]
        alone_ms = [stall_of_the_machine(ours, VERSIONS, laboratory.clamd, samples) for _ in range(scans)]
    burdens = {}
    for name, service in laboratory.services.items():
        requests = laboratory.uploaded(os.urandom(_LARGE), 1 + scans, keys=MOST_KEYS)
        burdens[name] = burden_of(service, requests, VERSIONS if name == OURS else PUBLIC_KEY)
    return burden_section(burdens, alone_ms)
