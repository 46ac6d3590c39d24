"""Copies in S3 buckets, as `synapse-s3-storage-provider` makes them (run with its 1.5.0 and 1.7.0).

That provider stores and fetches and has no delete. Its backend shows `bucket` and `prefix`, and makes a boto3 client
that several threads may use. The rights that its README asks for (DeleteObject, ListBucket) are enough; a bucket that
keeps versions needs ListBucketVersions and DeleteObjectVersion too.

Keys are deleted a thousand in a request; where a bucket or a client does not know that, one by one. They are listed a
thousand in a request, and never held in memory all at once. Blocking; run in a thread. Nothing here imports boto3: it
comes with the provider.
"""

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, Protocol

import attr

from synapse_bum.deletion.folders import Presence
from synapse_bum.deletion.walk import Found, Unlike, Unreadable
from synapse_bum.homeserver.media_deletion import MediaPaths
from synapse_bum.homeserver.media_layout import Shelf, owner_of

MAX_KEYS: Final = 1_000
"""Keys in one DeleteObjects request: more are refused."""

_PROVIDER_CLASS: Final = "S3StorageProviderBackend"


class NotDeletedError(Exception):
    """The bucket refused to delete one object; the text is its answer."""


class NotInOrderError(Exception):
    """The bucket does not list its keys as S3 does, from a key on and in order: what is not listed may be there."""


class S3Client(Protocol):
    """What is used of a boto3 client (its methods take keyword arguments and return dictionaries)."""

    def delete_objects(self, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - boto3 has no types
        """DeleteObjects: names the keys that it deleted, and those that it refused."""

    def delete_object(self, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - the same
        """DeleteObject: also succeeds for a key that is not there."""

    def list_objects_v2(self, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - the same
        """ListObjectsV2: keys behind a key, in order."""

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

    def walk(self, shelf: Shelf, unreadable: Unreadable) -> Iterator[Found | Unlike]:
        """See `listings.Listing`; one request for a thousand objects.

        Raises:
            Exception: boto3's own errors.
        """
        del unreadable
        client: S3Client = self.client()
        pages = client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.bucket, Prefix=f"{self.prefix}{shelf.value}/"):
            for each in page.get("Contents", []):
                path = each["Key"].removeprefix(self.prefix)
                owner = owner_of(path)
                mtime_ns = int(each["LastModified"].timestamp()) * 1_000_000_000
                yield Unlike() if owner is None else Found(path, owner, mtime_ns, each["Size"])

    def present(self, paths: Sequence[str]) -> Presence:
        """See `listings.Listing`.

        Keys are listed in order, and what lies between two that are asked for is left out where it is more than a page:
        hardly more requests than paths, nor than a thousandth of the objects between the first and the last.

        Raises:
            NotInOrderError: this service can't be asked so.
            Exception: boto3's own errors.
        """
        wanted = sorted({self.prefix + path for path in paths})
        client: S3Client = self.client()
        prefix = os.path.commonprefix(wanted)  # noqa: RUF071 - a key is text to S3, no path
        there: set[str] = set()
        at, seen = 0, ""
        while at < len(wanted):
            before = max(seen, _just_before(wanted[at]))
            page = client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, StartAfter=before)
            keys, more = [each["Key"] for each in page.get("Contents", [])], bool(page.get("IsTruncated"))
            if not all(one < other for one, other in pairwise([before, *keys])) or (more and not keys):
                raise NotInOrderError("the bucket does not list its keys in order")
            following = bisect_right(wanted, keys[-1]) if more else len(wanted)
            there.update(set(keys).intersection(wanted[at:following]))
            at, seen = following, keys[-1] if keys else before
        return Presence(frozenset(path for path in paths if self.prefix + path in there))

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


def _just_before(key: str) -> str:
    """A text that sorts before a key and behind all others of Synapse's that do: no path of it has a tilde."""
    return f"{key[:-1]}{chr(ord(key[-1]) - 1)}~"
