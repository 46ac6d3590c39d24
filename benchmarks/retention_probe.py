"""Two selections of expired files, timed inside a real Synapse, in its own transactions: ours and Synapse's.

`ProbedRetentionModule` is the retention module with one more resource. For benchmarks only: it asks nobody for a token.
"""

import json
import time
from typing import Any, BinaryIO, Final, cast

from synapse.module_api import DirectServeJsonResource, LoggingTransaction, ModuleApi, SynapseRequest

from synapse_bum.database import Database
from synapse_bum.homeserver.local_media_listing import START, Expired, LocalFile, Place, expired_page
from synapse_bum.retention.config import RetentionConfig
from synapse_bum.retention.media.protected_store import PROTECTS
from synapse_bum.retention.module import RetentionModule
from synapse_bum.testing.http_client import HttpClient

MODULE: Final = "benchmarks.retention_probe.ProbedRetentionModule"
PATH: Final = "/_synapse/client/benchmark"
OURS: Final = "ours"
SYNAPSES: Final = "synapse"
FIRST: Final = 500
"""How many files of ours are selected; Synapse selects all."""

_ORDER_SECONDS: Final = 600.0


class SelectionProbe:
    """Gives orders to a Synapse with the `ProbedRetentionModule`."""

    def __init__(self, base_url: str) -> None:
        self._client = HttpClient(base_url, timeout=_ORDER_SECONDS)

    def select(self, whose: str, cutoff_ts: int) -> tuple[float, int]:
        """Select files that are expired.

        Args:
            whose: `OURS` or `SYNAPSES`.
            cutoff_ts: uploaded at this time or earlier, in ms since the epoch.

        Returns:
            The seconds that it took, and how many files were found.

        Raises:
            RuntimeError: Synapse did not do it; its log says why.
        """
        answer = self._client.post(PATH, {"whose": whose, "cutoff_ts": cutoff_ts})
        if answer.status != 200:
            raise RuntimeError(f"the probe in Synapse answered HTTP {answer.status}: {answer.body[:500]!r}")
        return answer.json["seconds"], answer.json["files"]


class ProbedRetentionModule(RetentionModule):
    """The retention module, with its `config`, and a resource for the `SelectionProbe`."""

    def __init__(self, config: RetentionConfig, api: ModuleApi) -> None:
        super().__init__(config, api)
        api.register_web_resource(PATH, _ProbeResource(api))


class _ProbeResource(DirectServeJsonResource):
    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, api: ModuleApi) -> None:
        super().__init__()
        self._api = api
        self._database = Database(api)
        self._database.start()

    async def _async_render_POST(self, request: SynapseRequest) -> tuple[int, dict[str, Any]]:
        order = json.loads(cast("BinaryIO", request.content).read())
        began = time.perf_counter()
        if order["whose"] == OURS:
            files = await self._database.run("benchmark_first_expired", self._first_expired, order["cutoff_ts"])
            count = len(files)
        else:
            # What `MediaRepository.delete_old_local_media` asks, with avatars kept, as in `media_retention`.
            media_ids = await self._api._store.get_local_media_ids(  # noqa: SLF001 - the peer is Synapse's own query
                order["cutoff_ts"],
                size_gt=0,
                keep_profiles=True,
                include_quarantined_media=False,
                include_protected_media=False,
            )
            count = len(media_ids)
        return 200, {"seconds": time.perf_counter() - began, "files": count}

    def _first_expired(self, txn: LoggingTransaction, cutoff_ts: int) -> list[LocalFile]:
        own_name = self._api.server_name
        expired = Expired(own_name, cutoff_ts, PROTECTS, (own_name,))
        files: list[LocalFile] = []
        reached: Place | None = START
        while reached is not None and len(files) < FIRST:
            found, reached = expired_page(self._api, txn, expired, reached, FIRST - len(files))
            files += found
        return files
