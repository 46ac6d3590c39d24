"""The new folder is there whole or not at all, and never in the place of another one."""

import errno
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from synapse_bum.cli.provision import new_folder

pytestmark = pytest.mark.any_synapse

Run = Callable[..., tuple[int, str, str]]


def test_a_folder_with_anything_in_it_stays_as_it_is(run: Run, tmp_path: Path) -> None:
    mine = tmp_path / "new" / "homeserver.yaml"
    mine.parent.mkdir()
    mine.write_text("mine")
    status, _said, errors = run()
    assert status == 1
    assert "is there already and is not empty; nothing was written" in errors
    assert [path.read_text() for path in mine.parent.iterdir()] == ["mine"]
    assert list(tmp_path.iterdir()) == [mine.parent]


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_stays_as_it_is(run: Run, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "new"
    if kind == "file":
        place.write_text("mine")
    else:
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    status, _said, errors = run()
    assert status == 1
    assert "--out" in errors
    assert place.is_file() or not any((tmp_path / "elsewhere").iterdir())


def test_an_empty_folder_is_taken(run: Run, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert run()[0] == 0
    assert (tmp_path / "new" / "homeserver.yaml").is_file()


def test_a_folder_that_fills_up_meanwhile_stays_as_it_is(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "new" / "mine"

    def fill(_folder: Path) -> None:
        mine.parent.mkdir(exist_ok=True)
        mine.write_text("mine")

    monkeypatch.setattr(new_folder, "refuse_what_is_there", fill)
    monkeypatch.setattr("synapse_bum.cli.provision.new_folder.refuse_what_is_there", fill)
    status, _said, errors = run()
    assert status == 1
    assert "can't be written, and nothing is left of it" in errors
    assert list(tmp_path.iterdir()) == [mine.parent]
    assert list(mine.parent.iterdir()) == [mine]


@pytest.mark.parametrize("after", [0, 1, 7, 15])
def test_a_full_disk_leaves_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    left = after

    def fsync(_descriptor: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    status, _said, errors = run()
    assert status == 1
    assert "No space left on device" in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.requires("root")
def test_a_disk_of_64_kilobytes_stays_empty(run: Run, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount, umount = (shutil.which(name) or name for name in ("mount", "umount"))
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        status, _said, errors = run("--out", str(disk / "new"))
        left = list(disk.iterdir())
    finally:
        subprocess.run([umount, disk], check=True)
    assert (status, left) == (1, [])
    assert "No space left on device" in errors


def test_what_a_killed_run_has_left_is_removed_and_that_of_a_running_one_is_not(run: Run, tmp_path: Path) -> None:
    killed, running = (tmp_path / f".new.synapse-bum-provision-{name}" for name in ("killed", "running"))
    for folder in (killed, running):
        (folder / "secrets").mkdir(parents=True)
    descriptor = os.open(running, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert run()[0] == 0
    finally:
        os.close(descriptor)
    assert {path.name for path in tmp_path.iterdir()} == {"new", running.name}


@pytest.mark.parametrize("moment", ["before the lock", "during the lock"])
def test_of_two_runs_at_once_none_takes_the_others_folder_away(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    made: list[Path] = []
    held: list[int] = []
    mkdtemp = tempfile.mkdtemp

    def made_and_taken(prefix: str, dir: Path) -> str:  # noqa: A002 - as the one that it stands in for
        path = Path(mkdtemp(prefix=prefix, dir=dir))
        made.append(path)
        if len(made) == 1:
            # The other run finds it, thinks that it is a killed one's, and is done or not yet done with it.
            if moment == "before the lock":
                path.rmdir()
            else:
                held.append(os.open(path, os.O_RDONLY))
                fcntl.flock(held[0], fcntl.LOCK_EX)
        return str(path)

    monkeypatch.setattr(tempfile, "mkdtemp", made_and_taken)
    status, _said, errors = run()
    for descriptor in held:
        os.close(descriptor)
    assert (status, errors, len(made)) == (0, "", 2)
    assert (tmp_path / "new" / "secrets" / "signing.key").is_file()


def test_a_folder_that_vanishes_while_it_is_looked_at_is_no_failure(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / ".new.synapse-bum-provision-gone"
    monkeypatch.setattr(Path, "glob", lambda *_: iter([gone]))
    assert run()[::2] == (0, "")
    assert (tmp_path / "new" / "homeserver.yaml").is_file()
