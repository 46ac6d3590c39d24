"""Closing ends every way in, and opening again gives back exactly what closing took."""

import json
import shutil
from collections.abc import Callable

import pytest

from synapse_bum.cli.offboard import stages
from synapse_bum.cli.offboard.journal import Journal, JournalFile
from synapse_bum.testing.offboard_case import FIRST, SECOND, StoppedServer

ACCOUNTS = "SELECT name, locked FROM users ORDER BY name"
PARTNERS = "SELECT server_name, source, reason, created_by FROM synapse_bum_federation_partners"
CLOSED_TABLES = ("access_tokens", "refresh_tokens", "login_tokens", "open_id_tokens", "pushers", "ui_auth_sessions")


class KilledError(BaseException):
    """Stands for a kill: nothing of ours may catch it."""


def test_nothing_happens_without_the_whole_name(server: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    before = server.files()
    assert server.offboard("close", FIRST, confirm="messenger") == 1
    assert server.offboard("erase", SECOND, "--no-backups", "--return-declined", confirm="messenger") == 1
    assert "another server; nothing was done" in capsys.readouterr().err
    assert server.files() == before
    assert not server.journal.exists()


def test_a_dry_run_changes_nothing(server: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    before = server.rows(ACCOUNTS)
    assert server.close("--dry-run") == 0
    assert "3 sessions, 2 accounts, 1 registration tokens, 1 partners; nothing was changed" in capsys.readouterr().out
    assert server.rows(ACCOUNTS) == before
    assert not server.journal.exists()


def test_every_way_in_is_closed(server: StoppedServer) -> None:
    assert server.close() == 0
    assert all(locked for _name, locked in server.rows(ACCOUNTS))
    for table in CLOSED_TABLES:
        assert server.rows(f"SELECT count(*) FROM {table}") == [(0,)], table  # noqa: S608 - constants
    assert server.rows(PARTNERS) == []
    assert server.rows("SELECT count(*) FROM registration_tokens WHERE expiry_time IS NULL") == [(0,)]
    # The keys of encryption are for those who come back.
    assert server.rows("SELECT count(*) FROM devices WHERE user_id = '@alice:messenger.example'") != [(0,)]
    assert server.rows("SELECT count(*) FROM synapse_bum_audit WHERE action = 'contract.closed'") == [(1,)]


def test_opening_gives_back_what_closing_took(server: StoppedServer) -> None:
    accounts, partners = server.rows(ACCOUNTS), server.rows(PARTNERS)
    tokens = server.rows("SELECT * FROM registration_tokens")
    assert len(partners) == 1
    assert sum(bool(locked) for _name, locked in accounts) == 1
    assert server.close() == 0
    assert server.offboard("reopen", SECOND) == 0
    assert server.rows(ACCOUNTS) == accounts
    assert server.rows(PARTNERS) == partners
    assert server.rows("SELECT * FROM registration_tokens") == tokens
    assert server.rows("SELECT count(*) FROM synapse_bum_contract_taken") == [(0,)]
    assert not (server.folder / "recovery.log.closed").exists()


def test_it_can_be_closed_once_more_after_that(server: StoppedServer) -> None:
    assert server.close() == 0
    first = json.loads(server.journal.read_text())["closing_id"]
    assert server.offboard("reopen", SECOND) == 0
    assert server.close() == 0
    second = json.loads(server.journal.read_text())
    assert second["closing_id"] != first
    assert second["reopened_ts"] is None
    assert server.rows("SELECT closing_id FROM synapse_bum_contract_end") == [(second["closing_id"],)]


def test_closing_twice_is_closing_once(server: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert server.close() == 0
    journal = server.journal.read_text()
    capsys.readouterr()
    assert server.close() == 0
    assert "was closed before" in capsys.readouterr().out
    assert server.journal.read_text() == journal


def test_a_lost_journal_is_made_anew_from_the_database(server: StoppedServer) -> None:
    assert server.close("--grace-days", "60") == 0
    journal = server.order()
    server.journal.unlink()
    assert server.offboard("close", SECOND) == 0
    assert server.order() == journal


def killed(*_arguments: object, **_more: object) -> None:
    raise KilledError


def killed_after_writing(write: Callable[[JournalFile, Journal], None]) -> Callable[[JournalFile, Journal], None]:
    def written_and_killed(file: JournalFile, journal: Journal) -> None:
        write(file, journal)
        raise KilledError

    return written_and_killed


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has the next command be killed: `before the commit`, when the journal was written, or `after the commit`."""

    def arm(moment: str) -> None:
        if moment == "before the commit":
            monkeypatch.setattr(JournalFile, "write", killed_after_writing(JournalFile.write))
        else:
            monkeypatch.setattr(stages, "_note", killed)

    return arm


MOMENTS = ("before the commit", "after the commit")


def test_who_repeats_a_killed_closing_has_not_ordered_it(
    server: StoppedServer, kill: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    kill("after the commit")
    with pytest.raises(KilledError):
        server.close("--grace-days", "60")
    monkeypatch.undo()
    marker = server.markers()
    assert server.offboard("erase", SECOND, "--no-backups", "--return-declined", "--dry-run") == 1
    assert server.offboard("close", SECOND) == 0
    order = server.order()
    assert (order["closed_by"], order["grace_days"]) == (FIRST, 60)
    assert server.markers() == marker == [(order["closing_id"], order["closed_ts"], FIRST, 60)]
    assert (server.folder / "recovery.log.closed").exists()
    # Who has closed it does not erase it, and nobody does before the 60 days are over.
    server.pass_days(31)
    assert server.erase("--dry-run") == 1
    server.pass_days(31)
    assert server.offboard("erase", FIRST, "--no-backups", "--return-declined", "--dry-run") == 1
    assert server.erase("--dry-run") == 0


def test_a_closing_that_never_was_is_ordered_by_who_orders_it_again(
    server: StoppedServer, kill: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    kill("before the commit")
    with pytest.raises(KilledError):
        server.close("--grace-days", "60")
    monkeypatch.undo()
    assert server.erase("--dry-run") == 1
    assert server.offboard("close", SECOND) == 0
    assert (server.order()["closed_by"], server.order()["grace_days"]) == (SECOND, 30)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_opening_can_be_repeated(
    server: StoppedServer, kill: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    accounts = server.rows(ACCOUNTS)
    assert server.close() == 0
    kill(moment)
    with pytest.raises(KilledError):
        server.offboard("reopen", FIRST)
    monkeypatch.undo()
    assert server.erase("--dry-run") == 1
    if moment == "after the commit":
        # Then it is open, and the time for opening it says nothing any more.
        server.pass_days(31)
    assert server.offboard("reopen", SECOND) == 0
    assert server.rows(ACCOUNTS) == accounts
    assert server.markers() == []
    assert not (server.folder / "recovery.log.closed").exists()


def test_who_closes_it_after_a_killed_opening_begins_anew(
    server: StoppedServer,
    kill: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The server was in use for months meanwhile."""
    assert server.offboard("close", SECOND) == 0
    before = server.order()
    kill("after the commit")
    with pytest.raises(KilledError):
        server.offboard("reopen", SECOND)
    monkeypatch.undo()
    server.pass_days(200)
    assert server.offboard("close", "Carl Chef", "--grace-days", "90") == 0
    after = server.order()
    assert (after["closed_by"], after["grace_days"]) == ("Carl Chef", 90)
    assert after["closing_id"] != before["closing_id"]
    assert after["closed_ts"] >= before["closed_ts"]
    assert server.markers() == [(after["closing_id"], after["closed_ts"], "Carl Chef", 90)]
    capsys.readouterr()
    assert server.erase("--dry-run") == 1
    assert "the grace period of 90 days lasts until" in capsys.readouterr().err


def test_who_closes_it_after_an_opening_that_never_was_closes_nothing_anew(
    server: StoppedServer, kill: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server.close() == 0
    marker, journal = server.markers(), server.order()
    kill("before the commit")
    with pytest.raises(KilledError):
        server.offboard("reopen", SECOND)
    monkeypatch.undo()
    assert server.offboard("close", "Carl Chef") == 0
    assert server.markers() == marker
    assert server.order() == journal


def test_an_opening_that_never_was_does_not_keep_the_door_open(
    server: StoppedServer,
    kill: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert server.close() == 0
    kill("before the commit")
    with pytest.raises(KilledError):
        server.offboard("reopen", FIRST)
    monkeypatch.undo()
    server.pass_days(31)
    assert server.offboard("reopen", FIRST) == 1
    assert "the grace period of 30 days is over" in capsys.readouterr().err
    assert len(server.markers()) == 1


def test_an_old_journal_says_nothing_about_an_open_database(server: StoppedServer) -> None:
    """It was found again after the server had been opened."""
    assert server.offboard("close", SECOND) == 0
    server.pass_days(20)
    old = server.journal.read_text()
    assert server.offboard("reopen", SECOND) == 0
    server.journal.write_text(old)
    assert server.offboard("close", "Carl Chef", "--grace-days", "90") == 0
    assert server.order()["closing_id"] != json.loads(old)["closing_id"]
    assert server.order()["closed_ts"] > json.loads(old)["closed_ts"]
    assert [marker[2:] for marker in server.markers()] == [("Carl Chef", 90)]


def test_a_restored_database_is_closed_anew(server: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    database, backup = server.folder / "homeserver.db", server.journal.with_name("backup")
    shutil.copy(database, backup)
    assert server.close() == 0
    server.pass_days(31)
    closing_id = server.order()["closing_id"]
    shutil.copy(backup, database)
    # Nothing tells whether somebody has used it meanwhile, so there is a grace period once more.
    assert server.erase("--dry-run") == 1
    said = capsys.readouterr().err
    assert "close it once more" in said or "does not say" in said
    assert server.offboard("reopen", FIRST) == 1
    assert "the grace period of 30 days is over" in capsys.readouterr().err
    assert server.close("--grace-days", "1") == 0
    assert server.order()["closing_id"] != closing_id
    assert server.erase("--dry-run") == 1
    assert "nothing is erased before" in capsys.readouterr().err
    server.pass_days(1)
    assert server.erase("--dry-run") == 0


def test_nobody_opens_it_after_the_grace_period(server: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert server.close() == 0
    server.pass_days(31)
    assert server.offboard("reopen", FIRST) == 1
    assert "the grace period of 30 days is over" in capsys.readouterr().err


def test_the_grace_period_becomes_longer_and_never_shorter(
    server: StoppedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert server.close() == 0
    server.pass_days(31)
    assert server.close("--grace-days", "29") == 1
    assert "can only become longer" in capsys.readouterr().err
    assert server.markers()[0][3] == server.order()["grace_days"] == 30
    assert server.offboard("close", SECOND, "--grace-days", "60", "--dry-run") == 0
    assert server.markers()[0][3] == 30
    assert server.offboard("close", SECOND, "--grace-days", "60") == 0
    assert [marker[2:] for marker in server.markers()] == [(FIRST, 60)]
    assert (server.order()["closed_by"], server.order()["grace_days"]) == (FIRST, 60)
    changes = server.rows("SELECT old, new FROM synapse_bum_audit WHERE action = 'contract.prolonged'")
    assert [tuple(map(json.loads, change)) for change in changes] == [
        ({"grace_days": 30}, {"by": SECOND, "grace_days": 60})
    ]
    assert server.erase("--dry-run") == 1
    assert "the grace period of 60 days lasts" in capsys.readouterr().err
    assert server.offboard("reopen", FIRST) == 0


@pytest.mark.parametrize(
    "change", [{"closed_ts": 1_600_000_000_000}, {"closed_by": "Carl Chef"}, {"grace_days": 1}], ids=lambda one: [*one]
)
def test_a_journal_that_somebody_has_edited_is_not_believed(
    server: StoppedServer, capsys: pytest.CaptureFixture[str], change: dict[str, object]
) -> None:
    assert server.close() == 0
    server.pass_days(31)
    right = server.order()
    server.journal.write_text(json.dumps({**right, **change}))
    assert server.erase("--dry-run") == 1
    assert "the journal does not say what the database says" in capsys.readouterr().err
    assert server.close() == 0
    assert server.order() == right


def test_the_journal_of_another_server_is_left_alone(server: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert server.close() == 0
    assert server.offboard("reopen", FIRST) == 0
    text = json.dumps({**server.order(), "server_name": "another.example"})
    server.journal.write_text(text)
    assert server.close() == 1
    assert "is that of another.example" in capsys.readouterr().err
    assert server.journal.read_text() == text


def test_two_orders_at_once_are_refused(server: StoppedServer, capsys: pytest.CaptureFixture[str]) -> None:
    from synapse_bum.cli.offboard.journal import held_journal  # noqa: PLC0415 - takes nothing of Synapse along

    with held_journal(server.journal):
        assert server.close() == 1
    assert "another command works with the journal" in capsys.readouterr().err


WHOLE = ["--stage", "close", "-c", "homeserver.yaml", "--confirm", "messenger.example", "--journal", "journal.json"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--stage", "close"], "--stage needs -c, --confirm, --journal, --by"),
        (["--stage", "close", "--grace-days", "0"], "must be a number from 1 to 365"),
        (["--stage", "destroy"], "invalid choice"),
        ([], "is required"),
        ([*WHOLE, "--by", "Anna\u200b Amt"], "--by: must be one line of readable text"),
        ([*WHOLE, "--by", "Anna\udcff"], "--by: must be one line of readable text"),
        ([*WHOLE, "--by", "Anna", "--reason", "a\nb"], "--reason: must be one line of readable text"),
    ],
)
def test_wrong_options_say_what_is_wrong(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    from synapse_bum.cli import main  # noqa: PLC0415 - as its own users do

    try:
        status = main(["offboard", *options])
    except SystemExit as end:
        status = int(str(end.code))
    assert status == 2
    assert said in capsys.readouterr().err
