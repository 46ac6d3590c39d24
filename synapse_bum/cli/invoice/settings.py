"""What the invoice needs of the storage module's configuration: that of homeserver.yaml, or the defaults."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from synapse.module_api.errors import ConfigError

from synapse_bum.cli.check.configuration import ConfigurationError, read_configuration
from synapse_bum.config import parse
from synapse_bum.storage.config import StorageConfig

STORAGE_MODULE: Final = "synapse_bum.storage.StorageModule"
"""The name that stands in homeserver.yaml."""


def read_settings(paths: Sequence[Path]) -> StorageConfig:
    """Read the configuration of the storage module.

    Args:
        paths: of homeserver.yaml, as Synapse gets them; none for the defaults.

    Raises:
        ConfigurationError: a file can't be read, it has no storage module or two, or the configuration is wrong.
    """
    if not paths:
        return parse(StorageConfig, None)
    found = _entries(read_configuration(paths).get("modules"))
    if len(found) != 1:
        raise ConfigurationError(f"`modules` must have {STORAGE_MODULE} once; it is there {len(found)} times")
    number, entry = found[0]
    try:
        return parse(StorageConfig, entry.get("config"))
    except ConfigError as error:
        raise ConfigurationError(f"`modules.<item {number}>`: {error.msg}") from None


def _entries(modules: object) -> list[tuple[int, dict[str, Any]]]:
    if modules is None:
        return []
    if not isinstance(modules, list):
        raise ConfigurationError("`modules` must be a list")
    return [
        (number, entry)
        for number, entry in enumerate(modules)
        if isinstance(entry, dict) and entry.get("module") == STORAGE_MODULE
    ]
