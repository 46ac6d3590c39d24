"""Reading sections of homeserver.yaml that may hold anything. Pure.

A section of a wrong shape is spoken of once, here; every other check takes it for empty.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.remark import Remark, error
from synapse_bum.quantities import parse_size

_LISTS: Final = (
    "listeners",
    "worker_listeners",
    "media_storage_providers",
    "room_list_publication_rules",
    "trusted_key_servers",
)
_MAPPINGS: Final = ("database", "email", "retention", "media_retention", "redis", "instance_map")
_TEXTS: Final = ("server_name", "public_baseurl", "media_store_path", "log_config", "worker_log_config", "worker_name")

DEFAULT_UPLOAD_SIZE: Final = "50M"
"""Synapse's `max_upload_size` where none is written."""


def section(settings: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The mapping at a key, or an empty one."""
    found = settings.get(key)
    return found if isinstance(found, dict) else {}


def items(settings: Mapping[str, Any], key: str) -> list[Any]:
    """The list at a key, or an empty one."""
    found = settings.get(key)
    return found if isinstance(found, list) else []


def text(settings: Mapping[str, Any], key: str) -> str | None:
    """The text at a key, or None."""
    found = settings.get(key)
    return found if isinstance(found, str) and found and "\0" not in found else None


def upload_bytes(settings: Mapping[str, Any]) -> int | None:
    """Synapse's `max_upload_size` in bytes; None when it can't be read."""
    try:
        return parse_size(settings.get("max_upload_size", DEFAULT_UPLOAD_SIZE))
    except ValueError:
        return None


def shape_remarks(settings: Mapping[str, Any]) -> Iterator[Remark]:
    """Sections that are something else than Synapse expects."""
    for keys, kind, said in ((_LISTS, list, "list"), (_MAPPINGS, dict, "mapping"), (_TEXTS, str, "text")):
        for key in keys:
            found = settings.get(key)
            if found is not None and not isinstance(found, kind):
                yield error(Check.SHAPE, f"must be a {said}, not {type(found).__name__}", f"`{key}`")
    if upload_bytes(settings) is None:
        limit = f"{settings['max_upload_size']!r}"[:80]
        yield error(Check.UPLOAD_SIZE, f"{limit} is no size, and compared with nothing", "`max_upload_size`")
