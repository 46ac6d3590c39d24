"""Copies in S3 buckets, as `synapse-s3-storage-provider` makes them (run with its 1.5.0 and 1.7.0).

That provider stores and fetches and has no delete. Its backend shows `bucket` and `prefix`, and makes a boto3 client
that several threads may use. The rights that its README asks for (DeleteObject, ListBucket) are enough; a bucket that
keeps versions needs ListBucketVersions and DeleteObjectVersion too.

Keys are deleted a thousand in a request; where a bucket or a client does not know that, one by one. Blocking; run in a
thread. Nothing here imports boto3: it comes with the provider.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import attr

from synapse_bum.homeserver.media_deletion import MediaPaths

MAX_KEYS: Final = 1_000
"""Keys in one DeleteObjects request: more are refused."""

_PROVIDER_CLASS: Final = "S3StorageProviderBackend"


class NotDeletedError(Exception):
    """The bucket refused to delete one object; the text is its answer."""


class S3Client(Protocol):
    """What is used of a boto3 client (its methods take keyword arguments and return dictionaries)."""

    def delete_objects(self, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - boto3 has no types
        """DeleteObjects: names the keys that it deleted, and those that it refused."""

    def delete_object(self, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - the same
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

    def remove(self, batch: Sequence[MediaPaths], go_on: Callable[[], bool]) -> Iterator[tuple[int, Exception | None]]:
        """Remove files, their thumbnails, and all versions that the bucket has kept of them.

        See `places.BlockingPlace`. Pictures cost one more request each, which lists their thumbnails.

        Raises:
            Exception: boto3's own errors, when there is no client.
        """
        client: S3Client = self.client()
        wanted: dict[int, list[str]] = {}
        for number, paths in enumerate(batch):
            if not go_on():
                break
            try:
                wanted[number] = self._keys(client, paths)
            except Exception as error:  # noqa: BLE001 - boto3 raises what it likes
                yield number, error
            if sum(map(len, wanted.values())) >= MAX_KEYS:
                yield from self._delete_files(client, batch, wanted)
                wanted = {}
        yield from self._delete_files(client, batch, wanted)

    def _keys(self, client: S3Client, paths: MediaPaths) -> list[str]:
        keys = {self.prefix + paths.file, *(self.prefix + path for path in paths.thumbnails)}
        if paths.may_have_more:
            keys.update(self._listed(client, self._folder(paths)))
        return sorted(keys)

    def _folder(self, paths: MediaPaths) -> str:
        return f"{self.prefix}{paths.thumbnail_folder}/"

    def _delete_files(
        self, client: S3Client, batch: Sequence[MediaPaths], wanted: dict[int, list[str]]
    ) -> Iterator[tuple[int, Exception | None]]:
        owner = {key: number for number, keys in wanted.items() for key in keys}
        errors: dict[int, Exception] = {}
        versioned: set[int] = set()
        for key, answer in self._delete(client, [{"Key": key} for key in owner]):
            if isinstance(answer, Exception):
                errors.setdefault(owner[key], answer)
            elif "VersionId" in answer or answer.get("DeleteMarker"):
                # Only a bucket that keeps versions, or once did, answers so: the object is still there behind a marker.
                versioned.add(owner[key])
        for number in sorted(versioned - errors.keys()):
            try:
                self._delete_versions(client, batch[number])
            except Exception as error:  # noqa: BLE001 - boto3 raises what it likes
                errors[number] = error
        yield from ((number, errors.get(number)) for number in wanted)

    def _delete_versions(self, client: S3Client, paths: MediaPaths) -> None:
        found = self._versions(client, self.prefix + paths.file, self._folder(paths))
        for _, answer in self._delete(client, [{"Key": key, "VersionId": version} for key, version in found]):
            if isinstance(answer, Exception):
                raise answer

    def _delete(
        self, client: S3Client, objects: Sequence[dict[str, str]]
    ) -> Iterator[tuple[str, dict[str, Any] | Exception]]:
        """Deletes objects, and tells of each key what the bucket said."""
        for start in range(0, len(objects), MAX_KEYS):
            chunk = objects[start : start + MAX_KEYS]
            try:
                answers = self._delete_at_once(client, chunk)
            except Exception as error:  # noqa: BLE001 - boto3 raises what it likes
                # An answer says that it does not take this request, as some do; without one there is nobody to ask.
                alone = hasattr(error, "response") or isinstance(error, AttributeError)
                answers = self._delete_one_by_one(client, chunk) if alone else {each["Key"]: error for each in chunk}
            yield from answers.items()

    def _delete_at_once(
        self, client: S3Client, objects: Sequence[dict[str, str]]
    ) -> dict[str, dict[str, Any] | Exception]:
        answer = client.delete_objects(Bucket=self.bucket, Delete={"Objects": list(objects)})
        silent = NotDeletedError("the bucket did not say that it deleted the object")
        answers: dict[str, dict[str, Any] | Exception] = {each["Key"]: silent for each in objects}
        answers.update((done["Key"], done) for done in answer.get("Deleted", []))
        for refused in answer.get("Errors", []):
            answers[refused["Key"]] = NotDeletedError(f"{refused.get('Code')}: {refused.get('Message')}")
        return answers

    def _delete_one_by_one(
        self, client: S3Client, objects: Sequence[dict[str, str]]
    ) -> dict[str, dict[str, Any] | Exception]:
        answers: dict[str, dict[str, Any] | Exception] = {}
        for each in objects:
            try:
                answer: dict[str, Any] | Exception = client.delete_object(Bucket=self.bucket, **each)
            except Exception as error:  # noqa: BLE001 - boto3 raises what it likes
                answer = error
            if not isinstance(answers.get(each["Key"]), Exception):
                answers[each["Key"]] = answer
        return answers

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
