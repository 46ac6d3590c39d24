"""Remote files between their download and their verdict, on versions of Synapse that write the row too early.

`homeserver.media.hide_arrival` says why. `synapse_bum_antivirus_arrivals` is the journal of what is hidden, so that a
crash leaves neither a file that is served unscanned nor one that is lost for ever.
"""

from synapse.module_api import LoggingTransaction

from synapse_bum.homeserver import media

MARKER = "synapse_bum:scanning"
"""Our value of `quarantined_by` while a remote file is being scanned."""

ABANDONED_AFTER_MS = 3_600_000
"""A scan that takes longer than this has died with its process."""


def begin(txn: LoggingTransaction, server_name: str, media_id: str, file_id: str, now_ms: int) -> bool:
    """Hide a file before its scan.

    Args:
        txn: in a transaction; rows by unique keys.
        server_name: where the file was uploaded.
        media_id: as in the mxc URI.
        file_id: name of the file on disk.
        now_ms: ms since the epoch.

    Returns:
        Whether this Synapse has a row already, so that `let_in` or `turn_away` must follow.
    """
    hidden, sha256 = media.hide_arrival(txn, server_name, media_id, file_id, MARKER)
    if not hidden:
        return False
    txn.execute(
        "INSERT INTO synapse_bum_antivirus_arrivals (server_name, media_id, sha256, since_ts) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (server_name, media_id) DO UPDATE SET sha256 = excluded.sha256, since_ts = excluded.since_ts",
        (server_name, media_id, sha256, now_ms),
    )
    return True


def let_in(txn: LoggingTransaction, server_name: str, media_id: str) -> None:
    """Show a file that was found clean."""
    txn.execute(
        "SELECT sha256 FROM synapse_bum_antivirus_arrivals WHERE server_name = ? AND media_id = ?",
        (server_name, media_id),
    )
    row = txn.fetchone()
    media.show_arrival(txn, server_name, media_id, MARKER, None if row is None else row[0])
    forget(txn, server_name, media_id)


def turn_away(txn: LoggingTransaction, server_name: str, media_id: str) -> None:
    """Remove the row of a file that is refused; Synapse removes the file."""
    media.drop_arrival(txn, server_name, media_id, MARKER)
    forget(txn, server_name, media_id)


def turn_away_abandoned(txn: LoggingTransaction, now_ms: int) -> None:
    """Remove the rows of files whose scan died with its process: they are fetched and scanned again when asked for."""
    txn.execute(
        "SELECT server_name, media_id FROM synapse_bum_antivirus_arrivals WHERE since_ts < ?",
        (now_ms - ABANDONED_AFTER_MS,),
    )
    for server_name, media_id in txn.fetchall():
        turn_away(txn, server_name, media_id)


def forget(txn: LoggingTransaction, server_name: str, media_id: str) -> None:
    """Drop the journal's row: the file is hidden no more, or held instead."""
    txn.execute(
        "DELETE FROM synapse_bum_antivirus_arrivals WHERE server_name = ? AND media_id = ?", (server_name, media_id)
    )
