"""The `config:` of `synapse_bum.availability.AvailabilityModule`. Each key is explained in README.md."""

import datetime as dt
import re
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

import attr

from synapse_bum.config import (
    Path,
    SharedConfig,
    absolute_path,
    duration_ms,
    fail,
    number,
    option,
    time_zone,
)
from synapse_bum.quantities import Duration, parse_duration, shown

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MAX_DECIMALS: Final = 6
_MIN_INTERVAL_MS: Final = 1_000
_MAX_INTERVAL_MS: Final = 60_000
_MIN_LIFETIME_MS: Final = 62 * 86_400_000


def _share(value: object, path: Path) -> Decimal:
    """Reads a share such as 0.999, exactly as it is written."""
    share = Decimal(str(number(0.5, 1)(value, path)))
    if share != round(share, _MAX_DECIMALS):
        fail(path, f"must have at most {_MAX_DECIMALS} decimals")
    return share


def _interval_ms(value: object, path: Path) -> int:
    interval_ms = duration_ms(value, path)
    if not _MIN_INTERVAL_MS <= interval_ms <= _MAX_INTERVAL_MS:
        fail(path, f"must be from `1s` to `60s`, not {shown(value)}: the report counts minutes")
    return interval_ms


def _lifetime(value: object, path: Path) -> Duration:
    try:
        lifetime = parse_duration(value)
    except ValueError as error:
        fail(path, str(error))
    if lifetime.nominal_ms < _MIN_LIFETIME_MS:
        fail(path, f"must be at least `62d`, not {shown(value)}: the report of the last month needs them")
    return lifetime


def _day(value: object, path: Path) -> dt.date:
    """Reads a day; YAML delivers one without quotes as a date."""
    expected = "must be a day such as `2026-01-31`"
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            fail(path, f"{expected}; there is no such day")
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        fail(path, expected)
    return value


@attr.s(auto_attribs=True, frozen=True, slots=True)
class AvailabilityConfig(SharedConfig):
    """The whole configuration of the module.

    Attributes:
        target: the share of the service minutes that was promised.
        probe_token_path: file with the secret of the probe; None for one that is made here.
        probe_interval_ms: how often probes ask, and so the grain of what is measured; at most a minute.
        probe_results_lifetime: how long their results are kept.
        service_begin: first day of the service; None when each month counts from its first minute.
        timezone: where days and months begin.
    """

    target: Decimal = option(_share, default=0.999)
    probe_token_path: str | None = option(absolute_path, default=None)
    probe_interval_ms: int = option(_interval_ms, default="60s", key="probe_interval")
    probe_results_lifetime: Duration = option(_lifetime, default="400d")
    service_begin: dt.date | None = option(_day, default=None)
    timezone: ZoneInfo = option(time_zone, default="Europe/Berlin")

    @property
    def service_begin_ms(self) -> int | None:
        """First moment of the service, ms since the epoch; None when it was always there."""
        day = self.service_begin
        if day is None:
            return None
        return int(dt.datetime(day.year, day.month, day.day, tzinfo=self.timezone).timestamp()) * 1_000
