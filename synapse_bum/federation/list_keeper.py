"""The signed list: looked for at its source, taken over when it is good, kept when the new one is not.

| what comes | what happens |
|---|---|
| a newer list with a good signature | it takes the place of the old one |
| the list that is in force | it is believed for another `max_stale` |
| one that drops more than a fifth of the partners | it waits for `confirm` |
| anything else | nothing changes, and operators are told: log, metric, API |

One process looks, under a lease. What it found stands in the database, where every process reads it.
"""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Final, TypeAlias

import attr
from synapse.module_api import LoggingTransaction, ModuleApi
from twisted.internet.defer import CancelledError

from synapse_bum import audit
from synapse_bum.database import Database, Lease, Leases
from synapse_bum.database.error_text import first_line, traced
from synapse_bum.federation import list_state, partners
from synapse_bum.federation.allowlist import Allowlist
from synapse_bum.federation.config import SignedListConfig
from synapse_bum.federation.list_source import fetch
from synapse_bum.federation.list_state import ListState
from synapse_bum.federation.live import LiveAllowlist
from synapse_bum.federation.partner import Partner, Source
from synapse_bum.federation.signed_list import ListRefusedError, SignedList, dropped, drops_too_many, read_list
from synapse_bum.homeserver.federation_queues import servers_with_queues
from synapse_bum.homeserver.federation_sending import drop_queued

logger = logging.getLogger(__name__)

TICK_MS: Final = 10_000
_LEASE_MS: Final = 60_000
_RETRY_MS: Final = 300_000
_ACTOR: Final = "federation.signed_list"
_DUTY: Final = "federation.signed_list"
_MAX_LISTED: Final = 100

_Facts: TypeAlias = tuple[str | None, int | None, int | None]


class ListKeeper:
    """The signed list of one homeserver."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        leases: Leases,
        live: LiveAllowlist,
        config: SignedListConfig,
        *,
        allow_wildcards: bool,
    ) -> None:
        """Prepares.

        Args:
            api: of the homeserver.
            database: with the federation tables.
            leases: of this process.
            live: the partners.
            config: section `signed_list`.
            allow_wildcards: whether a partner may be all servers below a name.
        """
        self._api = api
        self._database = database
        self._leases = leases
        self._live = live
        self._config = config
        self._allow_wildcards = allow_wildcards

    def start(self) -> None:
        """Has the list looked for from now on."""
        desc = "synapse_bum_federation_list"
        self._api.delayed_background_call(0, self.tick, desc=desc)
        self._api.looping_background_call(self.tick, TICK_MS, desc=desc, run_on_all_instances=True)

    async def tick(self) -> None:
        """Looks for the list when it is time, unless another process does."""

        async def work(_lease: Lease) -> None:
            state = await self.state()
            if self._is_due(state):
                await self.look()

        try:
            await self._leases.run_while_held(_DUTY, _LEASE_MS, work, keep=True)
        except Exception as e:  # noqa: BLE001 - a database that is away; the next tick tries again
            logger.warning("Could not look for the signed list: %s", first_line(e))

    async def state(self) -> ListState:
        """What is known of the list."""
        return await self._database.run("synapse_bum_federation_list_state", list_state.read)

    async def look(self) -> None:
        """Looks for the list now; whatever goes wrong stands in its state afterwards."""
        now_ms = self._api.get_current_time_msec()
        changed, sentence = False, None
        try:
            content = await fetch(self._api, self._config.source)
            found = await self._read(content)
            text = content.decode(errors="replace").strip()
            take = partial(_take, found=found, content=text, now_ms=now_ms, before=self._live.latest)
            changed = await self._database.run("synapse_bum_federation_list_take", take)
        except ListRefusedError as refusal:
            logger.error("The signed list changes nothing: %s", refusal)
            sentence = str(refusal)
        except CancelledError:
            # The lease is gone: another process looks.
            raise
        except Exception as e:  # noqa: BLE001 - what nobody has foreseen
            logger.error("The signed list changes nothing, unexpectedly: %s", traced(e))
            sentence = f"an error that is not expected: {type(e).__name__}"
        if sentence is not None:
            await self._database.run("synapse_bum_federation_list_refused", _refuse, sentence, now_ms)
        elif changed:
            await self._live.announce()

    async def pending(self, state: ListState) -> SignedList | None:
        """The list that waits for `confirm`; None when there is none any more that could be taken over."""
        if state.pending is None:
            return None
        try:
            return await self._read(state.pending.encode())
        except ListRefusedError:
            return None

    async def confirm(self, actor: str, reason: str) -> bool:
        """Takes over the list that waits, on an operator's word; False when there is none."""
        state = await self.state()
        found = await self.pending(state)
        if found is None:
            return False
        now_ms = self._api.get_current_time_msec()
        entry = audit.Entry(now_ms, actor, "federation.list_confirmed", "signed_list", reason=reason)
        take = partial(_confirm, pending=state.pending, found=found, entry=entry, before=self._live.latest)
        if not await self._database.run("synapse_bum_federation_list_confirm", take):
            return False
        await self._live.announce()
        return True

    async def _read(self, content: bytes) -> SignedList:
        keys = await fetch(self._api, self._config.keys_path)
        return await self._api.defer_to_thread(
            partial(
                read_list,
                content,
                keys,
                own_name=self._api.server_name,
                allow_wildcards=self._allow_wildcards,
                now_ms=self._api.get_current_time_msec(),
            )
        )

    def _is_due(self, state: ListState) -> bool:
        if state.checked_ts is None:
            return True
        pause = self._config.refresh_ms if state.error is None else min(self._config.refresh_ms, _RETRY_MS)
        # A look that is yet to come was one with a clock that was ahead.
        return not state.checked_ts <= self._api.get_current_time_msec() < state.checked_ts + pause


def _take(txn: LoggingTransaction, *, found: SignedList, content: str, now_ms: int, before: Allowlist) -> bool:
    """Takes over a list, confirms the one in force, or has one wait.

    Returns:
        whether something changed for the allowlist.

    Raises:
        ListRefusedError: it is older than the one in force, or is another one with the same version.
    """
    partners.wait_for_others(txn)
    state = list_state.read(txn)
    old = _in_force(txn)
    if state.version is not None and found.version < state.version:
        raise ListRefusedError(f"version {found.version} is older than version {state.version}, which is in force")
    if found.version == state.version:
        if _content_of(old) != _content_of(found.partners):
            raise ListRefusedError(f"version {found.version} is in force with other partners")
        confirmed = ListState(found.version, found.expires_ts, verified_ts=now_ms, checked_ts=now_ms)
        list_state.write(txn, confirmed)
        return True
    if drops_too_many(old, found.partners, now_ms):
        if state.pending != content:
            waits = {"version": found.version, "partners": len(found.partners), "dropped": _dropped(old, found, now_ms)}
            audit.append(txn, audit.Entry(now_ms, _ACTOR, "federation.list_waits", "signed_list", new=waits))
            state = attr.evolve(state, pending=content, pending_since_ts=now_ms)
        error = f"version {found.version} drops more than a fifth of the partners and waits for `confirm`"
        list_state.write(txn, _looked(state, error, now_ms))
        return False
    _replace(txn, old, found, audit.Entry(now_ms, _ACTOR, "federation.list_taken", "signed_list"))
    _drop_what_waited(txn, found, before)
    return True


def _confirm(
    txn: LoggingTransaction, *, pending: str | None, found: SignedList, entry: audit.Entry, before: Allowlist
) -> bool:
    partners.wait_for_others(txn)
    if list_state.read(txn).pending != pending:
        return False
    _replace(txn, _in_force(txn), found, entry)
    _drop_what_waited(txn, found, before)
    return True


def _drop_what_waited(txn: LoggingTransaction, found: SignedList, before: Allowlist) -> None:
    """Drops what was queued for servers while they were no partners."""
    listed = Allowlist(found.partners.values())
    for server in servers_with_queues(txn):
        if listed.knows(server) and not before.knows(server):
            drop_queued(txn, server)


def _replace(txn: LoggingTransaction, old: dict[str, Partner], found: SignedList, entry: audit.Entry) -> None:
    partners.begin_change(txn, entry.ts)
    for name in old.keys() - found.partners.keys():
        partners.delete(txn, name, Source.SIGNED_LIST)
    known = _content_of(old)
    for name, partner in found.partners.items():
        if known.get(name) != _facts(partner):
            partners.put(txn, partner)
    before = list_state.read(txn).version
    list_state.write(txn, ListState(found.version, found.expires_ts, verified_ts=entry.ts, checked_ts=entry.ts))
    new = {
        "version": found.version,
        "partners": len(found.partners),
        "added": sorted(found.partners.keys() - old.keys())[:_MAX_LISTED],
        "dropped": _dropped(old, found, entry.ts),
    }
    audit.append(txn, attr.evolve(entry, old={"version": before, "partners": len(old)}, new=new))


def _refuse(txn: LoggingTransaction, sentence: str, now_ms: int) -> None:
    state = list_state.read(txn)
    if state.error != sentence:
        entry = audit.Entry(now_ms, _ACTOR, "federation.list_refused", "signed_list", new={"error": sentence})
        audit.append(txn, entry)
    list_state.write(txn, _looked(state, sentence, now_ms))


def _looked(state: ListState, error: str, now_ms: int) -> ListState:
    """The state after a look that changed nothing; a clock that was ahead at the last good one does not stay in it."""
    verified_ts = None if state.verified_ts is None else min(state.verified_ts, now_ms)
    return attr.evolve(state, checked_ts=now_ms, error=error, verified_ts=verified_ts)


def _in_force(txn: LoggingTransaction) -> dict[str, Partner]:
    return {one.server_name: one for one in partners.read_all(txn) if one.source is Source.SIGNED_LIST}


def _dropped(old: dict[str, Partner], found: SignedList, now_ms: int) -> list[str]:
    return dropped(old, found.partners, now_ms)[:_MAX_LISTED]


def _facts(partner: Partner) -> _Facts:
    return partner.organisation, partner.valid_from_ts, partner.valid_until_ts


def _content_of(found: Mapping[str, Partner]) -> dict[str, _Facts]:
    return {name: _facts(partner) for name, partner in found.items()}
