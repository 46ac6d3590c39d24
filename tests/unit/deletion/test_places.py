"""Removing a file from folders and buckets: all of it, nothing else, and never a success that is none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.deletion.folders import Folder, NotTheMediaStoreError, OutsideOfFolderError, below
from synapse_bum.deletion.places import Fault
from synapse_bum.deletion.s3 import Bucket, bucket_of
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


def left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


class FakeS3:
    """A bucket in memory, as a boto3 client shows it."""

    def __init__(self, *, versioned: bool = False, refuses: bool = False) -> None:
        self.versioned = versioned
        self.refuses = refuses
        self.versions: list[tuple[str, str, bool]] = []

    def put(self, *keys: str) -> None:
        for key in keys:
            self.versions.append((key, f"v{len(self.versions)}", False))

    def visible(self) -> set[str]:
        newest = {key: marker for key, _, marker in self.versions}
        return {key for key, marker in newest.items() if not marker}

    def delete_object(self, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3
        if self.refuses:
            raise PermissionError("AccessDenied")
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
    Folder("the media store", tmp_path).remove(PATHS)
    assert left(tmp_path) == set(OTHERS)
    Folder("the media store", tmp_path).remove(PATHS)


def test_folders_above_the_file_stay_for_uploads_that_are_being_written(tmp_path: Path) -> None:
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).write_bytes(b"x")
    Folder("the media store", tmp_path).remove(PATHS)
    assert (tmp_path / FILE).parent.is_dir()


def test_an_empty_folder_is_no_media_store(tmp_path: Path) -> None:
    with pytest.raises(NotTheMediaStoreError):
        Folder("the media store", tmp_path).remove(PATHS)
    with pytest.raises(NotTheMediaStoreError):
        Folder("the media store", tmp_path / "missing").remove(PATHS)


def test_a_link_is_removed_and_not_followed(tmp_path: Path) -> None:
    store, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    (store / THUMBNAILS).parent.mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "kept").write_bytes(b"x")
    (store / THUMBNAILS).symlink_to(elsewhere)
    Folder("the media store", store).remove(PATHS)
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
    bucket.remove(PATHS)
    assert {key for key, _, _ in s3.versions} == {FILE, *(f"synapse/{name}" for name in OTHERS)}
    bucket.remove(PATHS)
    assert s3.visible() == {FILE, *(f"synapse/{name}" for name in OTHERS)}


def test_versions_that_a_crash_left_behind_go_with_the_next_try() -> None:
    s3 = FakeS3(versioned=True)
    s3.put(*(f"synapse/{name}" for name in OURS))
    for name in OURS:
        s3.delete_object(Bucket="media", Key=f"synapse/{name}")
    assert s3.visible() == set()
    Bucket("media", "synapse/", lambda: s3).remove(PATHS)
    assert s3.versions == []


def test_a_bucket_that_refuses_is_an_error() -> None:
    s3 = FakeS3(refuses=True)
    with pytest.raises(PermissionError):
        Bucket("media", "", lambda: s3).remove(PATHS)


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
