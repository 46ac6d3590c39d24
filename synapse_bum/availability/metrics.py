"""Metrics of the availability, in Synapse's own /_synapse/metrics.

Gauges are set by the process that holds the lease; in all others they are NaN, because 0 is a statement.
"""

from typing import Final

from prometheus_client import Gauge

from synapse_bum.availability.calculation import Availability

TARGET = Gauge("synapse_bum_availability_target_ratio", "The availability that was promised")
CONTRACTUAL = Gauge(
    "synapse_bum_availability_ratio", "Availability of the running month by the contract, as if nothing more came"
)
MEASURED = Gauge(
    "synapse_bum_availability_measured_ratio", "The same of all outages, with and without ticket and excuse"
)
OUTAGE_OPEN = Gauge("synapse_bum_availability_outage_open", "Whether an outage goes on")
LAST_RESULT = Gauge(
    "synapse_bum_availability_last_probe_timestamp_seconds", "When a probe last tried something that counts"
)

_NO_NUMBER: Final = float("nan")


def show(found: Availability, open_outages: int, last_result_ts: int | None) -> None:
    """Set the gauges.

    Args:
        found: of the running month.
        open_outages: how many outages go on.
        last_result_ts: when a probe last tried something that counts, ms since the epoch; None when none ever did.
    """
    TARGET.set(float(found.target))
    CONTRACTUAL.set(float(found.availability))
    MEASURED.set(float(found.measured_availability))
    OUTAGE_OPEN.set(int(open_outages > 0))
    LAST_RESULT.set(_NO_NUMBER if last_result_ts is None else last_result_ts / 1000)


def nothing_is_known() -> None:
    """Says that another process tells what the database holds."""
    for gauge in (TARGET, CONTRACTUAL, MEASURED, OUTAGE_OPEN, LAST_RESULT):
        gauge.set(_NO_NUMBER)


nothing_is_known()
