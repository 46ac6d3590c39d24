"""Copies in S3 buckets: whose they are, and deleting them with all versions that a bucket has kept.

Only keys behind the configured prefix are looked at. Where one of them is none that Synapse makes, or none that a row
of this homeserver names, nothing is deleted: the bucket, or the prefix, is shared. What was deleted before and is kept
as an older version has no row any more, so that of it only the key is looked at.

boto3 is no dependency: it comes with the storage provider.
"""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import attr

from synapse_bum.cli.offboard.belonging import refuse_foreign, refuse_strange, refuse_unknowable
from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.homeserver.media_ownership import Ownership

_PROVIDER_CLASS: Final = "S3StorageProviderBackend"
_MAX_KEYS: Final = 1_000  # in one DeleteObjects request
_CLIENT_OPTIONS: Final = {
    "region_name": "region_name",
    "endpoint_url": "endpoint_url",
    "access_key_id": "aws_access_key_id",
    "secret_access_key": "aws_secret_access_key",
    "session_token": "aws_session_token",
}
"""Names of synapse-s3-storage-provider (1.5.0 and 1.7.0), and of boto3."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class CountedKeys:
    """What a bucket holds of a homeserver.

    Attributes:
        objects: how many.
        older: versions that were overwritten or deleted, marks of deletions, and uploads that were broken off.
        size_bytes: of objects and versions.
    """

    objects: int
    older: int
    size_bytes: int


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Version:
    """A version of an object, or the mark that it was deleted.

    Attributes:
        key: of the object.
        version_id: as the service names it.
        is_current: whether it is what is read.
        size_bytes: 0 for a mark.
    """

    key: str
    version_id: str
    is_current: bool
    size_bytes: int


class Bucket:
    """The part of a bucket that holds copies of the media store."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Ask nothing yet.

        Args:
            config: of the storage provider in homeserver.yaml.

        Raises:
            OffboardError: boto3 is missing, or the settings are no such thing.
        """
        self.bucket = str(config.get("bucket"))
        self.prefix = str(config.get("prefix") or "")
        self._endpoint = _without_user(str(config.get("endpoint_url") or ""))
        options = {theirs: config[ours] for ours, theirs in _CLIENT_OPTIONS.items() if config.get(ours)}
        try:
            boto3 = importlib.import_module("boto3")
        except ImportError:
            raise OffboardError(
                "boto3 is missing, which the S3 storage provider brings: start this command with Synapse's own Python,"
                " or apt-get install python3-boto3"
            ) from None
        try:
            self._client: Any = boto3.client("s3", **options)
        except Exception as error:
            raise self._error(error) from error

    @property
    def shown(self) -> str:
        """What errors and reports call it: no other bucket is called so."""
        where = f" at {self._endpoint}" if self._endpoint else ""
        return f"S3 bucket {self.bucket}{where}" + (f", prefix {self.prefix}" if self.prefix else "")

    def count(self, ownership: Ownership) -> CountedKeys:
        """Count what is there, and make sure that all of it is ours.

        Raises:
            OffboardError: something is not, or the bucket can't be read.
        """
        objects = older = size_bytes = 0
        for found in self._objects():
            self._refuse_foreign(list(found), ownership)
            objects += len(found)
            size_bytes += sum(found.values())
        for versions in self._versions():
            self._refuse_foreign([one.key for one in versions if one.is_current], ownership)
            past = [one for one in versions if not one.is_current]
            self._refuse_strange([one.key for one in past])
            older += len(past)
            size_bytes += sum(one.size_bytes for one in past)
        for uploads in self._uploads():
            self._refuse_strange([key for key, _upload_id in uploads])
            older += len(uploads)
        return CountedKeys(objects, older, size_bytes)

    def erase(self, ownership: Ownership | None) -> None:
        """Delete everything behind the prefix, with all its versions.

        Args:
            ownership: None when the database is erased already; then nothing may be there.

        Raises:
            OffboardError: something is not ours, or was not deleted. What was not ours before is still there, and when
                it was there at the begin, so is everything.
        """
        if ownership is None:
            refuse_unknowable(self.shown, self.left())
            return
        self.count(ownership)
        for found in self._objects():
            self._refuse_foreign(list(found), ownership)
            self._delete([{"Key": key} for key in found])
        for versions in self._versions():
            self._refuse_foreign([one.key for one in versions if one.is_current], ownership)
            self._refuse_strange([one.key for one in versions])
            self._delete([{"Key": one.key, "VersionId": one.version_id} for one in versions])
        for uploads in self._uploads():
            self._refuse_strange([key for key, _upload_id in uploads])
            for key, upload_id in uploads:
                self._abort(key, upload_id)

    def left(self) -> int:
        """How many objects and versions are left behind the prefix.

        Raises:
            OffboardError: the bucket can't be read.
        """
        current = sum(len(found) for found in self._objects())
        # A service that keeps no versions may not tell of any; one that does names what can be read, too.
        return max(current, sum(map(len, self._versions()))) + sum(map(len, self._uploads()))

    def _refuse_foreign(self, keys: Sequence[str], ownership: Ownership) -> None:
        refuse_foreign(self.shown, self._paths(keys), ownership, self.prefix)

    def _refuse_strange(self, keys: Sequence[str]) -> None:
        refuse_strange(self.shown, self._paths(keys), self.prefix)

    def _paths(self, keys: Sequence[str]) -> list[str]:
        return [key.removeprefix(self.prefix) for key in keys]

    def _objects(self) -> Iterator[Mapping[str, int]]:
        """Sizes by key, of everything that can be read."""
        for page in self._pages("list_objects_v2"):
            yield {str(one["Key"]): int(one["Size"]) for one in page.get("Contents", [])}

    def _versions(self) -> Iterator[list[_Version]]:
        for page in self._pages("list_object_versions", may_be_missing=True):
            versions = [
                _Version(str(one["Key"]), str(one["VersionId"]), bool(one.get("IsLatest")), int(one.get("Size") or 0))
                for one in page.get("Versions", [])
            ]
            marks = [
                _Version(str(one["Key"]), str(one["VersionId"]), is_current=False, size_bytes=0)
                for one in page.get("DeleteMarkers", [])
            ]
            yield versions + marks

    def _uploads(self) -> Iterator[list[tuple[str, str]]]:
        """Keys and ids of uploads in parts that nobody has ended: a killed Synapse leaves such."""
        for page in self._pages("list_multipart_uploads", may_be_missing=True):
            yield [(str(one["Key"]), str(one["UploadId"])) for one in page.get("Uploads", [])]

    def _abort(self, key: str, upload_id: str) -> None:
        try:
            self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)
        except Exception as error:
            raise self._error(error) from error

    def _pages(self, operation: str, *, may_be_missing: bool = False) -> Iterator[Mapping[str, Any]]:
        pages = self._client.get_paginator(operation).paginate(Bucket=self.bucket, Prefix=self.prefix)
        try:
            yield from pages
        except Exception as error:
            # A service without versions, or without uploads in parts, does not know the request.
            if may_be_missing and _code_of(error) == "NotImplemented":
                return
            raise self._error(error) from error

    def _delete(self, objects: Sequence[Mapping[str, str]]) -> None:
        for start in range(0, len(objects), _MAX_KEYS):
            chunk = list(objects[start : start + _MAX_KEYS])
            try:
                answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": chunk, "Quiet": True})
            except Exception as error:
                raise self._error(error) from error
            for refused in answer.get("Errors", []):
                raise OffboardError(f"the {self.shown} refused to delete a file: {refused.get('Code')}")

    def _error(self, error: Exception) -> OffboardError:
        return OffboardError(
            f"the {self.shown} can't be used: {type(error).__name__}: {_code_of(error) or 'no answer'}"
        )


def bucket_settings(homeserver: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The `config` of each S3 storage provider of homeserver.yaml. Pure."""
    return [
        provider.get("config") or {}
        for provider in homeserver.get("media_storage_providers") or ()
        if str(provider.get("module", "")).rpartition(".")[2] == _PROVIDER_CLASS
    ]


def is_bucket(module: str) -> bool:
    """Whether the module of a storage provider is the one for S3. Pure."""
    return module.rpartition(".")[2] == _PROVIDER_CLASS


def _without_user(url: str) -> str:
    """The address of a service, as far as it tells it from others."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}" if parts.netloc else url


def _code_of(error: BaseException | None) -> str | None:
    """The code in an answer of S3; messages may name keys and credentials."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code")) if isinstance(response, dict) else None
