"""Lines of the deletion log: what is written is read again, and what is damaged is never taken for a deletion."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.deletion.journal import After, Kind
from synapse_bum.deletion.log_lines import Line, LoggedFile, UnreadableLineError, read_line
from synapse_bum.deletion.replay import read_lines
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
def test_a_torn_line_is_damaged(file: LoggedFile, data: st.DataObject) -> None:
    encoded = Line(1, done=False, fields=fields_of(file)).encoded()[:-1]
    with pytest.raises(UnreadableLineError):
        read_line(encoded[: data.draw(st.integers(1, len(encoded) - 1))], OWN)


@given(st.binary(max_size=200))
def test_whatever_stands_there_is_no_crash(raw: bytes) -> None:
    try:
        found = read_line(raw, OWN)
    except UnreadableLineError:
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


@pytest.mark.parametrize("kind", RetentionClass)
def test_the_policies_of_classes_can_be_read(kind: RetentionClass) -> None:
    file = read_line(a_line(policy=kind.policy), OWN)
    assert file is not None
    assert file.policy == kind.policy


def test_the_last_deletion_of_a_file_counts_and_damaged_lines_are_counted() -> None:
    lines = [a_line(planned_ts=9), a_line(planned_ts=7), a_line()[:-9], b"", a_line(target="mxc://b.example/other")]
    files, unreadable = read_lines(lines, OWN)
    assert [(file.media_id, file.planned_ts) for file in files] == [("media", 9), ("other", 7)]
    assert unreadable == 1
