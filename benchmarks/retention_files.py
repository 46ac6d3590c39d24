"""Files a second: our runs and Synapse's own deletion, on the same homeserver, with files of the same kind.

Ours is the way from an expired row to a dropped one: plan, hide, journal, audit, unlink, drop. It counts as over when
the last row and the last file are gone. Synapse's is `POST /_synapse/admin/v1/media/delete`, which deletes what has not
been accessed since a time, without a journal.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from typing import Final

import attr

from benchmarks.measuring import Effort, Goal, Turns, ratio, spread, take_turns
from benchmarks.report import Row, Section, rounds_in_words
from benchmarks.retention_server import RetentionServer, RunError, run_seconds, wait_until
from synapse_bum.testing.http_client import HttpClient
from synapse_bum.testing.retention_data import DAY_MS, MediaWriter, WrittenFile

TIMES_AS_FAST: Final = 10

OURS: Final = "ours"
PEER: Final = "Synapse's own"

_USERS: Final = 50
_CONTENT: Final = b"a small file" * 80
_DELETION_SECONDS: Final = 600.0


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Deleted:
    """One turn.

    Attributes:
        gone_s: until the last row and the last file were gone.
        hidden_s: until nobody was served any of them.
    """

    gone_s: float
    hidden_s: float


class Deletions:
    """Deletes files by turns, with new ones each time."""

    def __init__(self, server: RetentionServer, files: int, thumbnails: int) -> None:
        """Nothing is written yet.

        Args:
            server: deletes.
            files: of each turn.
            thumbnails: of each file.
        """
        self._server = server
        self._files = files
        self._thumbnails = thumbnails
        self._turn = itertools.count()
        self._client = HttpClient(server.admin.base_url, server.admin.token, timeout=_DELETION_SECONDS)

    def by_run(self) -> Deleted:
        """Delete by a run of ours."""
        files = self._write()
        run = self._server.run("local_media")
        if run["deleted"]["local_media"] != self._files:
            raise RunError(f"the run deleted {run['deleted']}, not {self._files} files")
        gone = wait_until(lambda: not self._rows_left())
        self._check(files)
        return Deleted(gone - run["started_ts"] / 1_000, run_seconds(run))

    def by_synapse(self) -> Deleted:
        """Delete by the administration's API of Synapse."""
        files = self._write()
        before_ts = int(time.time() * 1_000) - 90 * DAY_MS
        began = time.monotonic()
        answer = self._client.request("POST", f"/_synapse/admin/v1/media/delete?before_ts={before_ts}", json_body={})
        took = time.monotonic() - began
        if answer.status != HTTPStatus.OK or answer.json["total"] != self._files:
            raise RunError(f"HTTP {answer.status}: {answer.body[:200]!r}")
        self._check(files)
        return Deleted(took, took)

    def _write(self) -> Sequence[WrittenFile]:
        turn = next(self._turn)
        created_ts = int(time.time() * 1_000) - 100 * DAY_MS
        writer = MediaWriter(self._server.synapse, self._server.database)
        written = [
            writer.local(
                # Scattered over the folders of the media store, as the random ids of Synapse are.
                f"{number * 7919 % 1_000_000:06d}turn{turn:04d}x{number:08d}",
                _CONTENT,
                created_ts=created_ts + number,
                user_id=f"@user{number % _USERS}:{self._server.synapse.server_name}",
                thumbnails=self._thumbnails,
            )
            for number in range(self._files)
        ]
        writer.flush()
        self._server.database.execute("ANALYZE local_media_repository")
        return written

    def _rows_left(self) -> int:
        ((rows,),) = self._server.database.rows("SELECT count(*) FROM local_media_repository")
        return int(rows)

    def _check(self, files: Sequence[WrittenFile]) -> None:
        left = [path for file in files for path in file.paths if path.exists()]
        if left or self._rows_left():
            raise RunError(f"{len(left)} files are left, and {self._rows_left()} rows; for example {left[:1]}")


def measure(effort: Effort) -> Iterator[Section]:
    """Measure deletions of files; yields each section when it is done."""
    with ExitStack() as everything:
        server = RetentionServer(everything)
        for thumbnails in (0, 3):
            files, rounds = (2_000, 2) if effort is Effort.QUICK else (5_000, 5)
            deletions = Deletions(server, files, thumbnails)
            contenders: dict[str, Callable[[], Deleted]] = {OURS: deletions.by_run, PEER: deletions.by_synapse}
            yield _section(files, thumbnails, take_turns(contenders, Turns(0, rounds, rounds, 0)))


def _section(files: int, thumbnails: int, turns: Mapping[str, Sequence[Deleted]]) -> Section:
    seconds = {name: [turn.gone_s for turn in rounds] for name, rounds in turns.items()}
    times = ratio(seconds[PEER], seconds[OURS])
    rows: list[Row] = [
        (
            name,
            spread([files / turn.gone_s for turn in rounds]),
            spread([files / turn.hidden_s for turn in rounds]),
            times if name == OURS else None,
        )
        for name, rounds in turns.items()
    ]
    kind = f"small files with {thumbnails} thumbnails each" if thumbnails else "small files"
    return Section(
        title=f"Deleting {files:,} {kind}",
        columns=("", "files/s, until bytes and rows are gone", "files/s, until nobody is served", "times as fast"),
        rows=rows,
        goals=[Goal(f"files/s, {kind}", times.median, TIMES_AS_FAST, "x", at_least=True)],
        remarks=[rounds_in_words(turns, files).capitalize()],
    )
