"""A folder that is there whole or not at all, and never in the place of another one."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from synapse_bum.cli.provision.order import OrderError

_SECRET_FILE: Final = 0o600
_SECRET_FOLDER: Final = 0o700
_PUBLIC_FILE: Final = 0o644
_PUBLIC_FOLDER: Final = 0o755


def refuse_what_is_there(folder: Path) -> None:
    """Refuse a place that is taken.

    Raises:
        OrderError: something is there, other than an empty folder; or the folder above is missing.
    """
    if folder.is_symlink():
        raise OrderError(f"--out: {folder} is a link; name the folder itself")
    if not folder.parent.is_dir():
        raise OrderError(f"--out: the folder {folder.parent} is not there; make it first")
    try:
        taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise OrderError(f"--out: {folder}: {error.strerror}") from None
    if taken:
        raise OrderError(f"--out: {folder} is there already and is not empty; nothing was written: name a new folder")


def write_new_folder(folder: Path, files: Mapping[str, str], private: Sequence[str], empty: Sequence[str]) -> None:
    """Write everything beside the folder, and give it its name in one step.

    Args:
        folder: to be made.
        files: contents by path below the folder.
        private: folders below it that only their owner may read, with the files in them.
        empty: those among them that hold nothing yet.

    Raises:
        OrderError: the place is taken, or can't be written; nothing is left then.
    """
    refuse_what_is_there(folder)
    try:
        with _scratch(folder) as scratch:
            _fill(scratch, files, private, empty)
            # Over an empty folder this works, over one with anything in it never.
            scratch.rename(folder)
    except OSError as error:
        raise OrderError(f"--out: {folder} can't be written, and nothing is left of it: {error.strerror}") from None


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder beside the one that is to be made, for its owner only; those of runs that were killed are removed."""
    prefix = f".{folder.name}.synapse-bum-provision-"
    for old in folder.parent.glob(f"{prefix}*"):
        with _locked(old) as is_ours:
            if is_ours:
                shutil.rmtree(old, ignore_errors=True)
    while True:
        scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
        with _locked(scratch) as is_ours:
            # Before it was locked, another run may have taken it for that of a killed one, and removed it.
            if not is_ours:
                continue
            try:
                yield scratch
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
            return


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Whether it is there and nobody else works in it; the lock ends with the process, however that ends."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (FileNotFoundError, PermissionError):  # it has gone, or it is somebody else's
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_there = folder.is_dir() and os.path.samestat(folder.lstat(), os.fstat(descriptor))
    except (BlockingIOError, FileNotFoundError):
        yield False
    else:
        yield is_there
    finally:
        os.close(descriptor)


def _fill(scratch: Path, files: Mapping[str, str], private: Sequence[str], empty: Sequence[str]) -> None:
    for name in empty:
        (scratch / name).mkdir(parents=True)
    for name, content in files.items():
        _write(scratch / name, content, is_secret=Path(name).parts[0] in private)
    for path in (scratch, *(found for found in scratch.rglob("*") if found.is_dir())):
        is_private = path.relative_to(scratch).parts[:1] and path.relative_to(scratch).parts[0] in private
        path.chmod(_SECRET_FOLDER if is_private else _PUBLIC_FOLDER)


def _write(path: Path, content: str, *, is_secret: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = _SECRET_FILE if is_secret else _PUBLIC_FILE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        # Whatever the umask is.
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
