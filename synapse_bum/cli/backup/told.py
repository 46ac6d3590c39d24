"""What Prometheus is told of an attempt, however that ends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attr

from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.metrics_file import write_metrics


@attr.s(auto_attribs=True, slots=True)
class Told:
    """One attempt.

    Attributes:
        path: `*.prom`; None when nobody wants to know.
        server: whose it is, as soon as that is known.
    """

    path: Path | None
    server: str | None = None

    def tell(self, **values: float) -> None:
        """Writes values, by their names without the prefix.

        Raises:
            BackupError: the file can't be written.
        """
        if self.path is not None:
            try:
                write_metrics(self.path, self.server, values)
            except OSError as error:
                raise BackupError(
                    f"--metrics-file {self.path} can't be written: {error.strerror}; nobody is told how this went"
                ) from None


@contextmanager
def telling(path: Path | None, what: str) -> Iterator[Told]:
    """Note how an attempt ended.

    Args:
        path: `*.prom`, or None.
        what: `last_run` or `last_verify`.

    Raises:
        BackupError: the file can't be written after a success.
    """
    told = Told(path)
    try:
        yield told
    except BaseException:
        # What has failed first is what is said.
        with suppress(BackupError):
            told.tell(**{f"{what}_ok": 0, f"{what}_timestamp_seconds": time.time()})
        raise
    told.tell(**{f"{what}_ok": 1, f"{what}_timestamp_seconds": time.time()})
