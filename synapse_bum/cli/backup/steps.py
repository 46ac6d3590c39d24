"""What is to be done after a restore, and what it may not serve."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from synapse_bum.cli.backup.manifest import MEDIA, Manifest
from synapse_bum.cli.backup.runs import Run
from synapse_bum.cli.check.configuration import ConfigurationError, read_configuration
from synapse_bum.homeserver.database_copying import PostgresDatabase
from synapse_bum.homeserver.dump_contents import count_older
from synapse_bum.homeserver.offline_database import OfflineDatabase
from synapse_bum.quantities import Duration, parse_duration

_RETENTION: Final = "synapse_bum.retention.RetentionModule"
_CLASSES: Final = ("messages", "local_media", "remote_media")


def over_age(folder: Path, manifest: Manifest, target: PostgresDatabase | None, now_ms: int) -> list[str]:
    """Warn of what has come of age since the backup was made.

    Args:
        folder: as `fetch_run` has filled it.
        manifest: of the run.
        target: the restored database; None with SQLite.
        now_ms: ms since the epoch.
    """
    lifetimes = _lifetimes(folder, manifest)
    if not lifetimes:
        return []
    if target is None:
        settings: Mapping[str, Any] = {"name": "sqlite3", "args": {"database": str(folder / manifest.dump_name)}}
    else:
        settings = target.settings
    with OfflineDatabase(settings).transaction() as txn:
        found = {kind: count_older(txn, kind, lifetime.before(now_ms)) for kind, lifetime in lifetimes.items()}
    counted = ", ".join(f"{number} {kind}" for kind, number in found.items() if number)
    if not counted:
        return []
    return [
        f"WARNING the backup is of {_day(manifest.dumped_ts)} and holds what is over age by now: {counted}.",
        "        Messages among it are shown to nobody from the first answer on. Files that the deletion log does not",
        "        name are served until they are deleted: see step 4.",
    ]


def without_files(manifest: Manifest, runs: Sequence[Run]) -> list[str]:
    """Warn of files that a backup lacks, and name an older one that may have them. Pure.

    Args:
        manifest: of the restored run.
        runs: of the repository, the oldest first.
    """
    if not manifest.lost:
        return []
    older = [run for run in runs if run.is_whole and not run.lacks_files and run.run_id < manifest.run_id]
    named = f" The last one before with all its files: --run {older[-1].run_id} --restore DIR2." if older else ""
    return [f"WARNING {len(manifest.lost)} files of the database are not in this backup.{named}"]


def next_steps(folder: Path, manifest: Manifest) -> Sequence[str]:
    """Say what to do with a restored folder."""
    logs = [f"     {folder / log.copy} -> {log.original}" for log in manifest.logs]
    database = "the one that was filled" if manifest.is_postgres else folder / manifest.dump_name
    return [
        "Next steps (docs/backup.md):",
        f"  1. Configuration, keys and secrets lie in {folder / 'config'}, with the whole paths that they had.",
        "     This puts back what is missing, with its owners (as root), and changes nothing that is there:",
        f"     tar -C {shlex.quote(str(folder / 'config'))} -c . | tar -C / -xp --skip-old-files",
        f"  2. In homeserver.yaml, `media_store_path` is {folder / MEDIA}, or move that folder,",
        f"     and `database` is {database}.",
        "  3. Logs of what was deleted, blocked or revoked: where the server still has them they stay as they are,",
        "     because they know more than this backup. Only where one is lost, copy it:",
        *(logs or ["     (the backup holds none: Synapse says at its start what to do about one that is lost)"]),
        "  4. Start Synapse with the proxy closed. Confirm a retention run: POST .../retention/runs with",
        '     {"confirm": true}. Without that, runs delete for a day nothing that has come of age since the backup.',
        "     It takes minutes to hours. Open the proxy when `backlog_items` is 0 in GET .../retention/status.",
        "  5. Make a backup. A new machine says once that it is the server now: --take-over.",
    ]


def _lifetimes(folder: Path, manifest: Manifest) -> dict[str, Duration]:
    """How long what is kept, by the backup's own configuration; nothing where that can't be read."""
    copies = {stored.original: folder / stored.copy for stored in manifest.files}
    try:
        homeserver = read_configuration([copies[path] for path in manifest.config_files])
        modules = [one["config"] for one in homeserver.get("modules") or () if one["module"] == _RETENTION]
        return {
            kind: parse_duration(config[kind]["lifetime"])
            for config in modules
            for kind in _CLASSES
            if config.get(kind)
        }
    except (ConfigurationError, KeyError, TypeError, ValueError):
        return {}


def _day(ts_ms: int) -> str:
    return datetime.fromtimestamp(ts_ms / 1000, timezone.utc).strftime("%Y-%m-%d")
