"""All steps of the demo behind its opening, in the order in which they are played."""

from collections.abc import Sequence
from typing import Final

from synapse_bum.cli.demo import (
    availability,
    encrypted,
    federation,
    identity,
    outage,
    portal,
    records,
    retention,
    storage,
    uploads,
)
from synapse_bum.cli.demo.step import Step

# The storage accounting is compared with the disk before anything is deleted: bytes go some seconds before their row.
STORY: Final[Sequence[Step]] = (
    *uploads.STEPS,
    *storage.STEPS,
    *encrypted.STEPS,
    *records.STEPS,
    *retention.STEPS,
    *federation.STEPS,
    *identity.STEPS,
    *availability.STEPS,
    *portal.STEPS,
    *outage.STEPS,
)
