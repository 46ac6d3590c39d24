"""What is queued for other servers: how far a server has received, and dropping what it shall not get.

Run on Synapse 1.133.0 and 1.163.2: tables `destinations`, `destination_rooms` and `device_federation_outbox`,
`synapse/federation/sender/__init__.py`.
"""

from collections.abc import Callable
from typing import Any

from synapse.module_api import LoggingTransaction, ModuleApi


def received_up_to(txn: LoggingTransaction, server: str) -> int | None:
    """The position in the stream of events up to which a server has taken what we sent it; by primary key."""
    txn.execute("SELECT last_successful_stream_ordering FROM destinations WHERE destination = ?", (server,))
    row = txn.fetchone()
    return None if row is None else row[0]


def known_servers(txn: LoggingTransaction, ending: str) -> list[str]:
    """All servers below a name that we ever sent something to; reads the names of all servers that there are.

    Args:
        txn: a transaction.
        ending: for example `.bund.example`; without `%` and `_`.
    """
    txn.execute("SELECT destination FROM destinations WHERE destination LIKE ?", (f"%{ending}",))
    return [server for (server,) in txn.fetchall()]


def drop_queued(txn: LoggingTransaction, server: str) -> int:
    """Drops what waits in the database for a server: messages to devices, and which rooms it has to catch up with.

    By the index on (destination, stream_id) and by primary key (destination, room_id): as many rows as there are.

    Returns:
        How many messages to devices were dropped.
    """
    txn.execute("DELETE FROM device_federation_outbox WHERE destination = ?", (server,))
    messages = txn.rowcount
    txn.execute("DELETE FROM destination_rooms WHERE destination = ?", (server,))
    return messages


def drop_queues_in_memory(api: ModuleApi, is_allowed: Callable[[str], bool]) -> int:
    """Drops what a process that sends holds in memory for servers that are not allowed any more.

    Otherwise it would send it when the server is allowed again. What the database holds is not touched.

    Args:
        api: of the homeserver; a process that sends nothing has no queues.
        is_allowed: says whether we may send something to a server.

    Returns:
        How many queues were dropped.
    """
    sender: Any = api._hs.__dict__.get("_federation_sender")
    queues: dict[str, Any] = getattr(sender, "_per_destination_queues", {})
    dropped = [server for server in queues if not is_allowed(server)]
    for server in dropped:
        del queues[server]
    return len(dropped)
