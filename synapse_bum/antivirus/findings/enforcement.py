"""Blocking a stored file for everybody, and looking whether it is blocked.

A file counts as blocked when Synapse answers 404 on every way to it. That is asked after the commit of each block, in
the process with the media repository; what is still served becomes `block_failed`, which an operator has to look at.
"""

from collections.abc import Callable

import attr
from synapse.module_api import ModuleApi

from synapse_bum.antivirus import metrics
from synapse_bum.antivirus.findings.finding import Finding, FindingState
from synapse_bum.antivirus.findings.records import Permit, complete_births, write_block_failed, write_blocked
from synapse_bum.database import Database
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.media_details import media_with_hash
from synapse_bum.homeserver.media_doors import open_doors


class Enforcer:
    """Blocks files of this homeserver."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database

    async def block(
        self,
        stored: StoredMedia,
        finding: Callable[[FindingState], Finding],
        *,
        begun_ms: int,
        permit: Permit | None = None,
    ) -> Finding | None:
        """Block a stored file; the arguments are those of `records.write_blocked`.

        Returns:
            The finding: `BLOCKED` when no way to the file is open, else `BLOCK_FAILED`. None when nothing was done.
        """
        made = await self._database.run(
            "synapse_bum_antivirus_block", write_blocked, stored, finding, begun_ms=begun_ms, permit=permit
        )
        if made is None:
            return None
        if made.state is FindingState.BLOCKED:
            made = await self._look(stored, made)
        metrics.FINDINGS.labels(made.state.value, made.source.value).inc()
        return made

    async def block_copies(self, finding: Finding, *, begun_ms: int) -> None:
        """Block what else is stored of the same bytes, each copy with a finding of its own.

        Of ciphertext no later scan would find it: only who has the key knows. Files that are stored later are refused
        by the gate.

        Args:
            finding: about one of the files; `BLOCKED` or `BLOCK_FAILED`.
            begun_ms: when its scan began, in ms since the epoch.
        """
        own_name = self._api.server_name
        copies = await self._database.run("synapse_bum_antivirus_copies", media_with_hash, finding.sha256, own_name)
        for stored in copies:
            if (stored.server_name, stored.media_id) == (finding.server_name, finding.media_id):
                continue

            def about_copy(state: FindingState, stored: StoredMedia = stored) -> Finding:
                return attr.evolve(
                    finding,
                    server_name=stored.server_name,
                    media_id=stored.media_id,
                    state=state,
                    uploader=stored.uploader,
                )

            await self.block(stored, about_copy, begun_ms=begun_ms)

    async def complete_births(self) -> None:
        """Put our mark on the uploads that were blocked at birth and are stored by now, and look at each."""
        own_name, now_ms = self._api.server_name, self._api.get_current_time_msec()
        completed = await self._database.run("synapse_bum_antivirus_births", complete_births, own_name, now_ms)
        for finding in completed:
            stored = StoredMedia(own_name, finding.media_id, finding.media_id, local=True, uploader=finding.uploader)
            made = await self._look(stored, finding)
            if made.state is FindingState.BLOCK_FAILED:
                metrics.FINDINGS.labels(made.state.value, made.source.value).inc()

    async def _look(self, stored: StoredMedia, finding: Finding) -> Finding:
        doors = await open_doors(self._api, stored)
        if not doors:
            return finding
        now_ms = self._api.get_current_time_msec()
        failed = await self._database.run(
            "synapse_bum_antivirus_block_failed", write_block_failed, finding, doors, now_ms
        )
        return failed or finding
