"""Reading homeserver.yaml: one or more files and folders, merged key by key at the top level as Synapse does it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attr
import yaml

_MAX_BYTES: Final = 4_000_000
"""No configuration is larger; a device or a database given by mistake is."""
_MERGE: Final = "tag:yaml.org,2002:merge"


class ConfigurationError(Exception):
    """A file can't be read; the text says which and why."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Layer:
    """One file as it was read.

    Attributes:
        path: of the file.
        settings: its keys.
        twice: keys that stand more than once in the same mapping, with the line of the later one. The last one counts.
    """

    path: Path
    settings: dict[str, Any]
    twice: tuple[tuple[str, int], ...] = ()


class _Loader(yaml.SafeLoader):
    """Reads YAML as Synapse does, and remembers keys that are written twice, of which YAML says nothing."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.twice: dict[tuple[str, int], None] = {}

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if (key.tag, key.value) in seen:
                    self.twice[key.value, key.start_mark.line + 1] = None
                seen.add((key.tag, key.value))
        super().flatten_mapping(node)


def read_layers(paths: Sequence[Path]) -> list[Layer]:
    """Read the files that Synapse gets with `-c`, each for itself.

    Raises:
        ConfigurationError: a file is not there or is no YAML mapping, or there is none in the folders.
    """
    return [read_layer(path) for path in files_of(paths)]


def merged(layers: Sequence[Layer]) -> dict[str, Any]:
    """What Synapse makes of them: a later file replaces the sections of an earlier one as a whole. Pure."""
    settings: dict[str, Any] = {}
    for layer in layers:
        settings.update(layer.settings)
    return settings


def read_configuration(paths: Sequence[Path]) -> dict[str, Any]:
    """Read the files that Synapse gets with `-c`.

    Args:
        paths: files, and folders whose `*.yaml` files count in the order of their names. A later file replaces the
            sections of an earlier one as a whole, `modules` too.

    Raises:
        ConfigurationError: a file is not there or is no YAML mapping.
    """
    return merged(read_layers(paths))


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files that are read for paths of `-c`, in their order.

    Raises:
        ConfigurationError: a folder can't be read, or no file is left.
    """
    found: list[Path] = []
    for path in paths:
        try:
            if path.is_dir():
                found += sorted(file for file in path.iterdir() if file.suffix == ".yaml" and file.is_file())
            else:
                found.append(path)
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from None
    if paths and not found:
        raise ConfigurationError(f"{paths[0]}: no file in this folder has a name that ends in .yaml")
    return found


def content_of(path: Path) -> bytes:
    """What a file of configuration holds.

    Raises:
        ConfigurationError: it can't be read, or is larger than any configuration.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise ConfigurationError(f"{path}: is larger than {_MAX_BYTES} bytes, and no configuration")
    return content


def read_layer(path: Path) -> Layer:
    """Read one file.

    Raises:
        ConfigurationError: it can't be read, or is no YAML mapping.
    """
    content = content_of(path)
    loader = None
    try:
        loader = _Loader(content.decode("utf-8"))
        settings = loader.get_single_data()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is no UTF-8 text") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = "" if where is None else f", line {where.line + 1}"
        problem = getattr(error, "problem", None) or "malformed"
        raise ConfigurationError(f"{path}{line}: is no YAML ({problem})") from None
    except (ValueError, RecursionError):
        # A date such as 2026-02-30, which the parser takes for one; lists in lists without an end.
        raise ConfigurationError(f"{path}: holds a value that can't be read") from None
    finally:
        if loader is not None:
            loader.dispose()
    if settings is None:
        return Layer(path, {})
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{path}: must hold keys and values")
    return Layer(path, settings, tuple(loader.twice))
