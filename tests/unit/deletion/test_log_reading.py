"""Reading the deletion log: what the database does not know is found, and a log that can't be believed is an error."""

import json
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.deletion import log_reading
from synapse_bum.deletion.log_file import START, Position, append
from synapse_bum.deletion.log_lines import beginning_line
from synapse_bum.deletion.log_reading import UnusableLogError, has_vanished, unknown_part

pytestmark = pytest.mark.any_synapse

SERVER = "messenger.example"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deletions.jsonl"


def deleted(number: int) -> bytes:
    """The line of a file."""
    fields = {
        "id": f"file-{number}",
        "server": SERVER,
        "kind": "local_media",
        "target": f"mxc://{SERVER}/file{number}",
        "planned_ts": number,
        "policy": "example:rule",
        "actor": "@alice:messenger.example",
        "after": "drop",
    }
    return json.dumps(fields).encode() + b"\n"


def lines(*numbers: int) -> list[bytes]:
    return [deleted(number) for number in numbers]


def rotate(path: Path, known: Position, *numbers: int) -> Position:
    """Move the file away and go on as the duty does."""
    path.rename(path.with_suffix(f".{len(list(path.parent.iterdir()))}"))
    return append(path, lines(*numbers), beginning=beginning_line(SERVER, known, 5))


def joined(path: Path, *suffixes: str) -> None:
    """Put rotated parts in front, as an operator does."""
    parts = [path.with_suffix(suffix).read_bytes() for suffix in suffixes]
    path.write_bytes(b"".join([*parts, path.read_bytes()]))


def unknown(path: Path, known: Position) -> list[int]:
    """The numbers of the files that are found from a position on, part by part."""
    found: list[int] = []
    while (part := unknown_part(path, known, SERVER)) is not None:
        found += [file.planned_ts for file in part.files]
        known = part.end
    return found


def test_what_was_appended_last_is_known(path: Path) -> None:
    end = append(path, lines(1, 2))
    assert unknown_part(path, end, SERVER) is None
    assert unknown_part(path, append(path, lines(3)), SERVER) is None


def test_what_an_older_database_does_not_know_is_found(path: Path) -> None:
    known = append(path, lines(1, 2))
    append(path, lines(3, 4))
    assert unknown(path, known) == [3, 4]
    assert unknown(path, START) == [1, 2, 3, 4]


def test_before_the_first_line_there_may_be_no_file(path: Path) -> None:
    assert unknown_part(path, START, SERVER) is None
    path.touch()
    assert unknown_part(path, START, SERVER) is None
    assert not has_vanished(path, START)


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def shorten(path: Path) -> None:
    path.write_bytes(deleted(1))


def replace(path: Path) -> None:
    path.write_bytes(b"".join(lines(7, 8, 9, 10, 11)))


def replace_by_one_of_the_same_length(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"file1", b"file9"))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (remove, "is missing, though"),
        (empty, "is empty, though"),
        (shorten, "does not go on where it ended"),
        (replace, "does not go on where it ended"),
        (replace_by_one_of_the_same_length, "does not go on where it ended"),
    ],
)
def test_a_log_that_is_not_the_one_that_was_written_is_an_error_until_somebody_says_that_it_is_lost(
    path: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    known = append(path, lines(1, 2, 3))
    spoil(path)
    with pytest.raises(UnusableLogError, match=sentence) as refused:
        unknown_part(path, known, SERVER)
    assert "`lost`" in str(refused.value)
    rest = path.read_bytes() if path.exists() else b""
    path.write_bytes(b"lost\n" + rest)
    with patch.object(log_reading.logger, "warning") as said:
        assert unknown(path, known) == unknown(path, START)
    assert "begins with `lost`" in said.call_args.args[0]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "log" / "deletions.jsonl"
    path.parent.mkdir()
    known = append(path, lines(1))
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(UnusableLogError, match=r"the folder .* is not there"):
        unknown_part(path, known, SERVER)


def test_a_rotated_log_is_read_from_its_start_by_the_database_that_knew_all_before(path: Path) -> None:
    known = append(path, lines(1, 2))
    after = rotate(path, known, 3)
    assert unknown(path, known) == [3]
    assert unknown_part(path, after, SERVER) is None


def test_an_older_database_needs_the_part_that_was_rotated_away(path: Path) -> None:
    backup = append(path, lines(1))
    known = append(path, lines(2))
    rotate(path, known, 3)
    with pytest.raises(UnusableLogError, match="does not go on where it ended"):
        unknown_part(path, backup, SERVER)
    with pytest.raises(UnusableLogError, match="the part before line 1 is missing"):
        unknown_part(path, START, SERVER)
    joined(path, ".1")
    assert unknown(path, backup) == [2, 3]
    assert unknown(path, START) == [1, 2, 3]


def test_a_part_that_is_missing_between_two_others_is_noticed(path: Path) -> None:
    backup = append(path, lines(1))
    second = rotate(path, backup, *range(10, 20))
    rotate(path, second, 3)
    assert sorted(file.suffix for file in path.parent.iterdir()) == [".1", ".2", ".jsonl"]
    current = path.read_bytes()
    joined(path, ".1")
    with pytest.raises(UnusableLogError, match="the part before line 3 is missing"):
        unknown(path, backup)
    path.write_bytes(path.with_suffix(".1").read_bytes() + b"lost\n" + current)
    assert unknown(path, backup) == [3]
    path.write_bytes(current)
    joined(path, ".1", ".2")
    assert unknown(path, backup) == [*range(10, 20), 3]


def test_a_rotated_log_whose_older_part_is_lost_can_be_read(path: Path) -> None:
    backup = append(path, lines(1))
    rotate(path, append(path, lines(2)), 3)
    path.write_bytes(b"lost\n" + path.read_bytes())
    assert unknown(path, backup) == [3]
    assert unknown(path, START) == [3]


def test_a_log_has_vanished_when_it_is_gone_or_empty(path: Path) -> None:
    known = append(path, lines(1))
    assert not has_vanished(path, known)
    empty(path)
    assert has_vanished(path, known)
    remove(path)
    assert has_vanished(path, known)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\xff", "it is no JSON"),
        (b"[]", "it is no JSON object"),
        (deleted(2).strip().replace(b"file2", b"../file2"), "its `target` is no mxc URI"),
        (deleted(2).strip().replace(b"local_media", b"remote_media"), "its `kind` does not belong"),
        (b"x" * 200, "it is no JSON"),
    ],
)
def test_a_damaged_line_is_an_error_that_names_it(path: Path, raw: bytes, why: str) -> None:
    known = append(path, lines(1))
    append(path, [deleted(3), raw + b"\n", deleted(4)])
    with pytest.raises(UnusableLogError, match=f"is damaged, in line 3: {why}"):
        unknown_part(path, known, SERVER)


def test_a_line_without_end_is_damaged(path: Path) -> None:
    append(path, [deleted(1), b"x" * 1_000 + b"\n"])
    with (
        patch.object(log_reading, "PART_BYTES", 300),
        pytest.raises(UnusableLogError, match="line 2: it is longer than 300 bytes"),
    ):
        unknown(path, START)


def test_a_line_that_was_never_finished_is_passed_over_wherever_it_was_torn(path: Path) -> None:
    known = append(path, lines(1))
    whole = path.read_bytes()
    for length in range(1, len(deleted(2))):
        path.write_bytes(whole + deleted(2)[:length])
        # It may be just being written by another process: its end must not be taken for a line.
        assert unknown_part(path, known, SERVER) is None
        append(path, lines(2, 3))
        part = unknown_part(path, known, SERVER)
        assert part is not None
        assert [file.planned_ts for file in part.files][-2:] == [2, 3]
        assert unknown_part(path, part.end, SERVER) is None


def test_of_a_line_that_is_just_being_written_the_rest_is_read_later(path: Path) -> None:
    known = append(path, lines(1))
    with path.open("ab") as file:
        file.write(deleted(2) + deleted(3)[:40])
    part = unknown_part(path, known, SERVER)
    assert part is not None
    with path.open("ab") as file:
        file.write(deleted(3)[40:])
    assert unknown(path, part.end) == [3]


@given(st.integers(0, 8), st.integers(0, 30), st.integers(0, 3_000))
def test_reading_in_parts_finds_every_line_once(
    tmp_path_factory: pytest.TempPathFactory, before: int, after: int, part_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    known = append(path, lines(*range(before)))
    append(path, lines(*range(100, 100 + after)))
    with patch.object(log_reading, "PART_BYTES", max(part_bytes, 300)):
        assert unknown(path, known) == list(range(100, 100 + after))
