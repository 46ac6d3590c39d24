"""What scans of large attachments do to other requests and to memory: of Synapse with our API, and of the peer."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attr

from benchmarks.clamd_peers import RawConnections
from benchmarks.http_connections import Request, slowest_answer
from benchmarks.measuring import Goal, spread
from benchmarks.memory_files import MemoryFiles
from benchmarks.report import Row, Section
from benchmarks.sample_files import SampleFiles
from benchmarks.scanner_services import ScannerService
from benchmarks.servers import peak_memory
from synapse_bum.testing.clamd import RealClamd

LONGEST_STALL_MS: Final = 15
MEMORY_GROWTH_MB: Final = 16

VERSIONS: Final = Request("GET", "/_matrix/client/versions")

_MB: Final = 1_000_000
_MS: Final = 1_000


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Burden:
    """What some scans did, one after another.

    Attributes:
        stalls_ms: how long another request took at most, of each scan.
        growth_mb: of the resident set at its peak, over all scans.
        plaintext_mb: in files in memory at their peak, which the resident set does not count.
    """

    stalls_ms: Sequence[float]
    growth_mb: float
    plaintext_mb: float


def burden_of(service: ScannerService, requests: Iterable[Request], tiny: Request) -> Burden:
    """Have attachments scanned, one at a time, and look at what that does to the service.

    Args:
        service: scans them.
        requests: the first is to get buffers and caches to their usual size and does not count.
        tiny: what somebody else asks the same service for, over and over.
    """
    remaining = iter(requests)
    files = MemoryFiles(service.server.pid)
    service.scan_watched(next(remaining), tiny, files)
    with peak_memory(service.server.pid) as growth:
        stalls_ms = [service.scan_watched(request, tiny, files) * _MS for request in remaining]
    return Burden(stalls_ms, growth[0] / _MB, files.peak_bytes / _MB)


def stall_of_the_machine(service: ScannerService, tiny: Request, clamd: RealClamd, samples: SampleFiles) -> float:
    """How long another request takes at most, in ms, while the service does nothing but somebody has clamd scan a file.

    Args:
        service: is asked for the tiny thing.
        tiny: what it is asked for.
        clamd: scans.
        samples: files of the usual size.
    """
    paths = samples.fresh(1)
    scan = threading.Thread(target=RawConnections(clamd).scan, args=(paths, 1))
    with service.connected(1) as (other,):
        scan.start()
        try:
            return slowest_answer(other, tiny, lambda: not scan.is_alive(), MemoryFiles(service.server.pid).look) * _MS
        finally:
            scan.join()


def burden_section(burdens: Mapping[str, Burden], alone_ms: Sequence[float]) -> Section:
    """Put burdens side by side.

    Args:
        burdens: by name of the service; the first is ours, of which something was promised.
        alone_ms: of as many scans, see `stall_of_the_machine`.
    """
    stalls = {name: spread(burden.stalls_ms) for name, burden in burdens.items()}
    alone = spread(alone_ms)
    rows: list[Row] = [
        (name, stalls[name], stalls[name].highest, burden.growth_mb, burden.plaintext_mb)
        for name, burden in burdens.items()
    ]
    ours = next(iter(burdens))
    return Section(
        title="Other requests and memory during scans of attachments of 50 MB",
        columns=(
            "",
            "longest stall of a scan, ms",
            "of all scans, ms",
            "growth of memory at its peak, MB",
            "files in memory at their peak, MB",
        ),
        rows=[*rows, ("Synapse, while somebody else has clamd scan", alone, alone.highest, None, None)],
        goals=[
            Goal("longest stall, ours", stalls[ours].highest, LONGEST_STALL_MS, "ms", without_us=alone.highest),
            Goal("growth of memory, ours", burdens[ours].growth_mb, MEMORY_GROWTH_MB, "MB"),
        ],
        remarks=[
            f"{stalls[ours].runs} scans each, one at a time, after one that does not count.",
            (
                "A stall is how long a tiny request to the same process takes: for `versions` to Synapse, for"
                " `public_key` to the peer. The last row is what the machine alone does to such a request."
            ),
            (
                "Memory is the resident set, without the peer's scan processes. Files in memory count to the same limit"
                " of a container."
            ),
        ],
    )
