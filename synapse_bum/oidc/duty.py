"""The duty of the logins: one process, under a lease, applies what stayed pending and ends what is over.

It begins anew wherever a process died: all that it does is read from the tables, and can be done twice.
"""

import logging
from typing import Final

from synapse.module_api import ModuleApi

from synapse_bum.database import Cursor, Database, Lease, Leases, Outcome
from synapse_bum.database.error_text import first_line
from synapse_bum.oidc import metrics, people
from synapse_bum.oidc.admins import Admins, count_admins
from synapse_bum.oidc.login import REGISTRATION_MS, LoginSync
from synapse_bum.oidc.scim.erased import forget_erased

logger = logging.getLogger(__name__)

LEASE: Final = "oidc.logins"
LEASE_TTL_MS: Final = 90_000

TICK_MS: Final = 20_000
"""How often it is looked whether there is something to do."""

RETRY_MS: Final = 30_000
"""How long a login is left to the process in which it happens, and how long after a failure it is tried again."""

_PAGE: Final = 200
"""Rows of people at whom a turn looks: 50 000 people take an hour and a half."""

# By the partial index on pending rows.
_COUNT_PENDING: Final = "SELECT COUNT(*) FROM synapse_bum_oidc_people WHERE pending = 1"


class IdentityDuty:
    """What one process does for all."""

    def __init__(self, api: ModuleApi, database: Database, leases: Leases, admins: Admins, logins: LoginSync) -> None:
        """Prepares.

        Args:
            api: of a process that runs background tasks.
            database: with the tables OIDC and AUDIT.
            leases: of this process.
            admins: of this process.
            logins: of this process.
        """
        self._api = api
        self._database = database
        self._leases = leases
        self._admins = admins
        self._logins = logins
        self._busy = False
        self._after = people.START

    def start(self) -> None:
        """Begins to look for work."""
        self._api.looping_background_call(self.tick, TICK_MS, desc="synapse_bum_oidc")

    async def tick(self) -> None:
        """Does what is due, unless the last turn still runs or another process does it."""
        if self._busy:
            return
        self._busy = True
        try:
            if await self._leases.run_while_held(LEASE, LEASE_TTL_MS, self._turn, keep=True) is not Outcome.DONE:
                metrics.nothing_is_known()
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn goes on
            metrics.FAILURES.labels(step="duty").inc()
            metrics.nothing_is_known()
            logger.warning("What logins have left to do has to wait: %s", first_line(error))
        finally:
            self._busy = False

    async def _turn(self, lease: Lease) -> None:
        await self._logins.retry(RETRY_MS)
        # Whoever has just logged in is confirmed before what is too old ends.
        if lease.held:
            await self._admins.look_after()
        if lease.held:
            now_ms = self._api.get_current_time_msec()
            self._after = await self._database.run(
                "synapse_bum_oidc_forget", people.forget_page, self._after, now_ms, REGISTRATION_MS, _PAGE
            )
            await self._database.run("synapse_bum_oidc_forget_erased", forget_erased, now_ms)
        admins, kept, pending = await self._database.run("synapse_bum_oidc_count", _count)
        metrics.show(admins, kept, pending)


def _count(txn: Cursor) -> tuple[dict[str, int], int, int]:
    admins, kept = count_admins(txn)
    txn.execute(_COUNT_PENDING)
    row = txn.fetchone()
    return dict(admins), kept, 0 if row is None else int(row[0])
