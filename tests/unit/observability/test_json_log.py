"""With the sample for JSON logs, Synapse writes one object a line, and the fields of our events are in it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent.parent
SAMPLE = REPOSITORY / "config-samples" / "log-json.yaml"

WRITES = """
import logging.config, sys, yaml
from synapse_bum.audit import table                           # imported before the log is set up, as modules are
from synapse_bum.audit.chain import Entry, link
from synapse_bum.deletion import remover

with open(sys.argv[1], encoding="utf-8") as file:
    logging.config.dictConfig(yaml.safe_load(file))
entry = Entry(1, "@boss:test", "antivirus.release", "mxc://test/file", old="blocked", reason="Ticket 4711")
table.log_row(link(entry, 7, ""))
remover.logger.info("Removed %d files, %d bytes (%s)", 2, 10, "retention:local_media", extra={"files": 2})
"""
"""What a process of Synapse does; apart from this one, whose log is pytest's."""


@pytest.fixture(scope="module")
def lines() -> list[dict[str, object]]:
    """What such a process writes."""
    ran = subprocess.run(
        [sys.executable, "-c", WRITES, SAMPLE],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_an_audit_row_has_its_fields_in_the_line(lines: list[dict[str, object]]) -> None:
    row = lines[0]
    assert (row["namespace"], row["level"]) == ("synapse_bum.audit", "INFO")
    assert (row["audit_id"], row["audit_ts"], row["actor"], row["target"]) == (7, 1, "@boss:test", "mxc://test/file")
    assert (row["old"], row["reason"], len(str(row["hash"]))) == ('"blocked"', "Ticket 4711", 64)
    assert "by `@boss:test` on `mxc://test/file`" in str(row["log"])


def test_other_events_have_theirs(lines: list[dict[str, object]]) -> None:
    assert lines[1]["log"] == "Removed 2 files, 10 bytes (retention:local_media)"
    assert (lines[1]["namespace"], lines[1]["files"]) == ("synapse_bum.deletion.remover", 2)
