"""Whether the modules' log lines, errors included, reach anybody. The decisions are pure."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.configuration import ConfigurationError, read_layer
from synapse_bum.cli.check.remark import Remark, error, warning
from synapse_bum.cli.check.shapes import items, section

_OURS: Final = "synapse_bum"
_AUDIT: Final = "synapse_bum.audit"
_LEVELS: Final[Mapping[str, int]] = {
    "NOTSET": logging.NOTSET,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
    "CRITICAL": logging.CRITICAL,
}
_WRITES_NOTHING: Final = "logging.NullHandler"


def log_remarks(path: str) -> Iterator[Remark]:
    """Look at the file that `log_config` names.

    Args:
        path: of the file.
    """
    try:
        config = read_layer(Path(path)).settings
    except ConfigurationError as failure:
        yield error(Check.LOG_FILE, str(failure), "`log_config`")
        return
    yield from silenced(config, path)


def silenced(config: Mapping[str, Any], where: str) -> Iterator[Remark]:
    """What of a log configuration keeps our lines from being written, as `logging.config.dictConfig` reads it. Pure.

    Args:
        config: the file's content.
        where: its path.
    """
    if config.get("disable_existing_loggers", True) is not False:
        text = "without `disable_existing_loggers: false` nothing of the modules is logged, not even errors"
        yield warning(Check.LOG_DISABLED, text, where)
    loggers = section(config, "loggers")
    names = [_OURS, *(name for name in map(str, loggers) if name.startswith(f"{_OURS}."))]
    for name in names:
        level = _effective_level(config, name)
        if level is None:
            yield error(Check.LOG_LEVEL, f"a level of `{name}` is none of {', '.join(_LEVELS)}", where)
        elif level > logging.INFO:
            text = f"`{name}` is logged from {logging.getLevelName(level)} on: who did what and why is INFO"
            yield warning(Check.LOG_LEVEL, text, where)
    handlers = section(config, "handlers")
    for name in [_OURS, *([_AUDIT] if _AUDIT in loggers else [])]:
        used = list(_handlers(config, name))
        missing = [one for one in used if one not in handlers]
        if missing:
            yield error(Check.LOG_HANDLER, f"there is no handler `{missing[0]}`, which `{name}` is to have", where)
        elif not any(_writes(section(handlers, one)) for one in used):
            yield warning(Check.LOG_HANDLER, f"no handler writes what `{name}` says: INFO goes nowhere", where)


def _chain(name: str) -> Iterator[str]:
    """A logger's name, and those above it."""
    while name:
        yield name
        name = name.rpartition(".")[0]


def _effective_level(config: Mapping[str, Any], name: str) -> int | None:
    """The level that counts; None when one on the way is none."""
    loggers = section(config, "loggers")
    for each in (*(section(loggers, part) for part in _chain(name)), section(config, "root")):
        if each.get("level") is None:
            continue
        level = _level(each["level"])
        if level != logging.NOTSET:
            return level
    # Where the root has none it keeps Python's.
    return logging.NOTSET if section(config, "root").get("level") is not None else logging.WARNING


def _level(written: object) -> int | None:
    if isinstance(written, int) and not isinstance(written, bool):
        return written
    return _LEVELS.get(written) if isinstance(written, str) else None


def _handlers(config: Mapping[str, Any], name: str) -> Iterator[str]:
    loggers = section(config, "loggers")
    for part in _chain(name):
        yield from (one for one in items(section(loggers, part), "handlers") if isinstance(one, str))
        if section(loggers, part).get("propagate", True) is False:
            return
    yield from (one for one in items(section(config, "root"), "handlers") if isinstance(one, str))


def _writes(handler: Mapping[str, Any]) -> bool:
    level = _level(handler.get("level", "NOTSET"))
    return handler.get("class") != _WRITES_NOTHING and level is not None and level <= logging.INFO
