"""Backups of one repository are not taken for those of another."""

from pathlib import Path
from typing import Any

import pytest

from synapse_bum.cli.backup.runs import Snapshot
from synapse_bum.cli.offboard.erasing import Eraser
from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.cli.offboard.journal import Journal, Step
from synapse_bum.cli.offboard.planning import BACKUPS

pytestmark = pytest.mark.any_synapse

FIRST = Step(BACKUPS, "restic repository /backups/first, the newest backup of 2026-01-02T03:04:05Z", (), {})
JOURNAL = Journal("messenger.example", "0" * 32, "Anna Amt", closed_ts=1_770_000_000_000)
OLD = Snapshot("1", ("synapse-bum", "server=messenger.example", "run=20260102T030405Z-01234567", "part=data"), ())


class FakeRepository:
    """Forgets what it is told to."""

    def __init__(self, place: str, *snapshots: Snapshot) -> None:
        self.shown = place
        self.location = f"sftp:{place}"
        self.stored = [*snapshots]

    def unlock(self) -> None:
        """There are no locks."""

    def snapshots(self) -> list[Snapshot]:
        return [*self.stored]

    def forget(self, snapshot_ids: list[str]) -> None:
        self.stored = [one for one in self.stored if one.snapshot_id not in snapshot_ids]

    def prune(self) -> None:
        """There is nothing else."""


def eraser(repository: Any) -> Eraser:  # noqa: ANN401 - stands for `Repository`
    return Eraser(JOURNAL, {}, repository, [], [])


def test_the_backups_go() -> None:
    repository = FakeRepository("/backups/first", OLD)
    eraser(repository).do(FIRST)
    assert repository.stored == []


def test_who_goes_on_with_another_repository_is_told_so() -> None:
    """Else the report would say that the first one was erased."""
    second = FakeRepository("/backups/first/second", OLD)
    with pytest.raises(OffboardError, match="has begun with the restic repository /backups/first"):
        eraser(second).do(FIRST)
    assert second.stored == [OLD]


def test_without_a_repository_nothing_is_taken_for_erased() -> None:
    with pytest.raises(OffboardError, match="name them with --repository"):
        eraser(None).left(FIRST)
    assert eraser(FakeRepository("/backups/first", OLD)).left(FIRST) == 1


def test_a_folder_with_backups_that_somebody_has_deleted_is_erased(tmp_path: Path) -> None:
    """As those do who have lost its password."""
    repository = FakeRepository("/backups/first", OLD)
    repository.location = str(tmp_path)
    assert eraser(repository).left(FIRST) == 1
    repository.location = str(tmp_path / "deleted")
    eraser(repository).do(FIRST)
    assert repository.stored == [OLD]


def test_a_backup_of_after_the_closing_ends_it() -> None:
    tags = tuple(tag.replace("20260102", "20260301") for tag in OLD.tags)
    repository = FakeRepository("/backups/first", OLD, Snapshot("2", tags, ()))
    with pytest.raises(OffboardError, match="younger than the closing"):
        eraser(repository).do(FIRST)
    assert len(repository.stored) == 2
