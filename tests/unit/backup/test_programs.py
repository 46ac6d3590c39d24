"""Programs that are run to their end, which some would put off for a long time."""

import signal

import pytest

from synapse_bum.cli.backup import programs
from synapse_bum.cli.backup.programs import Done, run_program

pytestmark = pytest.mark.any_synapse


def test_one_that_says_that_it_is_hopeless_is_interrupted() -> None:
    done = run_program(["/bin/sh", "-c", "echo 'the disk is full' >&2; exec sleep 60"], {}, hopeless="disk is full")
    assert (done.status, done.complaint) == (-signal.SIGINT, "the disk is full\n")


def test_it_is_interrupted_also_where_the_shell_that_began_the_backup_lets_nobody_be() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = run_program(["/bin/sh", "-c", "echo full >&2; exec sleep 60"], {}, hopeless="full")
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.status == -signal.SIGINT


def test_one_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_GRACE_SECONDS", 0.2)
    deaf = ["/usr/bin/env", "sh", "-c", "trap '' INT; echo full >&2; exec sleep 60"]
    assert run_program(deaf, {"PATH": "/usr/bin:/bin"}, hopeless="full").status == -signal.SIGKILL


def test_whatever_it_says_it_ends_by_itself_otherwise() -> None:
    done = run_program(["/bin/sh", "-c", "echo full >&2; echo done; exit 3"], {})
    assert (done.status, done.output, done.complaint) == (3, "done\n", "full\n")


def test_what_postgresql_quotes_of_rows_is_not_shown() -> None:
    said = (
        'pg_restore: error: COPY failed for table "users": ERROR:  duplicate key value violates unique constraint\n'
        "DETAIL:  Key (name)=(@erika:messenger.example\n"
        "and a second line of it) already exists.\n"
        'CONTEXT:  COPY users, line 1: "@erika:messenger.example\t$2b$12$secret"\n'
        "pg_restore: warning: errors ignored on restore: 1\x1b[2J\n"
    )
    assert Done(1, "", said).last_complaint() == (
        'pg_restore: error: COPY failed for table "users": ERROR:  duplicate key value violates unique constraint; '
        r"pg_restore: warning: errors ignored on restore: 1\x1b[2J"
    )


def test_one_that_only_quotes_is_named_by_its_status() -> None:
    assert Done(3, "", "DETAIL:  Key (name)=(@erika:messenger.example)\n").last_complaint() == "it ended with status 3"
