"""Which lifetime the last finished run of a class went by, and when that was."""

from collections.abc import Mapping
from typing import Final

import attr

from synapse_bum.database import Cursor
from synapse_bum.quantities import Duration
from synapse_bum.retention.classes import RetentionClass

# At most three rows.
_READ: Final = "SELECT class, lifetime_ms, lifetime_years, last_success_ts FROM synapse_bum_retention_classes"
_WRITE: Final = (
    "INSERT INTO synapse_bum_retention_classes (class, lifetime_ms, lifetime_years, last_success_ts)"
    " VALUES (?, ?, ?, ?) ON CONFLICT (class) DO UPDATE SET lifetime_ms = excluded.lifetime_ms,"
    " lifetime_years = excluded.lifetime_years,"
    " last_success_ts = COALESCE(excluded.last_success_ts, synapse_bum_retention_classes.last_success_ts)"
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Agreement:
    """What the last finished run of a class went by.

    Attributes:
        lifetime: that nobody has to confirm any more.
        last_success_ts: when a run last left nothing behind; ms since the epoch. None when none has.
    """

    lifetime: Duration
    last_success_ts: int | None


def read_agreements(txn: Cursor) -> Mapping[RetentionClass, Agreement]:
    """Reads all there are."""
    txn.execute(_READ)
    return {
        RetentionClass(name): Agreement(Duration(fixed_ms, years), success_ts)
        for name, fixed_ms, years, success_ts in txn.fetchall()
    }


def write_agreement(txn: Cursor, kind: RetentionClass, agreement: Agreement) -> None:
    """Writes one, in the place of the one that the class may have; without a success, the last one stays."""
    lifetime = agreement.lifetime
    txn.execute(_WRITE, (kind.value, lifetime.fixed_ms, lifetime.years, agreement.last_success_ts))
