"""Keys, secrets, configuration and logs: which files go with a homeserver, and which are named and left.

What the configuration names may belong to the whole machine, such as certificates. So only what lies with the
configuration goes, what an operator has named, and what nobody else has: the signing key, our logs, Synapse's own log
files. The rest is named, with everything else that lies beside the configuration.
"""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import attr
import yaml

from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.cli.offboard.mounts import mounts_below

_RECOVERY: Final = "synapse_bum.recovery.RecoveryModule"
_CONFIGURATION: Final = {".yaml", ".yml", ".config", ".json"}
_OF_WORKERS: Final = ("worker_log_config", "worker_pid_file")
# What Python's handlers and logrotate (logrotate(8), `dateext` and `compress`) put behind the name of a log.
_ROTATED: Final = re.compile(
    r"(\.[0-9]+|[.-][0-9]{4}-[0-9]{2}-[0-9]{2}[0-9T_:-]*|[.-][0-9]{8}(-[0-9]+)?)(\.(gz|xz|bz2|zst|lz4|Z))?", re.ASCII
)
_NO_FILES: Final = {("dev",), ("proc",)}
"""Where logs of containers go, `/dev/stdout`."""

_MOST_LISTED: Final = 200
_LEAST_PARTS: Final = 3  # `/srv/messenger`


@attr.s(auto_attribs=True, frozen=True, slots=True)
class SmallFiles:
    """The small files of a homeserver.

    Attributes:
        configuration: keys, secrets and configuration; homeserver.yaml stands last, so that a broken off erasing finds
            what it needs.
        folders: that go when they are empty, the deepest first.
        logs: of Synapse, and of what was deleted or closed; where they are written, and what is there of them.
        elsewhere: named in the configuration and left, because they may be somebody else's.
    """

    configuration: tuple[Path, ...]
    folders: tuple[Path, ...]
    logs: tuple[Path, ...]
    elsewhere: tuple[Path, ...]


def recovery_log_of(homeserver: Mapping[str, Any]) -> Path | None:
    """The recovery log that homeserver.yaml names; None when it names none. Pure."""
    for module in homeserver.get("modules") or ():
        path = (module.get("config") or {}).get("log_path")
        if module.get("module") == _RECOVERY and isinstance(path, str):
            return Path(path).absolute()
    return None


def sort_out(
    named: Iterable[Path],
    our_logs: Iterable[Path],
    config_files: Sequence[Path],
    signing_key: Path | None,
    included: Sequence[Path],
    taken: Sequence[Path],
) -> SmallFiles:
    """Decide which files go.

    Args:
        named: every file that the configuration names, and its own, absolute.
        our_logs: logs of what was deleted or closed.
        config_files: homeserver.yaml, in the order of `-c`.
        signing_key: None when it stands in homeserver.yaml.
        included: files and folders that an operator has named.
        taken: what goes in another way: media folders, the database.

    Raises:
        OffboardError: what an operator has named can't go.
        OSError: a folder can't be read.
    """
    config = [path.absolute() for path in config_files]
    # Without links in the way, as media folders are named too.
    whole = [path.resolve() for path in included if _is_folder(path)]
    _refuse_too_much(whole, taken)
    folders = {*(path.parent for path in config), *whole}
    wanted = {path.absolute() for path in included if not _is_folder(path)} | ({signing_key} if signing_key else set())

    def goes(path: Path) -> bool:
        return path in wanted or any(path.is_relative_to(folder) for folder in folders)

    below = [path for folder in whole for path in _below(folder, _by_all_names([*taken, *config]))]
    named = list(dict.fromkeys([*named, *sorted(wanted), *(path for path in below if not _is_folder(path))]))
    named = list(dict.fromkeys([*named, *(found for one in named if goes(one) for found in _named_by_worker(one))]))
    near = [path for path in named if goes(path) and path not in config and os.path.lexists(path)]
    # What a link leads to holds the secret. Where that is elsewhere it may be the machine's, except for our own.
    own = {*wanted, *config}
    links = {path: path.resolve() for path in (*near, *config) if path.is_symlink()}
    behind = [target for path, target in links.items() if (path in own or goes(target)) and target.exists()]
    # Whatever a configuration of logs belongs to, what it writes is Synapse's.
    log_files = [path for one in (*named, *config) for path in _handled_files(one)]
    written = [path.absolute() for path in (*our_logs, *log_files)]
    bases = dict.fromkeys(one for path in written if path.parts[1:2] not in _NO_FILES for one in (path, path.resolve()))
    logs = dict.fromkeys((*bases, *(found for path in bases for found in rotated(path))))
    going = dict.fromkeys((*(path for path in (*near, *behind) if path not in logs), *config))
    known = {*going, *logs}
    there = filter(os.path.lexists, (*named, *links.values()))
    return SmallFiles(
        configuration=tuple(sorted(going, key=lambda path: path in config)),
        folders=_deepest_first(path for path in (*whole, *below) if _is_folder(path) and not path.is_mount()),
        logs=tuple(logs),
        elsewhere=tuple(dict.fromkeys(path for path in there if path not in known)),
    )


def unknown_beside(config_files: Sequence[Path], known: Iterable[Path]) -> list[str]:
    """Name what lies in the folders of the configuration, and below, and is nobody's that we know.

    Args:
        config_files: homeserver.yaml, in the order of `-c`.
        known: files and folders that go, and what is left on purpose.

    Raises:
        OSError: a folder can't be read.
    """
    skipped = _by_all_names(known)
    left = []
    for folder in dict.fromkeys(path.absolute().parent.resolve() for path in config_files):
        found = (path for path in _below(folder, skipped) if not _is_folder(path))
        left += [f"file {path}" for path in islice(found, _MOST_LISTED)]
        if next(found, None) is not None:
            left.append(f"more than {_MOST_LISTED} other files in {folder}")
    return left


def rotated(path: Path) -> Iterator[Path]:
    """What has become of a log by rotation.

    Raises:
        OSError: its folder can't be read.
    """
    if path.parent.is_dir():
        for beside in sorted(path.parent.iterdir()):
            rest = beside.name.removeprefix(path.name)
            if rest != beside.name and _ROTATED.fullmatch(rest) and not _is_folder(beside):
                yield beside


def _refuse_too_much(folders: Sequence[Path], taken: Sequence[Path]) -> None:
    for folder in folders:
        if len(folder.parts) < _LEAST_PARTS:
            raise OffboardError(f"--include {folder}: is a part of the whole machine; name the homeserver's own folder")
        real = [path.resolve() for path in taken]
        for point in mounts_below(folder):
            if not any(point.is_relative_to(path) for path in real):
                raise OffboardError(
                    f"--include {folder}: {point} is mounted in it, and may be somebody else's: name what goes in it"
                )


def _by_all_names(paths: Iterable[Path]) -> frozenset[Path]:
    """Some paths, with what they lead to, and what they are called without links in the way."""
    return frozenset(name for path in paths for name in (path, path.resolve(), path.parent.resolve() / path.name))


def _below(folder: Path, skipped: Collection[Path]) -> Iterator[Path]:
    """Files, links and folders below a folder, without some with all that is in them; links are not followed."""
    for above, folders, files in os.walk(folder, onerror=_fail):
        folders[:] = sorted(one for one in folders if Path(above, one) not in skipped)
        yield from (path for one in sorted((*folders, *files)) if (path := Path(above, one)) not in skipped)


def _deepest_first(folders: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(sorted(dict.fromkeys(folders), key=lambda path: len(path.parts), reverse=True))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _fail(error: OSError) -> None:
    raise error


def _named_by_worker(path: Path) -> Iterator[Path]:
    """What the configuration of a worker names beside that of the homeserver."""
    content = _content_of(path)
    yield from (Path(content[key]).absolute() for key in _OF_WORKERS if isinstance(content.get(key), str))


def _handled_files(path: Path) -> Iterator[Path]:
    """The files that a log configuration of Python names (logging.config, "Configuration dictionary schema")."""
    handlers: Any = _content_of(path).get("handlers")
    for handler in handlers.values() if isinstance(handlers, Mapping) else ():
        if isinstance(handler, Mapping) and isinstance(handler.get("filename"), str):
            yield Path(handler["filename"])


def _content_of(path: Path) -> Mapping[str, Any]:
    """What a file of YAML holds; nothing when it is none, or none that can be read."""
    if path.suffix not in _CONFIGURATION:
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return content if isinstance(content, Mapping) else {}
