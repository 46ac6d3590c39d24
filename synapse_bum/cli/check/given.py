"""Files of other programs that the check is given with options of its own: read here, judged elsewhere."""

import os
from pathlib import Path
from typing import Final

import attr

from synapse_bum.cli.check.configuration import ConfigurationError, content_of
from synapse_bum.cli.check.directives import Directives, directives

_MAX_DEPTH: Final = 5


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Given:
    """Paths of these files; None for those that are not to be looked at.

    Attributes:
        clamd: clamd.conf.
        c_icap: c-icap.conf.
        proxies: nginx's configuration.
    """

    clamd: Path | None = None
    c_icap: Path | None = None
    proxies: tuple[Path, ...] = ()


def read_given(path: Path) -> str:
    """Read one of them.

    Raises:
        ConfigurationError: it can't be read, or is none of these.
    """
    content = content_of(path)
    if b"\0" in content:
        raise ConfigurationError(f"{path}: is no configuration")
    return content.decode("utf-8", errors="replace")


def read_directives(path: Path) -> Directives:
    """Read clamd.conf.

    Raises:
        ConfigurationError: it can't be read.
    """
    return directives(read_given(path))


def read_c_icap(path: Path) -> Directives:
    """Read c-icap.conf with the files that it includes, from the folder where it lies; one that is missing is left out.

    Raises:
        ConfigurationError: it can't be read.
    """
    return directives(_with_included(path, read_given(path), _MAX_DEPTH))


def _with_included(path: Path, text: str, depth: int) -> str:
    lines = []
    for line in text.splitlines():
        word, _, name = line.strip().partition(" ")
        included = path.parent / name.strip()
        if word.lower() == "include" and name.strip() and depth and os.access(included, os.R_OK) and included.is_file():
            lines.append(_with_included(included, read_given(included), depth - 1))
        else:
            lines.append(line)
    return "\n".join(lines)
