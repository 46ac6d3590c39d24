"""A Redis of its own, on the loopback interface and with nothing on disk."""

import socket
from collections.abc import Sequence

from synapse_bum.testing.local_server import LOOPBACK, LocalServer, free_port

_START_SECONDS = 20.0


class RealRedis(LocalServer):
    """One Redis server; `redis-server` has to be on PATH.

    Attributes:
        port: of the loopback interface; the same after a restart.
    """

    def __init__(self) -> None:
        super().__init__("redis", _START_SECONDS)
        self.port = free_port()

    def _prepare(self) -> Sequence[str]:
        return ["redis-server", "--bind", LOOPBACK, "--port", str(self.port), "--save", "", "--appendonly", "no"]

    def _is_ready(self) -> bool:
        with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
