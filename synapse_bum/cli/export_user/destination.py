"""The folder of an export: new, readable by nobody else, and there as a whole or not at all.

It is written beside its place, as `.NAME.unfinished`, and gets its name at the end. What a killed export has left there
is removed by the next one to the same place; a lock tells it from one that still runs.
"""

import contextlib
import fcntl
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import IO

from typing_extensions import Self

_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600


class DestinationError(Exception):
    """The folder can't be made; the text says why and what to do."""


class Destination:
    """A folder in the making.

    Attributes:
        path: where it is written.
    """

    def __init__(self, out: Path) -> None:
        """Prepares; nothing is written yet.

        Args:
            out: where it shall be.
        """
        # Synapse's own folder may be reached in several ways; the name must be one.
        self._out = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a link in place of the folder
        self.path = self._out.with_name(f".{self._out.name}.unfinished")
        self._lock: int | None = None

    def __enter__(self) -> Self:
        """Makes the folder.

        Raises:
            DestinationError: it is there already, another export writes to it, or it can't be made.
        """
        if os.path.lexists(self._out):
            raise DestinationError(f"{self._out} is there already; name a folder that does not exist yet")
        try:
            self._remove_leftover()
            self.path.mkdir(_PRIVATE_FOLDER)
            self._lock = self._locked()
        except OSError as error:
            raise DestinationError(f"{error.filename or self.path}: {error.strerror}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Removes what was not finished."""
        if self._lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = None

    def folder(self, relative: str) -> Path:
        """Makes a folder in it."""
        path = self.path / relative
        path.mkdir(_PRIVATE_FOLDER, parents=True, exist_ok=True)
        return path

    def text(self, relative: str) -> IO[str]:
        """Opens a new file in it for text."""
        return os.fdopen(self._new(relative), "w", encoding="utf-8", errors="replace", newline="")

    def binary(self, relative: str) -> IO[bytes]:
        """Opens a new file in it for bytes."""
        return os.fdopen(self._new(relative), "wb")

    def publish(self) -> None:
        """Gives the folder its name.

        Raises:
            DestinationError: somebody else has made one of that name.
        """
        if os.path.lexists(self._out):
            raise DestinationError(f"{self._out} was made by somebody else in the meantime; name another folder")
        try:
            self.path.rename(self._out)
        except OSError as error:
            raise DestinationError(f"{self._out}: {error.strerror}") from None

    def _new(self, relative: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(self.path / relative, flags, _PRIVATE_FILE)

    def _remove_leftover(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            lock = self._locked()
            try:
                shutil.rmtree(self.path)
            finally:
                os.close(lock)

    def _locked(self) -> int:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise DestinationError(f"another export writes to {self._out} at this moment") from None
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor
