"""Deletes an account with everything that belongs to it.

Whoever is deleted is shut out first: locked, without admin right, logged out. Only then files, mail addresses and links
to identity providers go, and at last Synapse erases the account. When anything in between fails, or a hold was set
meanwhile, the account stays locked and the row of `begun_deletions.py` says so; going on begins where it ended, since
each step may be done twice.
"""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from synapse_bum.portal.accounts.accounts import USER, log_out_everywhere, remove_profile_fields
from synapse_bum.portal.accounts.begun_deletions import BegunDeletions, Stage, Stopped
from synapse_bum.portal.homeserver_api.homeserver_client import ADMIN, BUM, HomeserverClient
from synapse_bum.portal.homeserver_api.outcomes import (
    HomeserverError,
    RefusedError,
    UnauthorisedError,
    UnavailableError,
)
from synapse_bum.portal.homeserver_api.steps import Step

logger = logging.getLogger(__name__)

FILES_AT_ONCE: Final = 100
"""As many files are deleted while the browser waits."""

_DELETE_FILES: Final = BUM + "/portal/files/delete"
_DEACTIVATE: Final = ADMIN + "/v1/deactivate/{user_id}"
_PATIENCE_S: Final = 70.0


class HeldError(RefusedError):
    """Something of the account is on hold by now: it must stay."""

    def __init__(self, target: str) -> None:
        super().__init__(HTTPStatus.CONFLICT, "held", f"{target} is on hold")


class AccountDeletion:
    """One deletion, begun (`BegunDeletions.begin`) in the name of one session."""

    def __init__(
        self,
        deletions: BegunDeletions,
        step: Step,
        user_id: str,
        session_id: str,
        *,
        let_go: Callable[[], Awaitable[None]],
    ) -> None:
        """Prepares.

        Args:
            deletions: where its progress is noted.
            step: that it is.
            user_id: whose account goes.
            session_id: in whose name.
            let_go: called when the session is not needed any more.
        """
        self._deletions = deletions
        self._step = step
        self._user_id = user_id
        self._session_id = session_id
        self._let_go = let_go

    async def shut_out(self, *, is_partly_done: bool, is_deactivated: bool) -> None:
        """Lets nobody use the account any more.

        Args:
            is_partly_done: whether an earlier attempt has done something.
            is_deactivated: whether nobody can use it anyway.

        Raises:
            HomeserverError: it could not be done; where nothing was done at all, nothing is left of the deletion.
        """
        try:
            async with self._step as server:
                if is_partly_done:
                    self._step.mark_partly_done()
                if not is_deactivated:
                    await server.put(USER, {"locked": True, "admin": False}, user_id=self._user_id)
                await self._reach(Stage.SHUT_OUT)
                self._step.mark_partly_done()
                if not is_deactivated:
                    await log_out_everywhere(server, self._user_id)
        except Exception as e:
            found = await self._deletions.get(self._user_id)
            if (found is not None and found.is_partly_done) or isinstance(e, UnavailableError):
                await self._stop(e)
            else:
                await self._end()
            raise

    async def remove_all(self) -> None:
        """Deletes what belongs to an account that was shut out, then the account.

        Raises:
            HeldError: a hold was set meanwhile.
            HomeserverError: something could not be deleted; the account is still there, and locked.
        """
        try:
            async with self._step as server:
                self._step.mark_partly_done()
                await self._remove_all(server)
        except Exception as e:
            await self._stop(e)
            raise
        await self._end()

    async def remove_all_unattended(self) -> None:
        """Does the same when nobody waits for it any more."""
        try:
            await self.remove_all()
        except HomeserverError as e:
            logger.warning(
                "Deleting %s was not finished (%s); the account stays locked until somebody goes on with it",
                self._user_id,
                e,
            )

    async def _remove_all(self, server: HomeserverClient) -> None:
        left = True
        while left:
            body = {"user_id": self._user_id}
            answer = await server.post(_DELETE_FILES, body, patience_s=_PATIENCE_S)
            if answer["held_by"] is not None:
                raise HeldError(answer["held_by"]["target"])
            left = bool(answer["left"])
            if left and not answer["deleted"]:
                raise UnavailableError("files were left over")
            await self._reach(Stage.SHUT_OUT)
        await self._reach(Stage.FILES)
        # Synapse's own deletion leaves the links: the name would still belong to whoever logs in with them.
        await server.put(USER, {"threepids": [], "external_ids": []}, user_id=self._user_id)
        await remove_profile_fields(server, self._user_id)
        await self._reach(Stage.LINKS)
        await server.post(_DEACTIVATE, {"erase": True}, patience_s=_PATIENCE_S, user_id=self._user_id)

    async def _reach(self, stage: Stage) -> None:
        await self._deletions.reach(self._user_id, self._session_id, stage)

    async def _end(self) -> None:
        await self._deletions.forget(self._user_id)
        await self._let_go()

    async def _stop(self, error: Exception) -> None:
        sentence = (error.sentence or error.errcode) if isinstance(error, RefusedError) else None
        await self._deletions.stop(self._user_id, self._session_id, why_stopped(error), sentence)
        await self._let_go()


def why_stopped(error: Exception) -> Stopped:
    """Reads from an error why a deletion does not go on. Pure."""
    if isinstance(error, HeldError):
        return Stopped.HELD
    if isinstance(error, UnauthorisedError):
        return Stopped.LOGGED_OUT
    return Stopped.REFUSED if isinstance(error, RefusedError) else Stopped.UNAVAILABLE
