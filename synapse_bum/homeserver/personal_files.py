"""Files that a person has uploaded here, and where Synapse keeps their bytes.

Run on Synapse 1.133.0 and 1.163.2: `synapse/storage/databases/main/media_repository.py`, `synapse/media/filepath.py`,
`synapse/config/repository.py`, `synapse/media/storage_provider.py`. S3: `s3_storage_provider` 1.5.0 and 1.7.0, whose
parsed configuration is a dictionary.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attr
from synapse.media.filepath import MediaFilePaths
from synapse.module_api.errors import ConfigError
from synapse.util.module_loader import load_module

from synapse_bum.homeserver.database_snapshot import Snapshot

# By the index on (user_id, created_ts).
_FILES: Final = (
    "SELECT media_id, upload_name, media_type, media_length, created_ts, last_access_ts, quarantined_by"
    " FROM local_media_repository WHERE user_id = ? AND url_cache IS NULL ORDER BY created_ts, media_id"
)
# By the same index.
_STILL_SHOWN: Final = (
    "SELECT media_id FROM local_media_repository"
    " WHERE user_id = ? AND url_cache IS NULL AND quarantined_by IS NULL AND media_length IS NOT NULL"
)
_FILE_SYSTEM: Final = frozenset(
    {
        "file_system",
        "synapse.rest.media.v1.storage_provider",
        "synapse.rest.media.v1.storage_provider.FileStorageProviderBackend",
    }
)
_S3_CLASS: Final = "S3StorageProviderBackend"
_DEFAULT_STORE: Final = "media_store"


class MediaPlacesError(Exception):
    """The configuration names a place for files that we can't use; the text says which and why."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class PersonalFile:
    """A file, as Synapse's table has it.

    Attributes:
        media_id: its id on this server.
        upload_name: the name that the person's application gave; None for encrypted files, as a rule.
        media_type: as the application said.
        size_bytes: None when its upload has not come or was never finished.
        created_ts: ms since the epoch.
        last_access_ts: ms since the epoch.
        quarantined_by: who keeps it from being served; None when nobody does.
    """

    media_id: str
    upload_name: str | None
    media_type: str | None
    size_bytes: int | None
    created_ts: int
    last_access_ts: int | None
    quarantined_by: str | None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class BucketSettings:
    """A bucket with copies of files, as the S3 storage provider has read its configuration.

    Attributes:
        bucket: its name.
        prefix: what stands before each path.
        client: what boto3's client is made with; it holds secrets, and is left out of the `repr`.
        get: what each GetObject must say.
        checksums: when answers are compared with their checksums, as botocore calls it.
    """

    bucket: str
    prefix: str
    client: Mapping[str, Any] = attr.ib(repr=False)
    get: Mapping[str, Any] = attr.ib(repr=False)
    checksums: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class MediaPlaces:
    """Where the bytes of files are, in the order in which they are looked for.

    Attributes:
        store: the media store; None when this homeserver keeps none.
        folders: copies of it.
        buckets: the same, in S3.
        unknown: modules of providers from which nobody but Synapse can read.
    """

    store: Path | None
    folders: tuple[Path, ...]
    buckets: tuple[BucketSettings, ...]
    unknown: tuple[str, ...]


def files_of(snapshot: Snapshot, user_id: str) -> Iterator[PersonalFile]:
    """The files of a person, oldest first, without pictures of previews."""
    for row in snapshot.rows(_FILES, (user_id,)):
        yield PersonalFile(*row)


def still_shown(snapshot: Snapshot, user_id: str) -> Iterator[str]:
    """The ids of those of a person's files that Synapse serves at this moment."""
    return (media_id for (media_id,) in snapshot.rows(_STILL_SHOWN, (user_id,)))


def path_of(media_id: str) -> str:
    """Where a file lies, relative to the media store and to its copies.

    Raises:
        ValueError: the id has characters that no file of Synapse has.
    """
    return MediaFilePaths("/").local_media_filepath_rel(media_id)


def media_places(homeserver: Mapping[str, Any]) -> MediaPlaces:
    """Find out where files are, from homeserver.yaml.

    Raises:
        MediaPlacesError: a storage provider can't be loaded, or its section is wrong.
    """
    has_store = homeserver.get("enable_local_media_storage", True)
    store = Path(str(homeserver.get("media_store_path", _DEFAULT_STORE))) if has_store else None
    folders: list[Path] = []
    buckets: list[BucketSettings] = []
    unknown: list[str] = []
    if homeserver.get("backup_media_store_path"):
        folders.append(Path(str(homeserver["backup_media_store_path"])))
    for number, provider in enumerate(homeserver.get("media_storage_providers") or ()):
        module = provider.get("module") if isinstance(provider, Mapping) else None
        if not isinstance(module, str):
            raise MediaPlacesError(f"`media_storage_providers.{number}`: must name a `module`")
        if module in _FILE_SYSTEM:
            folders.append(_folder(provider, number))
        elif module.endswith(f".{_S3_CLASS}"):
            buckets.append(_bucket(provider, number))
        else:
            unknown.append(module)
    return MediaPlaces(store, tuple(folders), tuple(buckets), tuple(unknown))


def _folder(provider: Mapping[str, Any], number: int) -> Path:
    settings = provider.get("config")
    if not isinstance(settings, Mapping) or not isinstance(settings.get("directory"), str):
        raise MediaPlacesError(f"`media_storage_providers.{number}.config`: must name a `directory`")
    return Path(settings["directory"])


def _bucket(provider: Mapping[str, Any], number: int) -> BucketSettings:
    place = ("media_storage_providers", f"<item {number}>")
    try:
        _, read = load_module(dict(provider), place)
    except ConfigError as error:
        raise MediaPlacesError(f"`media_storage_providers.{number}`: {error.msg}") from None
    settings: Mapping[str, Any] = read
    names = {
        "region_name": "region_name",
        "endpoint_url": "endpoint_url",
        "access_key_id": "aws_access_key_id",
        "secret_access_key": "aws_secret_access_key",
        "session_token": "aws_session_token",
    }
    client = {theirs: settings[ours] for ours, theirs in names.items() if settings.get(ours)}
    extra = settings.get("extra_args") or {}
    get = {name: extra[name] for name in ("SSECustomerKey", "SSECustomerAlgorithm") if name in extra}
    checksums = str(settings.get("response_checksum_validation", "when_required"))
    return BucketSettings(str(settings["bucket"]), str(settings.get("prefix", "")), client, get, checksums)
