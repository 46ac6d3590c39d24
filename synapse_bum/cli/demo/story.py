"""All steps of the demo behind its opening, in the order in which they are played."""

from collections.abc import Sequence
from typing import Final

from synapse_bum.cli.demo import outage, records, uploads
from synapse_bum.cli.demo.step import Step

STORY: Final[Sequence[Step]] = (*uploads.STEPS, *records.STEPS, *outage.STEPS)
