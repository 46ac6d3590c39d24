"""Erasing leaves nothing, or says what holds it; killed at any step, the same command goes on."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from synapse_bum.cli import main
from synapse_bum.cli.offboard.journal import Journal, JournalFile
from synapse_bum.testing.offboard_case import FIRST, SECOND, StoppedServer

pytestmark = pytest.mark.any_synapse


class KilledError(BaseException):
    """Stands for a kill: nothing of ours may catch it."""


@pytest.fixture
def closed(server: StoppedServer) -> StoppedServer:
    assert server.close() == 0
    server.pass_days()
    return server


def report_of(server: StoppedServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(server.report.read_text())["report"]
    return found


def counted(report: dict[str, Any]) -> list[tuple[str, dict[str, int]]]:
    return [(step["kind"], step["counted"]) for step in report["steps"]]


def test_nothing_is_left(closed: StoppedServer) -> None:
    assert closed.look_and_erase() == 0
    assert closed.files() == {}
    assert not closed.media.exists()
    report = report_of(closed)
    by_kind = dict(counted(report))
    assert by_kind["folder"] == {"files": 1, "bytes": len(b"a file")}
    assert by_kind["database"]["users"] == 3
    assert by_kind["logs"]["files"] >= 2
    assert (report["closed"]["by"], report["erased"]["by"]) == (FIRST, SECOND)
    assert report["data_return"] == "declined"
    assert report["left"] == []


def test_the_report_names_no_user_and_no_content(closed: StoppedServer) -> None:
    assert closed.look_and_erase() == 0
    text = closed.report.read_text()
    assert "alice" not in text
    assert "Guten" not in text


def test_the_journal_keeps_no_key(closed: StoppedServer) -> None:
    seed = (closed.folder / "signing.key").read_text().split()[2]
    assert closed.look_and_erase() == 0
    journal = json.loads(closed.journal.read_text())
    assert journal["erasure"]["report_seed"] is None
    assert seed not in closed.journal.read_text()
    assert seed not in closed.report.read_text()


def test_an_auditor_can_check_the_report(closed: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert closed.look_and_erase() == 0
    key = json.loads(closed.report.read_text())["server_key"]["public_key"]
    assert closed.check_report("--public-key", key) == 0
    assert "ok: the report is unchanged" in capsys.readouterr().out
    assert closed.check_report("--public-key", "A" * 43) == 1
    assert "another key" in capsys.readouterr().err
    document = json.loads(closed.report.read_text())
    document["report"]["erased"]["by"] = "somebody else"
    closed.report.write_text(json.dumps(document))
    assert closed.check_report("--public-key", key) == 1
    assert "not as it was signed" in capsys.readouterr().err


def test_a_report_without_a_known_key_proves_nothing(closed: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert closed.look_and_erase() == 0
    capsys.readouterr()
    assert closed.check_report() == 1
    said = capsys.readouterr()
    assert "ok:" not in said.out
    assert "unchanged" not in said.out
    assert "not proved is by whom" in said.err


def test_a_journal_that_is_edited_while_it_is_erased_ends_it(
    closed: StoppedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert closed.erase("--dry-run") == 0
    with monkeypatch.context() as patched:
        patched.setattr("synapse_bum.cli.offboard.folders.erase", _no_space)
        assert closed.erase() == 1
    right = closed.journal.read_text()
    closed.journal.write_text(json.dumps({**json.loads(right), "closed_by": "Carl Chef"}))
    assert closed.erase() == 1
    assert "the journal is not as it was when the erasing began" in capsys.readouterr().err
    assert closed.media.exists()
    closed.journal.write_text(right)
    assert closed.erase() == 0


@pytest.mark.parametrize("after_the_write", [False, True])
@pytest.mark.parametrize("number", range(1, 8))
def test_it_goes_on_after_a_kill(
    closed: StoppedServer,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    after_the_write: bool,  # noqa: FBT001 - pytest passes it by name
) -> None:
    """Writes of the journal: the begin, the media, the database, the logs, the look, the configuration, the end."""
    assert closed.erase("--dry-run") == 0
    write, writes = JournalFile.write, 0

    def killed(file: JournalFile, journal: Journal) -> None:
        nonlocal writes
        writes += 1
        if writes == number and not after_the_write:
            raise KilledError
        write(file, journal)
        if writes == number:
            raise KilledError

    monkeypatch.setattr(JournalFile, "write", killed)
    with pytest.raises(KilledError):
        closed.erase()
    monkeypatch.setattr(JournalFile, "write", write)
    assert closed.erase() == 0
    assert closed.files() == {}
    key = json.loads(closed.report.read_text())["server_key"]["public_key"]
    assert closed.check_report("--public-key", key) == 0
    kinds = [kind for kind, _counts in counted(report_of(closed))]
    assert kinds == ["folder", "database", "logs", "look", "configuration"]
    assert dict(counted(report_of(closed)))["folder"]["files"] == 1


def test_what_has_begun_can_not_be_opened_again(
    closed: StoppedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert closed.erase("--dry-run") == 0
    with monkeypatch.context() as patched:
        patched.setattr("synapse_bum.cli.offboard.folders.erase", _no_space)
        assert closed.erase() == 1
    assert closed.offboard("reopen", FIRST) == 1
    assert "the erasing has begun" in capsys.readouterr().err
    assert closed.offboard("close", FIRST) == 1
    assert closed.erase() == 0


def test_backups_whose_password_is_lost_on_the_way_are_no_dead_end(
    closed: StoppedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert closed.erase("--dry-run") == 0
    with monkeypatch.context() as patched:
        patched.setattr("synapse_bum.cli.offboard.folders.erase", _no_space)
        assert closed.erase() == 1
    journal = closed.order()
    backups = {"kind": "backups", "what": "restic repository s3:x", "paths": [], "counted": {"backups": 3}}
    journal["erasure"]["steps"].insert(0, {**backups, "done_ts": None})
    closed.journal.write_text(json.dumps(journal))
    assert closed.offboard("erase", SECOND) == 1
    assert "the backups are still needed" in capsys.readouterr().err
    assert closed.erase() == 0
    report = report_of(closed)
    assert report["backups"] == (
        f"deleted by hand, as was said by {SECOND} after the erasing had begun; nobody has looked"
    )
    assert counted(report)[0] == ("backups_by_hand", {"backups": 3})


def _no_space(folder: Path, *_more: object, **_named: object) -> None:
    raise OSError(30, "Read-only file system", str(folder))


def test_it_is_not_erased_before_its_time(server: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    before = server.files()
    assert server.erase() == 1
    assert "--stage close makes it" in capsys.readouterr().err
    assert server.close() == 0
    assert server.erase("--dry-run") == 1
    assert "nothing is erased before" in capsys.readouterr().err
    assert before.keys() <= server.files().keys()


def test_one_person_is_not_two(closed: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert closed.offboard("erase", f" {FIRST.upper()}", "--no-backups", "--return-declined", "--dry-run") == 1
    assert "needs a second person" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--no-backups"], "has a return of the data been offered?"),
        (["--no-backups", "--data-returned", "yesterday"], "is no day as YYYY-MM-DD"),
        (["--no-backups", "--data-returned", "2999-01-01"], "is still to come"),
        (["--return-declined"], "name the backups with --repository"),
    ],
)
def test_what_must_be_said_is_asked_for(
    closed: StoppedServer, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert closed.offboard("erase", SECOND, "--dry-run", *options) == 1
    assert said in capsys.readouterr().err


def test_nobody_erases_what_nobody_has_looked_at(closed: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert closed.erase() == 1
    assert "look first" in capsys.readouterr().err
    assert closed.erase("--dry-run") == 0
    content = next(path for path in (closed.media / "local_content").rglob("*") if path.is_file())
    thumbnail = (
        closed.media / "local_thumbnails" / content.relative_to(closed.media / "local_content") / "32-32-image-png"
    )
    thumbnail.parent.mkdir(parents=True)
    thumbnail.write_bytes(b"another file")
    assert closed.erase() == 1
    assert "something has changed" in capsys.readouterr().err
    assert closed.media.exists()


def test_what_is_on_hold_is_kept_until_somebody_says_otherwise(
    closed: StoppedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    hold = "INSERT INTO synapse_bum_holds (target, reason, until_ts, created_by, created_ts) VALUES (?, ?, ?, ?, ?)"
    closed.execute(hold, "@alice:messenger.example", "a court asks", 4_000_000_000_000, "@admin:messenger.example", 1)
    closed.execute(hold, "@bob:messenger.example", "has ended", 1_600_000_000_000, "@admin:messenger.example", 1)
    assert closed.erase("--dry-run") == 1
    assert "1 holds are in force" in capsys.readouterr().err
    assert closed.erase("--dry-run", "--despite-holds") == 0
    assert closed.erase("--despite-holds") == 0
    assert dict(counted(report_of(closed)))["database"]["holds"] == 1


def test_behind_a_linked_database_the_database_goes(closed: StoppedServer, tmp_path: Path) -> None:
    database, real = closed.folder / "homeserver.db", tmp_path / "real.db"
    database.rename(real)
    database.symlink_to(real)
    assert closed.look_and_erase() == 0
    assert not real.exists()
    assert closed.files() == {}


def test_a_report_that_can_not_be_written_is_noticed_before(
    closed: StoppedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert closed.erase("--dry-run", "--report", tmp_path / "missing" / "report.json") == 1
    assert "there is no such folder" in capsys.readouterr().err


def test_a_report_that_can_not_be_written_at_the_end_is_written_later(
    closed: StoppedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert closed.erase("--dry-run") == 0
    with monkeypatch.context() as patched:
        patched.setattr("synapse_bum.cli.offboard.stages.write_durably", _no_space)
        assert closed.erase() == 1
    assert "Read-only file system" in capsys.readouterr().err
    assert closed.files() == {}
    assert not closed.report.exists()
    # Nothing of the server is needed any more, and another place does.
    elsewhere = closed.journal.with_name("elsewhere.json")
    assert closed.erase("--report", elsewhere) == 0
    key = json.loads(elsewhere.read_text())["server_key"]["public_key"]
    assert main(["offboard", "--check-report", str(elsewhere), "--public-key", key]) == 0


def test_no_file_is_overwritten_by_a_report(closed: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    closed.report.write_text("the report of another server")
    assert closed.erase("--dry-run") == 1
    assert "nothing is ever overwritten" in capsys.readouterr().err
    for needed in (closed.journal, closed.journal.with_name("journal.json.lock")):
        assert closed.erase("--dry-run", "--report", needed) == 1
    elsewhere = closed.journal.with_name("elsewhere.json")
    assert closed.erase("--dry-run", "--report", elsewhere) == 0
    elsewhere.write_text("somebody else was faster")
    assert closed.erase("--report", elsewhere) == 1
    assert elsewhere.read_text() == "somebody else was faster"
    elsewhere.unlink()
    assert closed.erase("--report", elsewhere) == 0
    assert closed.report.read_text() == "the report of another server"


def test_an_account_that_was_made_after_the_closing_goes_too(closed: StoppedServer) -> None:
    """By a Synapse that somebody has started without our modules."""
    closed.execute("INSERT INTO users (name, creation_ts, admin) VALUES ('@late:messenger.example', 1, 1)")
    assert closed.look_and_erase() == 0
    assert dict(counted(report_of(closed)))["database"]["users"] == 4
    assert closed.files() == {}


def test_another_applications_table_is_refused(closed: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    closed.execute("CREATE TABLE invoices_of_somebody (id INTEGER)")
    assert closed.erase("--dry-run") == 1
    assert "1 things of another application: invoices_of_somebody" in capsys.readouterr().err


def test_a_media_folder_with_more_than_media_is_refused(
    closed: StoppedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    (closed.media / "letters").mkdir()
    assert closed.erase("--dry-run") == 1
    assert "holds letters, which is none of Synapse's" in capsys.readouterr().err


def test_a_link_in_the_media_is_refused(
    closed: StoppedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (closed.media / "local_content" / "link").symlink_to(elsewhere)
    assert closed.erase("--dry-run") == 1
    assert "links are not followed" in capsys.readouterr().err


def test_a_linked_folder_of_media_is_refused(
    closed: StoppedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (closed.media / "url_cache").symlink_to(tmp_path)
    assert closed.erase("--dry-run") == 1
    assert "links are not followed" in capsys.readouterr().err


def test_files_of_the_machine_are_named_and_left(closed: StoppedServer, tmp_path: Path) -> None:
    certificate = tmp_path / "fullchain.pem"
    certificate.write_text("a certificate of the whole machine")
    rotated = closed.folder / "homeserver.log.2026-01-01"
    rotated.write_text("an old log")
    closed.configure(tls_certificate_path=str(certificate))
    assert closed.look_and_erase() == 0
    assert certificate.exists()
    assert not rotated.exists()
    assert report_of(closed)["left"] == [f"file {certificate}"]


def test_an_unknown_storage_provider_must_be_named(closed: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    closed.configure(media_storage_providers=[{"module": "tape.Tape", "config": {}}])
    assert closed.erase("--dry-run") == 1
    assert "say so with --leave tape.Tape" in capsys.readouterr().err
    assert closed.erase("--dry-run", "--leave", "tape.Tape") == 0
    assert closed.erase("--leave", "tape.Tape") == 0
    assert report_of(closed)["left"] == ["copies of the storage provider tape.Tape"]


def test_the_journal_may_not_lie_in_what_is_erased(closed: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    inside = closed.media / "local_content" / "journal.json"
    inside.write_text(closed.journal.read_text())
    closed.journal = inside
    assert closed.erase("--dry-run") == 1
    assert "must lie elsewhere" in capsys.readouterr().err


def test_whoever_has_the_database_open_is_noticed(closed: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert closed.erase("--dry-run") == 0
    with (closed.folder / "homeserver.db").open("rb") as database:
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdin=database)
    try:
        assert closed.erase() == 1
        assert "others are at the database" in capsys.readouterr().err
    finally:
        other.kill()
        other.wait()
    assert (closed.folder / "homeserver.db").exists()
    assert closed.erase() == 0
