"""The deletion log on disk: what is appended is there, and what the database does not know is found."""

import errno
import os
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.deletion import log_file
from synapse_bum.deletion.log_file import START, Position, append, unknown_part

lines_of_text = st.lists(st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b" ") + b"\n"), max_size=30)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deletions.jsonl"


def all_unknown(path: Path, known: Position) -> list[bytes]:
    """What is found from a position on, part by part."""
    found: list[bytes] = []
    while (part := unknown_part(path, known)) is not None:
        assert part.end.size > known.size or not part.continues
        found += part.lines
        known = part.end
    return found


def numbered(*numbers: int) -> list[bytes]:
    return [b'{"id":"file-%d"}\n' % number for number in numbers]


def test_what_was_appended_last_is_known(path: Path) -> None:
    end = append(path, numbered(1, 2))
    assert unknown_part(path, end) is None
    end = append(path, numbered(3))
    assert unknown_part(path, end) is None
    assert path.read_bytes() == b"".join(numbered(1, 2, 3))


def test_what_an_older_database_does_not_know_is_found(path: Path) -> None:
    known = append(path, numbered(1, 2))
    append(path, numbered(3, 4))
    part = unknown_part(path, known)
    assert part is not None
    assert part.continues
    assert b"".join(line + b"\n" for line in part.lines) == b"".join(numbered(3, 4))
    assert unknown_part(path, part.end) is None


def test_a_database_of_before_the_log_knows_nothing_of_it(path: Path) -> None:
    append(path, numbered(1, 2))
    assert len(all_unknown(path, START)) == 2


def test_a_log_that_is_missing_or_empty_holds_nothing(path: Path) -> None:
    known = append(path, numbered(1))
    path.unlink()
    assert unknown_part(path, known) is None
    path.touch()
    assert unknown_part(path, known) is None


@pytest.mark.parametrize("numbers", [(8, 9), (7, 8, 9, 10, 11)])
def test_another_file_is_read_from_its_start(path: Path, numbers: tuple[int, ...]) -> None:
    known = append(path, numbered(1, 2, 3))
    path.rename(path.with_suffix(".1"))
    append(path, numbered(*numbers))
    part = unknown_part(path, known)
    assert part is not None
    assert not part.continues
    assert len(part.lines) == len(numbers)


def test_a_new_log_can_be_read_by_its_group_and_nobody_else(path: Path) -> None:
    append(path, numbered(1))
    assert path.stat().st_mode & 0o777 & ~0o640 == 0


def test_a_torn_end_is_no_line_and_the_next_one_begins_a_new_one(path: Path) -> None:
    known = append(path, numbered(1))
    with path.open("ab") as file:
        file.write(numbered(2)[0] + b'{"id":"file-')
    part = unknown_part(path, known)
    assert part is not None
    assert part.lines == (b'{"id":"file-2"}',)
    assert unknown_part(path, part.end) is None
    append(path, numbered(3))
    assert path.read_bytes().split(b"\n")[1:] == [b'{"id":"file-2"}', b'{"id":"file-', b'{"id":"file-3"}', b""]
    assert all_unknown(path, part.end) == [b"", b'{"id":"file-3"}']


@given(lines_of_text, lines_of_text, st.integers(1, 200))
def test_reading_in_parts_finds_every_line_once(
    tmp_path_factory: pytest.TempPathFactory, before: list[bytes], after: list[bytes], part_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    known = append(path, before)
    append(path, after)
    with patch.object(log_file, "PART_BYTES", max(part_bytes, 41)):
        assert b"".join(line + b"\n" for line in all_unknown(path, known)) == b"".join(after)


def test_a_line_that_is_longer_than_a_part_does_not_stop_the_reading(path: Path) -> None:
    append(path, [b"x" * 1_000 + b"\n", *numbered(2)])
    with patch.object(log_file, "PART_BYTES", 64):
        assert all_unknown(path, START)[-1] == b'{"id":"file-2"}'


def test_a_full_disk_leaves_no_piece_of_a_line(path: Path) -> None:
    known = append(path, numbered(1))
    write = os.write

    def little(descriptor: int, content: bytes) -> int:
        if len(content) < 20:
            raise OSError(errno.ENOSPC, "no space")
        return write(descriptor, content[:20])

    with patch.object(os, "write", little), pytest.raises(OSError, match="no space"):
        append(path, numbered(2, 3))
    assert path.read_bytes() == numbered(1)[0]
    assert unknown_part(path, known) is None
    append(path, numbered(2, 3))
    assert path.read_bytes() == b"".join(numbered(1, 2, 3))


def test_a_disk_that_refuses_is_an_error(path: Path) -> None:
    with patch.object(os, "fsync", side_effect=OSError(errno.EIO, "broken")), pytest.raises(OSError, match="broken"):
        append(path, numbered(1))
    with pytest.raises(OSError, match="No such file"):
        append(path.parent / "no folder" / "log", numbered(1))
