"""Whether the modules' log lines, errors included, reach anybody."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from synapse_bum.cli.check.configuration import ConfigurationError, read_configuration
from synapse_bum.cli.check.remark import Level, Remark


def log_remarks(homeserver: Mapping[str, Any]) -> Iterator[Remark]:
    """Look at the file that `log_config` names.

    Args:
        homeserver: homeserver.yaml.
    """
    path = homeserver.get("log_config")
    if not isinstance(path, str):
        return
    try:
        config = read_configuration([Path(path)])
    except ConfigurationError as error:
        yield Remark(Level.ERROR, f"`log_config`: {error}")
        return
    if config.get("disable_existing_loggers", True) is not False:
        text = f"{path}: without `disable_existing_loggers: false` nothing of the modules is logged, not even errors"
        yield Remark(Level.WARNING, text)
