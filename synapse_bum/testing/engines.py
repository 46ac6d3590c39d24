"""A scanner that answers from a script, and a way to run code that awaits Deferreds without a reactor."""

import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.python.failure import Failure

from synapse_bum.antivirus.engines.engine import (
    Clean,
    EngineError,
    EngineVersion,
    Failed,
    FailureReason,
    Infected,
    NotFullyScanned,
    ScanResult,
)
from synapse_bum.antivirus.scanning.probes import EICAR

T = TypeVar("T")

Answer = Callable[[bytes], ScanResult]
"""What a scripted scanner says about a file's content."""


def finds_eicar(content: bytes) -> ScanResult:
    """Answers as a scanner without limits does about files that are not packed."""
    return Infected("Eicar-Test-Signature") if EICAR in content else Clean()


def up_to(limit: int, above: ScanResult | None = None) -> Answer:
    """Answers as a scanner that looks only into files of at most `limit` bytes.

    Args:
        limit: bytes.
        above: about larger files; `Clean`, the silent pass, by default.
    """

    def answer(content: bytes) -> ScanResult:
        return finds_eicar(content) if len(content) <= limit else (above or Clean())

    return answer


class FakeEngine:
    """A scanner in memory; see `synapse_bum.antivirus.engines.engine.Engine`.

    Attributes:
        answer: what it says about content; replace it to change its mind.
        reachable: when False, every question fails as UNREACHABLE.
        silent: when True, `version` fails as TIMEOUT.
        scanned: content of every file that it was asked about.
        hold: while set, scans wait for it.
    """

    transport = "FAKE"

    def __init__(self, address: str = "fake:1", answer: Answer = finds_eicar) -> None:
        self.address = address
        self.answer = answer
        self.reachable = True
        self.silent = False
        self.versions = 0
        self.incarnation = 0
        self.signature_version: str | None = "27800"
        self.scanned: list[bytes] = []
        self.hold: Deferred[None] | None = None
        self.closed = False

    async def scan(self, fd: int, size: int) -> ScanResult:
        """Answers from the script."""
        content = os.pread(fd, size, 0)
        self.scanned.append(content)
        if self.hold is not None:
            released: Deferred[None] = Deferred()
            self.hold.addBoth(lambda _: released.callback(None))
            await released
        if not self.reachable:
            return unreachable(self.address)
        return self.answer(content)

    async def version(self) -> EngineVersion:
        """Says who it is.

        Raises:
            EngineError: it is not reachable.
        """
        self.versions += 1
        if self.silent:
            raise EngineError(FailureReason.TIMEOUT, f"{self.address}: no reply to VERSION")
        if not self.reachable:
            raise EngineError(FailureReason.UNREACHABLE, f"no connection to {self.address}")
        return EngineVersion("FakeAV 1.0", self.signature_version, 1_000_000)

    async def close(self) -> None:
        """Takes note."""
        self.closed = True


def unreachable(address: str) -> ScanResult:
    """The failure of a scanner that is away."""
    return Failed(FailureReason.UNREACHABLE, f"no connection to {address}")


def limits(name: str = "MaxScanSize") -> NotFullyScanned:
    """The answer of a clamd with `AlertExceedsMax yes` that reached a limit."""
    return NotFullyScanned(f"Heuristics.Limits.Exceeded.{name}")


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing outside, and give its result.

    Raises:
        AssertionError: it still waits.
        Exception: what it raised.
    """
    results: list[T | Failure] = []
    ensureDeferred(coroutine).addBoth(results.append)
    assert results, "it still waits for something"
    (result,) = results
    if isinstance(result, Failure):
        raise cast("Exception", result.value)
    return result


async def at_once(function: Callable[..., T], *args: object) -> T:
    """Stands for running a function in a thread."""
    return function(*args)
