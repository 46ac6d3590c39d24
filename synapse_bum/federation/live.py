"""Keeping the allowlist of a process up to date: at start, when another process changed it, and by a slow poll.

Until the partners were read once everything is denied, static ones included. Later a database that is away changes
nothing: what was read stays in force, and validity is checked at every question.

A change is announced through Synapse's invalidation of caches (`ModuleApi.invalidate_cache`), which needs PostgreSQL
and replication; a process that hears nothing sees the new generation at its next poll.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.database import Database
from synapse_bum.database.error_text import first_line, traced
from synapse_bum.federation import list_state, partners
from synapse_bum.federation.allowlist import Allowlist
from synapse_bum.federation.config import FederationConfig, StaticPartner
from synapse_bum.federation.latest_time import LatestTime
from synapse_bum.federation.metrics import LOADED
from synapse_bum.federation.names import WILDCARD, server_name
from synapse_bum.federation.partner import Because, Decision, Partner, Source
from synapse_bum.federation.whitelist import Current

logger = logging.getLogger(__name__)

POLL_MS: Final = 5_000
_EVERYTHING: Final = ("partners",)


class _Bell:
    """Stands for a cached function of this module: Synapse invalidates it in every process, and that rings here."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self.__name__ = "partners_changed"
        self._ring = ring

    def invalidate(self, _key: tuple[Any, ...]) -> None:
        """Called by Synapse."""
        self._ring()

    def invalidate_all(self) -> None:
        """Called by Synapse after it lost track of what was invalidated."""
        self._ring()


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Reading:
    """What the database said at once.

    Attributes:
        generation: the last change.
        verified_ts: when the signed list was last confirmed, as `ListState`.
        expires_ts: when that list ends by its own word.
        allowlist: all that made of it.
    """

    generation: partners.Generation
    verified_ts: int | None
    expires_ts: int | None
    allowlist: Allowlist


class LiveAllowlist:
    """The partners as this process knows them.

    Attributes:
        current: what Synapse asks.
        latest: what was read last, also when this process denies everything; empty before the first reading.
    """

    def __init__(self, api: ModuleApi, database: Database, config: FederationConfig) -> None:
        """Prepares; reads nothing yet.

        Args:
            api: of the homeserver.
            database: with the federation tables.
            config: of the module.
        """
        self._api = api
        self._database = database
        self._static = [_static_partner(name, entry) for name, entry in sorted(config.partners.items())]
        self._allow_wildcards = config.allow_wildcards
        self._max_stale_ms = None if config.signed_list is None else config.signed_list.max_stale_ms
        self._bell = _Bell(self._wake)
        self._listeners: list[Callable[[], object]] = []
        self._closed = False
        self.current = Current()
        self._latest_time = LatestTime()
        self._reading: _Reading | None = None
        self._begun = 0
        self._begun_when_taken = 0
        self.latest = Allowlist(())

    @property
    def changed_ts(self) -> int | None:
        """When the last change was that this process knows, ms since the epoch; None without one."""
        return None if self._reading is None else self._reading.generation.changed_ts

    def start(self) -> None:
        """Has the partners loaded, and loaded again after each change."""
        # What is not `cached` by Synapse's own decorator fits as well: only its names and `invalidate` are used.
        self._api.register_cached_function(self._bell)  # type: ignore[arg-type]
        self._wake()
        self._api.looping_background_call(
            self._poll, POLL_MS, desc="synapse_bum_federation_poll", run_on_all_instances=True
        )

    def on_change(self, listener: Callable[[], object]) -> None:
        """Has something called after each new state was taken over."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Denies everything from now on, until the end of the process."""
        self._closed = True
        self.current.allowlist = None
        LOADED.set(0)

    async def announce(self) -> None:
        """Takes over a change that was just committed, here and, through replication, in all other processes."""
        try:
            await self._api.invalidate_cache(self._bell, _EVERYTHING)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - what nobody has foreseen
            logger.error(
                "Could not tell other processes of new partners; they see them within %d s: %s",
                POLL_MS // 1000,
                traced(error),
            )
        await self.refresh()

    async def refresh(self) -> Allowlist | None:
        """Reads the partners if there was a change since the last time.

        Returns:
            what is in force now; None while everything is denied.

        Raises:
            Exception: the database's; what was known stays in force.
        """
        self._begun += 1
        begun = self._begun
        now_ms = self._api.get_current_time_msec()
        self.latest_time_ms()
        read = await self._database.run("synapse_bum_federation_load", self._read, self._reading, now_ms)
        if read is not None and self._is_newer(read, begun):
            self._take_over(read)
        return self.current.allowlist

    def latest_time_ms(self) -> int:
        """The time by which ends count, ms since the epoch: the clock's, also after it was set back.

        It has to be asked now and then while the clock is right, as each poll does.
        """
        return self._latest_time(self._api.get_current_time_msec())

    def decide(self, name: str) -> Decision:
        """Says whether a server is allowed at this moment, and why.

        Args:
            name: in any form that `names.server_name` reads.

        Raises:
            NameRefusedError: this is no server name.
        """
        name = server_name(name)
        if name == self._api.server_name.lower():
            return Decision(allowed=False, because=Because.OWN_NAME)
        if self._closed:
            return Decision(allowed=False, because=Because.DOOR_OPEN)
        if self.current.allowlist is None:
            return Decision(allowed=False, because=Because.NOT_LOADED)
        return self.current.allowlist.decide(name, self._api.get_current_time_msec())

    def _is_newer(self, read: _Reading, begun: int) -> bool:
        """Whether to take over what was read: of two readings at the same time the older one may end later."""
        if self._reading is None or begun > self._begun_when_taken:
            # Whatever differs is newer, a lower number too: then the database has lost changes.
            return True
        return read.generation.number > self._reading.generation.number

    def _take_over(self, read: _Reading) -> None:
        known, self._reading = self._reading, read
        self._begun_when_taken = self._begun
        self.latest = read.allowlist
        self.current.once_partners.update(self.latest.in_force)
        if not self._closed:
            self.current.allowlist = self.latest
            LOADED.set(1)
        if known is None or known.generation != read.generation:
            logger.info("%d partners, generation %d", len(self.latest.in_force), read.generation.number)
        for listener in self._listeners:
            listener()

    def _wake(self) -> None:
        self._api.delayed_background_call(0, self._poll, desc="synapse_bum_federation_load")

    async def _poll(self) -> None:
        try:
            await self.refresh()
        except Exception as e:  # noqa: BLE001 - a database that is away; the next poll tries again
            state = "everything is denied" if self.current.allowlist is None else "what was read before stays in force"
            logger.warning("Could not read the partners, %s: %s", state, first_line(e))

    def _read(self, txn: LoggingTransaction, known: _Reading | None, now_ms: int) -> _Reading | None:
        generation = partners.generation(txn)
        verified_ts, expires_ts = list_state.believed(txn)
        until_ts = self._list_until(verified_ts, expires_ts, now_ms)
        if known is not None and known.generation == generation:
            if (known.verified_ts, known.expires_ts) == (verified_ts, expires_ts):
                return None
            # The list was confirmed.
            return _Reading(generation, verified_ts, expires_ts, known.allowlist.believed_until(until_ts))
        found = [one for one in partners.read_all(txn) if self._may_count(one)]
        allowlist = Allowlist([*self._static, *found], until_ts, self._latest_time)
        return _Reading(generation, verified_ts, expires_ts, allowlist)

    def _may_count(self, partner: Partner) -> bool:
        """What a configuration of before has let in does not outlive it."""
        if partner.source is Source.SIGNED_LIST and self._max_stale_ms is None:
            return False
        return self._allow_wildcards or not partner.server_name.startswith(WILDCARD)

    def _list_until(self, verified_ts: int | None, expires_ts: int | None, now_ms: int) -> int:
        if verified_ts is None or expires_ts is None or self._max_stale_ms is None:
            return 0
        # A clock that was ahead when the list was confirmed has it believed no longer.
        return min(expires_ts, min(verified_ts, now_ms) + self._max_stale_ms)


def _static_partner(name: str, entry: StaticPartner) -> Partner:
    return Partner(name, entry.organisation, Source.STATIC, entry.valid_from, entry.valid_until)
