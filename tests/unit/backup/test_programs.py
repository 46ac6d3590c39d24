"""Programs that are run to their end, which some would put off for a long time."""

import signal

import pytest

from synapse_bum.cli.backup import programs
from synapse_bum.cli.backup.programs import run_program

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
