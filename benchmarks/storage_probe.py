"""Counts of what is stored, timed inside a real Synapse, in its own transactions.

`ProbedStorageModule` is the storage module with one more resource, which counts on demand and as of any time, so that
hours need not be waited for. For benchmarks only: it asks nobody for a token.
"""

import json
import time
from collections.abc import Mapping
from typing import Any, BinaryIO, Final, cast

import attr
from synapse.module_api import DirectServeJsonResource, ModuleApi, SynapseRequest

from synapse_bum.database import Database
from synapse_bum.storage.config import StorageConfig
from synapse_bum.storage.counting import count
from synapse_bum.storage.module import StorageModule
from synapse_bum.storage.usage import Stored
from synapse_bum.testing.http_client import HttpClient

MODULE: Final = "benchmarks.storage_probe.ProbedStorageModule"
PATH: Final = "/_synapse/client/benchmark"

_ORDER_SECONDS: Final = 600.0


@attr.s(auto_attribs=True, frozen=True, slots=True)
class TimedCount:
    """What a count found.

    Attributes:
        seconds: that the transaction took, with its commit.
        stored: in all.
        drift_bytes: what a full recount corrected, by kind; None when it was none, or had nothing to compare with.
    """

    seconds: float
    stored: Stored
    drift_bytes: Mapping[str, int] | None


class CountProbe:
    """Gives orders to a Synapse with the `ProbedStorageModule`."""

    def __init__(self, base_url: str) -> None:
        self._client = HttpClient(base_url, timeout=_ORDER_SECONDS)

    def count(self, now_ms: int, *, full: bool) -> TimedCount:
        """Bring everything up to date.

        Args:
            now_ms: what the module shall take for the present; ms since the epoch.
            full: count everything anew.

        Raises:
            RuntimeError: Synapse did not do it; its log says why.
        """
        answer = self._client.post(PATH, {"now_ms": now_ms, "full": full})
        if answer.status != 200:
            raise RuntimeError(f"the probe in Synapse answered HTTP {answer.status}: {answer.body[:500]!r}")
        return TimedCount(answer.json["seconds"], Stored(**answer.json["stored"]), answer.json["drift_bytes"])


class ProbedStorageModule(StorageModule):
    """The storage module, with its `config`, and a resource for the `CountProbe`."""

    def __init__(self, config: StorageConfig, api: ModuleApi) -> None:
        super().__init__(config, api)
        api.register_web_resource(PATH, _ProbeResource(config, api))


class _ProbeResource(DirectServeJsonResource):
    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, config: StorageConfig, api: ModuleApi) -> None:
        super().__init__()
        self._config = config
        self._api = api
        self._database = Database(api)
        self._database.start()

    async def _async_render_POST(self, request: SynapseRequest) -> tuple[int, dict[str, Any]]:
        order = json.loads(cast("BinaryIO", request.content).read())
        began = time.perf_counter()
        counted = await self._database.run_on_snapshot(
            "benchmark_count",
            lambda txn: count(self._api, txn, self._config, order["now_ms"], full=order["full"]),
        )
        seconds = time.perf_counter() - began
        stored = attr.asdict(counted.stored)
        return 200, {"seconds": seconds, "stored": stored, "drift_bytes": counted.drift_bytes}
