"""A copy of a server has its name and its configuration, and must not clear its backups."""

from pathlib import Path

import pytest

from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.runs import Part, Run, Snapshot, own_runs, tags_of
from synapse_bum.cli.backup.written_here import WrittenHere, refuse_runs_of_others

HERE = "messenger.example"
FIRST, SECOND, THIRD = (f"2026110{day}T023000Z-0123abcd" for day in (1, 2, 3))


def runs_of(*run_ids: str, parts: tuple[Part, ...] = tuple(Part)) -> list[Run]:
    return own_runs(
        [
            Snapshot(f"{run_id}{part}", tags_of(HERE, run_id, part, {"host": "there"}), ("/x",))
            for run_id in run_ids
            for part in parts
        ],
        HERE,
    )


def test_who_has_written_the_newest_run_goes_on() -> None:
    refuse_runs_of_others([], ())
    refuse_runs_of_others(runs_of(FIRST, SECOND), (SECOND,))


@pytest.mark.parametrize("known", [(), (FIRST,), (THIRD,)])
def test_who_has_not_is_refused(known: tuple[str, ...]) -> None:
    with pytest.raises(BackupError, match=rf"{SECOND}, was written by there and not .* --take-over"):
        refuse_runs_of_others(runs_of(FIRST, SECOND), known)


def test_a_run_that_was_broken_off_makes_nobody_the_owner() -> None:
    refuse_runs_of_others([*runs_of(FIRST), *runs_of(SECOND, parts=(Part.DATA,))], (FIRST,))


def test_the_list_outlives_the_process_and_does_not_grow_for_ever(tmp_path: Path) -> None:
    written = WrittenHere(tmp_path / "runs")
    assert written.run_ids() == []
    for number in range(103):
        written.add(f"run-{number}")
    assert WrittenHere(tmp_path / "runs").run_ids() == [f"run-{number}" for number in range(3, 103)]
    (tmp_path / "runs").write_bytes(b"\xff")
    with pytest.raises(BackupError, match="can't be read"):
        written.run_ids()
