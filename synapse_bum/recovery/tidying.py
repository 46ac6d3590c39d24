"""What a replay leaves to Synapse's own handlers, in the main process: they tell other servers and clients.

All of it is closed already: nobody can use an account that is deactivated, encrypt for a device that is gone, or read
in a room that he has left.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

from synapse.module_api import LoggingTransaction, ModuleApi
from synapse.module_api.errors import SynapseError

from synapse_bum.database import Cursor, Database
from synapse_bum.database.error_text import first_line
from synapse_bum.deletion import DELETION, held_rooms, held_users
from synapse_bum.deletion.holds import holds_over
from synapse_bum.homeserver import stored_devices, stored_memberships
from synapse_bum.homeserver.account_access import deactivate, forget_device, is_main_process
from synapse_bum.homeserver.room_removal import remove_room
from synapse_bum.recovery import owed
from synapse_bum.recovery.owed import Membership

logger = logging.getLogger(__name__)

INTERVAL_MS: Final = 60_000

T = TypeVar("T")


class Tidying:
    """Finishes what is owed, one after the other; what fails keeps nothing else waiting."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        """Prepares.

        Args:
            api: of the homeserver.
            database: with the tables of the recovery module; those of holds are added.
        """
        database.add(DELETION)
        self._api = api
        self._database = database
        self._busy = False

    def start(self) -> None:
        """Have it done regularly, in the main process."""
        if is_main_process(self._api):
            self._api.looping_background_call(
                self.run, INTERVAL_MS, desc="synapse_bum_recovery_tidying", run_on_all_instances=True
            )
            self._api.delayed_background_call(0, self.run, desc="synapse_bum_recovery_tidying")

    async def run(self) -> None:
        """Finishes what is owed now; what fails is tried again."""
        if self._busy:
            return
        self._busy = True
        try:
            await self._each(owed.memberships, self._leave)
            await self._each(owed.devices, self._forget_device)
            await self._each(owed.accounts, self._deactivate)
            await self._each(owed.held_rooms, self._remove_room)
            await self._database.run("synapse_bum_recovery_kept", self._drop_events)
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn tries again
            logger.warning("What a restore left to be done waits: %s", first_line(error))
        finally:
            self._busy = False

    async def _each(self, read: Callable[[Cursor], Iterable[T]], finish: Callable[[T], Awaitable[None]]) -> None:
        for one in await self._database.run("synapse_bum_recovery_untidy", read):
            try:
                await finish(one)
            except Exception as error:  # noqa: BLE001 - what is owed still is
                logger.warning("What a backup had undone is not finished yet for %s: %s", one, first_line(error))

    async def _done(self, mark: Callable[..., None], *args: Any) -> None:  # noqa: ANN401 - of `mark`
        await self._database.run("synapse_bum_recovery_tidied", mark, *args)

    async def _deactivate(self, account: tuple[str, bool]) -> None:
        user_id, erase = account
        await deactivate(self._api, user_id, erase=erase)
        await self._done(owed.account_done, user_id)
        logger.info("%s was deactivated once more after the restore", user_id)

    async def _forget_device(self, device: tuple[str, str]) -> None:
        # Whoever has logged in under its name since has told everybody of the new one.
        if not await self._database.run("synapse_bum_recovery_device", stored_devices.is_there, *device):
            await forget_device(self._api, *device)
        await self._done(owed.device_done, *device)

    async def _leave(self, membership: Membership) -> None:
        room_id, user_id = membership.room_id, membership.user_id
        if membership.membership != "ban" or not await self._ban(membership):
            is_member = await self._database.run(
                "synapse_bum_recovery_member", stored_memberships.is_member_in_state, room_id, user_id
            )
            if is_member:
                await self._api.update_room_membership(user_id, user_id, room_id, "leave")
        await self._done(owed.membership_done, membership)
        logger.info("%s is no member of %s any more after the restore", user_id, room_id)

    async def _ban(self, membership: Membership) -> bool:
        """Has whoever banned somebody do so again; False when he can't, and then somebody only leaves."""
        if not self._api.is_mine(membership.set_by):
            return False
        try:
            await self._api.update_room_membership(
                membership.set_by, membership.user_id, membership.room_id, membership.membership
            )
        except SynapseError as error:
            logger.warning(
                "%s can't be banned from %s again by %s: %s",
                membership.user_id,
                membership.room_id,
                membership.set_by,
                first_line(error),
            )
            return False
        return True

    async def _remove_room(self, room_id: str) -> None:
        def is_held(txn: LoggingTransaction) -> bool:
            return bool(holds_over(txn, room_id, self._api.get_current_time_msec()))

        if not await self._database.run("synapse_bum_recovery_held", is_held):
            await remove_room(self._api, room_id)
            await self._done(owed.room_done, room_id)
            logger.info("%s was deleted once more: nobody holds it any more", room_id)

    def _drop_events(self, txn: LoggingTransaction) -> None:
        kept = owed.kept_for(txn)
        if not kept:
            return
        now_ms = self._api.get_current_time_msec()
        rooms, senders = held_rooms(txn, now_ms), held_users(txn, now_ms)
        for room_id, sender in kept:
            if room_id not in rooms and sender not in senders:
                owed.drop_events(txn, room_id, sender)
