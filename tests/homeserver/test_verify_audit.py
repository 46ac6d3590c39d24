"""`synapse-bum verify-audit`: an untouched audit is whole, and whatever was done to it afterwards is said."""

import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from synapse.logging import TerseJsonFormatter

from synapse_bum.audit import Entry
from synapse_bum.cli import main
from synapse_bum.testing.small_homeserver import SmallHomeserver

pytestmark = pytest.mark.any_synapse


@pytest.fixture
def homeserver(tmp_path: Path) -> SmallHomeserver:
    return SmallHomeserver(tmp_path)


def some_rows(homeserver: SmallHomeserver, count: int = 5) -> None:
    homeserver.audit(*(Entry(number, "@boss:messenger.example", "example.done", "target") for number in range(count)))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the lines of audit rows go, as config-samples/log.yaml has them written."""
    return tmp_path / "synapse_bum-audit.jsonl"


@pytest.fixture(autouse=True)
def logged(log: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    handler = logging.FileHandler(log)
    handler.setFormatter(TerseJsonFormatter())
    logger = logging.getLogger("synapse_bum.audit")
    monkeypatch.setattr(logger, "level", logging.INFO)
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)
    handler.close()


def verified(homeserver: SmallHomeserver, *logs: Path) -> int:
    options = [word for path in logs for word in ("--log", str(path))]
    return main(["verify-audit", "-c", str(homeserver.configuration()), *options])


def test_an_untouched_audit_is_whole(
    homeserver: SmallHomeserver, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some_rows(homeserver)
    assert verified(homeserver) == 0
    assert "the audit is whole: 5 rows up to row 5, hash " in capsys.readouterr().out
    with log.open("a") as file:
        file.write('{"log":"something else"}\nno JSON "audit_id"\n["audit_id"]\n{"audit_id": 9, "ha')
    assert verified(homeserver, log) == 0
    assert capsys.readouterr().out.endswith("; 5 of them are in the log, with the same hash\n")


def test_a_changed_row_is_named(homeserver: SmallHomeserver, capsys: pytest.CaptureFixture[str]) -> None:
    some_rows(homeserver)
    homeserver.execute("UPDATE synapse_bum_audit SET actor = ? WHERE id = ?", [("@somebody:else", 3)])
    assert verified(homeserver) == 1
    assert "row 3 was changed, added or is missing" in capsys.readouterr().err


def test_a_chain_that_was_made_anew_is_whole_and_not_that_of_the_log(
    homeserver: SmallHomeserver, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some_rows(homeserver)
    kept = log.read_text()
    homeserver.execute("DELETE FROM synapse_bum_audit WHERE id > ?", [(0,)])
    homeserver.execute("UPDATE synapse_bum_audit_head SET id = 0, hash = ?", [("",)])
    homeserver.audit(*(Entry(number, "@nobody:messenger.example", "example.done", "target") for number in range(5)))
    log.write_text(kept)
    assert verified(homeserver) == 0
    assert verified(homeserver, log) == 1
    assert "row 1 has another hash than the log has written down for it" in capsys.readouterr().err


def test_rows_that_only_the_log_has_are_missed(
    homeserver: SmallHomeserver, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some_rows(homeserver, 3)
    with contextlib.closing(homeserver.connect()) as connection:
        (row_hash,) = connection.execute("SELECT hash FROM synapse_bum_audit WHERE id = 2").fetchone()
    homeserver.execute("DELETE FROM synapse_bum_audit WHERE id > ?", [(2,)])
    homeserver.execute("UPDATE synapse_bum_audit_head SET id = 2, hash = ?", [(row_hash,)])
    assert verified(homeserver) == 0
    assert verified(homeserver, log) == 1
    assert "the log has 1 rows behind the newest one of the database, from 3 on" in capsys.readouterr().err


def test_after_a_restore_a_number_may_stand_in_the_log_twice(homeserver: SmallHomeserver, log: Path) -> None:
    some_rows(homeserver)
    first = json.loads(log.read_text().splitlines()[0])
    with log.open("a") as file:
        file.write(json.dumps({**first, "hash": "that of the row before the restore"}) + "\n")
    assert verified(homeserver, log) == 0


def test_what_can_not_be_verified_is_a_sentence(
    homeserver: SmallHomeserver, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verified(homeserver) == 1
    assert "this database has no audit" in capsys.readouterr().err
    some_rows(homeserver)
    assert verified(homeserver, tmp_path / "nothing.jsonl") == 1
    assert "nothing.jsonl: No such file or directory" in capsys.readouterr().err
    log.write_text('{"log":"something else"}\n')
    assert verified(homeserver, log) == 1
    assert "there is no line about an audit row" in capsys.readouterr().err
    homeserver.execute("DELETE FROM synapse_bum_audit_head WHERE id > ?", [(0,)])
    assert verified(homeserver) == 1
    assert "the head of the audit chain is missing" in capsys.readouterr().err
