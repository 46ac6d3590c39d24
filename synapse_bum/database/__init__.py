"""Our own tables in the homeserver's database: versions, transactions, leases."""

from synapse_bum.database.leases import Lease, Leases, Outcome
from synapse_bum.database.schema import Component, Cursor, Dialect, Migration, SchemaTooNewError
from synapse_bum.database.transactions import Database, DatabaseNotReadyError

__all__ = [
    "Component",
    "Cursor",
    "Database",
    "DatabaseNotReadyError",
    "Dialect",
    "Lease",
    "Leases",
    "Migration",
    "Outcome",
    "SchemaTooNewError",
]
