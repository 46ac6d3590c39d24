"""A repository of restic (run with 0.14.0, Debian's): what is asked of it, and what its answers mean.

Its location and its password reach restic by the environment. restic 0.14 ends with 1 after every failure, so that the
reason is read from what it says; later releases tell some by the status (restic's manual, "Scripting").
"""

import json
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attr

from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.programs import Done, find_program, run_program
from synapse_bum.cli.backup.runs import Snapshot

_INCOMPLETE: Final = 3  # of `backup`: some source files could not be read
_NO_REPOSITORY: Final = 10
_FULL: Final = "no space left on device"
_WRONG_PASSWORD: Final = 12
_OTHERS_SECRETS: Final = ("RESTIC_PASSWORD", "RESTIC_PASSWORD_COMMAND", "RESTIC_REPOSITORY", "RESTIC_REPOSITORY_FILE")
_NOT_CLEARED: Final = "could not be cleared of old backups"
_ID: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
LONGEST_STANDSTILL_S: Final = 300.0
_ENDED_STATES: Final = {"Z", "X"}  # proc(5): ended, and nobody has waited for it
_LOCKED: Final = re.compile(r"already locked (?:exclusively )?by PID (\d+) on (\S+)", re.ASCII)
_CREDENTIALS: Final = re.compile(r"(://)[^/@\s]+@")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Saved:
    """A snapshot that has just been made.

    Attributes:
        snapshot_id: as restic names it.
        files: how many it holds.
        size_bytes: how much that is, before compression.
        added_bytes: what the repository did not have yet, before compression.
    """

    snapshot_id: str
    files: int
    size_bytes: int
    added_bytes: int


class Repository:
    """One repository."""

    def __init__(self, location: str, password_file: Path, cache: Path | None) -> None:
        """Nothing is asked yet.

        Args:
            location: as restic takes it: a folder, `s3:https://...`, `sftp:...`.
            password_file: holds the password.
            cache: folder for restic's cache; None for none. With one on a full disk restic tries for 15 minutes.

        Raises:
            BackupError: restic is missing, or the password can't be read.
        """
        self._restic = find_program("restic", "restic")
        self._options = ("--no-cache",) if cache is None else ("--cache-dir", str(cache))
        self.location = location
        _check_password_file(password_file)
        inherited = {name: value for name, value in os.environ.items() if name not in _OTHERS_SECRETS}
        self._environment = {
            **inherited,
            "RESTIC_REPOSITORY": location,
            "RESTIC_PASSWORD_FILE": str(password_file),
            "RESTIC_PROGRESS_FPS": "0.01",
            "LC_ALL": "C.UTF-8",
        }

    @property
    def shown(self) -> str:
        """The location without credentials."""
        return without_credentials(self.location)

    def version(self) -> str:
        """The release of restic."""
        words = self._run("version").output.split()
        return words[1] if len(words) > 1 else "unknown"

    def init(self) -> None:
        """Makes the repository.

        Raises:
            BackupError: there is one, or it can't be made.
        """
        done = self._run("init")
        if done.status:
            raise self._error("can't be made", done)

    def exists(self) -> bool:
        """Whether it is there and the password opens it.

        Raises:
            BackupError: nobody can tell, the password is wrong, or it is damaged.
        """
        done = self._run("cat", "config")
        if not done.status:
            return True
        if done.status == _NO_REPOSITORY or "Is there a repository at the following location" in done.complaint:
            return False
        raise self._error("can't be opened", done)

    def unlock(self) -> None:
        """Takes away locks whose processes have ended; others stay.

        Raises:
            BackupError: that did not work.
        """
        self._demand("can't be unlocked", "unlock")
        # Restic takes a process for a living one that has ended and that nobody has waited for, which in a container
        # without an init is for ever.
        left = [word for word in self._run("list", "locks", "--no-lock").output.split() if _ID.fullmatch(word)]
        if left and all(self._is_of_a_dead_process(lock_id) for lock_id in left):
            self._demand("can't be unlocked", "unlock", "--remove-all")

    def snapshots(self) -> list[Snapshot]:
        """All snapshots.

        Raises:
            BackupError: they can't be read.
        """
        done = self._demand("can't be read", "snapshots", "--json")
        try:
            return [Snapshot.from_json(one) for one in json.loads(done.output) or ()]
        except (ValueError, KeyError, TypeError):
            raise BackupError(f"restic answered with no list of snapshots: {done.output[:100]!r}") from None

    def save(self, paths: Sequence[Path], tags: Sequence[str], host: str) -> Saved:
        """Makes a snapshot. What was deleted while it was read is left out.

        Args:
            paths: absolute.
            tags: without commas.
            host: what the snapshot says where it was made; always the same, so that restic finds what it has.

        Raises:
            BackupError: it could not be made, or something that is there could not be read; then a snapshot may be
                left, without the rest of its run.
        """
        marks = [part for tag in tags for part in ("--tag", tag)]
        done = self._run("backup", "--json", "--host", host, *marks, "--", *map(str, paths))
        if done.status == _INCOMPLETE:
            unread = [path for path in _unread(done.complaint) if path is None or os.path.lexists(path)]
            if unread:
                raise BackupError(f"{len(unread)} files could not be read, for example {unread[0] or 'an unnamed one'}")
        elif done.status:
            raise self._error("did not take the backup", done)
        summary = next((one for one in _messages(done.output) if one.get("message_type") == "summary"), None)
        if summary is None:
            raise BackupError("restic has ended without saying what it saved")
        return Saved(
            str(summary["snapshot_id"]),
            int(summary["total_files_processed"]),
            int(summary["total_bytes_processed"]),
            int(summary["data_added"]),
        )

    def restore(self, snapshot_id: str, folder: Path) -> None:
        """Writes the files of a snapshot below a folder, with their whole paths, and reads them once more.

        Raises:
            BackupError: not all of them could be written as they were saved.
        """
        self._demand("could not be restored", "restore", snapshot_id, "--target", str(folder), "--verify")

    def check(self, read: str) -> None:
        """Looks for damage.

        Args:
            read: how much of the data is read, as `--read-data-subset` takes it.

        Raises:
            BackupError: something is damaged.
        """
        self._demand("is damaged or can't be read", "check", f"--read-data-subset={read}")

    def forget(self, snapshot_ids: Sequence[str]) -> None:
        """Takes snapshots out of the list; `prune` deletes what only they hold.

        Raises:
            BackupError: that did not work, or not for all of them.
        """
        self._demand(_NOT_CLEARED, "forget", "--", *snapshot_ids)

    def prune(self) -> None:
        """Deletes everything that no snapshot holds. Whatever is half used is written anew: deleted means gone.

        Raises:
            BackupError: that did not work; the next time it is tried again.
        """
        self._demand(_NOT_CLEARED, "prune", "--max-unused", "0")

    def _is_of_a_dead_process(self, lock_id: str) -> bool:
        """Whether a lock is one of this machine, and its process has ended."""
        try:
            lock = json.loads(self._run("cat", "lock", lock_id, "--no-lock").output)
            return bool(lock["hostname"] == socket.gethostname() and _has_ended(int(lock["pid"])))
        except (ValueError, KeyError, TypeError):
            return False

    def _run(self, *arguments: str) -> Done:
        # restic tries some of its writes again for a quarter of an hour (its package internal/backend, retry).
        return run_program(
            [self._restic, *self._options, *arguments],
            self._environment,
            hopeless=_FULL,
            longest_standstill_s=LONGEST_STANDSTILL_S,
        )

    def _demand(self, what_failed: str, *arguments: str) -> Done:
        done = self._run(*arguments)
        if done.status:
            raise self._error(what_failed, done)
        return done

    def _error(self, what_failed: str, done: Done) -> BackupError:
        if done.status == _WRONG_PASSWORD or "wrong password or no key found" in done.complaint:
            return BackupError(f"the password does not open the repository {self.shown}: look at --password-file")
        locked = _LOCKED.search(done.complaint)
        if locked is not None:
            return BackupError(
                f"the repository {self.shown} is locked by process {locked[1]} on {locked[2]}: wait until that has"
                " ended. Where it has ended without unlocking, its lock is taken away after 30 minutes"
            )
        if _FULL in done.complaint:
            return BackupError(f"no space is left for the repository {self.shown}: it was not changed as it should be")
        if done.stood_still:
            return BackupError(
                f"restic did nothing any more for {LONGEST_STANDSTILL_S:g} seconds and was ended: the repository"
                f" {self.shown} {what_failed}. Look whether it can be reached and has space left"
            )
        return BackupError(f"the repository {self.shown} {what_failed}: {without_credentials(done.last_complaint())}")


def without_credentials(text: str) -> str:
    """Take user names and passwords out of the addresses in a text. Pure."""
    return _CREDENTIALS.sub(r"\1***@", text)


def _has_ended(pid: int) -> bool:
    try:
        stat = Path("/proc", str(pid), "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in _ENDED_STATES


def _messages(text: str) -> Iterator[Mapping[str, Any]]:
    for line in text.splitlines():
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if isinstance(message, dict):
            yield message


def _unread(complaint: str) -> list[str | None]:
    """The files that restic could not read; None for one that it does not name."""
    errors = [one for one in _messages(complaint) if one.get("message_type") == "error"]
    return [str(one["item"]) if one.get("item") else None for one in errors] or [None]


def _check_password_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
        password = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BackupError(f"--password-file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BackupError(f"--password-file {path}: is no UTF-8 text") from None
    if not password:
        raise BackupError(f"--password-file {path}: is empty")
    if mode & 0o007:
        raise BackupError(f"--password-file {path}: everybody on this machine may read it; chmod 600")
