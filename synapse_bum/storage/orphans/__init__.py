"""Orphans: files that no row knows, and rows whose file is nowhere, in the media store and at storage providers."""

from synapse_bum.storage.orphans.api import OrphansApi
from synapse_bum.storage.orphans.duty import OrphanDuty
from synapse_bum.storage.orphans.tables import ORPHANS

__all__ = ["ORPHANS", "OrphanDuty", "OrphansApi"]
