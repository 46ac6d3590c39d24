"""What is queued for other servers: how far a server has received, and dropping what it shall not get.

Run on Synapse 1.133.0 and 1.163.2: tables `destinations`, `destination_rooms` and `device_federation_outbox`,
`synapse/federation/sender/__init__.py`.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
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


class _NoQueue:
    """Stands for the queue of a server that stopped being a partner while an event was on its way to all queues."""

    def send_pdu(self, _event: object) -> None:
        """As `PerDestinationQueue.send_pdu`: the event stays here."""


def keep_sending_to_others(api: ModuleApi, is_allowed: Callable[[str], bool]) -> None:
    """Has the sender go on when a server stops being a partner while an event is handed to all servers of a room.

    Synapse asks who is allowed, waits for its database, asks again, and fails for all servers if the answer is another
    one. What is dropped here is nothing that could leave: the federation client asks too.

    Args:
        api: of the homeserver, running; a process that sends nothing has no queues.
        is_allowed: says whether we may send something to a server.
    """
    if not api._hs.should_send_federation():
        return
    sender: Any = api._hs.get_federation_sender()
    send_pdu: Callable[[object, set[str]], Awaitable[None]] = sender._send_pdu
    queue_of: Callable[[str], object] = sender._get_per_destination_queue
    under_way: Counter[str] = Counter()

    async def send_steadily(event: object, destinations: Iterable[str]) -> None:
        servers = set(destinations)
        allowed = [server for server in servers if is_allowed(server)]
        under_way.update(allowed)
        try:
            await send_pdu(event, servers)
        finally:
            for server in allowed:
                under_way[server] -= 1
                if not under_way[server]:
                    del under_way[server]

    def queue_or_none(destination: str) -> object:
        queue = queue_of(destination)
        return _NoQueue() if queue is None and destination in under_way else queue

    sender._send_pdu = send_steadily
    sender._get_per_destination_queue = queue_or_none
