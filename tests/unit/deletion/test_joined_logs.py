"""Parts of a deletion log that were rotated and put together again: what is taken, and what is refused how."""

import contextlib
import json
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import attr
import pytest

from synapse_bum.deletion.log_file import START, Position, append
from synapse_bum.deletion.log_lines import beginning_line
from synapse_bum.deletion.log_reading import UnusableLogError, unknown_part

pytestmark = pytest.mark.any_synapse

SERVER = "messenger.example"


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


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Parts:
    """Three parts of ten files each, and what a database knows: in the midst of each, and at the end of each.

    Attributes:
        path: where an operator puts them together.
        contents: of the parts.
        midst: behind the fifth file of each part.
        ends: behind the last one.
    """

    path: Path
    contents: list[bytes]
    midst: list[Position]
    ends: list[Position]

    def put(self, *contents: bytes) -> None:
        """Puts files together."""
        self.path.write_bytes(b"".join(contents))


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    made = Parts(tmp_path / "deletions.jsonl", [], [], [])
    for part in range(3):
        beginning = beginning_line(SERVER, made.ends[-1], part) if part else b""
        numbers = [10 * part + number for number in range(10)]
        made.midst.append(append(made.path, [deleted(number) for number in numbers[:5]], beginning=beginning))
        made.ends.append(append(made.path, [deleted(number) for number in numbers[5:]]))
        made.contents.append(made.path.read_bytes())
        made.path.unlink()
    return made


def unknown(path: Path, known: Position) -> set[int]:
    """The numbers of all files that are found from a position on."""
    found: set[int] = set()
    while (part := unknown_part(path, known, SERVER)) is not None:
        found |= {file.planned_ts for file in part.files}
        known = part.end
    return found


JOINS: dict[str, Callable[[list[bytes]], tuple[bytes, ...]]] = {
    "in order": tuple,
    "the first twice": lambda all_of: (all_of[0], *all_of),
    "the second twice": lambda all_of: (all_of[0], all_of[1], *all_of[1:]),
    "all twice": lambda all_of: (*all_of, *all_of),
    "overlapping": lambda all_of: (all_of[0], all_of[0][: all_of[0].index(deleted(7))], *all_of),
    "with a piece of a line behind the first": lambda all_of: (all_of[0] + deleted(8)[:50], *all_of[1:]),
    "with a line behind the first that was never noted": lambda all_of: (all_of[0] + deleted(99), *all_of[1:]),
    "with blank lines between": lambda all_of: (b"\n\n".join(all_of),),
}


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("part", range(3))
def test_what_is_whole_and_in_order_is_read_from_wherever_the_database_knows_it(
    parts: Parts, join: str, part: int
) -> None:
    parts.put(*JOINS[join](parts.contents))
    for known, first in ((parts.midst[part], 10 * part + 5), (parts.ends[part], 10 * part + 10)):
        assert unknown(parts.path, known) >= set(range(first, 30))
    assert unknown(parts.path, START) >= set(range(30))


def test_nothing_is_read_again_of_parts_that_were_put_together_without_need(parts: Parts) -> None:
    parts.put(*parts.contents)
    assert unknown(parts.path, parts.ends[2]) == set()
    assert unknown(parts.path, parts.midst[2]) == set(range(25, 30))


def test_after_parts_were_put_together_the_log_goes_on(parts: Parts) -> None:
    parts.put(*parts.contents)
    end = append(parts.path, [deleted(30)])
    assert unknown(parts.path, parts.ends[2]) == {30}
    assert unknown(parts.path, end) == set()


@pytest.mark.parametrize("order", [order for order in permutations(range(3)) if order != (0, 1, 2)])
@pytest.mark.parametrize("part", range(3))
def test_in_another_order_nothing_is_passed_over_in_silence(parts: Parts, order: tuple[int, ...], part: int) -> None:
    """It is refused, or all is read that the database does not know."""
    parts.put(*(parts.contents[each] for each in order))
    for known, first in ((parts.midst[part], 10 * part + 5), (parts.ends[part], 10 * part + 10)):
        with contextlib.suppress(UnusableLogError):
            assert unknown(parts.path, known) >= set(range(first, 30))


def test_a_part_before_the_one_that_it_follows_is_said_with_its_line(parts: Parts) -> None:
    first, second, third = parts.contents
    parts.put(second, first, third)
    with pytest.raises(
        UnusableLogError, match="the part that begins with line 2 stands before the one that it follows"
    ):
        unknown(parts.path, parts.midst[0])


def test_a_part_that_is_missing_between_two_is_said_with_its_line(parts: Parts) -> None:
    parts.put(parts.contents[0], parts.contents[2])
    for known in (START, parts.midst[0], parts.ends[0]):
        with pytest.raises(UnusableLogError, match="the part before line 12 is missing, which was rotated away"):
            unknown(parts.path, known)
    # Who knows what was lost needs nothing of it.
    assert unknown(parts.path, parts.midst[2]) == set(range(25, 30))


def test_an_older_database_is_not_content_with_the_newer_parts(parts: Parts) -> None:
    parts.put(*parts.contents[1:])
    with pytest.raises(UnusableLogError, match="does not go on where it ended"):
        unknown(parts.path, parts.midst[0])
    assert unknown(parts.path, parts.ends[0]) == set(range(10, 30))
