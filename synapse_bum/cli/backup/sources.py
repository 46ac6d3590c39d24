"""What of a homeserver belongs into its backup, read from homeserver.yaml.

Beside the database: the media store, storage providers that are folders, every small file that the configuration and
that of workers name (keys, secrets, lists), and the logs of what was deleted, which are copied last.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attr
import yaml

from synapse_bum.cli.backup import database_files
from synapse_bum.cli.backup.failure import BackupError

LARGEST_SMALL_FILE: Final = 4_000_000
"""Bytes. Keys, certificates and lists are smaller; what is larger is data of something else."""

_NAMES_OF_FILES: Final = ("_path", "_file", "_files", "_paths", "log_config")
_LOG_PATH: Final = "log_path"
_WORKERS: Final = {".yaml", ".yml"}
_PID_FILES: Final = {"pid_file", "worker_pid_file"}
_NEVER: Final = {*_PID_FILES, "media_store_path", "database_path", "backup_media_store_path", "uploads_path"}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Sources:
    """What to save.

    Attributes:
        server_name: of the homeserver.
        media: folder of the media store.
        providers: folders of storage providers.
        elsewhere: modules of storage providers that keep their files elsewhere: those are in no backup of ours.
        files: the configuration and what it names.
        logs: of what was deleted.
        left_out: files that are named and are not among `files`, with the reason.
        linked: folders that links in the others lead to, by the links: restic saves links as links.
        absent: those of `media` and `providers` that are not there.
    """

    server_name: str
    media: Path
    providers: tuple[Path, ...]
    elsewhere: tuple[str, ...]
    files: tuple[Path, ...]
    logs: tuple[Path, ...]
    left_out: Mapping[Path, str]
    linked: Mapping[Path, Path] = attr.ib(factory=dict)
    absent: tuple[Path, ...] = ()

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where Synapse looks for files."""
        return (self.media, *self.providers)

    @property
    def saved_folders(self) -> tuple[Path, ...]:
        """Those of them that are there, and where links in them lead."""
        return (*(one for one in self.folders if one not in self.absent), *self.linked.values())


def read_sources(
    homeserver: Mapping[str, Any], config_files: Sequence[Path], *, folders_may_be_absent: bool = False
) -> Sources:
    """Find what belongs into a backup.

    Args:
        homeserver: homeserver.yaml.
        config_files: the files it was read from, and others that shall be saved.
        folders_may_be_absent: whether a media store that is not there is told and not refused.

    Raises:
        BackupError: something that must be there is not.
    """
    name = server_name_in(homeserver)
    databases = homeserver.get("databases")
    if isinstance(databases, Mapping) and len(databases) > 1:
        raise BackupError(
            f"homeserver.yaml spreads its data over {len(databases)} databases ({', '.join(map(str, databases))}):"
            " this command knows one only, and the others would be left out; move them together"
        )
    media = Path(str(homeserver.get("media_store_path") or "media_store"))
    if not media.is_dir() and not folders_may_be_absent:
        raise BackupError(
            f"`media_store_path`: there is no folder {media.absolute()}; a relative path counts from Synapse's working"
            " directory: start the backup there, or write the whole path"
        )
    providers, elsewhere = _providers(homeserver)
    absent = [folder for folder in providers if not folder.is_dir()]
    if absent and not folders_may_be_absent:
        raise BackupError(f"`media_storage_providers`: there is no folder {absent[0].absolute()}")
    logs = [path for key, path in _named_files(homeserver, ()) if key.endswith(_LOG_PATH)]
    named = [path for key, path in _named_files(homeserver, ()) if not key.endswith(_LOG_PATH)]
    named += [*database_files.named_files(homeserver), *_named_by_workers(config_files)]
    found = [path.absolute() for path in (*config_files, *named, *_default_signing_key(homeserver, name, config_files))]
    reasons = {path: _why_left_out(path) for path in dict.fromkeys(found)}
    folders = [media.resolve(), *(folder.resolve() for folder in providers)]
    return Sources(
        server_name=name,
        media=folders[0],
        providers=tuple(folders[1:]),
        elsewhere=tuple(elsewhere),
        files=tuple(path for path, reason in reasons.items() if reason is None),
        logs=tuple(dict.fromkeys(path.absolute() for path in logs)),
        left_out={path: reason for path, reason in reasons.items() if reason is not None},
        linked=_linked(folders),
        absent=tuple(folder for folder in folders if not folder.is_dir()),
    )


def server_name_in(homeserver: Mapping[str, Any]) -> str:
    """The name of the homeserver.

    Raises:
        BackupError: there is none.
    """
    name = homeserver.get("server_name")
    if not isinstance(name, str) or not name:
        raise BackupError("homeserver.yaml has no `server_name`")
    return name


def signing_key_of(homeserver: Mapping[str, Any], name: str, config_files: Sequence[Path]) -> Path | None:
    """Where the signing key lies; None when it stands in homeserver.yaml itself."""
    if homeserver.get("signing_key"):
        return None
    if homeserver.get("signing_key_path"):
        return Path(str(homeserver["signing_key_path"])).absolute()
    return next(iter(_default_signing_key(homeserver, name, config_files)), None)


def refuse_gaps(sources: Sources, homeserver: Mapping[str, Any], config_files: Sequence[Path]) -> None:
    """Make sure that everything is there without which a backup can't be used.

    Args:
        sources: as `read_sources` has found them.
        homeserver: homeserver.yaml.
        config_files: the files it was read from.

    Raises:
        BackupError: the signing key or the configuration itself is left out.
    """
    key = signing_key_of(homeserver, sources.server_name, config_files)
    for path in (*([key] if key else []), *(one.absolute() for one in config_files)):
        if path in sources.left_out:
            raise BackupError(
                f"{path} {sources.left_out[path]}, and without it no backup can be used; a relative path counts from"
                " Synapse's working directory: start the backup there, or write the whole path"
            )


def _default_signing_key(homeserver: Mapping[str, Any], name: str, config_files: Sequence[Path]) -> list[Path]:
    """Synapse's default: beside the configuration (`synapse/config/key.py`)."""
    if homeserver.get("signing_key") or homeserver.get("signing_key_path") or not config_files:
        return []
    return [config_files[0].absolute().parent / f"{name}.signing.key"]


def _providers(homeserver: Mapping[str, Any]) -> tuple[list[Path], list[str]]:
    folders = [Path(str(homeserver["backup_media_store_path"]))] if homeserver.get("backup_media_store_path") else []
    elsewhere = []
    for provider in homeserver.get("media_storage_providers") or ():
        config = provider.get("config") or {}
        if "directory" in config:
            folders.append(Path(str(config["directory"])))
        else:
            elsewhere.append(str(provider.get("module")))
    return folders, elsewhere


def _linked(folders: Sequence[Path]) -> dict[Path, Path]:
    """Links in folders of files to folders elsewhere, such as `local_content` on a larger disk."""
    links = [link for folder in folders if folder.is_dir() for link in sorted(folder.iterdir()) if link.is_symlink()]
    found = {link: link.resolve() for link in links if link.is_dir()}
    return {link: to for link, to in found.items() if not any(to.is_relative_to(folder) for folder in folders)}


def _named_by_workers(paths: Sequence[Path]) -> Iterator[Path]:
    """What the configuration of workers names, where it is among some files."""
    for path in paths:
        if path.suffix in _WORKERS:
            try:
                content = yaml.safe_load(path.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, yaml.YAMLError):
                continue
            if isinstance(content, Mapping) and "worker_app" in content:
                yield from (one for _key, one in _named_files(content, ()))
                yield from database_files.named_files(content)


def _named_files(value: object, keys: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """Every path that stands behind a key which says that it is one."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            if keys or str(key) not in _NEVER:
                yield from _named_files(one, (*keys, str(key)))
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _named_files(one, keys)
    elif isinstance(value, str) and value and keys and keys[-1].endswith(_NAMES_OF_FILES):
        yield keys[-1], Path(value)


def _why_left_out(path: Path) -> str | None:
    try:
        if not path.exists():
            return "is not there"
        if not path.is_file():
            return "is no file"
        if path.stat().st_size > LARGEST_SMALL_FILE:
            return f"is larger than {LARGEST_SMALL_FILE // 1_000_000} MB"
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror}") from None
    return None
