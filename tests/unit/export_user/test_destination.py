"""The folder of an export: new, private, whole or not there."""

import json
from pathlib import Path

import pytest

from synapse_bum.cli.export_user.destination import Destination, DestinationError
from synapse_bum.cli.export_user.json_array import JsonArray


def test_it_appears_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Destination(out) as destination:
        destination.folder("data")
        with destination.text("data/a.json") as file:
            file.write("ä")
        assert not out.exists()
        destination.publish()
    assert (out / "data/a.json").read_text(encoding="utf-8") == "ä"
    assert {path.stat().st_mode & 0o077 for path in (out, *out.rglob("*"))} == {0}
    assert list(tmp_path.iterdir()) == [out]


def test_after_an_error_nothing_is_left(tmp_path: Path) -> None:
    def broken() -> None:
        with Destination(tmp_path / "out") as destination:
            destination.text("a").close()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_there_already_is_never_touched(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "folder":
        out.mkdir()
    elif kind == "file":
        out.write_text("mine")
    else:
        out.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DestinationError, match="is there already"), Destination(out):
        pass
    assert list(tmp_path.iterdir()) == [out]


def test_somebody_elses_folder_of_that_name_wins(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Destination(out) as destination:
        out.mkdir()
        with pytest.raises(DestinationError, match="somebody else"):
            destination.publish()
    assert list(tmp_path.iterdir()) == [out]


def test_what_a_killed_export_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".out.unfinished"
    left.mkdir()
    (left / "secret").write_text("of the person")
    with Destination(tmp_path / "out") as destination:
        assert list(destination.path.iterdir()) == []


def test_two_exports_to_one_place_are_refused(tmp_path: Path) -> None:
    with Destination(tmp_path / "out") as first:
        first.text("a").close()
        with pytest.raises(DestinationError, match="another export"), Destination(tmp_path / "out"):
            pass
        assert (first.path / "a").exists()


def test_a_link_in_the_place_of_the_unfinished_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").write_text("stays")
    (tmp_path / ".out.unfinished").symlink_to(tmp_path / "precious")
    with pytest.raises(DestinationError), Destination(tmp_path / "out"):
        pass
    assert (tmp_path / "precious/file").read_text() == "stays"


def test_a_missing_parent_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match="No such file"), Destination(tmp_path / "no/out"):
        pass


def test_an_array_is_json_whatever_its_length(tmp_path: Path) -> None:
    for count in range(3):
        path = tmp_path / f"{count}.json"
        with JsonArray(path.open("w", encoding="utf-8")) as array:
            for number in range(count):
                array.add({"ä": number})
        assert json.loads(path.read_text(encoding="utf-8")) == [{"ä": number} for number in range(count)]
        assert array.count == count
