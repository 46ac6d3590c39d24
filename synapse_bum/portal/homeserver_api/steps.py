"""Steps that Synapse carries out for an administrator: written down first, then done.

Synapse's admin API keeps no record of who deleted or changed what. So pages change something there only in a step::

    async with visit.step(Action.ROOM_DELETE, room_id, reason, block=True) as server:
        await server.delete(...)

The row in the audit is committed before `server` can be used; when it can't be written, nothing is done. `visit.server`
itself refuses to change anything by the admin API, so no page can forget this. Our own API writes its rows itself.
"""

import logging
from collections.abc import Mapping
from enum import Enum
from types import TracebackType
from typing import Any, Final

from synapse.module_api import ModuleApi

from synapse_bum.audit import Entry, append
from synapse_bum.database import Database
from synapse_bum.database.error_text import first_line, traced
from synapse_bum.database.leases import LEASES
from synapse_bum.portal.homeserver_api.homeserver_client import HomeserverClient
from synapse_bum.portal.homeserver_api.outcomes import (
    HomeserverError,
    RefusedError,
    UnauthorisedError,
    UnavailableError,
)
from synapse_bum.portal.homeserver_api.turn import Turn

logger = logging.getLogger(__name__)

REFUSED: Final = "portal.refused"
UNFINISHED: Final = "portal.unfinished"


class NotWrittenError(HomeserverError):
    """A step can't be written down, so it is not done."""


class Action(Enum):
    """What can be done; the words of the audit."""

    ROOM_DELETE = "portal.room.delete"
    FILE_VIEW = "portal.file.view"
    USER_CREATE = "portal.user.create"
    USER_EDIT = "portal.user.edit"
    USER_PASSWORD = "portal.user.password"  # noqa: S105 - the name of an action
    USER_LOCK = "portal.user.lock"
    USER_UNLOCK = "portal.user.unlock"
    USER_LOG_OUT = "portal.user.log_out"
    USER_DELETE = "portal.user.delete"
    ADMIN_APPOINT = "portal.admin.appoint"
    ADMIN_REMOVE = "portal.admin.remove"


class StepLog:
    """Writes steps into the audit. The portal runs in the homeserver and needs no route for that."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        """Takes the homeserver, and a database with the audit's tables."""
        self._api = api
        self._database = database
        database.add(LEASES)

    def turn(self) -> Turn:
        """Returns the turn of whoever may take an administrator away; it is still to be taken."""
        return Turn(self._api, self._database)

    async def write(self, actor: str, action: str, target: str, new: Mapping[str, Any], reason: str | None) -> None:
        """Appends one row."""
        entry = Entry(self._api.get_current_time_msec(), actor, action, target, new=dict(new) or None, reason=reason)
        await self._database.run("synapse_bum_portal_step", append, entry)


class Step:
    """One step; may be entered again to go on with it later, which is not written down twice."""

    def __init__(
        self,
        log: StepLog,
        server: HomeserverClient,
        actor: str,
        action: Action,
        target: str,
        *,
        reason: str = "",
        details: Mapping[str, Any],
    ) -> None:
        """Takes who does what to what, why, and what else belongs into the row (values as JSON knows them)."""
        self._log = log
        self._server = server
        self._actor = actor
        self._action = action
        self._target = target
        self._reason = reason
        self._details = details
        self._is_written = False
        self._is_partly_done = False

    def mark_partly_done(self) -> None:
        """Says that something was done: from now on no error leaves things as they were."""
        self._is_partly_done = True

    async def __aenter__(self) -> HomeserverClient:
        """Writes the row; returns the client that may change something.

        Raises:
            NotWrittenError: it can't be written; the step must not be done.
        """
        if not self._is_written:
            try:
                await self._log.write(
                    self._actor, self._action.value, self._target, self._details, self._reason or None
                )
            except Exception as e:
                raise NotWrittenError(first_line(e)) from e
            self._is_written = True
        return self._server.for_changes()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Writes a second row when it was refused, or is done in part, or nobody knows; lets the error pass."""
        if not isinstance(error, Exception):
            # Done; or what was awaited will never come, as this process ends.
            return
        if isinstance(error, UnavailableError):
            error.is_in_step = True
        is_refusal = isinstance(error, RefusedError | UnauthorisedError) and not self._is_partly_done
        new = {"step": self._action.value, "error": _name_of(error)}
        try:
            await self._log.write(self._actor, REFUSED if is_refusal else UNFINISHED, self._target, new, None)
        except Exception as e:  # noqa: BLE001 - what nobody has foreseen
            logger.error(
                "%s on %s failed, which could not be written down: %s", self._action.value, self._target, traced(e)
            )


def _name_of(error: BaseException) -> str:
    return (error.errcode if isinstance(error, RefusedError) else "") or type(error).__name__
