"""The step about the availability: outages of the month before are entered, and its report is calculated again."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from http import HTTPStatus
from typing import Any, Final
from zoneinfo import ZoneInfo

from synapse_bum.cli.demo.promise import require
from synapse_bum.cli.demo.stage import API, Stage
from synapse_bum.cli.demo.step import Step
from synapse_bum.months import Month

_ZONE: Final = ZoneInfo("Europe/Berlin")
"""The default of the module: where its months begin."""

_MINUTE_MS: Final = 60_000
_OUTAGES: Final = "availability/outages"


def _minutes(first: int, last: int, **known: str) -> dict[str, Any]:
    """An outage from one minute to another one, counted from an ordinary morning in the month before this one."""
    month = Month.of(datetime.now(_ZONE).date().replace(day=1) - timedelta(days=1))
    morning = int(datetime(month.year, month.number, 10, 10, tzinfo=_ZONE).timestamp()) * 1000
    return {"from_ts": morning + first * _MINUTE_MS, "to_ts": morning + last * _MINUTE_MS, **known}


def _enter(stage: Stage, outage: dict[str, Any]) -> None:
    answer = stage.admin.post(f"{API}/{_OUTAGES}", outage)
    require(answer.status == HTTPStatus.OK, f"The outage was answered with HTTP {answer.status}, not with 200.")


def _report(stage: Stage) -> Iterator[str]:
    month = Month.of(datetime.now(_ZONE).date().replace(day=1) - timedelta(days=1))
    _enter(stage, _minutes(0, 30, reason="power supply", ticket="INC-1"))
    _enter(stage, _minutes(20, 40, reason="the same from another side", ticket="INC-2"))
    _enter(stage, _minutes(60, 90, reason="announced update", ticket="CHG-3", excuse="maintenance"))
    _enter(stage, _minutes(120, 125, reason="nobody has reported it"))
    yield (
        f"Four outages of {month} are entered: two that overlap, 30 and 20 minutes long, one that is excused as"
        " maintenance, and one without a ticket."
    )
    report = stage.read(f"availability?month={month}")
    counted = {name: report[f"{name}_minutes"] for name in ("outage", "excused", "measured_outage")}
    expected = {"outage": 40, "excused": 30, "measured_outage": 75}
    require(counted == expected, f"The report counts {counted}, not {expected}.")
    yield "The report counts 40 outage minutes, 30 excused ones, and beside them all 75 that people have noticed."
    begin_ms, end_ms = month.bounds_ms(_ZONE)
    minutes = (end_ms - begin_ms) // _MINUTE_MS
    share = int(Fraction(minutes - 40, minutes) * 10**8) / 10**8
    require(report["service_minutes"] == minutes, f"It says {report['service_minutes']} service minutes.")
    require(report["availability"] == share, f"It says {report['availability']}, not {share}.")
    require(report["target_met"] is (share >= report["target"]), "It is wrong about the target.")
    yield f"({minutes:,} - 40) / {minutes:,} = {share:.6%}, as anybody can calculate again."
    said = stage.admin.get(f"{API}/availability", month=str(month), format="text").body.decode()
    require("INC-1" in said and "CHG-3" in said, "The text of the report does not name the outages.")
    rows = stage.read("audit?action=availability.entered")["audit"]
    actors = {row["actor"] for row in rows}
    require(actors == {stage.admin.user_id}, f"The audit names {actors} as who entered them.")
    yield "The same comes as German text to be mailed and as CSV; the audit names who entered each outage."


STEPS: Final = (
    Step(
        "The availability of a month is reported",
        "what was promised is calculated by the formula of the contract, minute by minute",
        _report,
    ),
)
