"""What the availability module leaves open, and whether the secret of the probe can be read."""

import stat
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

from synapse.module_api.errors import ConfigError

from synapse_bum.availability.config import AvailabilityConfig
from synapse_bum.availability.probe_token import read_probe_token
from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.remark import Level, Remark
from synapse_bum.config import SetupError


def policy_remarks(config: AvailabilityConfig, today: date | None = None) -> Iterator[Remark]:
    """What the configuration leaves open.

    Args:
        config: of the module.
        today: whether the service has begun; None for the day that it is.
    """
    path = config.probe_token_path
    if path is None:
        yield Remark(
            Check.PROBE_TOKEN,
            Level.WARNING,
            "`probe_token_path` is not set: the secret of the probe is made in the database, and operators get it by"
            " `POST .../availability/probe_token`",
        )
    else:
        yield from _token_remarks(path)
    begin = config.service_begin
    if begin is not None and begin > (today or datetime.now(config.timezone).date()):
        text = f"`service_begin` ({begin.isoformat()}) is in the future: until then there is no report"
        yield Remark(Check.SERVICE_BEGIN, Level.WARNING, text)


def _token_remarks(path: str) -> Iterator[Remark]:
    try:
        read_probe_token(path)
    except ConfigError as error:
        yield Remark(Check.PROBE_TOKEN, Level.ERROR, error.msg)
    except SetupError as error:
        yield Remark(Check.PROBE_TOKEN, Level.ERROR, str(error))
    else:
        if Path(path).stat().st_mode & stat.S_IROTH:
            yield Remark(
                Check.PROBE_TOKEN, Level.WARNING, f"`probe_token_path`: everybody on this machine can read `{path}`"
            )
