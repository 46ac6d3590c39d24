"""The options of `synapse-bum backup`, and the programs that it runs."""

import argparse
import errno
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synapse_bum.cli import main
from synapse_bum.cli.backup import actions, dumping
from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.programs import run_program
from synapse_bum.cli.backup.told import telling

NEEDED = ["backup", "--repository", "/r", "--password-file", "/p"]


@pytest.mark.parametrize(
    "options",
    [
        ["backup", "-c", "h.yaml"],
        [*NEEDED, "-c", "h.yaml", "--keep-days", "6"],
        [*NEEDED, "-c", "h.yaml", "--keep-days", "15"],
        [*NEEDED, "-c", "h.yaml", "--verify", "--restore", "d"],
        [*NEEDED, "-c", "h.yaml", "--read-data", "much"],
        [*NEEDED, "-c", "h.yaml", "--repository-file", "f"],
    ],
)
def test_wrong_options_end_with_two(options: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "-c is needed"),
        (["-c", "h.yaml", "--run", "x"], "--run belongs to --restore"),
        (["-c", "h.yaml", "--database", "dbname=x"], "--database belongs to"),
        (["-c", "h.yaml", "--metrics-file", "x.txt"], "must end in .prom"),
        (["-c", "h.yaml", "--verify", "--take-over"], "belong to a backup"),
        (["-c", "h.yaml", "--restore", "d", "--lost-files", "1"], "belong to a backup"),
    ],
)
def test_options_that_do_not_belong_together_end_with_two(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*NEEDED, *options]) == 2
    assert sentence in capsys.readouterr().err


def test_a_missing_configuration_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*NEEDED, "-c", str(tmp_path / "none.yaml")]) == 1
    assert capsys.readouterr().err.startswith("synapse-bum backup: ")


@pytest.mark.parametrize("text", [None, "server_name: [", "server_name: m.example"])
@pytest.mark.parametrize(("more", "metric"), [((), "last_run_ok"), (("--verify",), "last_verify_ok")])
def test_whatever_ends_an_attempt_is_measured(
    tmp_path: Path,
    text: str | None,
    more: tuple[str, ...],
    metric: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if text is not None:
        (tmp_path / "homeserver.yaml").write_text(text)
    work = ["--work-dir", str(tmp_path / "work"), "--metrics-file", str(tmp_path / "b.prom")]
    assert main([*NEEDED, "-c", str(tmp_path / "homeserver.yaml"), *work, *more]) == 1
    assert capsys.readouterr().err.startswith("synapse-bum backup: ")
    assert re.search(rf'synapse_bum_backup_{metric}{{server=".*"}} 0\n', (tmp_path / "b.prom").read_text())


def test_a_metrics_file_that_can_not_be_written_is_said_after_a_success_only(
    tmp_path: Path,
) -> None:
    path = tmp_path / "away" / "b.prom"
    with (
        pytest.raises(BackupError, match=r"--metrics-file .*/b\.prom can't be written: No such file"),
        telling(path, "x"),
    ):
        pass
    with pytest.raises(BackupError, match="what has failed first"), telling(path, "x"):
        raise BackupError("what has failed first")


@pytest.mark.parametrize(("content", "sentence"), [(None, "No such file or directory"), (b"\xff", "is no UTF-8 text")])
def test_a_repository_file_that_is_none_is_a_sentence(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / "repository").write_bytes(content)
    options = argparse.Namespace(repository=None, repository_file=tmp_path / "repository")
    with pytest.raises(BackupError, match=f"--repository-file .*/repository: {sentence}$"):
        actions._repository(options, None)


def test_what_opens_the_repository_is_not_in_it(tmp_path: Path) -> None:
    for name in ("password", "repository", "nginx.conf"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path / "password")
    options = argparse.Namespace(
        include=[tmp_path, tmp_path / "password"],
        password_file=tmp_path / "password",
        repository_file=tmp_path / "repository",
    )
    assert list(actions._small_files(options)) == [tmp_path / "nginx.conf"]


def test_a_folder_that_is_closed_is_no_smaller_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "keys"
    closed.mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(closed))
        return scandir(path)

    options = argparse.Namespace(include=[tmp_path], password_file=None, repository_file=None)
    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", refuse)
        with pytest.raises(BackupError, match=f"^--include {closed}: can't be read: Permission denied$"):
            list(actions._small_files(options))


def test_a_synapse_that_lacks_something_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr("synapse.util.SYNAPSE_VERSION")
    assert main([*NEEDED, "-c", "h.yaml"]) == 1
    assert "SYNAPSE_VERSION" in capsys.readouterr().err


def test_a_program_ends_with_its_parent(tmp_path: Path) -> None:
    script = (
        "from synapse_bum.cli.backup.programs import run_program; import os;"
        f"run_program(['/bin/sh', '-c', 'echo $$ > {tmp_path}/pid; exec sleep 60'], os.environ)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parent.parent.parent.parent)
    deadline = time.monotonic() + 30
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().endswith("\n"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child = Path("/proc", (tmp_path / "pid").read_text().strip())
    parent.kill()
    parent.wait()
    while child.exists() and "Z" not in (child / "stat").read_text().rpartition(")")[2]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_a_program_says_is_kept_apart_from_what_it_prints() -> None:
    done = run_program(["/bin/sh", "-c", "echo out; echo err >&2; exit 7"], os.environ)
    assert (done.status, done.output, done.complaint) == (7, "out\n", "err\n")
    assert done.last_complaint() == "err"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only one on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(dumping, "_DEBIAN_PROGRAMS", tmp_path)
    return tmp_path


def a_pg_dump(path: Path, release: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {release}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("release", ["15.13 (Debian 15.13-0)", "16beta1", "17.2"])
def test_a_pg_dump_that_knows_the_server_is_used(folder: Path, release: str) -> None:
    program = a_pg_dump(folder / "pg_dump", release)
    assert dumping._postgres_program("pg_dump", 15) == program
    of_debian = a_pg_dump(folder / "15" / "bin" / "pg_dump", "15.1")
    assert dumping._postgres_program("pg_dump", 15) == of_debian


def test_a_pg_dump_that_is_too_old_or_missing_is_said(folder: Path) -> None:
    with pytest.raises(BackupError, match="`pg_dump` is missing: apt-get install postgresql-client-15"):
        dumping._postgres_program("pg_dump", 15)
    a_pg_dump(folder / "pg_dump", "14.9")
    with pytest.raises(BackupError, match=r"older than the server.*apt-get install postgresql-client-15"):
        dumping._postgres_program("pg_dump", 15)
