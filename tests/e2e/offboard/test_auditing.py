"""An auditor without this software checks a report with the commands of the handbook."""

import json
import os
import subprocess
import textwrap
from pathlib import Path

import pytest

from synapse_bum.testing.offboard_case import StoppedServer

pytestmark = pytest.mark.any_synapse

HANDBOOK = Path(__file__).parents[3] / "docs" / "vertragsende.md"
VERIFIED = "Signature Verified Successfully"


def commands() -> str:
    """Those of the handbook, after the line that names the report and the key."""
    blocks = HANDBOOK.read_text().split("\n\n    REPORT=")
    assert len(blocks) == 2
    block = f"    REPORT={blocks[1]}".partition("\n\nZweimal")[0]
    first, _, rest = textwrap.dedent(block).partition("\n")
    assert first.startswith("REPORT=/srv/")
    return rest


def check(folder: Path, report: Path, key: str) -> int:
    """How many signatures are right."""
    folder.mkdir()
    variables = {**os.environ, "REPORT": str(report), "KEY": key}
    shell = ["bash", "-c", commands()]
    done = subprocess.run(shell, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.count(VERIFIED)


def test_the_commands_of_the_handbook_tell_a_true_report_from_others(server: StoppedServer, tmp_path: Path) -> None:
    assert server.close() == 0
    server.pass_days()
    assert server.look_and_erase() == 0
    true = json.loads(server.report.read_text())
    key = true["server_key"]["public_key"]
    assert check(tmp_path / "true", server.report, key) == 2
    assert check(tmp_path / "of another server", server.report, "A" * 43) == 0
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps({**true, "report": {**true["report"], "left": ["nothing"]}}))
    assert check(tmp_path / "changed", changed, key) == 1
    changed.write_text(json.dumps({**true, "report": {**true["report"], "grace_days": 1}}))
    assert check(tmp_path / "another order", changed, key) == 0
