"""That Synapse is stopped, as far as its database tells: for commands that change what Synapse keeps in memory."""

from typing import Final

from synapse_bum.database import Dialect
from synapse_bum.database.leases import clock_sql
from synapse_bum.homeserver.offline_database import OfflineDatabase, OfflineTransaction

# The whole table: a row for each duty.
_HELD: Final = "SELECT count(*) FROM synapse_bum_leases WHERE expires_ts > {now}"


class SynapseRunsError(Exception):
    """Synapse seems to be running; the text says what tells so."""


def refuse_while_synapse_runs(database: OfflineDatabase, txn: OfflineTransaction, now_ms: int) -> None:
    """Look for others at the database, and for duties of our modules.

    Args:
        database: of the homeserver.
        txn: in a transaction; the table of leases is there.
        now_ms: ms since the epoch.

    Raises:
        SynapseRunsError: there are some.
    """
    others = database.others(txn)
    if others:
        raise SynapseRunsError(
            f"{others} others are at the database, by the same user: stop Synapse with all its workers, and whatever"
            " else is connected"
        )
    dialect = Dialect.POSTGRES if database.is_postgres else Dialect.SQLITE
    txn.execute(_HELD.format(now=clock_sql(dialect, now_ms)))
    row = txn.fetchone()
    if row is not None and row[0]:
        raise SynapseRunsError(
            "duties of the modules are held at this moment: stop Synapse with all its workers; after a crash wait for"
            " a minute"
        )
