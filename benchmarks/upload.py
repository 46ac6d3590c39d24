"""Uploads to a real Synapse on SQLite, with the antivirus module and without it: what users wait for.

No goal was promised here; the lower bound is the upload without the module plus a scan by the fastest raw client.
"""

import http.client
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import attr

from benchmarks.clamd_peers import RawSessions
from benchmarks.measuring import Batch, Effort, Turns, ratio, spread, take_turns
from benchmarks.report import Row, Section, rounds_in_words
from benchmarks.sample_files import SampleFiles
from benchmarks.servers import await_self_test, clamd_for_large_files, synapse_with
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.http_client import MatrixClient

_MS: Final = 1_000

WITHOUT: Final = "without the module"
WITH: Final = "with the module"
SCAN: Final = "the scan alone, raw"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Contest:
    """One size of file and one number of uploads at a time.

    Attributes:
        label: of the size.
        size: of each file, in bytes.
        concurrency: uploads at a time.
        files: of one turn.
        thorough: how often, by default.
        quick: how often, in a hurry.
    """

    label: str
    size: int
    concurrency: int
    files: int
    thorough: Turns
    quick: Turns


CONTESTS: Final = (
    Contest("10 KB", 10_000, 1, 8, Turns(5, 20, 200, 10), Turns(2, 5, 50, 3)),
    Contest("10 KB", 10_000, 8, 48, Turns(1, 8, 60, 10), Turns(1, 3, 20, 3)),
    Contest("1 MB", 1_000_000, 1, 3, Turns(1, 8, 60, 10), Turns(1, 3, 20, 3)),
    Contest("1 MB", 1_000_000, 8, 16, Turns(0, 5, 30, 12), Turns(0, 2, 10, 3)),
)


class UploadError(Exception):
    """Synapse did not take a clean file."""


def measure(effort: Effort) -> Iterator[Section]:
    """Measure uploads; yields each section when it is done."""
    with ExitStack() as everything:
        clamd = everything.enter_context(clamd_for_large_files())
        guarded = everything.enter_context(
            synapse_with("synapse_bum.antivirus.AntivirusModule", {"scanner": {"address": clamd.address_unix}})
        )
        plain = everything.enter_context(synapse_with())
        await_self_test(guarded)
        users = {WITHOUT: plain.register("uploader"), WITH: guarded.register("uploader")}
        for contest in CONTESTS:
            turns = contest.quick if effort is Effort.QUICK else contest.thorough
            with tempfile.TemporaryDirectory(prefix="bum-bench-") as directory:
                samples = SampleFiles(Path(directory), contest.size, contest.files)
                batches = take_turns(_contenders(contest, users, clamd, samples), turns)
            yield _section(contest, batches)


def _contenders(
    contest: Contest, users: Mapping[str, MatrixClient], clamd: RealClamd, samples: SampleFiles
) -> dict[str, Callable[[], Batch]]:
    def by(user: MatrixClient) -> Callable[[], Batch]:
        return lambda: upload_all(user, contest.size, contest.files, contest.concurrency)

    contenders = {name: by(user) for name, user in users.items()}
    return contenders | {SCAN: lambda: RawSessions(clamd).scan(samples.fresh(contest.files), contest.concurrency)}


def upload_all(user: MatrixClient, size: int, count: int, concurrency: int) -> Batch:
    """Upload new files over connections that stay open, as a reverse proxy's do.

    Args:
        user: who uploads.
        size: of each file, in bytes.
        count: how many files.
        concurrency: how many at a time.

    Raises:
        UploadError: one was not stored.
    """
    contents = iter([os.urandom(size) for _ in range(count)])
    seconds_each: list[float] = []

    def work(_: int) -> None:
        with closing(http.client.HTTPConnection(urlsplit(user.base_url).netloc, timeout=60)) as connection:
            for content in contents:
                began = time.perf_counter()
                _upload(connection, user, content)
                seconds_each.append(time.perf_counter() - began)

    began, cpu_began = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(concurrency) as threads:
        list(threads.map(work, range(concurrency)))
    return Batch(seconds_each, time.perf_counter() - began, time.process_time() - cpu_began)


def _upload(connection: http.client.HTTPConnection, user: MatrixClient, content: bytes) -> None:
    headers = {"Authorization": f"Bearer {user.token}", "Content-Type": "application/octet-stream"}
    connection.request("POST", "/_matrix/media/v3/upload", content, headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise UploadError(f"HTTP {answer.status}: {body[:500]!r}")


def _section(contest: Contest, batches: Mapping[str, Sequence[Batch]]) -> Section:
    seconds = {
        name: [batch.latency_s if contest.concurrency == 1 else batch.seconds_per_file for batch in rounds]
        for name, rounds in batches.items()
    }
    bound = [sum(pair) for pair in zip(seconds[WITHOUT], seconds[SCAN], strict=True)]
    rows: list[Row] = [
        (
            name,
            spread([batch.latency_s * _MS for batch in rounds]),
            spread([1 / batch.seconds_per_file for batch in rounds]),
            None if name == SCAN else ratio(seconds[name], seconds[WITHOUT]),
            ratio(seconds[name], bound) if name == WITH else None,
        )
        for name, rounds in batches.items()
    ]
    return Section(
        title=f"Uploads of {contest.label}, {contest.concurrency} at a time",
        columns=("Synapse", "ms a file", "files/s", "time against without", "time against without plus scan"),
        rows=rows,
        remarks=[f"{rounds_in_words(batches, contest.files).capitalize()} No goal was set."],
    )
