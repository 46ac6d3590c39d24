"""Exports of data that other servers and programs have written as they liked."""

import json
from pathlib import Path
from typing import Any

import pytest

from synapse_bum.cli.export_user.exporting import Exporter
from synapse_bum.homeserver.database_snapshot import ReadableDatabase
from synapse_bum.testing.small_homeserver import ALICE, SmallHomeserver

pytestmark = pytest.mark.any_synapse


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def exported(tmp_path: Path, content: str, ts: int = 1_700_000_000_000) -> tuple[str, list[dict[str, Any]]]:
    """The page and the events of a room with one event of Alice's."""
    folder = tmp_path / "server"
    folder.mkdir()
    homeserver = SmallHomeserver(folder)
    event = f'{{"type": "org.example", "sender": "{ALICE}", "origin_server_ts": {ts}, "content": {content}}}'
    homeserver.execute("INSERT INTO local_current_membership VALUES ('!r:x', ?, '$0', 'join')", [(ALICE,)])
    homeserver.execute("INSERT INTO events VALUES (1, '$1', 'org.example', '!r:x', ?, NULL)", [(ALICE,)])
    homeserver.execute("INSERT INTO event_json VALUES ('$1', ?)", [(event,)])
    out = tmp_path / "alice"
    Exporter(homeserver.config, ReadableDatabase(homeserver.settings), "messenger.example", None).export(ALICE, out)
    return (out / "rooms/00001.html").read_text(), json.loads((out / "rooms/00001.json").read_text())


@pytest.mark.parametrize("ts", [2**53 - 1, -(2**53), 10**400, 253_402_300_800_000])
def test_a_time_without_a_year_is_shown_as_a_number(tmp_path: Path, ts: int) -> None:
    page, (event,) = exported(tmp_path, "{}", ts)
    assert event["origin_server_ts"] == ts
    assert f"<strong>{ts}</strong>" in page


def test_a_deep_event_takes_no_more_room_than_it_has(tmp_path: Path) -> None:
    page, (event,) = exported(tmp_path, nested(90))
    assert len(page) < 3_000
    assert event["content"] == json.loads(nested(90))


@pytest.mark.parametrize("depth", [900, 995, 10_000])
def test_what_is_too_deep_is_given_as_it_is_stored(tmp_path: Path, depth: int) -> None:
    page, (event,) = exported(tmp_path, nested(depth))
    assert nested(depth) in event["unreadable"]
    assert len(page) < 200_000


def test_a_long_event_is_shortened_on_the_page_only(tmp_path: Path) -> None:
    text = "x" * 60_000
    page, (event,) = exported(tmp_path, json.dumps({"text": text}))
    assert event["content"]["text"] == text
    assert len(page) < 25_000
    assert "gekürzt" in page
