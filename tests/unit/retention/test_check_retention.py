"""`synapse-bum check` beside the retention module: what it says of a configuration."""

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from synapse_bum.cli import main

RETENTION = "synapse_bum.retention.RetentionModule"
CONTRACT = {
    "messages": {"lifetime": "1y"},
    "local_media": {"lifetime": "90d"},
    "remote_media": {"lifetime": "14d"},
}


class Checked:
    """What the check says of a homeserver.yaml."""

    def __init__(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._path = tmp_path / "homeserver.yaml"
        self._capsys = capsys
        self.log = tmp_path / "deletions.jsonl"

    def __call__(self, homeserver: dict[str, object] | None = None, **config: object) -> list[str]:
        """The lines about the contract's lifetimes with further keys of the module; None takes a key away."""
        merged = {**CONTRACT, "deletion_log_path": str(self.log), "admin_hosts": ["admin.example"], **config}
        given = {key: value for key, value in merged.items() if value is not None}
        modules = [{"module": RETENTION, "config": given}]
        self._path.write_text(
            yaml.safe_dump({"modules": modules, "room_list_publication_rules": [], **(homeserver or {})})
        )
        self.status = main(["check", "--offline", "-c", str(self._path)])
        return self._capsys.readouterr().out.splitlines()


@pytest.fixture
def checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Checked:
    return Checked(tmp_path, capsys)


def provider(monkeypatch: pytest.MonkeyPatch, **members: object) -> dict[str, object]:
    """A storage provider of somebody's own, in homeserver.yaml."""
    module = ModuleType("tape_store")
    module.TapeStore = type("TapeStore", (), members)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return {"media_storage_providers": [{"module": "tape_store.TapeStore"}]}


def test_nothing_is_said_of_the_contract(checked: Checked) -> None:
    assert (checked(), checked.status) == ([], 0)


@pytest.mark.parametrize(
    ("homeserver", "words"),
    [
        ({"retention": {"enabled": True}}, "`retention.enabled: true`"),
        ({"media_retention": {"local_media_lifetime": "90d"}}, "`media_retention.local_media_lifetime` is set"),
        ({"media_retention": {"remote_media_lifetime": "14d"}}, "`media_retention.remote_media_lifetime` is set"),
        ({"redaction_retention_period": None}, "`redaction_retention_period: null`"),
    ],
)
def test_synapses_own_settings_that_act_against_it(checked: Checked, homeserver: dict[str, object], words: str) -> None:
    (line,) = checked(homeserver)
    assert line.startswith(f"WARNING retention: {words}")
    assert checked.status == 0


@pytest.mark.parametrize(
    "homeserver",
    [
        {"retention": {"enabled": False}},
        {"retention": None, "media_retention": None, "media_storage_providers": None},
        {"media_retention": {}},
        {"redaction_retention_period": "7d"},
    ],
)
def test_synapses_own_settings_that_do_not(checked: Checked, homeserver: dict[str, object]) -> None:
    assert checked(homeserver) == []


def test_classes_without_a_lifetime(checked: Checked) -> None:
    (line,) = checked(messages=None)
    assert line == "WARNING retention: no lifetime for `messages`: these are kept for ever"
    (line,) = checked(messages=None, local_media=None, remote_media=None)
    assert line == "WARNING retention: no section with a `lifetime`: nothing is deleted"


def test_a_module_that_only_counts(checked: Checked) -> None:
    assert checked(dry_run=True) == ["WARNING retention: `dry_run: true`: nothing is deleted"]


def test_lifetimes_that_are_mixed_up(checked: Checked) -> None:
    (line,) = checked(local_media={"lifetime": "14d"}, remote_media={"lifetime": "90d"})
    assert "are they mixed up?" in line
    assert checked(local_media={"lifetime": "14d"}) == []


@pytest.mark.parametrize(
    "name",
    [
        "file_system",
        "synapse.media.storage_provider.FileStorageProviderBackend",
        "s3_storage_provider.S3StorageProviderBackend",
    ],
)
def test_storage_providers_from_which_files_can_be_deleted(checked: Checked, name: str) -> None:
    assert checked({"media_storage_providers": [{"module": name}]}) == []


def test_a_storage_provider_of_somebodys_own(checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = checked(provider(monkeypatch))
    assert "tape_store.TapeStore can't delete" in line
    assert checked(provider(monkeypatch, delete_file=lambda _self, _path: None)) == []
    (line,) = checked({"media_storage_providers": [{"module": "nowhere.TapeStore"}]})
    assert "nowhere.TapeStore can't be looked at" in line


def test_a_deletion_log_that_is_not_kept(checked: Checked) -> None:
    (line,) = checked(deletion_log_path=None)
    assert line.startswith("WARNING retention: `deletion_log_path` is not set")


def test_a_deletion_log_that_can_not_be_written(
    checked: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = checked(deletion_log_path=str(tmp_path / "nowhere" / "log"))
    assert f"the folder {tmp_path}/nowhere is not there" in line
    assert checked.status == 1
    (line,) = checked(deletion_log_path=str(tmp_path))
    assert "is a folder" in line
    checked.log.touch()
    assert checked() == []
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    (line,) = checked()
    assert "can't be written by this user" in line


def test_a_key_that_is_not_there(checked: Checked) -> None:
    (line,) = checked(remote_media={"lifetimes": "14d"})
    assert "`config.remote_media.lifetimes`; did you mean `lifetime`?" in line
    assert checked.status == 1
