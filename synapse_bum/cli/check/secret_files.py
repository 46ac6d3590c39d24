"""Whether the files with Synapse's own secrets, and the folder of the media, can be used by who runs the check."""

import os
import stat
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final

import attr

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.processes import Process
from synapse_bum.cli.check.remark import Remark, error, warning
from synapse_bum.cli.check.shapes import items, section, text

_MADE_BY_SYNAPSE: Final = "registration_shared_secret_path"
_KEYS: Final = (
    "signing_key_path",
    "macaroon_secret_key_path",
    "form_secret_path",
    _MADE_BY_SYNAPSE,
    "worker_replication_secret_path",
    "turn_shared_secret_path",
)
_NESTED: Final = (
    ("database", "args", "passfile"),
    ("redis", "password_path"),
    ("matrix_authentication_service", "secret_path"),
)


class FileKind(Enum):
    """What is at a path."""

    MISSING = "is not there"
    NO_FILE = "is no file"
    UNREADABLE = "can't be read by this user"
    EMPTY = "is empty"
    FINE = "can be read"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class FileState:
    """What was seen of a file.

    Attributes:
        kind: whether it can be read.
        mode: its permissions; 0 where it is not there.
    """

    kind: FileKind
    mode: int = 0


def file_state(path: str) -> FileState:
    """Look at a file."""
    try:
        found = Path(path).stat()
    except PermissionError:
        return FileState(FileKind.UNREADABLE)
    except (OSError, ValueError):
        return FileState(FileKind.MISSING)
    if not stat.S_ISREG(found.st_mode):
        return FileState(FileKind.NO_FILE, found.st_mode)
    if not os.access(path, os.R_OK):
        return FileState(FileKind.UNREADABLE, found.st_mode)
    return FileState(FileKind.FINE if found.st_size else FileKind.EMPTY, found.st_mode)


def secret_paths(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every file with a secret of Synapse's own, with the key that names it. Pure."""
    for key in _KEYS:
        path = text(settings, key)
        if path is not None:
            yield key, path
    for *sections, key in _NESTED:
        found: Mapping[str, Any] = settings
        for name in sections:
            found = section(found, name)
        path = text(found, key)
        if path is not None:
            yield ".".join((*sections, key)), path
    for number, entry in enumerate(items(settings, "oidc_providers")):
        path = text(entry, "client_secret_path") if isinstance(entry, dict) else None
        if path is not None:
            yield f"oidc_providers.<item {number}>.client_secret_path", path


def secret_file_remarks(process: Process) -> Iterator[Remark]:
    """Look at all of them."""
    for key, path in secret_paths(process.settings):
        yield from judged(key, path, file_state(path))


def judged(key: str, path: str, state: FileState) -> Iterator[Remark]:
    """Say what is wrong with one. Pure."""
    if state.kind is FileKind.MISSING and key == _MADE_BY_SYNAPSE:
        return
    if state.kind is not FileKind.FINE:
        yield error(Check.SECRET_FILE, f"{path} {state.kind.value}", f"`{key}`")
    elif state.mode & stat.S_IROTH:
        yield warning(Check.SECRET_READERS, f"everybody on this machine can read {path}", f"`{key}`")


def media_folder_remarks(process: Process) -> Iterator[Remark]:
    """Look at `media_store_path` of a process with the media repository."""
    path = text(process.settings, "media_store_path")
    if process.has_media and path is not None:
        folder = Path(path)
        there = next((place for place in (folder, *folder.parents) if os.access(place, os.F_OK)), folder)
        can_write = os.access(there, os.W_OK | os.X_OK) and there.is_dir()
        yield from media_folder_judged(path, is_there=there == folder, can_write=can_write, nearest=str(there))


def media_folder_judged(path: str, *, is_there: bool, can_write: bool, nearest: str) -> Iterator[Remark]:
    """Say whether files can be stored. Pure.

    Args:
        path: as configured.
        is_there: whether something is at the path.
        can_write: whether this user can write there, or to the nearest folder above it that is there.
        nearest: that folder.
    """
    if not can_write:
        says = (
            f"{path} can't be written by this user"
            if is_there
            else f"{path} is not there, nor can be made in {nearest}"
        )
        yield error(Check.MEDIA_FOLDER, f"{says}; run the check as Synapse's user", "`media_store_path`")
