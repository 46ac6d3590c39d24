"""The hard limit: uploads that do not fit any more are refused. Off unless `hard_limit_gb` is set."""

from synapse_bum.storage.limit.decision import Limits, Refusal
from synapse_bum.storage.limit.reservations import settle
from synapse_bum.storage.limit.tables import LIMIT
from synapse_bum.storage.limit.upload_limit import UPDATE_EVERY_MS, UploadLimit

__all__ = ["LIMIT", "UPDATE_EVERY_MS", "Limits", "Refusal", "UploadLimit", "settle"]
