"""How many bytes are stored, exactly, without counting all of them each time.

`advance` adds what came and went, and `recount` counts all; both in one transaction on one snapshot of the database.
How that stays exact is said in `settling.py`.
"""

from synapse_bum.storage.ledger.book import Ledger, read
from synapse_bum.storage.ledger.counting import Recounted, advance, recount
from synapse_bum.storage.ledger.tables import LEDGER
from synapse_bum.storage.ledger.uploaders import UserOrder, list_users, user_bytes
from synapse_bum.storage.ledger.watching import watch_changes

__all__ = [
    "LEDGER",
    "Ledger",
    "Recounted",
    "UserOrder",
    "advance",
    "list_users",
    "read",
    "recount",
    "user_bytes",
    "watch_changes",
]
