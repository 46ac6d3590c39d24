"""What `synapse-bum check` says about the recovery module."""

from pathlib import Path

import pytest

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.recovery import recovery_remarks
from synapse_bum.cli.check.remark import Level
from synapse_bum.recovery import RecoveryModule
from synapse_bum.retention import RetentionModule


def said(config: dict[str, object], retention: dict[str, object] | None = None) -> list[tuple[Level, str]]:
    configs: list[object] = [] if retention is None else [RetentionModule.parse_config(retention)]
    remarks = recovery_remarks([RecoveryModule.parse_config(config), *configs])
    return [(remark.level, remark.text) for remark in remarks]


def test_a_log_that_can_be_written_needs_no_word(tmp_path: Path) -> None:
    assert said({"log_path": str(tmp_path / "recovery.log")}) == []


def test_no_log_is_a_warning() -> None:
    ((level, text),) = said({})
    assert level is Level.WARNING
    assert "`log_path` is not set" in text


def test_a_beginning_that_is_still_set_is_a_warning(tmp_path: Path) -> None:
    ((level, text),) = said({"log_path": str(tmp_path / "recovery.log"), "log_begins_at": 7})
    assert level is Level.WARNING
    assert "remove it once the server has started" in text


def test_a_folder_is_an_error(tmp_path: Path) -> None:
    assert said({"log_path": str(tmp_path)}) == [
        (Level.ERROR, f"recovery: `log_path`: {tmp_path} is a folder; name a file")
    ]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    ((level, text),) = said({"log_path": str(tmp_path / "missing" / "recovery.log")})
    assert level is Level.ERROR
    assert "is not there" in text


def test_one_file_for_two_logs_is_an_error(tmp_path: Path) -> None:
    path = str(tmp_path / "recovery.log")
    ((level, text),) = said({"log_path": path}, {"deletion_log_path": path})
    assert level is Level.ERROR
    assert "give each its own file" in text


@pytest.mark.parametrize(
    ("rules", "is_rotated"),
    [
        ("{folder}/*.log {{\n  weekly\n  create\n}}\n", True),
        ('"{folder}/recovery.log"\n{{\n  copytruncate\n}}\n', True),
        ("/var/log/other.log {folder}/recovery.log{{\n}}\n", True),
        ("# {folder}/recovery.log {{ }}\n", False),
        ("{folder}/*/*.log /var/log/*.log recovery.log / {{\n}}\n", False),
    ],
)
def test_a_log_that_logrotate_would_empty_is_a_warning(tmp_path: Path, rules: str, *, is_rotated: bool) -> None:
    folder = tmp_path / "logrotate.d"
    (folder / "folder").mkdir(parents=True)
    (folder / "matrix").write_text(rules.format(folder=tmp_path))
    config = RecoveryModule.parse_config({"log_path": str(tmp_path / "recovery.log")})
    remarks = list(recovery_remarks([config], logrotate=folder))
    assert [(remark.check, remark.level) for remark in remarks] == [
        (Check.RECOVERY_ROTATED, Level.WARNING)
    ] * is_rotated
    assert list(recovery_remarks([config], logrotate=tmp_path / "missing")) == []
