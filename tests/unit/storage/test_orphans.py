"""The decisions behind a look for orphans: which rows are known, what a bucket has, and what a report says."""

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.deletion.folders import Folder, LinkNotFollowedError, NotTheMediaStoreError
from synapse_bum.deletion.s3 import Bucket, NotInOrderError
from synapse_bum.deletion.walk import Found
from synapse_bum.homeserver.media_layout import Shelf
from synapse_bum.storage.orphans.duty import steady_clock
from synapse_bum.storage.orphans.remote_ids import IdWindow, SmallestIds
from synapse_bum.storage.orphans.report import MAX_SAMPLE, MAX_UNSEEN, Report, Totals

IDS = st.text("abcXYZ", min_size=1, max_size=4)
PAGE = 3
WRITTEN = datetime(2026, 1, 1, tzinfo=timezone.utc)


class PagedS3:
    """A bucket in memory that answers three keys at a time."""

    def __init__(self, keys: set[str]) -> None:
        self.keys = sorted(keys)
        self.requests = 0

    def list_objects_v2(self, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3
        self.requests += 1
        found = [key for key in self.keys if key.startswith(kwargs["Prefix"]) and key > kwargs.get("StartAfter", "")]
        return {
            "Contents": [{"Key": key, "LastModified": WRITTEN, "Size": 7} for key in found[:PAGE]],
            "IsTruncated": len(found) > PAGE,
        }

    def get_paginator(self, _operation: str) -> "PagedS3":
        return self

    def paginate(self, **kwargs: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - as boto3
        after = ""
        while True:
            page = self.list_objects_v2(**kwargs, StartAfter=after)
            yield page
            if not page["IsTruncated"]:
                return
            after = page["Contents"][-1]["Key"]


@given(st.sets(IDS), st.sets(IDS))
def test_a_bucket_says_of_each_path_whether_it_is_there(stored: set[str], asked: set[str]) -> None:
    s3 = PagedS3({f"copies/{name}" for name in stored})
    presence = Bucket("media", "copies/", lambda: s3).present(sorted(asked))
    assert presence.there == stored & asked
    assert not presence.unknown
    assert s3.requests <= len(asked)


def test_what_lies_between_two_paths_is_not_listed() -> None:
    s3 = PagedS3({f"local_content/aa/bb/{number:05}" for number in range(1_000)})
    first, last = "local_content/aa/bb/00000", "local_content/aa/bb/00999"
    assert Bucket("media", "", lambda: s3).present([last, first]).there == {first, last}
    assert s3.requests == 2


class FromTheStart(PagedS3):
    """A service that does not know `StartAfter`."""

    def list_objects_v2(self, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3
        kwargs.pop("StartAfter", None)
        return super().list_objects_v2(**kwargs)


class Empty(PagedS3):
    """A service that has more, and says nothing."""

    def list_objects_v2(self, **_kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3
        return {"IsTruncated": True}


@pytest.mark.parametrize("kind", [FromTheStart, Empty])
def test_a_bucket_that_lists_otherwise_is_an_error_and_not_empty(kind: type[PagedS3]) -> None:
    s3 = kind({f"local_content/aa/bb/{number}" for number in range(9)})
    with pytest.raises(NotInOrderError):
        Bucket("media", "", lambda: s3).present(["local_content/aa/bb/8", "local_content/aa/bb/7"])


def test_a_bucket_is_walked_without_its_prefix() -> None:
    keys = {f"copies/local_content/ab/cd/file{number}" for number in range(7)}
    s3 = PagedS3({*keys, "copies/local_content/README", "local_content/ab/cd/other"})
    found = list(Bucket("media", "copies/", lambda: s3).walk(Shelf.LOCAL_CONTENT, _never))
    files = [file for file in found if isinstance(file, Found)]
    assert {f"copies/{file.path}" for file in files} == keys
    assert len(found) == 8
    assert {(file.size_bytes, file.mtime_ns) for file in files} == {(7, 1_767_225_600_000_000_000)}


def _never(path: str, error: OSError) -> None:
    raise AssertionError(path) from error


def test_a_folder_is_walked_in_the_order_of_ids_and_behind_what_can_not_be_read(tmp_path: Path) -> None:
    names = [f"local_content/{part}/cd/efgh" for part in ("zz", "AA", "bb", "aa")]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"x")
    errors: list[str] = []
    walk = Folder("", tmp_path).walk(Shelf.LOCAL_CONTENT, lambda path, _error: errors.append(path))
    assert [file.path for file in walk if isinstance(file, Found)] == sorted(names)
    with patch("os.scandir", side_effect=PermissionError(13, "Permission denied")):
        assert list(Folder("", tmp_path).walk(Shelf.LOCAL_CONTENT, lambda path, _error: errors.append(path))) == []
    assert errors == ["local_content"]


def test_an_empty_folder_and_a_link_are_no_place_without_files(tmp_path: Path) -> None:
    with pytest.raises(NotTheMediaStoreError):
        Folder("", tmp_path).present(["local_content/ab/cd/efgh"])
    with pytest.raises(NotTheMediaStoreError):
        list(Folder("", tmp_path).walk(Shelf.LOCAL_CONTENT, _never))
    (tmp_path / "url_cache").mkdir()
    (tmp_path / "local_content").symlink_to(tmp_path / "url_cache")
    with pytest.raises(LinkNotFollowedError):
        list(Folder("", tmp_path).walk(Shelf.LOCAL_CONTENT, _never))


@given(st.lists(IDS, unique=True), st.sets(IDS), IDS | st.just(""), st.integers(1, 5))
def test_the_smallest_names_are_kept_with_what_is_known_of_them(
    files: list[str], tombstones: set[str], behind: str, limit: int
) -> None:
    smallest = SmallestIds(behind, limit)
    tombstones -= set(files)
    for file_id in files:
        smallest.add([file_id], is_tombstone=False)
    smallest.add(sorted(tombstones), is_tombstone=True)
    expected = sorted([*((name, False) for name in files), *((name, True) for name in tombstones)])
    expected = [each for each in expected if each[0] > behind]
    assert smallest.ids() == expected[:limit]
    assert smallest.more == (len(expected) > limit)


def test_a_window_says_nothing_of_names_outside_of_it() -> None:
    window = IdWindow("a.example", "bb", "dd", frozenset(), frozenset(), 0)
    assert [window.covers("a.example", name) for name in ("bb", "bc", "dd", "de")] == [False, True, True, False]
    assert not window.covers("b.example", "bc")
    assert IdWindow("a.example", "bb", None, frozenset(), frozenset(), 0).covers("a.example", "zz")


def test_what_was_not_looked_at_is_never_no_orphans() -> None:
    report = Report()
    assert report.is_complete
    for number in range(MAX_UNSEEN + 2):
        report.add_unseen("the media store", f"folder{number}", "Permission denied")
    shown = report.as_json()
    assert not shown["complete"]
    assert (len(shown["not_looked_at"]), shown["not_looked_at_more"]) == (MAX_UNSEEN, 2)
    assert report.is_unseen("the media store")


def test_what_nobody_can_look_at_is_no_failure_but_not_complete_either() -> None:
    report = Report()
    report.add_unseen("the tape", ".", "nobody knows it", is_failure=False)
    assert (report.has_failed, report.is_complete) == (False, False)


def test_a_report_counts_all_and_names_some() -> None:
    report = Report()
    for number in range(MAX_SAMPLE + 5):
        report.add_file_without_row("the media store", Shelf.LOCAL_CONTENT, f"local_content/\udcff{number}", 3)
    report.add_row_without_file(Shelf.REMOTE_CONTENT, "remote_content/a", 11)
    shown = report.as_json()
    (kind,) = shown["files_without_rows"]["kinds"]
    assert (kind["files"], kind["bytes"], len(kind["sample"])) == (15, 45, MAX_SAMPLE)
    assert kind["sample"][0] == "local_content/\\udcff0"
    assert Totals.read(shown) == report.totals() == Totals(15, 45, 1, 11)


def test_a_clock_that_jumps_ahead_is_counted_along_and_one_that_falls_back_is_believed() -> None:
    wall, counted = [1_000_000], [50.0]
    now_ms = steady_clock(lambda: wall[0], lambda: counted[0])
    wall[0], counted[0] = 1_000_500, 550.0
    assert now_ms() == 1_000_500
    wall[0] = 99_000_000
    assert now_ms() == 1_000_500
    wall[0] = 900_000
    assert now_ms() == 900_000
