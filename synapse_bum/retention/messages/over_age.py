"""Messages that are over age when a process starts: nobody is shown them until a run has deleted them.

A restored backup holds messages that were deleted long ago, or came of age since; after a stand-still a server has
some, too. Runs delete them, but that takes its time, and after a restore the clock of the runs has to be believed
first. So each process looks, before its listeners open, how far along the stream messages are over age by a lifetime
that was agreed before, and hides them by the system clock: hiding can be taken back, deleting can't. What comes of age
while it runs is left to the runs, but for what is fetched from the past: when somebody scrolls back to where a run has
deleted messages, Synapse asks the other servers of the room for them, and has them again until the next run.
"""

import logging
from collections.abc import Callable
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.config import SetupError
from synapse_bum.database import Database
from synapse_bum.database.error_text import first_line
from synapse_bum.database.schema import migrate
from synapse_bum.deletion import DELETION, list_holds
from synapse_bum.homeserver import before_listeners, hidden_events, message_listing
from synapse_bum.retention.classes import Backlog
from synapse_bum.retention.clock_record import read_clock
from synapse_bum.retention.messages import measuring
from synapse_bum.retention.messages.discovery import DAY_MS, read_reach
from synapse_bum.retention.messages.tables import MESSAGES
from synapse_bum.retention.tables import CLOCK_LAGS, RETENTION
from synapse_bum.retention.trusted_clock import advanced

logger = logging.getLogger(__name__)

LOOK_EVERY_MS: Final = 60_000
"""How often it is looked which holds are in force, and whether the system clock was set back."""

_ALL_HOLDS: Final = 1_000_000

_HIDDEN: Final = (
    "%d messages are over age, the oldest by %d days. Nobody is shown them any more; runs delete them, see"
    " `backlog_items` in GET .../retention/status. %s"
)
_NEXT_RUN: Final = "The next one begins within `schedule.interval`"
_AFTER_A_DAY: Final = (
    "The clock of the runs stood still for longer than a day (a restored backup?), so they delete what has come of age"
    ' since only in a day, or once an operator confirms it: POST .../retention/runs {"confirm": true}'
)

AgreedCutoff = Callable[[LoggingTransaction, int], int | None]
"""Says by which time messages are over age, for a time that is now; ms since the epoch. None when no lifetime is agreed
yet, or nothing is to be deleted."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class OverAge:
    """Which messages are over age. Pure.

    Attributes:
        cutoff_ts: what is as old as this is over age, when it was fetched from the past; ms since the epoch.
        behind: position of the stream up to which everything is.
        old: positions behind that one that are; times along the stream do not quite grow.
        kept: rooms and users on hold, whose messages stay as they are; none in the first look.
    """

    cutoff_ts: int
    behind: int
    old: frozenset[int] = attr.ib(repr=False)
    kept: frozenset[str]

    def is_hidden(self, *, room_id: str, sender: str, position: int, origin_ts: int) -> bool:
        """See `homeserver.hidden_events.IsHidden`."""
        if room_id in self.kept or sender in self.kept:
            return False
        if position <= 0:
            return origin_ts <= self.cutoff_ts
        return position <= self.behind or position in self.old


class OverAgeMessages:
    """Hides them in this process.

    Attributes:
        known: what is hidden; None while nothing is.
    """

    def __init__(self, api: ModuleApi, database: Database, agreed_cutoff: AgreedCutoff) -> None:
        """Prepare; touches no database yet.

        Args:
            api: of the homeserver.
            database: our tables are added to its components.
            agreed_cutoff: see `AgreedCutoff`.
        """
        for component in (RETENTION, DELETION, MESSAGES, CLOCK_LAGS):
            database.add(component)
        self.known: OverAge | None = None
        self._api = api
        self._database = database
        self._agreed_cutoff = agreed_cutoff

    def hide(self) -> None:
        """Hides what is over age now; to be called in a module's `__init__`.

        Raises:
            SetupError: it can't be told, so nothing may be served.
        """
        if before_listeners.is_in_memory(self._api):
            return
        try:
            self.known = before_listeners.run_before_listeners(self._api, "synapse_bum_over_age", self._first_look)
        except Exception as error:  # noqa: BLE001 - chained, what it quotes would be logged
            raise SetupError(
                "the retention module can't tell which messages are over age, so nothing is served:"
                f" {first_line(error)}"
            ) from None
        if self.known is None:
            return
        hidden_events.hide_events(self._api, self._is_hidden)
        # Other modules may lift holds after this one, while they are made.
        self._api.delayed_background_call(0, self.look_again, desc="synapse_bum_over_age")
        self._api.looping_background_call(
            self.look_again, LOOK_EVERY_MS, desc="synapse_bum_over_age", run_on_all_instances=True
        )

    def _is_hidden(self, *, room_id: str, sender: str, position: int, origin_ts: int) -> bool:
        return self.known is not None and self.known.is_hidden(
            room_id=room_id, sender=sender, position=position, origin_ts=origin_ts
        )

    async def look_again(self) -> None:
        """Shows what is on hold by now, or was hidden because the system clock was ahead.

        Hides nothing more, but for what is fetched from the past after it came of age.
        """
        before = self.known
        if before is None:
            return
        now_ms = self._api.get_current_time_msec()
        try:
            self.known = await self._database.run("synapse_bum_over_age", self._look, now_ms, before)
        except Exception as error:  # noqa: BLE001 - a background duty: what is hidden stays so until the next turn
            logger.warning("Which messages are over age can't be looked at again now: %s", first_line(error))
            return
        # What came of age was decided on before, or is yet to come.
        if self.known.kept != before.kept or self.known.cutoff_ts < before.cutoff_ts:
            hidden_events.decide_anew(self._api)

    def _first_look(self, txn: LoggingTransaction) -> OverAge | None:
        migrate(txn, self._database.dialect, self._database.components)
        now_ms = self._api.get_current_time_msec()
        cutoff_ts = self._agreed_cutoff(txn, now_ms)
        if cutoff_ts is None:
            return None
        if self._api.should_run_background_tasks():
            _say(txn, measuring.measure(txn, cutoff_ts, now_ms), cutoff_ts, now_ms)
        # A backup's holds may have been lifted since.
        return _over_age(txn, cutoff_ts, frozenset())

    def _look(self, txn: LoggingTransaction, now_ms: int, before: OverAge) -> OverAge:
        kept = frozenset(hold.target for hold in list_holds(txn, 0, _ALL_HOLDS)[0] if hold.is_in_force(now_ms))
        cutoff_ts = self._agreed_cutoff(txn, now_ms)
        if cutoff_ts is None or cutoff_ts >= before.cutoff_ts:
            return attr.evolve(before, cutoff_ts=cutoff_ts or before.cutoff_ts, kept=kept)
        return _over_age(txn, cutoff_ts, kept)


def _over_age(txn: LoggingTransaction, cutoff_ts: int, kept: frozenset[str]) -> OverAge:
    reach = read_reach(txn, cutoff_ts)
    old = message_listing.old_positions(txn, reach.behind, reach.near, cutoff_ts)
    return OverAge(cutoff_ts, reach.behind, old, kept)


def _say(txn: LoggingTransaction, backlog: Backlog, cutoff_ts: int, now_ms: int) -> None:
    """Tell the operator what is hidden, and how long it will be there."""
    if not backlog.items or backlog.oldest_ts is None:
        return
    clock = read_clock(txn)
    is_doubted = clock is not None and advanced(clock, now_ms, 0).is_doubted
    level = logging.WARNING if is_doubted or cutoff_ts - backlog.oldest_ts > DAY_MS else logging.INFO
    days = (cutoff_ts - backlog.oldest_ts) // DAY_MS
    logger.log(level, _HIDDEN, backlog.items, days, _AFTER_A_DAY if is_doubted else _NEXT_RUN)
