"""Owners and permissions come back with a restore, by name, or a script says what is left to do."""

import os
import pwd
import stat
import subprocess
from pathlib import Path

import attr
import pytest

from synapse_bum.cli.backup import ownership
from synapse_bum.cli.backup.ownership import SCRIPT, Owned, give_back, owned, with_folders_above

pytestmark = pytest.mark.any_synapse

DAEMON = pwd.getpwnam("daemon")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def restored(folder: Path) -> None:
    """As restic and the copies leave it."""
    (folder / "media_store" / "a").mkdir(parents=True)
    (folder / "media_store" / "a" / "file").touch()
    (folder / "config" / "etc").mkdir(parents=True)
    (folder / "config" / "etc" / "key").touch(0o600)


def of_daemon(path: str, mode: int, uid: int = 4711) -> Owned:
    """Noted on a machine where that user had another number."""
    return Owned(path, mode, uid, uid, "daemon", "daemon")


NOTED = [of_daemon("media_store", 0o750), of_daemon("config/etc", 0o755), of_daemon("config/etc/key", 0o440)]


def test_what_is_noted_of_a_file_is_noted_of_the_folders_above_it(tmp_path: Path) -> None:
    secret = tmp_path / "secrets" / "key"
    secret.parent.mkdir(mode=0o710)
    secret.touch(0o440)
    found = {one.path: one for one in with_folders_above(secret, "config")}
    assert found[f"config{secret}"].mode == 0o440
    assert found[f"config{secret.parent}"].mode == 0o710
    assert found["config"].mode == mode_of(Path("/"))
    assert owned(secret, "x").user == pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.requires("root")
def test_root_gives_everything_back_by_name(tmp_path: Path) -> None:
    restored(tmp_path)
    for path in (tmp_path / "media_store", tmp_path / "media_store" / "a"):
        os.chown(path, 4711, 4711)
    os.chown(tmp_path / "media_store" / "a" / "file", 4712, 4711)
    assert give_back(tmp_path, tmp_path, NOTED, ["media_store"]) == []
    for name in (".", "media_store", "media_store/a", "config/etc", "config/etc/key"):
        found = (tmp_path / name).stat()
        assert (found.st_uid, found.st_gid) == (DAEMON.pw_uid, DAEMON.pw_gid), name
    # Of somebody whom the backup has not noted: his number stays.
    assert (tmp_path / "media_store" / "a" / "file").stat().st_uid == 4712
    assert [mode_of(tmp_path / one.path) for one in NOTED] == [0o750, 0o755, 0o440]
    assert not (tmp_path / SCRIPT).exists()


@pytest.mark.requires("root")
def test_who_is_no_root_is_told_what_is_left_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "it's here"
    folder.mkdir()
    restored(folder)
    monkeypatch.setattr(ownership, "_may_give_away", lambda: False)
    said = " ".join(give_back(folder, folder, NOTED, ["media_store"]))
    assert "that takes root" in said
    assert mode_of(folder / "config" / "etc" / "key") == 0o440
    # What it says helps.
    (command,) = [line.strip() for line in said.partition("as root:")[2].splitlines()]
    subprocess.run(["/bin/sh", "-c", command], check=True)
    for path in (folder, folder / "media_store" / "a" / "file", folder / "config" / "etc" / "key"):
        assert path.stat().st_uid == DAEMON.pw_uid


@pytest.mark.requires("root")
def test_a_user_who_is_not_known_is_named(tmp_path: Path) -> None:
    restored(tmp_path)
    noted = [attr.evolve(one, user="nobody-of-here", group="nobody-of-here") for one in NOTED]
    said = " ".join(give_back(tmp_path, tmp_path, noted, ["media_store"]))
    assert "nobody-of-here are not known here: make them first" in said
    assert "chown -hR nobody-of-here:nobody-of-here media_store" in (tmp_path / SCRIPT).read_text()
