"""The journal of an end of contract: a file of JSON outside of everything that is erased, which any kill survives.

It is written anew as a whole, beside itself, and gets its name in one step.
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attr

from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.contract_end import Closing

FORMAT: Final = 1
DEFAULT_GRACE_DAYS: Final = 30


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Step:
    """One step of erasing.

    Attributes:
        kind: what is done, a word that `erasing` knows.
        what: of which thing, as the report shows it.
        paths: the files or folders that go, absolute.
        counted: what was there, by what was counted; `bytes` is one of them.
        done_ts: when it was done and nothing was left, ms since the epoch; None before.
        place: by which a database is told from others; empty where it is told by its paths.
        mounts: where the file systems were mounted that hold the paths: where one is missing nothing seems to be left.
    """

    kind: str
    what: str
    paths: tuple[str, ...]
    counted: dict[str, int]
    done_ts: int | None = None
    mounts: tuple[str, ...] = ()
    place: str = ""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Erasure:
    """That the erasing has begun.

    Attributes:
        by: the second person.
        begun_ts: ms since the epoch.
        data_return: what became of the customer's data: when they were handed over, or that he declined.
        backups: what is known of backups, in a sentence of the report.
        steps: in their order.
        left: what was ordered to be left, or is nobody's business of ours, as the report shows it.
        server_key: id and public key of the server, in Base64.
        certificate: what the server's key has signed: that the key of the report may speak for it.
        report_seed: the private key of the report, in Base64; None when the report was written.
        out_of_sight: where nobody has looked, and what a person does there.
    """

    by: str
    begun_ts: int
    data_return: str
    backups: str
    steps: tuple[Step, ...]
    left: tuple[str, ...]
    server_key: tuple[str, str]
    certificate: str
    report_seed: str | None
    out_of_sight: tuple[str, ...] = ()


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Journal:
    """What was ordered, and how far it is.

    Attributes:
        server_name: of the homeserver.
        closing_id: of the closing, also in the database.
        closed_by: the first person.
        grace_days: how long the closing can be taken back, and nothing is erased.
        closed_ts: when it was closed, ms since the epoch; None until that has been done.
        reopened_ts: when it was opened again, written before the database says so; None otherwise.
        shown: fingerprint of the plan that a dry run has shown last; None before.
        erasure: None until the erasing has begun.
    """

    server_name: str
    closing_id: str
    closed_by: str
    grace_days: int = DEFAULT_GRACE_DAYS
    closed_ts: int | None = None
    reopened_ts: int | None = None
    shown: str | None = None
    erasure: Erasure | None = None

    @classmethod
    def of(cls, server_name: str, closing: Closing) -> "Journal":
        """The journal of a closing that stands in the database, which is what counts."""
        return cls(server_name, closing.closing_id, closing.closed_by, closing.grace_days, closing.closed_ts)

    @property
    def closing(self) -> Closing | None:
        """The closing as it must stand in the database; None while the server is not closed."""
        if self.closed_ts is None or self.reopened_ts is not None:
            return None
        return Closing(self.closing_id, self.closed_ts, self.closed_by, self.grace_days)


class JournalFile:
    """The file; made and held by `held_journal`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Journal | None:
        """What it holds; None when there is none.

        Raises:
            OffboardError: it is no journal of ours.
        """
        try:
            found: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
            if found.pop("format") != FORMAT:
                raise OffboardError(
                    f"--journal {self.path}: a newer release of synapse_bum has written it: use that one"
                )
            erasure = found.pop("erasure")
            return Journal(**found, erasure=None if erasure is None else _erasure(erasure))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise OffboardError(f"--journal {self.path}: is no journal of this command: {error}") from None

    def write(self, journal: Journal) -> None:
        """Replaces what it holds; when this returns it is on the disk.

        Raises:
            OSError: it can't be written; it holds what it held.
        """
        text = json.dumps({"format": FORMAT, **attr.asdict(journal)}, indent=1) + "\n"
        write_durably(self.path, text, mode=0o600)


def write_durably(path: Path, text: str, *, mode: int) -> None:
    """Write a file as a whole or not at all.

    Args:
        path: of the file.
        text: what it shall hold.
        mode: its rights.

    Raises:
        OSError: it can't be written.
    """
    beside = path.with_name(f"{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def held_journal(path: Path) -> Iterator[JournalFile]:
    """Have the journal alone.

    Raises:
        OffboardError: another command has it, or there is no such folder.
    """
    lock = path.with_name(f"{path.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OffboardError(f"--journal {path}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OffboardError(f"another command works with the journal {path} at this moment") from None
        yield JournalFile(path)
    finally:
        os.close(descriptor)


def now_ms() -> int:
    """The present, ms since the epoch."""
    return int(time.time() * 1000)


def _erasure(found: dict[str, Any]) -> Erasure:
    lists = ("paths", "mounts")
    steps = tuple(
        Step(**{**step, **{name: tuple(step[name]) for name in lists if name in step}}) for step in found.pop("steps")
    )
    key_id, public_key = found.pop("server_key")
    left, out_of_sight = tuple(found.pop("left")), tuple(found.pop("out_of_sight", ()))
    return Erasure(**found, steps=steps, left=left, out_of_sight=out_of_sight, server_key=(key_id, public_key))
