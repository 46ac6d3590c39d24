"""Noting what is about to change, in every process that can change what is stored."""

import logging
from collections.abc import Callable, Collection
from typing import Concatenate, Final

from synapse.module_api import LoggingTransaction, ModuleApi
from typing_extensions import ParamSpec

from synapse_bum.database import Database
from synapse_bum.database.error_text import first_line
from synapse_bum.deletion import DELETION, tally
from synapse_bum.homeserver import media
from synapse_bum.homeserver.media_changes import watch_media_changes
from synapse_bum.homeserver.stored_bytes import Name
from synapse_bum.storage.ledger import watched
from synapse_bum.storage.ledger.settling import SETTLES_AFTER_MS
from synapse_bum.storage.ledger.tables import LEDGER

logger = logging.getLogger(__name__)

YOUNG_MS: Final = SETTLES_AFTER_MS // 2
"""Changes of younger files are not noted: they happen before the ledger contains anything of the file."""

P = ParamSpec("P")


def watch_changes(api: ModuleApi, database: Database) -> None:
    """Have what changes stored files noted; to be called in the module's `__init__`, in every process.

    Args:
        api: of the homeserver.
        database: the tables of the ledger are added to its components.
    """
    database.add(LEDGER)
    database.add(DELETION)
    if media.can_load_media(api):
        watch_media_changes(api, ChangeNotes(api, database))
    api.delayed_background_call(0, _begin, database, desc="synapse_bum_storage_begin")


async def _begin(database: Database) -> None:
    try:
        await database.run("synapse_bum_storage_begin", tally.begin_reading)
    except Exception as error:  # noqa: BLE001 - the first count begins it then
        logger.warning("Changes of what is stored are not noted so far: %s", first_line(error))


class ChangeNotes:
    """Writes down what is about to happen.

    What can't be written happens all the same: nobody misses a file because it could not be counted, and the next full
    recount makes it good.
    """

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database

    async def before_change(self, names: Collection[Name]) -> None:
        """Files are deleted, or a thumbnail of one is stored."""
        now_ms = self._api.get_current_time_msec()
        await self._run(
            "synapse_bum_storage_change", tally.note_changes, names, now_ms, came_until_ts=now_ms - YOUNG_MS
        )

    async def before_arrival(self, name: Name, created_ts: int) -> None:
        """A copy of another server's file comes."""
        await self._run("synapse_bum_storage_arrival", watched.note_arrivals, [(name, created_ts)])

    async def _run(
        self,
        desc: str,
        func: Callable[Concatenate[LoggingTransaction, P], None],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        try:
            await self._database.run(desc, func, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - see above
            logger.warning("A change of what is stored could not be noted for the next count: %s", first_line(error))
