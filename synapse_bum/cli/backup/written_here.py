"""Which runs were written from here: a repository remembers the name of a server, which a copy of that server has too.

The list lies in the work folder, which is in no backup. Where another one has written the newest run, there are two
servers of the name, and only a person can tell which of them the backups belong to.
"""

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import attr

from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.runs import HOST, Run, newest_whole

_KEPT: Final = 100
"""Runs that are remembered: more than a repository holds."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class WrittenHere:
    """The list.

    Attributes:
        path: of its file.
    """

    path: Path

    def run_ids(self) -> Sequence[str]:
        """The runs, the oldest first.

        Raises:
            BackupError: the list can't be read.
        """
        try:
            return self.path.read_text(encoding="ascii").split()
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise BackupError(f"--work-dir: {self.path} can't be read: {error}") from None

    def add(self, run_id: str) -> None:
        """Adds a run, on disk when this returns.

        Raises:
            BackupError: the list can't be read.
            OSError: it can't be written.
        """
        beside = self.path.with_suffix(".new")
        with beside.open("w", encoding="ascii") as file:
            file.writelines(f"{one}\n" for one in [*self.run_ids(), run_id][-_KEPT:])
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)


def refuse_runs_of_others(runs: Sequence[Run], run_ids: Collection[str]) -> None:
    """Make sure that no other server goes on with these backups. Pure.

    Args:
        runs: of the repository, the oldest first.
        run_ids: of those that were written from here.

    Raises:
        BackupError: the last whole one is not among them.
    """
    newest = newest_whole(runs)
    if newest is None or newest.run_id in run_ids or newest.closing is None:
        return
    raise BackupError(
        f"the last backup, {newest.run_id}, was written by {newest.closing.value_of(HOST) or 'another host'} and not"
        " with this --work-dir: does the server that this one is a copy of still back up there? Nothing was saved, and"
        " nothing is deleted. If this one has taken its place for good, say so once with --take-over"
    )
