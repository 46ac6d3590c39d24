"""A trial test case for the ICAP engine: a fake server, an engine that asks it, files to scan."""

import os

from twisted.internet import reactor
from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from synapse_bum.antivirus.engines.engine import Failed, FailureReason, ScanResult
from synapse_bum.antivirus.engines.icap import IcapEngine
from synapse_bum.testing.icap_server import FakeIcapServer
from synapse_bum.testing.malware import filler

assert isinstance(reactor, ReactorBase)
CLOCK = reactor
"""The reactor, typed."""

SMALL = filler(700)
"""A file that fits into a preview."""

SHORT_TIMEOUT_S = 0.4
"""Time limit for an engine that is meant to run into it."""


class IcapEngineTestCase(TestCase):
    """Each test has a server and an engine of its own.

    Attributes:
        server: answers 204 unless the test says otherwise.
        engine: asks the server, with a time limit of 10 s and 4 connections.
    """

    timeout = 30

    def setUp(self) -> None:
        """Start the server."""
        self.server = FakeIcapServer()
        self.server.start()
        self.addCleanup(self.server.stop)
        self.engine = self.an_engine()

    def an_engine(self, timeout_s: float = 10.0, max_connections: int = 4, arguments: str = "") -> IcapEngine:
        """Make another engine for the server, which is closed after the test."""
        address = self.server.address + arguments
        engine = IcapEngine(CLOCK, address, timeout_s=timeout_s, max_connections=max_connections)
        self.addCleanup(lambda: Deferred.fromCoroutine(engine.close()))
        return engine

    def a_file(self, content: bytes) -> int:
        """Make a file in memory, which is closed after the test; returns its descriptor."""
        fd = os.memfd_create("scanned")
        self.addCleanup(os.close, fd)
        assert os.write(fd, content) == len(content)
        return fd

    def scan(self, content: bytes = SMALL, engine: IcapEngine | None = None) -> "Deferred[ScanResult]":
        """Scan a file with this content."""
        return Deferred.fromCoroutine((engine or self.engine).scan(self.a_file(content), len(content)))

    async def assert_fails(
        self, reason: FailureReason, content: bytes = SMALL, engine: IcapEngine | None = None
    ) -> None:
        """Check that a scan of this content fails for this reason, and that the detail names the scanner."""
        result = await self.scan(content, engine)
        assert isinstance(result, Failed), result
        assert result.reason is reason, result
        assert result.detail.startswith(self.server.address), result


def pause(seconds: float) -> "Deferred[None]":
    """Let the reactor run for a while."""
    return deferLater(CLOCK, seconds, lambda: None)
