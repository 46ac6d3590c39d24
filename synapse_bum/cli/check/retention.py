"""What the retention module leaves open, and what in homeserver.yaml acts against it."""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.remark import Remark, warning
from synapse_bum.cli.check.shapes import items, section
from synapse_bum.cli.check.written_files import written_file_remarks
from synapse_bum.retention.classes import RetentionClass
from synapse_bum.retention.config import RetentionConfig

_OWN_LIFETIMES: Final = ("local_media_lifetime", "remote_media_lifetime")

_DELETABLE: Final = frozenset({"file_system", "FileStorageProviderBackend", "S3StorageProviderBackend"})
"""Storage providers from which files can be deleted, see `deletion/places.py`; the first is Synapse's short name."""


def policy_remarks(config: RetentionConfig) -> Iterator[Remark]:
    """What the configuration leaves open. Pure."""
    missing = [kind.value for kind in RetentionClass if kind not in config.lifetimes]
    if not config.lifetimes:
        yield warning(Check.RETENTION_LIFETIME, "no section with a `lifetime`: nothing is deleted")
    elif missing:
        yield warning(
            Check.RETENTION_LIFETIME,
            f"no lifetime for {', '.join(f'`{name}`' for name in missing)}: these are kept for ever",
        )
    if config.dry_run:
        yield warning(Check.RETENTION_DRY_RUN, "`dry_run: true`: nothing is deleted")
    if config.local_media is not None and config.remote_media is not None:
        local, remote = config.local_media.lifetime, config.remote_media.lifetime
        if remote.nominal_ms > local.nominal_ms:
            yield warning(
                Check.RETENTION_LIFETIME,
                "`remote_media.lifetime` is longer than `local_media.lifetime`: are they mixed up?",
            )
    if config.deletion_log_path is None:
        yield warning(
            Check.DELETION_LOG,
            "`deletion_log_path` is not set: what was deleted before its time, by users for example, comes back with a"
            " backup of the database",
        )


def homeserver_remarks(config: RetentionConfig, homeserver: Mapping[str, Any]) -> Iterator[Remark]:
    """What in homeserver.yaml acts against the module, and whether its files can be written.

    Args:
        config: of the module.
        homeserver: homeserver.yaml.
    """
    if section(homeserver, "retention").get("enabled"):
        yield warning(
            Check.SYNAPSE_RETENTION,
            "`retention.enabled: true`: Synapse purges messages too, by depth instead of time, also younger ones; set"
            " it to false",
        )
    for key in _OWN_LIFETIMES:
        if section(homeserver, "media_retention").get(key) is not None:
            yield warning(
                Check.SYNAPSE_MEDIA_RETENTION,
                f"`media_retention.{key}` is set: Synapse deletes files by their last access, also stickers, and leaves"
                " copies at storage providers; remove it",
            )
    if homeserver.get("redaction_retention_period", "7d") is None:
        yield warning(
            Check.REDACTED,
            "`redaction_retention_period: null`: what users have redacted stays in the database until its lifetime"
            " ends; remove it, then it is 7d",
        )
    for provider in items(homeserver, "media_storage_providers"):
        name = provider.get("module") if isinstance(provider, dict) else None
        if isinstance(name, str):
            yield from _provider_remarks(name)
    if config.deletion_log_path is not None:
        yield from written_file_remarks(Check.DELETION_LOG, "deletion_log_path", Path(config.deletion_log_path))


def _provider_remarks(name: str) -> Iterator[Remark]:
    """Look at the class of a storage provider, as Synapse does at its start."""
    module, _, class_name = name.rpartition(".")
    if class_name in _DELETABLE:
        return
    try:
        provider = getattr(importlib.import_module(module), class_name)
    except Exception as failure:  # noqa: BLE001 - whatever somebody else's module does when it is imported
        why = "it is not installed here" if isinstance(failure, ImportError) else f"it says {type(failure).__name__}"
        yield warning(Check.STORAGE_PROVIDER, f"`media_storage_providers`: {name} can't be looked at: {why}")
        return
    classes = {cls.__name__ for cls in getattr(provider, "__mro__", ())}
    if not classes & _DELETABLE and not callable(getattr(provider, "delete_file", None)):
        yield warning(
            Check.STORAGE_PROVIDER,
            f"`media_storage_providers`: {name} can't delete: expired files are hidden from everybody, but stay there;"
            " give it a method `delete_file(path)`",
        )
