"""The manifest of a run: what it holds, and how to tell that it came back as it was. Pure but for its file."""

import json
from pathlib import Path
from typing import Any, Final

import attr

from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.ownership import Owned
from synapse_bum.homeserver.dump_contents import Contents, FileSample, MessageSample

FORMAT: Final = 1
FILE_NAME: Final = "manifest.json"
MEDIA: Final = "media_store"
PROVIDERS: Final = "providers"


def places_of(providers: int) -> tuple[str, ...]:
    """Where a restore writes the media store and a number of storage providers, relative to its folder."""
    return (MEDIA, *(f"{PROVIDERS}/{number}" for number in range(providers)))


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Stored:
    """A copy of a file.

    Attributes:
        original: its path on the server.
        copy: where it is, relative to the folder that was saved.
        size_bytes: how much of it was copied.
    """

    original: str
    copy: str
    size_bytes: int


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Manifest:
    """What a run holds.

    Attributes:
        run_id: which run.
        server_name: of the homeserver.
        dumped_ts: when the dump began, ms since the epoch: what came later is not in it.
        is_postgres: what kind of database it was.
        versions: of what has made it.
        contents: what the dump holds.
        data_folder: absolute path of what was put together for the first snapshot.
        media: absolute path of the media store.
        providers: absolute paths of storage providers.
        elsewhere: storage providers whose files are not in it.
        files: configuration, keys and secrets.
        logs: of what was deleted.
        config_files: which of the files are homeserver.yaml, in their order.
        signing_key: the original path of the signing key; None when it stands in homeserver.yaml.
        lost: media ids of files that were missing already when it was made.
        gone: of those that were deleted while it was made.
        rows: how many files the dump has rows for.
        linked: absolute paths of folders elsewhere, by those of the links in `media` and `providers` that led there.
        owned: whose everything was.
    """

    run_id: str
    server_name: str
    dumped_ts: int
    is_postgres: bool
    versions: dict[str, str]
    contents: Contents
    data_folder: str
    media: str
    providers: tuple[str, ...]
    elsewhere: tuple[str, ...]
    files: tuple[Stored, ...]
    logs: tuple[Stored, ...]
    config_files: tuple[str, ...]
    signing_key: str | None
    lost: tuple[str, ...]
    gone: tuple[str, ...]
    rows: int = 0
    linked: dict[str, str] = attr.ib(factory=dict)
    owned: tuple[Owned, ...] = ()

    @property
    def places(self) -> tuple[str, ...]:
        """Where a restore writes `media` and `providers`, relative to its folder."""
        return places_of(len(self.providers))

    @property
    def has_no_file(self) -> bool:
        """Whether every file was lost when it was made."""
        return bool(self.lost) and len(self.lost) + len(self.gone) >= self.rows

    @property
    def dump_name(self) -> str:
        """The file with the database."""
        return "database.dump" if self.is_postgres else "homeserver.db"

    def copy_of(self, original: str) -> str:
        """Where the copy of a file of the configuration lies.

        Raises:
            BackupError: there is none.
        """
        found = next((stored.copy for stored in self.files if stored.original == original), None)
        if found is None:
            raise BackupError(f"the backup {self.run_id} has no {original}, and can't be used without it")
        return found

    def write(self, folder: Path) -> None:
        """Writes it into a folder."""
        written = {"format": FORMAT, **attr.asdict(self)}
        (folder / FILE_NAME).write_text(json.dumps(written, indent=1), encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read what `Manifest.write` wrote.

    Raises:
        BackupError: it is missing, or of another release.
    """
    try:
        found: dict[str, Any] = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
        if found.pop("format") != FORMAT:
            raise BackupError("the backup was made by a newer release of synapse_bum: use that one")
        contents = found.pop("contents")
        messages = tuple(MessageSample(**one) for one in contents.pop("messages"))
        files = tuple(FileSample(**one) for one in contents.pop("files"))
        found["contents"] = Contents(**contents, messages=messages, files=files)
        found |= {name: tuple(Stored(**one) for one in found[name]) for name in ("files", "logs")}
        found["owned"] = tuple(Owned(**one) for one in found.get("owned", ()))
        found |= {name: tuple(found[name]) for name in ("providers", "elsewhere", "config_files", "lost", "gone")}
        return Manifest(**found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(f"the manifest of the backup can't be read: {error}") from None
