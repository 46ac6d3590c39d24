"""The bytes of files: from the media store, from a copy of it, or from a bucket. Blocking."""

import importlib
import os
import stat
from pathlib import Path
from typing import IO, Any, Final, Protocol

import attr

from synapse_bum.deletion.folders import is_media_store
from synapse_bum.homeserver.personal_files import BucketSettings, MediaPlaces, MediaPlacesError, path_of

_CHUNK: Final = 1 << 20


class NotCopiedError(Exception):
    """A file is not there, or not as it was uploaded.

    Attributes:
        status: the word for it.
    """

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status


class Places:
    """Where files are looked for, in their order."""

    def __init__(self, places: MediaPlaces) -> None:
        """Makes sure that they can be asked.

        Raises:
            MediaPlacesError: the media store is not there, or the client for S3 is missing.
        """
        self._folders = [_Folder(path) for path in (places.store, *places.folders) if path is not None]
        self._buckets = [_Bucket(settings) for settings in places.buckets]
        self._unknown = places.unknown
        if places.store is not None and not places.store.is_dir():
            raise MediaPlacesError(
                f"`media_store_path`: there is no folder {places.store}; run this where the media store is, in the"
                " folder in which Synapse runs if the path is a relative one"
            )

    def check_for(self, files: int) -> None:
        """Makes sure that the volume of the media store is there, if the person has files.

        Raises:
            MediaPlacesError: an empty folder is in its place.
        """
        only_folders = self._folders and not self._buckets and not self._unknown
        if files and only_folders and not any(is_media_store(folder.path) for folder in self._folders):
            raise MediaPlacesError(
                f"{self._folders[0].path} holds no media store: its volume seems not to be mounted; mount it first"
            )

    def copy(self, media_id: str, size_bytes: int, target: IO[bytes]) -> None:
        """Copies a file.

        Args:
            media_id: of a file that was uploaded here.
            size_bytes: as Synapse's table has it.
            target: empty, open for writing; what it holds after an error is no file.

        Raises:
            NotCopiedError: it is nowhere, or has another size, or can't be read.
            OSError: the target can't be written.
        """
        try:
            path = path_of(media_id)
        except ValueError:
            raise NotCopiedError("missing", "Synapse stores no file of this name") from None
        status, reason = "missing", "it is in no place that this command can read"
        places: tuple[_Place, ...] = (*self._folders, *self._buckets)
        for place in places:
            try:
                copied = place.copy(path, target)
            except _ReadError as error:
                status, reason = "unreadable", str(error)
            else:
                if copied == size_bytes:
                    return
                if copied is not None:
                    status, reason = "damaged", f"it has {copied} bytes instead of {size_bytes}"
            target.seek(0)
            target.truncate()
        if status == "missing" and self._unknown:
            status, reason = "elsewhere", f"only Synapse can read from {', '.join(self._unknown)}"
        raise NotCopiedError(status, reason)


class _ReadError(Exception):
    """A place has the file, or should know, and does not give it."""


class _Place(Protocol):
    def copy(self, path: str, target: IO[bytes]) -> int | None:
        """Copies a file and says how many bytes; None when it is not there."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Folder:
    """The media store, or a copy of it."""

    path: Path

    def copy(self, path: str, target: IO[bytes]) -> int | None:
        """Copies a file and says how many bytes; None when it is not there."""
        try:
            source = os.open(self.path / path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _ReadError(f"{self.path}: {error.strerror}") from None
        with os.fdopen(source, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _ReadError(f"{self.path}: it is no file")
            while chunk := self._read(file):
                target.write(chunk)
        return target.tell()

    def _read(self, file: IO[bytes]) -> bytes:
        try:
            return file.read(_CHUNK)
        except OSError as error:
            raise _ReadError(f"{self.path}: {error.strerror}") from None


class _Bucket:
    """A bucket, read with the client that the storage provider brings along."""

    def __init__(self, settings: BucketSettings) -> None:
        self._settings = settings
        try:
            session = importlib.import_module("boto3").session.Session()
            config = importlib.import_module("botocore.config").Config
        except ImportError:
            raise MediaPlacesError("files are in S3, and the Python package boto3 is missing (PyPI: boto3)") from None

        try:
            # As the provider: not every service answers with checksums.
            known = config(response_checksum_validation=settings.checksums)
        except TypeError:
            # Before 1.36 there was no such option, and nothing was compared.
            known = config()
        self._client: Any = session.client("s3", config=known, **settings.client)

    def copy(self, path: str, target: IO[bytes]) -> int | None:
        """Copies a file and says how many bytes; None when it is not there."""
        name = self._settings.bucket
        try:
            answer = self._client.get_object(Bucket=name, Key=self._settings.prefix + path, **self._settings.get)
        except Exception as error:  # noqa: BLE001 - boto3 raises what it likes
            if _code(error) in {"NoSuchKey", "404", "NotFound"}:
                return None
            raise _ReadError(f"the S3 bucket {name}: {type(error).__name__} {_code(error)}".rstrip()) from None
        chunks = iter(answer["Body"].iter_chunks(_CHUNK))
        while True:
            try:
                chunk = next(chunks, b"")
            except Exception as error:  # noqa: BLE001 - boto3 raises what it likes
                raise _ReadError(f"the S3 bucket {name}: {type(error).__name__}") from None
            if not chunk:
                return target.tell()
            target.write(chunk)


def _code(error: Exception) -> str:
    answer = getattr(error, "response", {})
    return str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, dict) else ""
