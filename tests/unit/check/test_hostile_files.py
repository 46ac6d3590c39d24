"""Files that nobody meant to give, that this user may not see, or that are made to mislead who reads the answer."""

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from synapse_bum.cli import main
from synapse_bum.cli.check.checks import Surroundings, check
from synapse_bum.cli.check.given import Given
from synapse_bum.cli.check.secret_files import FileKind, file_state

STORAGE = "synapse_bum.storage.StorageModule"
RETENTION = "synapse_bum.retention.RetentionModule"
RECOVERY = "synapse_bum.recovery.RecoveryModule"
NOBODY = 65_534
TOO_LONG = "/" + "a" * 5_000
"""The system answers with an error, to root too."""


def said(*paths: Path, given: Given | None = None) -> list[str]:
    remarks = check(paths, Surroundings(given=given or Given()))
    return [f"{remark.level.value} {remark.check.value} {remark.text}" for remark in remarks]


def homeserver(folder: Path, **settings: object) -> Path:
    path = folder / "homeserver.yaml"
    path.write_text(yaml.safe_dump({"modules": [{"module": STORAGE, "config": {}}], **settings}))
    return path


def ended(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[dict[str, Any]], str]:
    """Status, findings and what was said beside them."""
    status = main(["check", "--offline", "--elsewhere", "--json", *map(str, arguments)])
    printed = capsys.readouterr()
    return status, json.loads(printed.out)["findings"], printed.err


@contextmanager
def as_somebody_else(folder: Path) -> Iterator[None]:
    """Without the right to look into a folder."""
    folder.chmod(0)
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.seteuid(NOBODY)
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o700)


@pytest.mark.parametrize("name", ["", "homeserver.yaml", "below", "below/homeserver.yaml"])
def test_a_closed_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    closed = tmp_path / "closed"
    (closed / "below").mkdir(parents=True)
    homeserver(closed)
    homeserver(closed / "below")
    ended(capsys, "-c", closed / "homeserver.yaml")  # all that is imported is there
    with as_somebody_else(closed):
        status, (finding,), beside = ended(capsys, "-c", closed / name)
    assert (status, finding["check"]) == (1, "configuration.file")
    assert finding["says"] == f"{closed / name}: Permission denied"
    assert beside == f"synapse-bum check: {closed / name}: Permission denied\n"


def test_files_that_the_system_refuses_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    modules = [
        {"module": STORAGE, "config": {}},
        {"module": RETENTION, "config": {"deletion_log_path": TOO_LONG}},
        {"module": RECOVERY, "config": {"log_path": TOO_LONG}},
    ]
    paths = dict.fromkeys(("log_config", "media_store_path", "signing_key_path"), TOO_LONG)
    path = homeserver(tmp_path, modules=modules, **paths)
    icap = tmp_path / "c-icap.conf"
    icap.write_text(f"Include {TOO_LONG}\n")
    status, findings, _ = ended(capsys, "-c", path, "--c-icap-conf", icap)
    wrong = {one["check"] for one in findings if one["level"] == "error"}
    assert status == 1
    assert wrong == {
        "log.file",
        "secrets.file",
        "retention.deletion-log",
        "recovery.log",
        "c-icap.engine",
    }
    for option in ("-c", "--clamd-conf", "--c-icap-conf", "--proxy-config"):
        status, findings, _ = ended(capsys, "-c", path, option, TOO_LONG)
        assert (status, findings[-1]["check"]) == (1, "configuration.file")


def test_a_secret_that_this_user_may_not_see_is_not_called_missing(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    path = str(closed / "key")
    with as_somebody_else(closed):
        assert file_state(path).kind is FileKind.UNREADABLE


def test_a_folder_where_a_file_is_meant(tmp_path: Path) -> None:
    (tmp_path / "log.d").mkdir()
    path = homeserver(tmp_path, log_config=str(tmp_path / "log.d"))
    assert f"ERROR log.file `log_config`: {tmp_path}/log.d: Is a directory" in said(path)


def test_a_folder_without_configuration_is_no_empty_homeserver(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "homeserver.yml").write_text("modules: []")
    status, (finding,), _ = ended(capsys, "-c", folder)
    assert (status, finding["check"]) == (1, "configuration.file")
    assert finding["says"] == f"{folder}: no file in this folder has a name that ends in .yaml"
    assert not [line for line in said(homeserver(tmp_path), folder) if line.startswith("ERROR")], "an empty one beside"


@pytest.mark.parametrize("option", ["-c", "--clamd-conf", "--c-icap-conf", "--proxy-config"])
def test_what_has_no_end_is_not_read_to_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    status, findings, _ = ended(capsys, "-c", homeserver(tmp_path), option, "/dev/zero")
    assert (status, findings[-1]["check"]) == (1, "configuration.file")
    assert findings[-1]["says"] == "/dev/zero: is larger than 4000000 bytes, and no configuration"


def test_a_key_that_stands_twice_is_named_with_its_line(tmp_path: Path) -> None:
    path = homeserver(tmp_path)
    path.write_text(path.read_text() + "email:\n  smtp_host: a\n  smtp_host: b\nmodules: []\n")
    at = path.read_text().splitlines().index("modules: []") + 1
    says = "stands twice; what stands before line"
    assert [line for line in said(path) if "key-twice" in line] == [
        f"ERROR configuration.key-twice {path}: `modules` {says} {at} does not count",
        f"WARNING configuration.key-twice {path}: `smtp_host` {says} {at - 1} does not count",
    ]


def test_keys_that_a_merge_replaces_stand_once(tmp_path: Path) -> None:
    path = homeserver(tmp_path)
    path.write_text(path.read_text() + "x: &x {a: 1, b: 2}\ny: {<<: *x, a: 3}\nz: {<<: *x, b: 3}\n'1': a\n1: b\n")
    assert [line for line in said(path) if "key-twice" in line] == []


def test_what_files_hold_forges_no_line_and_steers_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "synapse_bum.x\nOK      antivirus: all is well\x1b[2J\ud800\u202e"
    path = tmp_path / "homeserver.yaml"
    path.write_text(json.dumps({"modules": [{"module": name}]}))
    assert main(["check", "--offline", "--elsewhere", "-c", str(path)]) == 1
    printed = capsys.readouterr().out
    assert not [line for line in printed.splitlines() if line.startswith("OK")]
    assert "\x1b" not in printed
    assert r"synapse_bum.x\nOK      antivirus: all is well\x1b[2J\ud800\u202e" in printed
    _, findings, _ = ended(capsys, "-c", path)
    assert name in next(one["says"] for one in findings if one["check"] == "modules.unknown"), "JSON escapes by itself"


def test_a_storage_provider_that_fails_when_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "falling_provider.py").write_text("raise RuntimeError('no network')")
    monkeypatch.syspath_prepend(tmp_path)
    retention = {"module": RETENTION, "config": {}}
    path = homeserver(tmp_path, modules=[retention], media_storage_providers=[{"module": "falling_provider.Provider"}])
    (line,) = [line for line in said(path) if "retention.storage-provider" in line]
    assert line.endswith("falling_provider.Provider can't be looked at: it says RuntimeError")


def test_a_terminal_that_knows_no_umlauts_gets_the_answer_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii", write_through=True))
    path = homeserver(tmp_path, log_config=str(tmp_path / "schlüssel.yaml"))
    assert main(["check", "--offline", "--elsewhere", "-c", str(path)]) == 1
    assert rb"schl\xfcssel.yaml: No such file or directory" in written.getvalue()
