"""What databases say of an error may quote rows: names and messages of people are in no log and no sentence."""

import logging
from pathlib import Path

import pytest

from synapse_bum.config import SetupError
from synapse_bum.testing.toy_server import ToyServer

pytestmark = pytest.mark.any_synapse


def test_a_refused_start_quotes_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = ToyServer(tmp_path)
    server.start()
    backup = server.backup()
    server.put("a", "closed")
    server.turn()
    server.restore(backup)

    said = "duplicate key\nDETAIL:  Key (name)=(@alice:messenger.example)"

    def fails(*_: object) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr("synapse_bum.testing.toy_server.Things.close_again", fails)
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(
            SetupError, match=r"nothing is served: RuntimeError: duplicate key\. That is the line"
        ) as refused,
    ):
        server.start()
    assert "@alice" not in str(refused.value)
    assert refused.value.__suppress_context__
    assert "in fails" in caplog.text
    assert "@alice" not in caplog.text
