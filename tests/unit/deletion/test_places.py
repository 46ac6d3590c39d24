"""Removing a file from folders and buckets: all of it, nothing else, and never a success that is none."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.deletion.folders import Folder, NotTheMediaStoreError, OutsideOfFolderError, below
from synapse_bum.deletion.places import BlockingPlace, Fault
from synapse_bum.deletion.s3 import Bucket, NotDeletedError, bucket_of
from synapse_bum.homeserver.media_deletion import MediaPaths

FILE = "local_content/ab/cd/efgh"
THUMBNAILS = "local_thumbnails/ab/cd/efgh"
PATHS = MediaPaths(FILE, THUMBNAILS, (f"{THUMBNAILS}/32-32-image-png-crop",))
OURS = (FILE, f"{THUMBNAILS}/32-32-image-png-crop", f"{THUMBNAILS}/96-96-image-png-scale")
OTHERS = ("local_content/ab/cd/efghi", "local_content/ab/cd/efg", "local_thumbnails/ab/cd/efghi/32-32-image-png-crop")


def fill(folder: Path) -> None:
    for name in (*OURS, *OTHERS):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def remove(place: BlockingPlace, *batch: MediaPaths) -> list[Exception | None]:
    found = dict(place.remove(batch, lambda: True))
    assert sorted(found) == list(range(len(batch)))
    return [found[number] for number in range(len(batch))]


def left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


class FakeS3:
    """A bucket in memory, as a boto3 client shows it."""

    def __init__(self, *, versioned: bool = False, refuses: bool = False) -> None:
        self.versioned = versioned
        self.refuses = refuses
        self.protected: set[str] = set()
        self.requests: list[str] = []
        self.versions: list[tuple[str, str, bool]] = []

    def put(self, *keys: str) -> None:
        for key in keys:
            self.versions.append((key, f"v{len(self.versions)}", False))

    def visible(self) -> set[str]:
        newest = {key: marker for key, _, marker in self.versions}
        return {key for key, marker in newest.items() if not marker}

    def delete_objects(self, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3
        assert kwargs["Bucket"] == "media"
        objects = kwargs["Delete"]["Objects"]
        assert 0 < len(objects) <= 1000
        self.requests.append("delete_objects")
        answer: dict[str, Any] = {"Deleted": [], "Errors": []}
        for each in objects:
            if self.refuses or each["Key"] in self.protected:
                answer["Errors"].append({"Key": each["Key"], "Code": "AccessDenied", "Message": "no"})
            else:
                answer["Deleted"].append({"Key": each["Key"], **self._delete(**each)})
        return answer

    def delete_object(self, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3
        self.requests.append("delete_object")
        if self.refuses or kwargs["Key"] in self.protected:
            raise PermissionError("AccessDenied")
        return self._delete(**kwargs)

    def _delete(self, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3
        key, version = kwargs["Key"], kwargs.get("VersionId")
        if version is not None:
            self.versions = [found for found in self.versions if found[:2] != (key, version)]
            return {"VersionId": version}
        if self.versioned:
            marker = f"m{len(self.versions)}"
            self.versions.append((key, marker, True))
            return {"DeleteMarker": True, "VersionId": marker}
        self.versions = [found for found in self.versions if found[0] != key]
        return {}

    def get_paginator(self, operation: str, /) -> Any:  # noqa: ANN401 - as boto3
        return Pages(self, operation)


class Pages:
    """Pages of one entry each."""

    def __init__(self, s3: FakeS3, operation: str) -> None:
        self.s3 = s3
        self.operation = operation

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803 - as boto3
        assert Bucket == "media"
        self.s3.requests.append(self.operation)
        yield {}
        if self.operation == "list_objects_v2":
            yield from ({"Contents": [{"Key": key}]} for key in sorted(self.s3.visible()) if key.startswith(Prefix))
        else:
            for key, version, marker in list(self.s3.versions):
                if key.startswith(Prefix):
                    yield {"DeleteMarkers" if marker else "Versions": [{"Key": key, "VersionId": version}]}


class S3StorageProviderBackend:
    """Looks like the provider's class."""

    bucket = "media"
    prefix = "synapse/"

    def __init__(self, s3: FakeS3) -> None:
        self.s3 = s3

    def _get_s3_client(self) -> FakeS3:
        return self.s3


def test_a_file_goes_with_all_its_thumbnails_and_nothing_else(tmp_path: Path) -> None:
    fill(tmp_path)
    assert remove(Folder("the media store", tmp_path), PATHS) == [None]
    assert left(tmp_path) == set(OTHERS)
    assert remove(Folder("the media store", tmp_path), PATHS) == [None]


def test_folders_above_the_file_stay_for_uploads_that_are_being_written(tmp_path: Path) -> None:
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).write_bytes(b"x")
    assert remove(Folder("the media store", tmp_path), PATHS) == [None]
    assert (tmp_path / FILE).parent.is_dir()


def test_an_empty_folder_is_no_media_store(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(NotTheMediaStoreError):
            remove(Folder("the media store", folder), PATHS)


def test_a_link_is_removed_and_not_followed(tmp_path: Path) -> None:
    store, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    (store / THUMBNAILS).parent.mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "kept").write_bytes(b"x")
    (store / THUMBNAILS).symlink_to(elsewhere)
    assert remove(Folder("the media store", store), PATHS) == [None]
    assert left(elsewhere) == {"kept"}
    assert not (store / THUMBNAILS).is_symlink()


@pytest.mark.parametrize("path", ["", ".", "..", "a/../../b", "/etc/passwd", "a/..", "a\0b", "//x"])
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(OutsideOfFolderError):
        below(Path("/media"), path)


@given(st.lists(st.sampled_from(["a", "..", ".", "", "/", "b c"]), min_size=1).map("/".join))
def test_no_path_leads_out(path: str) -> None:
    try:
        joined = below(Path("/media"), path)
    except OutsideOfFolderError:
        return
    assert joined.resolve().is_relative_to("/media")
    assert joined != Path("/media")


@pytest.mark.parametrize("versioned", [False, True])
def test_a_bucket_keeps_nothing_of_the_file(versioned: bool) -> None:  # noqa: FBT001 - a parameter of the test
    s3 = FakeS3(versioned=versioned)
    s3.put(*(f"synapse/{name}" for name in (*OURS, *OTHERS, FILE)), FILE)
    bucket = bucket_of(S3StorageProviderBackend(s3))
    assert bucket is not None
    assert remove(bucket, PATHS) == [None]
    assert {key for key, _, _ in s3.versions} == {FILE, *(f"synapse/{name}" for name in OTHERS)}
    assert remove(bucket, PATHS) == [None]
    assert s3.visible() == {FILE, *(f"synapse/{name}" for name in OTHERS)}


def test_versions_that_a_crash_left_behind_go_with_the_next_try() -> None:
    s3 = FakeS3(versioned=True)
    s3.put(*(f"synapse/{name}" for name in OURS))
    for name in OURS:
        s3.delete_object(Bucket="media", Key=f"synapse/{name}")
    assert s3.visible() == set()
    assert remove(Bucket("media", "synapse/", lambda: s3), PATHS) == [None]
    assert s3.versions == []


def test_a_bucket_that_refuses_is_an_error() -> None:
    s3 = FakeS3(refuses=True)
    (error,) = remove(Bucket("media", "", lambda: s3), PATHS)
    assert str(error) == "AccessDenied: no"


def a_file(number: int, *, may_have_more: bool = False, thumbnails: int = 0) -> MediaPaths:
    folder = f"local_thumbnails/ab/cd/{number}"
    return MediaPaths(
        f"local_content/ab/cd/{number}",
        folder,
        tuple(f"{folder}/{each}-{each}-image-png-crop" for each in range(thumbnails)),
        may_have_more,
    )


def test_many_objects_go_with_few_requests() -> None:
    s3 = FakeS3()
    batch = [a_file(number, thumbnails=4) for number in range(500)]
    s3.put(*(key for paths in batch for key in (paths.file, *paths.thumbnails)))
    assert remove(Bucket("media", "", lambda: s3), *batch) == [None] * 500
    assert s3.visible() == set()
    assert s3.requests == ["delete_objects"] * 3


def test_thumbnails_are_looked_for_only_where_there_may_be_some() -> None:
    s3 = FakeS3()
    remove(Bucket("media", "", lambda: s3), a_file(1), a_file(2, may_have_more=True), a_file(3))
    assert s3.requests == ["list_objects_v2", "delete_objects"]


def test_a_file_with_more_objects_than_a_request_takes() -> None:
    s3 = FakeS3()
    paths = a_file(1, thumbnails=2500)
    s3.put(paths.file, *paths.thumbnails)
    assert remove(Bucket("media", "", lambda: s3), paths) == [None]
    assert s3.visible() == set()


@pytest.mark.parametrize("versioned", [False, True])
def test_what_a_bucket_refuses_is_the_fault_of_its_file_alone(versioned: bool) -> None:  # noqa: FBT001 - a parameter
    s3 = FakeS3(versioned=versioned)
    batch = [a_file(number, thumbnails=1) for number in range(3)]
    s3.put(*(key for paths in batch for key in (paths.file, *paths.thumbnails)))
    s3.protected = {batch[1].thumbnails[0]}
    first, second, third = remove(Bucket("media", "", lambda: s3), *batch)
    assert (first, third) == (None, None)
    assert str(second) == "AccessDenied: no"
    assert s3.visible() == s3.protected


class WithoutMany(FakeS3):
    """An older client."""

    delete_objects = property()


class AnsweredError(Exception):
    """As boto3 raises what a service answers."""

    response: ClassVar[dict[str, Any]] = {"Error": {"Code": "NotImplemented"}}


class RefusesMany(FakeS3):
    """A service that does not know the request."""

    def delete_objects(self, **_kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3
        raise AnsweredError


@pytest.mark.parametrize("kind", [WithoutMany, RefusesMany])
def test_a_bucket_without_requests_for_many_objects_is_asked_for_each(kind: type[FakeS3]) -> None:
    s3 = kind(versioned=True)
    batch = [a_file(number) for number in range(3)]
    s3.put(*(paths.file for paths in batch))
    s3.protected = {batch[1].file}
    errors = remove(Bucket("media", "", lambda: s3), *batch)
    assert [type(error) for error in errors] == [type(None), PermissionError, type(None)]
    assert {key for key, _, _ in s3.versions} == {batch[1].file}


class Away(FakeS3):
    """A service that does not answer."""

    def delete_objects(self, **_kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3
        raise ConnectionError("refused")


def test_a_bucket_that_does_not_answer_is_not_asked_for_each() -> None:
    s3 = Away()
    errors = remove(Bucket("media", "", lambda: s3), *(a_file(number) for number in range(3)))
    assert [str(error) for error in errors] == ["refused"] * 3
    assert s3.requests == []


def test_an_object_of_which_nothing_is_said_is_not_taken_for_deleted() -> None:
    class Silent(FakeS3):
        def delete_objects(self, **_kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3
            return {}

    (error,) = remove(Bucket("media", "", Silent), a_file(1))
    assert isinstance(error, NotDeletedError)


def places(tmp_path: Path) -> Sequence[BlockingPlace]:
    (tmp_path / "local_content").mkdir()
    return Folder("the media store", tmp_path), Bucket("media", "", FakeS3)


def test_no_file_is_begun_when_time_is_up(tmp_path: Path) -> None:
    for place in places(tmp_path):
        asked = iter([True, True, False])
        found = dict(place.remove([a_file(number) for number in range(5)], lambda asked=asked: next(asked)))  # type: ignore[misc]
        assert found == {0: None, 1: None}


def test_one_bad_file_does_not_keep_the_others(tmp_path: Path) -> None:
    fill(tmp_path)
    bad = MediaPaths("../victim", "local_thumbnails/x", ())
    first, second = remove(Folder("the media store", tmp_path), bad, PATHS)
    assert isinstance(first, OutsideOfFolderError)
    assert second is None
    assert left(tmp_path) == set(OTHERS)


def test_a_volume_that_goes_in_the_middle_of_a_batch_is_not_a_volume_without_files(tmp_path: Path) -> None:
    store, away = tmp_path / "store", tmp_path / "away"
    fill(store)
    others = [MediaPaths(name, f"local_thumbnails/{number}", ()) for number, name in enumerate(OTHERS[:2])]
    turn = Folder("the media store", store).remove(others, lambda: True)
    assert next(turn) == (0, None)
    store.rename(away)
    store.mkdir()
    number, error = next(turn)
    assert number == 1
    assert isinstance(error, NotTheMediaStoreError)
    assert OTHERS[1] in left(away)


def test_only_the_provider_that_is_known_is_taken_for_one() -> None:
    class Subclass(S3StorageProviderBackend):
        """Still one."""

    class Another:
        bucket = "media"
        prefix = ""

        def _get_s3_client(self) -> None:
            """Would do something else."""

    assert bucket_of(Subclass(FakeS3())) is not None
    assert bucket_of(Another()) is None
    assert bucket_of(type("S3StorageProviderBackend", (), {})()) is None


def test_a_fault_is_short_and_names_no_path() -> None:
    fault = Fault.of("the media store", PermissionError(13, "Permission denied", "/media/local_content/ab"))
    assert str(fault) == "the media store: PermissionError: Permission denied"
    assert len(str(Fault.of("x", ValueError("y" * 10_000)))) < 400
