"""Which backups stay, which go, and whose they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.runs import (
    LACKS,
    Part,
    Run,
    Snapshot,
    new_run_id,
    newest_whole,
    own_runs,
    refuse_future,
    server_of,
    tags_of,
    to_forget,
)

HERE = "messenger.example"
DAY = 86_400_000
HOUR = 3_600_000
NOW = 1_795_000_000_000


def snapshots_of(age_ms: int, *parts: Part, server: str = HERE, unique: str = "0123abcd") -> list[Snapshot]:
    run_id = new_run_id(NOW - age_ms, unique)
    return [Snapshot(f"{run_id}-{part.value}", tags_of(server, run_id, part, {}), ("/x",)) for part in parts]


def runs_of(*ages_ms: int) -> list[Run]:
    return own_runs([one for age in ages_ms for one in snapshots_of(age, *Part)], HERE)


def test_a_run_is_whole_with_both_parts_only() -> None:
    found = own_runs([*snapshots_of(2 * DAY, *Part), *snapshots_of(DAY, Part.DATA)], HERE)
    assert [run.is_whole for run in found] == [True, False]
    assert newest_whole(found) == found[0]


def test_the_time_of_a_run_is_that_of_its_name() -> None:
    assert [run.started_ts for run in runs_of(5 * DAY)] == [NOW - 5 * DAY]


def test_what_is_older_than_it_may_be_goes_and_everything_else_stays() -> None:
    runs = runs_of(15 * DAY, 14 * DAY + 1000, *(days * DAY for days in (14, 12, 10, 8, 7, 6, 4, 2, 0)))
    assert to_forget(runs, NOW, 14) == runs[:2]
    assert to_forget(runs, NOW, 7) == runs[:6]


def test_the_last_whole_backup_stays_however_old_it_is() -> None:
    runs = own_runs([*snapshots_of(90 * DAY, *Part), *snapshots_of(DAY, Part.DATA)], HERE)
    assert to_forget(runs, NOW, 14) == runs[1:]


def test_while_the_last_backup_lacks_files_no_older_one_goes() -> None:
    run_id = new_run_id(NOW - HOUR, "0123abcd")
    parts = [(Part.DATA, {}), (Part.CLOSING, {LACKS: "3"})]
    lacking = [Snapshot(part.value, tags_of(HERE, run_id, part, more), ("/x",)) for part, more in parts]
    before = [*snapshots_of(30 * DAY, *Part), *snapshots_of(20 * DAY, *Part), *snapshots_of(2 * HOUR, Part.DATA)]
    runs = own_runs([*before, *lacking], HERE)
    assert runs[-1].lacks_files
    assert to_forget(runs, NOW, 14) == [run for run in runs if not run.is_whole]
    # One that is whole again, and what lacked files is as good as any other.
    later = [run for age in range(1, 10) for run in runs_of(-age * DAY)]
    gone = to_forget([*runs, *later], NOW + 9 * DAY, 14)
    assert [run.started_ts for run in gone] == [run.started_ts for run in runs[:3]]


def test_the_closing_snapshot_goes_first() -> None:
    (run,) = runs_of(DAY)
    assert [one.rpartition("-")[2] for one in run.snapshot_ids] == ["closing", "data"]


def every_night(nights: int, ago: int = 0) -> list[Run]:
    return runs_of(*((ago + night) * DAY for night in reversed(range(nights))))


def test_a_clock_that_was_set_forward_costs_no_backup_of_the_last_seven_days() -> None:
    before, ahead = every_night(14, ago=400), every_night(1)
    assert to_forget([*before, *ahead], NOW, 14) == before[:6]
    # It may stay so: the old ones go as new ones come.
    assert to_forget([*before, *every_night(4)], NOW, 14) == before[:9]
    assert to_forget([*before, *every_night(9)], NOW, 14) == before


@pytest.mark.parametrize(("keep", "still", "stay"), [(14, 7, 8), (14, 8, 8), (14, 30, 8), (7, 3, 8), (7, 2, 6)])
def test_while_no_backup_can_be_made_those_of_the_last_days_before_stay(keep: int, still: int, stay: int) -> None:
    runs = every_night(14, ago=still)
    assert len(runs) - len(to_forget(runs, NOW, keep)) == stay


def test_a_run_of_the_future_stops_everything() -> None:
    runs = runs_of(DAY, 0, -2 * DAY)
    with pytest.raises(BackupError, match=r"is of the future: .* restic forget 20\d{6} 20\d{6}$"):
        refuse_future(runs, NOW)
    refuse_future(runs_of(DAY, -HOUR // 2), NOW)


@given(ages=st.lists(st.integers(0, 40 * DAY).map(lambda ms: ms // 1000 * 1000), unique=True), keep=st.integers(7, 14))
def test_nothing_that_is_younger_than_seven_days_ever_goes(ages: list[int], keep: int) -> None:
    gone = to_forget(runs_of(*ages), NOW, keep)
    assert all(NOW - run.started_ts > keep * DAY for run in gone)
    assert len(gone) < max(1, len(ages))


def test_strangers_are_refused() -> None:
    with pytest.raises(BackupError, match="1 snapshots that are no backups"):
        own_runs([*snapshots_of(0, *Part), Snapshot("a", ("photos",), ("/p",))], HERE)
    with pytest.raises(BackupError, match="1 snapshots that are no backups"):
        own_runs([Snapshot("a", ("synapse-bum", f"server={HERE}", "run=today"), ())], HERE)
    with pytest.raises(BackupError, match=r"holds backups of other\.example"):
        own_runs(snapshots_of(0, *Part, server="other.example"), HERE)


def test_the_server_is_known_when_there_is_one() -> None:
    assert server_of(snapshots_of(0, *Part)) == HERE
    for none_or_two in ([], [*snapshots_of(0, *Part), *snapshots_of(0, *Part, server="other.example")]):
        with pytest.raises(BackupError, match="-c homeserver"):
            server_of(none_or_two)


def test_tags_hold_no_comma() -> None:
    assert "log:a;b=1" in tags_of(HERE, new_run_id(NOW, "0123abcd"), Part.CLOSING, {"log:a,b": "1"})
