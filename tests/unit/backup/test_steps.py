"""What an operator is told to do after a restore."""

from pathlib import Path

import pytest

from synapse_bum.cli.backup.manifest import Manifest, Stored
from synapse_bum.cli.backup.steps import next_steps
from synapse_bum.homeserver.dump_contents import Contents

pytestmark = pytest.mark.any_synapse


def steps(*logs: Stored) -> str:
    manifest = Manifest(
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
        logs=logs,
        config_files=(),
        signing_key=None,
        lost=(),
        gone=(),
    )
    return " ".join(" ".join(next_steps(Path("/srv/restored"), manifest)).split())


def test_it_says_how_what_is_over_age_goes_and_how_long_that_takes() -> None:
    said = steps()
    assert 'POST .../retention/runs with {"confirm": true}' in said
    assert "Without that, runs delete for a day nothing that has come of age since the backup" in said
    assert "Open the proxy when `backlog_items` is 0" in said


def test_logs_are_named_and_missing_ones_are_no_reason_to_begin_new_ones() -> None:
    copied = Stored("/var/log/deletions.jsonl", "logs/deletions.jsonl", 5)
    assert "/srv/restored/logs/deletions.jsonl -> /var/log/deletions.jsonl" in steps(copied)
    assert "the backup holds none: Synapse says at its start what to do" in steps()
