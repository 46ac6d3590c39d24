"""Short ways to ask an engine in tests that run on the real reactor."""

import os

from twisted.internet import reactor

from synapse_bum.antivirus.engines.clamd import ClamdEngine
from synapse_bum.antivirus.engines.engine import Engine, ScanResult
from synapse_bum.antivirus.scanning.probes import in_memory


def clamd_engine(address: str, *, timeout_s: float = 10.0, max_connections: int = 4) -> ClamdEngine:
    """An engine on the real reactor and its thread pool."""
    return ClamdEngine(
        reactor,  # type: ignore[arg-type]
        address,
        timeout_s=timeout_s,
        max_connections=max_connections,
        read_pool=reactor.getThreadPool(),  # type: ignore[attr-defined]
    )


async def scan_bytes(engine: Engine, content: bytes) -> ScanResult:
    """Scan some bytes."""
    fd = in_memory(content)
    try:
        return await engine.scan(fd, len(content))
    finally:
        os.close(fd)


async def scan_path(engine: Engine, path: str) -> ScanResult:
    """Scan a file on disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return await engine.scan(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)
