"""Who did what, when and why: append-only and hash-chained, written in the transaction that does it."""

from synapse_bum.audit.chain import Detail, Entry, Row
from synapse_bum.audit.keeping import keep_audit
from synapse_bum.audit.table import AUDIT, Selection, append, read_page, verify

__all__ = ["AUDIT", "Detail", "Entry", "Row", "Selection", "append", "keep_audit", "read_page", "verify"]
