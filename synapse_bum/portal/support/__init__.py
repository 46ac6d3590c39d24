"""Reports of faults: kept, mailed, confirmed, and answered within the time that the contract promises."""

from synapse_bum.portal.support.api import SupportApi
from synapse_bum.portal.support.post import Post, mails_go_out
from synapse_bum.portal.support.tickets import SUPPORT

__all__ = ["SUPPORT", "Post", "SupportApi", "mails_go_out"]
