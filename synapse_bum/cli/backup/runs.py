"""Runs of the backup as they stand in a repository: whose they are, which are whole, which are to go. Pure.

A run is two snapshots of restic. The first holds the data: the dump, the media store, keys and configuration. The
second one closes the run: it holds what was copied last, the logs of what was deleted, and the manifest. A run without
it was broken off.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from enum import Enum
from typing import Any, Final

import attr

from synapse_bum.cli.backup.failure import BackupError

OUR_TAG: Final = "synapse-bum"
HOST: Final = "host"
"""The tag with the name of the machine that has written a run, for people who look."""

LACKS: Final = "lacks"
"""The tag of a run without files that it should hold and nobody has given up; with their number."""

_MS_PER_DAY: Final = 86_400_000
_LEAST_DAYS: Final = 7  # of backups that are there at any time
_SHORTEST_GAP_DAYS: Final = 2
_CLOCK_TOLERANCE_MS: Final = 3_600_000
_RUN_ID: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}", re.ASCII)
_RUN_TIME: Final = "%Y%m%dT%H%M%SZ"
_SHOWN_ID: Final = 8  # characters by which restic knows a snapshot


class Part(Enum):
    """What a snapshot holds of a run."""

    DATA = "data"
    CLOSING = "closing"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Snapshot:
    """One snapshot.

    Attributes:
        snapshot_id: as restic names it.
        tags: as they were given.
        paths: what was saved.
    """

    snapshot_id: str
    tags: tuple[str, ...]
    paths: tuple[str, ...]

    @classmethod
    def from_json(cls, one: Mapping[str, Any]) -> "Snapshot":
        """Reads an element of `restic snapshots --json`."""
        return cls(str(one["id"]), tuple(one.get("tags") or ()), tuple(one.get("paths") or ()))

    def value_of(self, name: str) -> str | None:
        """The value of a tag `name=value`."""
        return next((tag.partition("=")[2] for tag in self.tags if tag.startswith(f"{name}=")), None)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Run:
    """One backup.

    Attributes:
        run_id: tells when it began, and no other run has it.
        started_ts: ms since the epoch.
        data: the first snapshot.
        closing: the second one.
        others: what has the same tags by mistake.
    """

    run_id: str
    started_ts: int
    data: Snapshot | None
    closing: Snapshot | None
    others: tuple[Snapshot, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether it came to its end."""
        return self.data is not None and self.closing is not None

    @property
    def lacks_files(self) -> bool:
        """Whether it holds everything but files that older ones may hold."""
        return self.closing is not None and self.closing.value_of(LACKS) is not None

    @property
    def snapshot_ids(self) -> tuple[str, ...]:
        """Of all its snapshots, the closing one first: what is left when only some can be forgotten is no whole run."""
        return tuple(one.snapshot_id for one in (self.closing, self.data, *self.others) if one is not None)


def new_run_id(now_ms: int, unique: str) -> str:
    """Name a run.

    Args:
        now_ms: ms since the epoch.
        unique: eight hexadecimal digits.
    """
    return f"{datetime.fromtimestamp(now_ms // 1000, timezone.utc).strftime(_RUN_TIME)}-{unique}"


def tags_of(server_name: str, run_id: str, part: Part, more: Mapping[str, str]) -> tuple[str, ...]:
    """The tags of a snapshot: whose it is, which run, which part, and whatever else is worth seeing in a list."""
    named = {"server": server_name, "run": run_id, "part": part.value, **more}
    return (OUR_TAG, *(f"{name}={value}".replace(",", ";") for name, value in named.items()))


def own_runs(snapshots: Iterable[Snapshot], server_name: str) -> list[Run]:
    """Sort the snapshots of a repository into runs, the oldest first.

    Raises:
        BackupError: not all of them are backups of this server.
    """
    parts: dict[str, list[Snapshot]] = {}
    strangers = 0
    servers = set()
    for snapshot in snapshots:
        server, run_id = snapshot.value_of("server"), snapshot.value_of("run")
        if OUR_TAG not in snapshot.tags or server is None or run_id is None or not _RUN_ID.fullmatch(run_id):
            strangers += 1
        elif server != server_name:
            servers.add(server)
        else:
            parts.setdefault(run_id, []).append(snapshot)
    if servers:
        raise BackupError(
            f"the repository holds backups of {', '.join(sorted(servers))}: each server needs a repository of its own"
        )
    if strangers:
        raise BackupError(
            f"the repository holds {strangers} snapshots that are no backups of `synapse-bum`: it needs one of its own"
        )
    return sorted((_run(run_id, of_run) for run_id, of_run in parts.items()), key=lambda run: run.run_id)


def server_of(snapshots: Sequence[Snapshot]) -> str:
    """The one server whose backups a repository holds.

    Raises:
        BackupError: there is none, or there are several.
    """
    names = {snapshot.value_of("server") for snapshot in snapshots if OUR_TAG in snapshot.tags} - {None}
    if len(names) != 1:
        raise BackupError(f"the repository holds backups of {len(names)} servers: name one with -c homeserver.yaml")
    return str(names.pop())


def _run(run_id: str, snapshots: Sequence[Snapshot]) -> Run:
    by_part: dict[str, Snapshot] = {}
    others = []
    for snapshot in snapshots:
        part = snapshot.value_of("part") or ""
        if part in {one.value for one in Part} and part not in by_part:
            by_part[part] = snapshot
        else:
            others.append(snapshot)
    started = datetime.strptime(run_id.partition("-")[0], _RUN_TIME).replace(tzinfo=timezone.utc)
    return Run(
        run_id,
        int(started.timestamp() * 1000),
        by_part.get(Part.DATA.value),
        by_part.get(Part.CLOSING.value),
        tuple(others),
    )


def newest_whole(runs: Sequence[Run]) -> Run | None:
    """The last backup that came to its end."""
    return next((run for run in reversed(runs) if run.is_whole), None)


def refuse_future(runs: Sequence[Run], now_ms: int) -> None:
    """Make sure that the clock can be believed: by it, backups are deleted, and the last one is chosen.

    Args:
        runs: the oldest first.
        now_ms: ms since the epoch.

    Raises:
        BackupError: there is a run of the future.
    """
    future = [run for run in runs if run.started_ts > now_ms + _CLOCK_TOLERANCE_MS]
    if future:
        snapshots = " ".join(snapshot_id[:_SHOWN_ID] for run in future for snapshot_id in run.snapshot_ids)
        raise BackupError(
            f"the backup {future[-1].run_id} is of the future: the clock of this machine is wrong now, or it was when"
            f" that backup was made. In the second case take it out of the list: restic forget {snapshots}"
        )


def to_forget(runs: Sequence[Run], now_ms: int, keep_days: int) -> list[Run]:
    """Decide which runs go: what was broken off, and what is older than it may be.

    The newest whole one stays however old it is: without it there would be no backup at all. A long time without any
    backup, which may be a clock that was set forward, does not make the others older: of the time in which backups were
    made at least seven days stay. While the newest one lacks files, older ones may be all that holds them, and stay.

    Args:
        runs: the oldest first.
        now_ms: ms since the epoch.
        keep_days: how long a backup is kept.
    """
    newest = newest_whole(runs)
    if newest is not None and newest.lacks_files:
        return [run for run in runs if not run.is_whole]
    oldest_ts = now_ms - keep_days * _MS_PER_DAY
    needed = {run.run_id for run in _last_days(runs, now_ms, keep_days)}
    return [
        run
        for run in runs
        if run != newest and (not run.is_whole or (run.started_ts < oldest_ts and run.run_id not in needed))
    ]


def _last_days(runs: Sequence[Run], now_ms: int, keep_days: int) -> Iterator[Run]:
    """The whole runs of the last seven days in which there were backups."""
    longest = max(_SHORTEST_GAP_DAYS, keep_days - _LEAST_DAYS) * _MS_PER_DAY
    age, later_ts = 0, now_ms
    for run in reversed([run for run in runs if run.is_whole]):
        gap = later_ts - run.started_ts
        age += gap if gap <= longest else 0
        if age > _LEAST_DAYS * _MS_PER_DAY:
            return
        yield run
        later_ts = run.started_ts
