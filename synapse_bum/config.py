"""Configuration: a module's YAML becomes frozen attrs objects, or the start stops with the full key path.

    @attr.s(auto_attribs=True, frozen=True, slots=True)
    class AntivirusConfig(SharedConfig):
        scanner: ScannerConfig = option(section(ScannerConfig), default={})

    parse(AntivirusConfig, raw)

Free of side effects: no file is read here. How schemas are written stands in `synapse_bum.reading`, whose names are
offered here too. `ConfigError.path` is relative to the module's own configuration, as Synapse's `util/module_loader.py`
expects it.
"""

from typing import TypeVar

import attr
from synapse.module_api.errors import ConfigError

from synapse_bum.generated_source import forget_generated_source
from synapse_bum.quantities import Duration
from synapse_bum.reading import (
    Path,
    Reader,
    Refusal,
    absolute_path,
    boolean,
    duration,
    duration_ms,
    fail,
    host,
    integer,
    list_of,
    mapping_of,
    matching,
    number,
    one_of,
    one_or_more,
    option,
    read,
    section,
    server_name,
    size,
    text,
    time_zone,
    user_id,
    user_pattern,
)

__all__ = [
    "Path",
    "Reader",
    "SetupError",
    "SharedConfig",
    "absolute_path",
    "boolean",
    "dotted",
    "duration",
    "duration_ms",
    "fail",
    "host",
    "integer",
    "list_of",
    "mapping_of",
    "matching",
    "number",
    "one_of",
    "one_or_more",
    "option",
    "parse",
    "section",
    "server_name",
    "size",
    "text",
    "time_zone",
    "user_id",
    "user_pattern",
]

T = TypeVar("T")


def parse(schema: type[T], raw: object) -> T:
    """Reads a module's configuration.

    Args:
        schema: an attrs class whose attributes are made by `option`. Its `__attrs_post_init__` may raise
            `ConfigError(message, path)` for contradictions, with a path relative to that class.
        raw: what stands under `config:`; None means all defaults.

    Raises:
        ConfigError: for an unknown key, a missing key, a wrong type or value; `path` leads to it.
    """
    # Synapse has just imported the module, and imports the next one when this returns.
    forget_generated_source()
    try:
        return read(schema, raw)
    except Refusal as e:
        raise ConfigError(e.sentence(dotted), e.path) from None


class SetupError(Exception):
    """A module can't work beside the rest of the configuration; the text names the key and what would be right.

    Raised in a module's `__init__`, where Synapse shows the text at the end of its start-up error.
    """


def dotted(path: Path) -> str:
    """Writes a path as operators read it, for example `config.scanner.timeout`."""
    return ".".join(("config", *path))


@attr.s(auto_attribs=True, frozen=True, slots=True)
class SharedConfig:
    """Options that every module has; a module's own configuration class inherits from this one.

    Attributes:
        admin_hosts: lower case, without ports; when not empty, admin routes answer 404 on every other host.
        operator_users: user ids; when not empty, only these may do what is reserved to operators.
        audit_lifetime: how long audit rows are kept.
    """

    admin_hosts: tuple[str, ...] = option(list_of(host), default=[])
    operator_users: tuple[str, ...] = option(list_of(user_id), default=[])
    audit_lifetime: Duration = option(duration, default="2y")  # noqa: RUF009 - makes an attrs field
