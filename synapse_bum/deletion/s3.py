"""Copies in S3 buckets, as `synapse-s3-storage-provider` makes them (run with its 1.5.0 and 1.7.0).

That provider stores and fetches and has no delete. Its backend shows `bucket` and `prefix`, and makes a boto3 client
that several threads may use. The rights that its README asks for (DeleteObject, ListBucket) are enough; a bucket that
keeps versions needs ListBucketVersions and DeleteObjectVersion too.

Blocking; run in a thread. Nothing here imports boto3: it comes with the provider.
"""

from collections.abc import Iterator
from typing import Any, Final, Protocol

import attr

from synapse_bum.homeserver.media_deletion import MediaPaths

_PROVIDER_CLASS: Final = "S3StorageProviderBackend"


class S3Client(Protocol):
    """What is used of a boto3 client (its methods take keyword arguments and return dictionaries)."""

    def delete_object(self, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - boto3 has no types
        """DeleteObject: also succeeds for a key that is not there."""

    def get_paginator(self, operation: str, /) -> Any:  # noqa: ANN401 - the same
        """Pages of ListObjectsV2 and ListObjectVersions."""


def bucket_of(backend: object) -> "Bucket | None":
    """The bucket of a storage provider; None when it is no S3 provider as we know it."""
    if not any(cls.__name__ == _PROVIDER_CLASS for cls in type(backend).__mro__):
        return None
    known: Any = backend
    try:
        bucket, prefix, client = known.bucket, known.prefix, known._get_s3_client  # noqa: SLF001 - it has no other door
    except AttributeError:
        return None
    return Bucket(str(bucket), str(prefix), client)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Bucket:
    """The part of a bucket that holds copies of the media store.

    Attributes:
        bucket: its name.
        prefix: what stands before each path.
        client: makes or returns the client.
    """

    bucket: str
    prefix: str
    client: Any

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"the S3 bucket {self.bucket}"

    def remove(self, paths: MediaPaths) -> None:
        """Remove one file, its thumbnails, and all versions that the bucket has kept of them.

        Raises:
            Exception: boto3's own errors, when the bucket does not answer or refuses.
        """
        client: S3Client = self.client()
        file = self.prefix + paths.file
        folder = f"{self.prefix}{paths.thumbnail_folder}/"
        named = [self.prefix + path for path in paths.thumbnails]
        keys = [file, *sorted({*named, *self._listed(client, folder)})]
        answers = [client.delete_object(Bucket=self.bucket, Key=key) for key in keys]
        # Only a bucket that keeps versions, or once did, answers with one: the object is still there behind a marker.
        if any("VersionId" in answer or answer.get("DeleteMarker") for answer in answers):
            for key, version in self._versions(client, file, folder):
                client.delete_object(Bucket=self.bucket, Key=key, VersionId=version)

    def _listed(self, client: S3Client, folder: str) -> Iterator[str]:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=folder):
            yield from (found["Key"] for found in page.get("Contents", []))

    def _versions(self, client: S3Client, file: str, folder: str) -> list[tuple[str, str]]:
        pages = client.get_paginator("list_object_versions")
        return [
            (found["Key"], found["VersionId"])
            for prefix in (file, folder)
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix)
            for kind in ("Versions", "DeleteMarkers")
            for found in page.get(kind, [])
            if found["Key"] == file or found["Key"].startswith(folder)
        ]
