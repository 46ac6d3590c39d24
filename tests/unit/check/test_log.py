"""Log configurations that keep the modules' lines from being written, and those that don't."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from synapse_bum.cli.check.log import log_remarks, silenced

GOOD: dict[str, Any] = {
    "disable_existing_loggers": False,
    "handlers": {"file": {"class": "logging.FileHandler"}, "null": {"class": "logging.NullHandler"}},
    "root": {"level": "INFO", "handlers": ["file"]},
}
SAMPLE = Path(__file__).resolve().parents[3] / "config-samples" / "log.yaml"


def said(**change: object) -> list[str]:
    return [f"{remark.level.value} {remark.check.value}" for remark in silenced({**GOOD, **change}, "log.yaml")]


def test_the_sample_and_the_least_are_good() -> None:
    assert list(log_remarks(str(SAMPLE))) == []
    assert said() == []


@pytest.mark.parametrize("value", [True, None, 0, "false"])
def test_loggers_that_are_disabled(value: object) -> None:
    assert said(disable_existing_loggers=value) == ["WARNING log.disabled-loggers"]


@pytest.mark.parametrize(
    "change",
    [
        {"root": {"level": "WARNING", "handlers": ["file"]}},
        {"root": {"level": "ERROR", "handlers": ["file"]}},
        {"root": {"level": 25, "handlers": ["file"]}},
        {"root": {"handlers": ["file"]}},
        {"loggers": {"synapse_bum": {"level": "CRITICAL"}}},
        {"loggers": {"synapse_bum.audit": {"level": "WARN"}}},
    ],
)
def test_levels_above_info(change: dict[str, Any]) -> None:
    assert said(**change) == ["WARNING log.level"]


def test_a_word_that_is_no_level_stops_synapse() -> None:
    assert said(root={"level": "info", "handlers": ["file"]}) == ["ERROR log.level"]


@pytest.mark.parametrize(
    ("change", "level"),
    [
        ({"root": {"level": "INFO"}}, "WARNING"),
        ({"root": {"level": "INFO", "handlers": []}}, "WARNING"),
        ({"root": {"level": "INFO", "handlers": ["null"]}}, "WARNING"),
        ({"root": {"level": "INFO", "handlers": ["other"]}}, "ERROR"),
        ({"handlers": {"file": {"class": "logging.FileHandler", "level": "ERROR"}}}, "WARNING"),
        ({"loggers": {"synapse_bum": {"propagate": False}}}, "WARNING"),
        ({"loggers": {"synapse_bum.audit": {"handlers": ["null"], "propagate": False}}}, "WARNING"),
    ],
)
def test_handlers_that_write_nothing(change: dict[str, Any], level: str) -> None:
    assert said(**change) == [f"{level} log.handler"]


@pytest.mark.parametrize(
    "change",
    [
        {"root": {"level": "DEBUG", "handlers": ["file", "null"]}},
        {"root": {"level": "NOTSET", "handlers": ["file"]}},
        {"root": {"level": "WARNING", "handlers": ["file"]}, "loggers": {"synapse_bum": {"level": "INFO"}}},
        {"root": {"level": "INFO"}, "loggers": {"synapse_bum": {"handlers": ["file"], "propagate": False}}},
        {"loggers": {"synapse_bum": {"level": "NOTSET"}, "synapse": {"level": "ERROR"}}},
    ],
)
def test_what_is_written_all_the_same(change: dict[str, Any]) -> None:
    assert said(**change) == []


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    (remark,) = log_remarks(str(tmp_path / "log.yaml"))
    assert (remark.check.value, remark.place) == ("log.file", "`log_config`")
    path = tmp_path / "log.yaml"
    path.write_text(yaml.safe_dump(GOOD) + "when: 2026-02-30\n")
    (remark,) = log_remarks(str(path))
    assert "holds a value that can't be read" in remark.says
