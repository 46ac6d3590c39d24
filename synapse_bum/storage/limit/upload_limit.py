"""`UploadLimit`: lets uploads of local users in as long as they fit.

Files of other servers, URL previews and thumbnails are counted by the next update of the ledger and never refused, so
the limit may be exceeded by what comes of them within `UPDATE_EVERY_MS`. Uploads don't exceed it.
"""

import contextlib
import logging
import secrets
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

from synapse.module_api import ModuleApi
from synapse.module_api.errors import Codes, SynapseError

from synapse_bum.database import Database
from synapse_bum.homeserver import media, upload_turnstile
from synapse_bum.storage.limit import metrics, reservations
from synapse_bum.storage.limit.decision import Limits, Refusal
from synapse_bum.storage.limit.reservations import Counted, Process, Upload
from synapse_bum.storage.limit.tables import LIMIT

logger = logging.getLogger(__name__)

UPDATE_EVERY_MS: Final = 60_000
"""How often the ledger has to be brought up to date, at least, while there is a limit."""


class UploadLimit:
    """Refuses what does not fit: 413 M_TOO_LARGE, or 503 when that can't be told."""

    def __init__(self, api: ModuleApi, database: Database, limits: Limits, counted: Counted) -> None:
        """Prepare; nothing is refused before `start`.

        Args:
            api: of the homeserver.
            database: the table of uploads is added to its components.
            limits: how much may be stored.
            counted: what the ledger says (`ledger_counts`).
        """
        database.add(LIMIT)
        self._api = api
        self._database = database
        self._limits = limits
        self._counted = counted
        self._process = Process(api.worker_name or "main", secrets.token_hex(8))

    def start(self) -> None:
        """Have uploads go through `admit`, in a process that has a media repository; in others nothing."""
        if media.can_load_media(self._api):
            upload_turnstile.guard_uploads(self._api, self.admit)
            self._api.delayed_background_call(0, self._finish_earlier, desc="synapse_bum_storage_earlier_uploads")

    @contextlib.asynccontextmanager
    async def admit(self, user_id: str, size_bytes: int) -> AsyncIterator[None]:
        """The turnstile: see `homeserver.upload_turnstile`.

        Args:
            user_id: who uploads.
            size_bytes: of the file.

        Raises:
            SynapseError: the upload is refused.
        """
        ticket = secrets.token_hex(16)
        refusal = await self._reserve(Upload(ticket, user_id, size_bytes, self._api.get_current_time_msec()))
        if refusal is not None:
            metrics.REFUSED_UPLOADS.labels(refusal.value).inc()
            logger.info("Refused an upload of %d bytes by %s: %s", size_bytes, user_id, refusal.value)
            raise self._error(refusal)
        try:
            yield
        except Exception as error:
            await self._leave(ticket, nothing_stored=upload_turnstile.left_nothing(error))
            raise
        await self._leave(ticket, nothing_stored=False)

    async def _reserve(self, upload: Upload) -> Refusal | None:
        try:
            return await self._database.run(
                "synapse_bum_storage_reserve",
                reservations.reserve,
                upload,
                self._process,
                self._limits,
                self._counted,
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody knows whether the file fits
            logger.warning("Could not ask whether an upload fits: %s", error)
            return Refusal.UNKNOWN

    def _error(self, refusal: Refusal) -> SynapseError:
        sentence = self._limits.sentence(refusal)
        if refusal is Refusal.UNKNOWN:
            return SynapseError(HTTPStatus.SERVICE_UNAVAILABLE, sentence, Codes.UNKNOWN)
        return SynapseError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence, Codes.TOO_LARGE)

    async def _leave(self, ticket: str, *, nothing_stored: bool) -> None:
        leave = reservations.free if nothing_stored else reservations.finish
        try:
            await self._database.run("synapse_bum_storage_uploaded", leave, ticket)
        except Exception as error:  # noqa: BLE001 - the upload has ended as it has; its bytes stay reserved for a while
            logger.warning("Could not note that an upload has ended; it counts twice for up to an hour: %s", error)

    async def _finish_earlier(self) -> None:
        await self._database.run("synapse_bum_storage_earlier_uploads", reservations.finish_earlier, self._process)
