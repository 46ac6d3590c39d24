"""Moments in Germany, as people write them."""

import datetime as dt
from typing import Final
from zoneinfo import ZoneInfo

BERLIN: Final = ZoneInfo("Europe/Berlin")


def berlin_ms(text: str) -> int:
    """Returns a moment such as `2026-03-29 03:00`, in ms since the epoch; an hour that comes twice is the first one."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()) * 1_000
