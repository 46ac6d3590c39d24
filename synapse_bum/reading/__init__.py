"""Strict reading of mappings: what YAML or JSON delivers becomes a frozen attrs object, or is refused with a remedy.

A schema is a class whose attributes say what stands under each key::

    @attr.s(auto_attribs=True, frozen=True, slots=True)
    class ScannerConfig:
        engine: EngineKind = option(one_of(EngineKind), default="clamd")
        timeout_ms: int = option(duration_ms, default="60s", key="timeout")
        token_path: str | None = option(absolute_path, default=None)

    read(ScannerConfig, {"timeout": "15s"})
"""

from synapse_bum.reading.sections import (
    Path,
    Problem,
    Reader,
    Refusal,
    Written,
    fail,
    nearest,
    option,
    read,
    section,
    written,
)
from synapse_bum.reading.values import (
    absolute_path,
    boolean,
    duration,
    duration_ms,
    host,
    integer,
    list_of,
    mapping_of,
    matching,
    number,
    one_of,
    one_or_more,
    server_name,
    size,
    text,
    time_zone,
    user_id,
    user_pattern,
)

__all__ = [
    "Path",
    "Problem",
    "Reader",
    "Refusal",
    "Written",
    "absolute_path",
    "boolean",
    "duration",
    "duration_ms",
    "fail",
    "host",
    "integer",
    "list_of",
    "mapping_of",
    "matching",
    "nearest",
    "number",
    "one_of",
    "one_or_more",
    "option",
    "read",
    "section",
    "server_name",
    "size",
    "text",
    "time_zone",
    "user_id",
    "user_pattern",
    "written",
]
