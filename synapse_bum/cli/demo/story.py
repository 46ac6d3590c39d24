"""All steps of the demo behind its opening, in the order in which they are played."""

from collections.abc import Sequence
from typing import Final

from synapse_bum.cli.demo import encrypted, federation, outage, records, retention, uploads
from synapse_bum.cli.demo.step import Step

STORY: Final[Sequence[Step]] = (
    *uploads.STEPS,
    *encrypted.STEPS,
    *records.STEPS,
    *retention.STEPS,
    *federation.STEPS,
    *outage.STEPS,
)
