"""What the handbook and the samples of backups promise is there."""

import configparser
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from synapse_bum.cli import _parser
from synapse_bum.cli.backup.metrics_file import NAMES
from synapse_bum.cli.backup.workroom import default_work_dir

REPOSITORY = Path(__file__).resolve().parent.parent.parent.parent
SAMPLES = REPOSITORY / "config-samples"
HANDBOOK = (REPOSITORY / "docs" / "backup.md").read_text(encoding="utf-8")
OF_OTHERS = {"--now", "--skip-old-files", "--template", "--locale", "--encoding", "--owner"}


def unit(name: str) -> configparser.RawConfigParser:
    read = configparser.RawConfigParser(strict=False)
    read.optionxform = str  # type: ignore[assignment,method-assign] # names of systemd are not folded
    read.read_string((SAMPLES / name).read_text(encoding="utf-8").replace("\\\n", ""))
    return read


def command_of(service: configparser.RawConfigParser) -> Any:  # noqa: ANN401 - a namespace
    program, *arguments = service["Service"]["ExecStart"].replace("%%", "%").split()
    assert program.endswith("/synapse-bum")
    return _parser().parse_args(arguments)


@pytest.mark.parametrize("name", ["synapse-bum-backup", "synapse-bum-backup-verify"])
def test_the_units_start_what_they_say(name: str) -> None:
    service = unit(f"{name}.service")
    options = command_of(service)
    assert options.command.name == "backup"
    assert options.verify is name.endswith("verify")
    assert options.restore is None
    # The folder that is used without --work-dir: a backup by hand and one of the timer are of one server.
    assert options.work_dir is None
    assert default_work_dir("messenger.example") == Path("/var/lib", service["Service"]["StateDirectory"])
    assert str(options.metrics_file.parent) in service["Service"]["ReadWritePaths"]
    text = (SAMPLES / f"{name}.service").read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{CREDENTIALS_DIRECTORY\}/(\w+)", text))
    assert used == set(re.findall(r"^LoadCredential=(\w+):", text, re.MULTILINE))
    # A share such as 15% is a specifier of systemd when the sign stands once.
    assert not re.search(r"[0-9]%(?!%)", text)
    assert unit(f"{name}.timer")["Timer"]["OnCalendar"]


def test_a_unit_that_fails_is_mailed(tmp_path: Path) -> None:
    started = {
        unit(f"{name}.service")["Unit"]["OnFailure"] for name in ("synapse-bum-backup", "synapse-bum-backup-verify")
    }
    assert started == {"synapse-bum-failed@%n.service"}
    service = unit("synapse-bum-failed@.service")["Service"]
    # As systemd reads it: specifiers, then what is quoted (systemd.syntax(7)).
    line = service["ExecStart"].replace("%i", "x.service").replace("%H", "m1").replace("%%", "%")
    for name, script in (
        ("systemctl", 'echo "what $4 said"'),
        ("sendmail", f'echo "$2" > {tmp_path}/to; cat > {tmp_path}/mail'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    shell, option, script = shlex.split(line)
    script = script.replace("\\\\", "\\").replace("/usr/sbin/sendmail", f"{tmp_path}/sendmail")
    name, _, value = service["Environment"].partition("=")
    subprocess.run([shell, option, script], check=True, env={"PATH": f"{tmp_path}:{os.environ['PATH']}", name: value})
    assert (tmp_path / "to").read_text() == "desk@messenger.example\n"
    head, _, body = (tmp_path / "mail").read_text().partition("\n\n")
    assert head == "To: desk@messenger.example\nSubject: x.service has failed on m1"
    assert body == "what x.service said\n"


def test_both_units_lock_each_other_out_and_use_one_repository() -> None:
    first, second = (
        command_of(unit(f"{name}.service")) for name in ("synapse-bum-backup", "synapse-bum-backup-verify")
    )
    for option in ("work_dir", "repository_file", "password_file", "metrics_file", "config_path"):
        assert getattr(first, option) == getattr(second, option)


def test_the_handbook_names_every_metric_and_every_option() -> None:
    assert set(re.findall(r"synapse_bum_backup_\w+", HANDBOOK)) == NAMES
    (choices,) = (one.choices for one in _parser()._actions if isinstance(one.choices, dict))
    known = set(re.findall(r"(--[a-z][a-z-]+)", choices["backup"].format_help())) - {"--help", "--config-path"}
    named = set(re.findall(r"(--[a-z][a-z-]+)", HANDBOOK))
    assert named - {"--read-data", *OF_OTHERS} <= known
    assert known - named <= {"--repository"}
