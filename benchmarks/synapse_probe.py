"""Our own path, timed inside a real Synapse: on its reactor, in its log contexts, with its database.

`ProbedAntivirusModule` is the antivirus module with one more resource, which takes orders from the benchmark: scan
these files by the gate's callback or by a bare engine, or do nothing, and say how long it took and how long the reactor
was busy with one thing. For benchmarks only: the resource asks nobody for a token.
"""

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO, Final, TypeVar, cast

import attr
from synapse.module_api import (
    NOT_SPAM,
    DirectServeJsonResource,
    ModuleApi,
    SynapseRequest,
    make_deferred_yieldable,
    run_in_background,
)
from twisted.internet.defer import gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from benchmarks.measuring import Batch
from synapse_bum.antivirus import AntivirusModule
from synapse_bum.antivirus.config import AntivirusConfig
from synapse_bum.antivirus.engines.clamd import ClamdEngine
from synapse_bum.antivirus.engines.engine import Clean
from synapse_bum.homeserver.media_types import FileInfo, ReadableFileWrapper
from synapse_bum.homeserver.reactor import outside_log_context, reactor_of
from synapse_bum.testing.http_client import HttpClient
from synapse_bum.testing.scans import clamd_engine, scan_path

PATH: Final = "/_synapse/client/benchmark"
GATE: Final = "gate"
NOTHING: Final = "nothing"

_TICK_S: Final = 0.001
_ORDER_SECONDS: Final = 300.0

T = TypeVar("T")


class NotCleanError(Exception):
    """A file was not found clean, so its time says nothing."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Outcome:
    """What the probe answers.

    Attributes:
        batch: the times of the files.
        longest_stall_s: how long the reactor was busy with one thing at most; 0 when it was not watched.
    """

    batch: Batch
    longest_stall_s: float


class Probe:
    """Gives orders to a Synapse with the `ProbedAntivirusModule`."""

    def __init__(self, base_url: str) -> None:
        self._client = HttpClient(base_url, timeout=_ORDER_SECONDS)

    def scan(self, target: str, paths: Sequence[Path], concurrency: int, *, watched: bool = False) -> Outcome:
        """Scan files inside Synapse.

        Args:
            target: `GATE`, or the address of a clamd for a bare engine.
            paths: the files.
            concurrency: how many at a time.
            watched: look for stalls of the reactor, which costs a timer every millisecond.

        Raises:
            RuntimeError: Synapse did not do it; its log says why.
        """
        return self._order(target=target, paths=[str(path) for path in paths], concurrency=concurrency, watched=watched)

    def idle(self, seconds: float) -> Outcome:
        """Do nothing but watch the reactor."""
        return self._order(target=NOTHING, paths=[""], concurrency=1, watched=True, seconds=seconds)

    def _order(self, **order: str | float | list[str]) -> Outcome:
        answer = self._client.post(PATH, order)
        if answer.status != 200:
            raise RuntimeError(f"the probe in Synapse answered HTTP {answer.status}: {answer.body[:500]!r}")
        batch = Batch(answer.json["seconds_each"], answer.json["elapsed_s"], answer.json["cpu_s"])
        return Outcome(batch, answer.json["longest_stall_s"])


class ProbedAntivirusModule(AntivirusModule):
    """The antivirus module, with its `config`, and a resource for the `Probe`."""

    def __init__(self, config: AntivirusConfig, api: ModuleApi) -> None:
        super().__init__(config, api)
        api.register_web_resource(PATH, _ProbeResource(api, self))


class _ProbeResource(DirectServeJsonResource):
    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, api: ModuleApi, module: AntivirusModule) -> None:
        super().__init__()
        self._api = api
        self._gate = module.gate
        self._engines: dict[tuple[str, int], ClamdEngine] = {}

    async def _async_render_POST(self, request: SynapseRequest) -> tuple[int, dict[str, Any]]:
        order = json.loads(cast("BinaryIO", request.content).read())
        watch = _StallWatch(cast("IReactorTime", reactor_of(self._api))) if order["watched"] else None
        try:
            batch = await self._carry_out(order)
        finally:
            longest_stall_s = watch.end() if watch is not None else 0.0
        return 200, {
            "seconds_each": batch.seconds_each,
            "elapsed_s": batch.elapsed_s,
            "cpu_s": batch.cpu_s,
            "longest_stall_s": longest_stall_s,
        }

    async def _carry_out(self, order: dict[str, Any]) -> Batch:
        target, paths, concurrency = order["target"], order["paths"], order["concurrency"]
        if target == NOTHING:
            return await _run(paths, concurrency, lambda _: self._api.sleep(order["seconds"]))
        if target == GATE:
            # The gate uses the path of the wrapper alone; nobody calls its clock.
            files = [(ReadableFileWrapper(cast("Any", None), path), FileInfo(None, token_hex(12))) for path in paths]
            return await _run(files, concurrency, self._scan_by_gate)
        engine = self._engine(target, concurrency)
        return await outside_log_context(_run, paths, concurrency, lambda path: _scan_by_engine(engine, path))

    async def _scan_by_gate(self, file: tuple[ReadableFileWrapper, FileInfo]) -> None:
        if await self._gate.check(*file) != NOT_SPAM:
            raise NotCleanError(file[0].path)

    def _engine(self, address: str, concurrency: int) -> ClamdEngine:
        """The engine of earlier orders, so that its sessions are open already."""
        key = (address, concurrency)
        if key not in self._engines:
            self._engines[key] = clamd_engine(address, timeout_s=60.0, max_connections=concurrency)
        return self._engines[key]


async def _scan_by_engine(engine: ClamdEngine, path: str) -> None:
    if not isinstance(await scan_path(engine, path), Clean):
        raise NotCleanError(path)


async def _run(files: Sequence[T], concurrency: int, scan: Callable[[T], Awaitable[None]]) -> Batch:
    remaining = iter(files)
    seconds_each: list[float] = []

    async def work() -> None:
        for file in remaining:
            began = time.perf_counter()
            await scan(file)
            seconds_each.append(time.perf_counter() - began)

    began, cpu_began = time.perf_counter(), time.process_time()
    workers = [run_in_background(work) for _ in range(concurrency)]
    await make_deferred_yieldable(gatherResults(workers, consumeErrors=True))
    return Batch(seconds_each, time.perf_counter() - began, time.process_time() - cpu_began)


class _StallWatch:
    """A timer every millisecond that takes note of the longest time by which it was late."""

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._longest_s = 0.0
        self._due = 0.0
        self._call = self._schedule()

    def _schedule(self) -> IDelayedCall:
        self._due = time.perf_counter() + _TICK_S
        return self._reactor.callLater(_TICK_S, self._tick)

    def _note(self) -> None:
        self._longest_s = max(self._longest_s, time.perf_counter() - self._due)

    def _tick(self) -> None:
        self._note()
        self._call = self._schedule()

    def end(self) -> float:
        """Stop; returns the longest delay in seconds."""
        self._note()
        self._call.cancel()
        return self._longest_s
