"""What an operator is told to do after a restore."""

from pathlib import Path

import attr
import pytest

from synapse_bum.cli.backup.manifest import Manifest, Stored
from synapse_bum.cli.backup.runs import LACKS, Run, Snapshot
from synapse_bum.cli.backup.steps import next_steps, without_files
from synapse_bum.homeserver.dump_contents import Contents

pytestmark = pytest.mark.any_synapse


MANIFEST = Manifest(
    run_id="run",
    server_name="messenger.example",
    dumped_ts=1,
    is_postgres=True,
    versions={},
    contents=Contents(counts={}, messages=(), files=(), unproved=()),
    data_folder="/data",
    media="/media",
    providers=(),
    elsewhere=(),
    files=(),
    logs=(),
    config_files=(),
    signing_key=None,
    lost=(),
    gone=(),
)


def steps(*logs: Stored) -> str:
    return " ".join(" ".join(next_steps(Path("/srv/restored"), attr.evolve(MANIFEST, logs=logs))).split())


def test_it_says_how_what_is_over_age_goes_and_how_long_that_takes() -> None:
    said = steps()
    assert 'POST .../retention/runs with {"confirm": true}' in said
    assert "Without that, runs delete for a day nothing that has come of age since the backup" in said
    assert "Open the proxy when `backlog_items` is 0" in said


def test_it_says_how_small_files_get_to_their_places() -> None:
    assert "tar -C /srv/restored/config -c . | tar -C / -xp --skip-old-files" in steps()


def test_a_backup_without_its_files_names_the_last_one_that_has_them() -> None:
    def run(number: int, *more: str) -> Run:
        snapshot = Snapshot("id", more, ())
        return Run(f"2026112{number}T023000Z-01234567", 0, snapshot, snapshot)

    runs = [run(1), run(2), run(3, f"{LACKS}=1"), run(4, f"{LACKS}=2")]
    lacking = attr.evolve(MANIFEST, run_id=runs[3].run_id, lost=("a", "b"))
    (said,) = without_files(lacking, runs)
    assert said.startswith("WARNING 2 files of the database are not in this backup.")
    assert f"--run {runs[1].run_id} --restore DIR2" in said
    assert "--run" not in without_files(lacking, runs[2:])[0]
    assert without_files(MANIFEST, runs) == []


def test_logs_are_named_and_missing_ones_are_no_reason_to_begin_new_ones() -> None:
    copied = Stored("/var/log/deletions.jsonl", "logs/deletions.jsonl", 5)
    assert "/srv/restored/logs/deletions.jsonl -> /var/log/deletions.jsonl" in steps(copied)
    assert "the backup holds none: Synapse says at its start what to do" in steps()
