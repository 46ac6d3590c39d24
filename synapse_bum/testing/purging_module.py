"""A module that deletes files of other servers by age when an administrator asks: one class of retention, and no more.

In homeserver.yaml: `{"module": "synapse_bum.testing.purging_module.PurgingModule", "config": {}}`.
"""

from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import deletion, reading
from synapse_bum.audit_routes import add_audit_routes
from synapse_bum.config import SharedConfig, parse
from synapse_bum.database import Database, Lease, Leases
from synapse_bum.homeserver import requirements
from synapse_bum.reading import option
from synapse_bum.rest import Answer, ApiRequest, api_routes
from synapse_bum.retention.classes import Step
from synapse_bum.retention.media.remote_media import RemoteMediaPurger
from synapse_bum.testing.known_references import KnownReferences

_LEASE: Final = "example.purge"
_LEASE_TTL_MS: Final = 60_000


@attr.s(auto_attribs=True, frozen=True, slots=True)
class PurgingConfig(SharedConfig):
    """Configuration.

    Attributes:
        avatars: mxc URIs that are avatars for as long as the server runs.
    """

    avatars: tuple[str, ...] = option(reading.list_of(reading.text), default=[])


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Wish:
    """Body of a purge.

    Attributes:
        cutoff_ts: what came at this time or earlier is deleted; ms since the epoch.
    """

    cutoff_ts: int = option(reading.integer(0, 1 << 60))


class PurgingModule:
    """`POST example/purge`: answers with how many files were planned, which are 404 by then.

    Attributes:
        purger: what it is about.
    """

    @staticmethod
    def parse_config(config: dict[str, Any]) -> PurgingConfig:
        """Called by Synapse while it reads its configuration."""
        return parse(PurgingConfig, config)

    def __init__(self, config: PurgingConfig, api: ModuleApi) -> None:
        requirements.check(requirements.MEDIA_DELETION)
        self._api = api
        avatars = {(server, media_id) for _mxc, _, server, media_id in (mxc.split("/") for mxc in config.avatars)}
        database = Database(api, deletion.DELETION)
        routes = api_routes(api, config)
        add_audit_routes(routes, database)
        routes.add("POST", "example/purge", self._purge)
        self._leases = Leases(api, database)
        self.purger = RemoteMediaPurger(
            api,
            database,
            remover=deletion.file_remover(api, database),
            references=KnownReferences(avatars),
            batch_size=200,
        )
        database.start()

    async def _purge(self, request: ApiRequest) -> Answer:
        cutoff_ts = request.body(Wish).cutoff_ts
        deleted = 0

        async def work(lease: Lease) -> None:
            nonlocal deleted
            await self.purger.prepare(cutoff_ts, lease, thorough=True)
            more = True
            while more and lease.held:
                now_ms = self._api.get_current_time_msec()
                batch = await self.purger.purge(Step(f"run {now_ms}", cutoff_ts, now_ms, lease, _count_nowhere))
                deleted += batch.items
                more = batch.more

        outcome = await self._leases.run_while_held(_LEASE, _LEASE_TTL_MS, work)
        return Answer({"deleted": deleted, "outcome": outcome.value})


def _count_nowhere(_txn: LoggingTransaction, _items: int, _size_bytes: int) -> None:
    """There is no run to count in."""
