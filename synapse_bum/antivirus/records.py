"""Findings together with their audit rows: what a finding does is written down in one transaction."""

from collections.abc import Callable

from synapse_bum import audit
from synapse_bum.antivirus import blocking
from synapse_bum.antivirus.findings import Finding, FindingState, record_finding
from synapse_bum.database import Cursor
from synapse_bum.homeserver.media import StoredMedia
