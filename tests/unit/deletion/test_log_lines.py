"""Lines of the deletion log: what is written is read again, and what is damaged is never taken for a deletion."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.deletion.journal import After, Kind
from synapse_bum.deletion.log_file import Position
from synapse_bum.deletion.log_lines import (
    Line,
    LoggedFile,
    TornLineError,
    UnreadableLineError,
    beginning_line,
    read_beginning,
    read_line,
)
from synapse_bum.deletion.replay import last_deletions
from synapse_bum.retention.classes import RetentionClass

OWN = "a.example"
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
ids = st.text("abcXYZ019_-", min_size=1, max_size=24)
policies = st.from_regex(r"[a-z]+:[a-z_]+", fullmatch=True)


@st.composite
def logged_files(draw: st.DrawFn) -> LoggedFile:
    kind = draw(st.sampled_from(Kind))
    local = kind is Kind.LOCAL_MEDIA
    return LoggedFile(
        kind=kind,
        server_name=OWN if local else draw(st.sampled_from(["b.example", "b.example:8448", "[::1]"])),
        media_id=draw(ids),
        planned_ts=draw(st.integers(0, 2**53 - 1)),
        policy=draw(policies),
        actor=draw(texts),
        reason=draw(st.none() | texts),
        after=After.DROP if local else draw(st.sampled_from(After)),
    )


def fields_of(file: LoggedFile) -> dict[str, Any]:
    return {
        "id": f"file-{file.planned_ts}-1",
        "server": OWN,
        "kind": file.kind.value,
        "target": f"mxc://{file.server_name}/{file.media_id}",
        "size_bytes": 5,
        "policy": file.policy,
        "reason": file.reason,
        "actor": file.actor,
        "planned_ts": file.planned_ts,
        "done_ts": None,
        "state": "hidden",
        "after": file.after.value,
    }


A_FILE = LoggedFile(
    Kind.REMOTE_MEDIA, "b.example", "media", 7, "retention:remote_media", "retention", None, After.TOMBSTONE
)


def a_line(**changes: object) -> bytes:
    return Line(1, done=False, fields={**fields_of(A_FILE), **changes}).encoded()


@given(logged_files())
def test_what_is_written_is_read_again(file: LoggedFile) -> None:
    encoded = Line(1, done=False, fields=fields_of(file)).encoded()
    assert encoded.count(b"\n") == 1
    assert encoded.endswith(b"\n")
    assert read_line(encoded, OWN) == read_line(encoded[:-1], OWN) == file


@given(logged_files(), st.data())
def test_a_torn_line_is_told_from_a_damaged_one(file: LoggedFile, data: st.DataObject) -> None:
    encoded = Line(1, done=False, fields=fields_of(file)).encoded()[:-1]
    with pytest.raises(TornLineError):
        read_line(encoded[: data.draw(st.integers(1, len(encoded) - 1))], OWN)


@given(st.binary(max_size=200))
def test_whatever_stands_there_is_no_crash(raw: bytes) -> None:
    try:
        found = read_line(raw, OWN)
    except (TornLineError, UnreadableLineError):
        return
    assert found is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(["kind", "target", "policy", "reason", "actor", "planned_ts", "after", "server"]), json_values)
def test_a_field_of_the_wrong_kind_never_deletes_another_file(name: str, value: object) -> None:
    raw = json.dumps({**fields_of(A_FILE), name: value}).encode()
    try:
        found = read_line(raw, OWN)
    except UnreadableLineError:
        return
    assert found is None or (found.server_name, found.media_id) == ("b.example", "media")


@pytest.mark.parametrize(
    "changes",
    [
        {"target": "mxc://b.example"},
        {"target": "mxc://b.example/../../etc"},
        {"target": f"mxc://{OWN}/media"},
        {"kind": "local_media"},
        {"kind": 5},
        {"kind": "films"},
        {"kind": "log"},
        {"policy": "everything"},
        {"planned_ts": -1},
        {"planned_ts": "now"},
        {"planned_ts": True},
        {"after": "burn"},
        {"actor": None},
        {"actor": "a\0b"},
        {"reason": "\ud800"},
        {"server": None},
        {"kind": "local_media", "target": f"mxc://{OWN}/media", "after": "tombstone"},
    ],
)
def test_damaged(changes: dict[str, object]) -> None:
    with pytest.raises(UnreadableLineError):
        read_line(a_line(**changes), OWN)


def test_messages_other_servers_and_empty_lines_are_no_files() -> None:
    assert read_line(a_line(kind="messages", target="!room:a.example"), OWN) is None
    assert read_line(a_line(), "other.example") is None
    assert read_line(b"", OWN) is None
    assert read_line(b" \r\n", OWN) is None
    assert read_line(b"lost\n", OWN) is None


def test_the_beginning_of_a_file_says_how_the_one_before_it_ended() -> None:
    line = beginning_line(OWN, Position(7, "abc"), 5)
    assert read_beginning(line) == Position(7, "abc")
    assert [read_beginning(raw) for raw in (a_line(), line[:-9], b"", b"lost", b"[]", b'{"kind":"log"}')] == [None] * 6


@pytest.mark.parametrize("kind", RetentionClass)
def test_the_policies_of_classes_can_be_read(kind: RetentionClass) -> None:
    file = read_line(a_line(policy=kind.policy), OWN)
    assert file is not None
    assert file.policy == kind.policy


def test_the_last_deletion_of_a_file_counts() -> None:
    lines = [a_line(planned_ts=9), a_line(planned_ts=7), a_line(target="mxc://b.example/other")]
    files = [file for line in lines if (file := read_line(line, OWN)) is not None]
    last = last_deletions(files)
    assert [(media_id, file.planned_ts) for (_, media_id), file in last.items()] == [("media", 9), ("other", 7)]
