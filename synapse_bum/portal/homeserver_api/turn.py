"""Turns: of all who would take an administrator's right or account away, one looks and acts at a time.

Synapse's admin API takes away what it is told to. Two administrators who each remove the other would both see the other
one as who stays, and nobody would be left. So whoever looks whether another administrator stays holds the turn from
then until it is done, in all processes. What the identity module takes away has its own turn (`oidc/last_admin.py`).
"""

import secrets
from types import TracebackType
from typing import Final

from synapse.module_api import ModuleApi

from synapse_bum.database import Database
from synapse_bum.database.leases import Claim, acquire, clock_sql, release
from synapse_bum.portal.homeserver_api.outcomes import HomeserverError, UnavailableError

NAME: Final = "portal.administrators"

TTL_MS: Final = 120_000
"""Longer than all requests in one turn are waited for."""

_WAIT_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.2


class TurnTakenError(HomeserverError):
    """Somebody else has the turn and keeps it: nothing was done."""


class Turn:
    """One turn: `async with visit.turn(): ...`."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        """Takes the homeserver, and a database with the table of leases."""
        self._api = api
        self._database = database
        # One of its own for each request: another one of the same process must wait too.
        self._claim = Claim(NAME, secrets.token_hex(16), TTL_MS)

    async def __aenter__(self) -> None:
        """Waits until nobody else has it.

        Raises:
            TurnTakenError: that takes too long.
        """
        waited_s = 0.0
        while not await self._acquire():
            if waited_s >= _WAIT_S:
                raise TurnTakenError(NAME)
            await self._api.sleep(_LOOK_EVERY_S)
            waited_s += _LOOK_EVERY_S

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Gives it back, unless what was asked for may still happen: then it ends by itself."""
        if error is not None and not isinstance(error, Exception):
            # What was awaited will never come, as this process ends.
            return
        if not (isinstance(error, UnavailableError) and error.is_in_step):
            await self._database.run("synapse_bum_portal_turn_over", release, NAME, self._claim.owner)

    async def _acquire(self) -> bool:
        now = clock_sql(self._database.dialect, self._api.get_current_time_msec())
        return await self._database.run("synapse_bum_portal_turn", acquire, self._claim, now)
