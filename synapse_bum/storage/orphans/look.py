"""What both halves of a look for orphans share: places, report, clock, and the pauses in between."""

from collections.abc import Awaitable, Callable
from typing import Final

import attr
from synapse.module_api import ModuleApi

from synapse_bum.database import Database
from synapse_bum.deletion.listings import Looker, Places
from synapse_bum.storage.orphans.report import Report

SETTLED_MS: Final = 3_600_000
"""What is younger is no orphan: Synapse writes the file first and then the row, and some providers get theirs later."""

PAUSE_S: Final = 0.02
"""Between two steps, so that a look is never what others wait for."""


class RunOverError(Exception):
    """The run was cancelled, or is another process's now."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Look:
    """One look for orphans.

    Attributes:
        api: of a process with the media volume.
        database: Synapse's tables are read through it.
        places: all of this homeserver.
        report: is filled.
        now_ms: ms since the epoch, by a clock that a jump of the system clock does not move forward.
        go_on: writes down how far it has come, now and then; raises `RunOverError`.
    """

    api: ModuleApi
    database: Database
    places: Places
    report: Report
    now_ms: Callable[[], int]
    go_on: Callable[[Report], Awaitable[None]]

    async def pause(self) -> None:
        """Between two steps.

        Raises:
            RunOverError: there is no next one.
        """
        await self.api.sleep(PAUSE_S)
        await self.go_on(self.report)

    @property
    def lookers(self) -> list[Looker]:
        """All places that can be looked at, the media store first."""
        store = self.places.store
        return [*([] if store is None else [store]), *self.places.providers]
