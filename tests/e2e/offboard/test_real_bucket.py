"""Copies in a real S3 service: gone with all their versions, and nobody else's."""

from collections.abc import Iterator
from typing import Any

import pytest

from synapse_bum.cli.offboard.buckets import Bucket
from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.homeserver.media_layout import Owner
from synapse_bum.testing.s3_server import RealS3

pytestmark = pytest.mark.any_synapse

pytest.importorskip("moto", reason="moto is not installed (the extra `test`)")

OURS, THEIRS = "ours/local_content/aa/bb/cc", "theirs/local_content/aa/bb/cc"


class EverythingIsOurs:
    """Stands for rows that name all files."""

    def not_ours(self, owners: list[Owner]) -> list[Owner]:
        return [owner for owner in owners if owner.file_ids == ("strange",)]


@pytest.fixture(scope="module")
def s3() -> Iterator[RealS3]:
    with RealS3() as server:
        yield server


def ownership() -> Any:  # noqa: ANN401 - stands for `Ownership`
    return EverythingIsOurs()


def test_all_versions_go_and_other_prefixes_stay(s3: RealS3) -> None:
    bucket = Bucket(s3.storage_provider("ours/")["config"])
    client = bucket._client
    client.put_object(Bucket=s3.bucket, Key="ours/local_content/aa/bb/before_versions", Body=b"a copy")
    s3.keep_versions()
    for key in (OURS, OURS, THEIRS, "ours/local_thumbnails/aa/bb/cc/32-32-image-png-crop"):
        client.put_object(Bucket=s3.bucket, Key=key, Body=b"a copy")
    client.delete_object(Bucket=s3.bucket, Key=OURS)
    assert bucket.count(ownership()).objects == 2
    counted = bucket.count(ownership())
    client.create_multipart_upload(Bucket=s3.bucket, Key="ours/local_content/aa/bb/broken_off")
    assert bucket.count(ownership()).older == counted.older + 1
    bucket.erase(ownership())
    assert bucket.left() == 0
    assert s3.keys() == [THEIRS]
    assert s3.versions() == [THEIRS]
    # As after a kill.
    bucket.erase(ownership())


def test_a_bucket_that_is_not_there_is_an_error(s3: RealS3) -> None:
    bucket = Bucket({**s3.storage_provider()["config"], "bucket": "another"})
    with pytest.raises(
        OffboardError, match=f"S3 bucket another at {s3.endpoint} can't be used: NoSuchBucket: NoSuchBucket"
    ):
        bucket.count(ownership())
