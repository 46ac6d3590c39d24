"""The deletion log on disk: what is appended is there, or nothing of it."""

import errno
import os
from pathlib import Path
from unittest.mock import patch

import pytest

from synapse_bum.deletion.log_file import START, append

pytestmark = pytest.mark.any_synapse


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deletions.jsonl"


def numbered(*numbers: int) -> list[bytes]:
    return [b'{"id":"file-%d"}\n' % number for number in numbers]


def test_lines_are_appended_and_the_position_is_behind_them(path: Path) -> None:
    first = append(path, numbered(1, 2))
    second = append(path, numbered(3))
    assert path.read_bytes() == b"".join(numbered(1, 2, 3))
    assert (first.size, second.size) == (32, 48)
    assert len({START.fingerprint, first.fingerprint, second.fingerprint}) == 3


def test_the_beginning_stands_in_an_empty_file_only(path: Path) -> None:
    append(path, numbered(1), beginning=b"first\n")
    append(path, numbered(2), beginning=b"first\n")
    assert path.read_bytes() == b"".join([b"first\n", *numbered(1, 2)])


def test_a_new_log_can_be_read_by_its_group_and_nobody_else(path: Path) -> None:
    append(path, numbered(1))
    assert path.stat().st_mode & 0o777 & ~0o640 == 0


def test_what_follows_a_torn_end_begins_a_new_line(path: Path) -> None:
    path.write_bytes(b'{"id":"file-')
    append(path, numbered(3))
    assert path.read_bytes().split(b"\n") == [b'{"id":"file-', b'{"id":"file-3"}', b""]


def test_a_full_disk_leaves_no_piece_of_a_line(path: Path) -> None:
    append(path, numbered(1))
    write = os.write

    def little(descriptor: int, content: bytes) -> int:
        if len(content) < 20:
            raise OSError(errno.ENOSPC, "no space")
        return write(descriptor, content[:20])

    with patch.object(os, "write", little), pytest.raises(OSError, match="no space"):
        append(path, numbered(2, 3))
    assert path.read_bytes() == numbered(1)[0]
    append(path, numbered(2, 3))
    assert path.read_bytes() == b"".join(numbered(1, 2, 3))


def test_a_disk_that_refuses_is_an_error(path: Path) -> None:
    with patch.object(os, "fsync", side_effect=OSError(errno.EIO, "broken")), pytest.raises(OSError, match="broken"):
        append(path, numbered(1))
    with pytest.raises(OSError, match="No such file"):
        append(path.parent / "no folder" / "log", numbered(1))
