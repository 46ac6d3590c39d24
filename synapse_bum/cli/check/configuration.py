"""Reading homeserver.yaml: one or more files and folders, merged key by key at the top level as Synapse does it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attr
import yaml


class ConfigurationError(Exception):
    """A file can't be read; the text says which and why."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Layer:
    """One file as it was read.

    Attributes:
        path: of the file.
        settings: its keys.
    """

    path: Path
    settings: dict[str, Any]


def read_layers(paths: Sequence[Path]) -> list[Layer]:
    """Read the files that Synapse gets with `-c`, each for itself.

    Raises:
        ConfigurationError: a file is not there or is no YAML mapping.
    """
    return [Layer(path, _read(path)) for path in _files(paths)]


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
    """The files that are read for paths of `-c`, in their order."""
    return list(_files(paths))


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.iterdir() if file.suffix == ".yaml" and file.is_file())
        else:
            yield path


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
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
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: must hold keys and values")
    return content
