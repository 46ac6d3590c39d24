"""A content scanner as its clients see it, ours or another: requests to scan, and the trivial `public_key`."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

import attr

from benchmarks.http_connections import Connection, Request, ask_all, slowest_answer
from benchmarks.measuring import Batch
from benchmarks.memory_files import MemoryFiles
from synapse_bum.testing.local_server import LocalServer

PUBLIC_KEY: Final = Request("GET", "/_matrix/media_proxy/unstable/public_key")


class NotCleanError(Exception):
    """A file was not found clean, so its time says nothing."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ScannerService:
    """A content scanner that runs.

    Attributes:
        server: its process, which for ours is Synapse.
        base_url: `http://host:port`.
        tokens: access tokens of its users: each connection is another user's.
    """

    server: LocalServer
    base_url: str
    tokens: Sequence[str] = attr.ib(repr=False)

    def scan(self, requests: Sequence[Request], concurrency: int) -> Batch:
        """Have files scanned.

        Args:
            requests: one for each file.
            concurrency: requests at a time; at most as many as there are tokens.

        Raises:
            NotCleanError: one was not clean.
            RequestError: there was no verdict.
        """
        with self.connected(concurrency) as connections:
            return ask_all(connections, requests, _expect_clean)

    def ask_for_key(self, count: int, concurrency: int) -> Batch:
        """Ask for the public key, which costs a server next to nothing: what remains is HTTP and the client."""
        with self.connected(concurrency) as connections:
            return ask_all(connections, [PUBLIC_KEY] * count)

    def scan_watched(self, request: Request, tiny: Request, files: MemoryFiles) -> float:
        """Have a file scanned, and look how the service treats others meanwhile.

        Args:
            request: to scan it.
            tiny: what others ask for.
            files: is told to look at the service's files in memory, again and again.

        Returns:
            How long the slowest tiny request took, in seconds.

        Raises:
            NotCleanError: the file was not clean.
            RequestError: there was no verdict.
        """
        with self.connected(2) as (scanning, other):
            scanning.send(request)
            longest_s = slowest_answer(other, tiny, scanning.has_answer, files.look)
            _expect_clean(scanning.receive())
            return longest_s

    @contextmanager
    def connected(self, count: int) -> Iterator[Sequence[Connection]]:
        """Open connections, each of another user, and close them in the end."""
        with ExitStack() as everything:
            connections = [everything.enter_context(Connection(self.base_url, token)) for token in self.tokens[:count]]
            for connection in connections:
                # The server has accepted the connection when this is answered, before any clock starts.
                connection.ask(PUBLIC_KEY)
            yield connections


def _expect_clean(body: bytes) -> None:
    if json.loads(body)["clean"] is not True:
        raise NotCleanError(body.decode())
