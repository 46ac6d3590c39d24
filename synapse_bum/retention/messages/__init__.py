"""Messages by age: which events are expired, and how they leave a room that goes on."""

from synapse_bum.retention.messages.purger import MessagePurger
from synapse_bum.retention.messages.purges import PurgeOutbox, count_purges, list_purges

__all__ = ["MessagePurger", "PurgeOutbox", "count_purges", "list_purges"]
