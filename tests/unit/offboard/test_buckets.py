"""Of a bucket goes what is ours, and nothing when somebody else has a part in it."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from synapse_bum.cli.offboard.buckets import Bucket, bucket_settings
from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.homeserver.media_layout import Owner

SETTINGS = {"bucket": "media", "prefix": "ours/", "secret_access_key": "a secret"}


class UnknownRequestError(Exception):
    """As a service answers that keeps no versions."""

    response = {"Error": {"Code": "NotImplemented"}}


class FakeS3:
    """As much of a boto3 client as is used; it keeps versions where it is told to."""

    def __init__(self) -> None:
        self.uploads: list[str] = []
        self.knows_versions = True
        self.keys = ["ours/local_content/aa/bb/cc", "theirs/local_content/aa/bb/cc"]
        self.versions: list[tuple[str, str]] = []
        self.refuses = False

    def get_paginator(self, operation: str) -> SimpleNamespace:
        return SimpleNamespace(paginate=lambda **asked: self._pages(operation, asked["Prefix"]))

    def delete_objects(self, **asked: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3
        if self.refuses:
            return {"Errors": [{"Key": "any", "Code": "AccessDenied", "Message": "a secret"}]}
        for one in asked["Delete"]["Objects"]:
            if "VersionId" in one:
                self.versions.remove((one["Key"], one["VersionId"]))
            else:
                self.keys.remove(one["Key"])
        return {}

    def abort_multipart_upload(self, **asked: str) -> None:
        self.uploads.remove(asked["Key"])

    def _pages(self, operation: str, prefix: str) -> Iterator[dict[str, Any]]:
        if operation == "list_objects_v2":
            yield {"Contents": [{"Key": key, "Size": 4} for key in self.keys if key.startswith(prefix)]}
        elif not self.knows_versions:
            raise UnknownRequestError
        elif operation == "list_multipart_uploads":
            yield {"Uploads": [{"Key": key, "UploadId": "1"} for key in self.uploads if key.startswith(prefix)]}
        else:
            found = [{"Key": key, "VersionId": version} for key, version in self.versions if key.startswith(prefix)]
            yield {"Versions": found[::2], "DeleteMarkers": found[1::2]}


class FakeOwnership:
    """Knows the files that it was given."""

    def __init__(self, *known: str) -> None:
        self._known = known

    def not_ours(self, owners: list[Owner]) -> list[Owner]:
        return [owner for owner in owners if not {*owner.file_ids} & {*self._known}]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> FakeS3:
    fake = FakeS3()
    monkeypatch.setitem(sys.modules, "boto3", SimpleNamespace(client=lambda *_args, **_options: fake))
    return fake


def ownership(*known: str) -> Any:  # noqa: ANN401 - stands for `Ownership`
    return FakeOwnership(*known)


def test_only_what_is_behind_the_prefix_goes(s3: FakeS3) -> None:
    s3.versions = [("ours/local_content/aa/bb/old", "1"), ("ours/local_content/aa/bb/old", "2"), ("theirs/a", "1")]
    bucket = Bucket(SETTINGS)
    s3.uploads = ["ours/local_content/aa/bb/broken_off", "theirs/local_content/aa/bb/going_on"]
    counted = bucket.count(ownership("aabbcc"))
    assert (counted.objects, counted.older, counted.size_bytes) == (1, 3, 4)
    assert bucket.left() == 3
    bucket.erase(ownership("aabbcc"))
    assert bucket.left() == 0
    assert s3.uploads == ["theirs/local_content/aa/bb/going_on"]
    assert s3.keys == ["theirs/local_content/aa/bb/cc"]
    assert s3.versions == [("theirs/a", "1")]


def test_a_service_without_versions_is_emptied(s3: FakeS3) -> None:
    s3.knows_versions = False
    bucket = Bucket(SETTINGS)
    bucket.erase(ownership("aabbcc"))
    assert bucket.left() == 0


@pytest.mark.parametrize("place", ["keys", "versions", "uploads"])
def test_what_somebody_else_has_put_there_ends_it_before_anything_is_deleted(s3: FakeS3, place: str) -> None:
    """Also what can't be read any more: it would be left for ever, when the backups are gone."""
    key = "ours/letters/1"
    {"keys": s3.keys, "uploads": s3.uploads}.get(place, []).append(key)
    s3.versions = [(key, "1")] if place == "versions" else []
    bucket = Bucket(SETTINGS)
    for look in (bucket.count, bucket.erase):
        with pytest.raises(OffboardError, match="holds ours/letters/1, which is no file of Synapse's"):
            look(ownership("aabbcc"))
    assert "ours/local_content/aa/bb/cc" in s3.keys


def test_what_another_server_has_put_there_since_the_look_ends_it(s3: FakeS3) -> None:
    bucket = Bucket(SETTINGS)
    bucket.count(ownership("aabbcc"))
    s3.keys.append("ours/local_content/dd/ee/ff")
    with pytest.raises(OffboardError, match="does not know, for example ours/local_content/dd/ee/ff"):
        bucket.erase(ownership("aabbcc"))
    assert "ours/local_content/aa/bb/cc" in s3.keys


def test_without_the_database_nothing_is_deleted(s3: FakeS3) -> None:
    bucket = Bucket(SETTINGS)
    with pytest.raises(OffboardError, match="the database that knew whose they are is erased"):
        bucket.erase(None)
    assert "ours/local_content/aa/bb/cc" in s3.keys
    s3.keys.remove("ours/local_content/aa/bb/cc")
    bucket.erase(None)


@pytest.mark.usefixtures("s3")
def test_buckets_of_one_name_at_two_services_are_told_apart() -> None:
    shown = {
        Bucket({**SETTINGS, "endpoint_url": url}).shown
        for url in ("https://s3.example/", "https://user:secret@s3.other.example", "")
    }
    assert shown == {
        "S3 bucket media at https://s3.example, prefix ours/",
        "S3 bucket media at https://s3.other.example, prefix ours/",
        "S3 bucket media, prefix ours/",
    }


def test_a_bucket_with_other_keys_is_refused(s3: FakeS3) -> None:
    s3.keys.append("ours/letters/1")
    with pytest.raises(OffboardError, match="holds ours/letters/1, which is no file of Synapse's"):
        Bucket(SETTINGS).count(ownership("aabbcc"))


@pytest.mark.usefixtures("s3")
def test_a_bucket_with_another_servers_files_is_refused() -> None:
    with pytest.raises(OffboardError, match=r"another one uses the same place"):
        Bucket({**SETTINGS, "prefix": "theirs/"}).count(ownership("ddeeff"))


def test_a_refusal_is_said_without_what_the_service_says(s3: FakeS3) -> None:
    s3.refuses = True
    with pytest.raises(OffboardError, match=r"refused to delete a file: AccessDenied$") as caught:
        Bucket(SETTINGS).erase(ownership("aabbcc"))
    assert "a secret" not in str(caught.value)


def test_a_missing_client_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(OffboardError, match="apt-get install python3-boto3"):
        Bucket(SETTINGS)


def test_only_the_providers_of_s3_are_buckets() -> None:
    s3 = {"module": "s3_storage_provider.S3StorageProviderBackend", "config": SETTINGS}
    files = {"module": "file_system", "config": {"directory": "/copies"}}
    assert bucket_settings({"media_storage_providers": [files, s3]}) == [SETTINGS]
