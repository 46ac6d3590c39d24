"""`B/portal/files`: an administrator has a file deleted, or all files of an account that nobody can use any more.

They go the one way that all files go (`synapse_bum.deletion`): hidden at once, then removed with all their copies by
the process that has the media volume. Any process may take the request.
"""

from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit, deletion
from synapse_bum.database import Database
from synapse_bum.deletion.holds import holds_over
from synapse_bum.homeserver import media, media_deletion, uploads
from synapse_bum.homeserver.account_access import account_of
from synapse_bum.identifiers import is_user_id
from synapse_bum.portal.files.stored_files import INFECTED, Address, address
from synapse_bum.reading import Path, fail, matching, option, text
from synapse_bum.rest import Answer, ApiRequest, Routes, conflict, invalid_param, not_found

FILE_POLICY: Final = "portal:file"
"""In the journal of deletions: an administrator deletes one file."""

ACCOUNT_POLICY: Final = "portal:account"
"""In the journal of deletions: an administrator deletes the account that has uploaded the file."""

BATCH: Final = 200
"""Files in one transaction."""

MOST_AT_ONCE: Final = 2_000
"""Files of an account that one request deletes; what is left is for the next."""

_HIDDEN: Final = media_deletion.HIDDEN_MARKER


def _mxc(value: object, path: Path) -> Address:
    found = address(value) if isinstance(value, str) else None
    if found is None:
        fail(path, "must be an mxc URI")
    return found


@attr.s(auto_attribs=True, frozen=True, slots=True)
class DeletionBody:
    """The body of a request; either a file or an account.

    Attributes:
        mxc: the file; None for all files of an account.
        user_id: whose files; None for one file.
        reason: why; None where nobody was asked.
    """

    mxc: Address | None = option(_mxc, default=None)  # noqa: RUF009 - makes an attrs field
    user_id: str | None = option(matching(is_user_id, "a user id"), default=None)
    reason: str | None = option(text, default=None)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Order:
    """Who has files deleted, and why."""

    actor: str
    reason: str | None
    now_ms: int


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Batch:
    """What came of a part of an account's files.

    Attributes:
        deleted: files that are hidden from now on.
        left: files of which nothing was decided.
        hold: why they stay; None where nothing holds them.
    """

    deleted: int
    left: int
    hold: deletion.Hold | None


class FileDeletionApi:
    """The handlers of the routes."""

    def __init__(self, api: ModuleApi, database: Database, remover: deletion.FileRemover | None) -> None:
        """Prepares.

        Args:
            api: of the homeserver.
            database: the tables of deletions and of the audit are added to its components.
            remover: of deleted files, where this process has the media volume.
        """
        database.add(deletion.DELETION)
        database.add(audit.AUDIT)
        self._api = api
        self._database = database
        self._remover = remover

    def add_to(self, routes: Routes) -> None:
        """Adds the routes."""
        routes.add("POST", "portal/files/delete", self.delete)
        routes.add("GET", "portal/files/deletion/{user_id}", self.progress)

    async def delete(self, request: ApiRequest) -> Answer:
        """Deletes a file, or the next files of an account."""
        body = request.body(DeletionBody)
        if (body.mxc is None) == (body.user_id is None):
            raise invalid_param("mxc", "either this or `user_id` must be given")
        order = _Order(request.user_id, body.reason, self._api.get_current_time_msec())
        if body.mxc is not None:
            return await self._delete_one(body.mxc, order)
        return await self._delete_all(body.user_id or "", order)

    async def progress(self, request: ApiRequest) -> Answer:
        """How many files of an account are left, and how many are hidden and being removed."""
        user_id = request.path["user_id"]
        # Only reads: on SQLite without the lock that a transaction of ours takes.
        left, removing = await self._api.run_db_interaction(
            "synapse_bum_portal_files_left", uploads.count_stored, user_id
        )
        return Answer({"user_id": user_id, "left": left, "removing": removing})

    async def _delete_one(self, file: Address, order: _Order) -> Answer:
        await self._database.run("synapse_bum_portal_delete_file", self._plan_one, file, order)
        self._kick()
        return Answer({"deleted": 1, "left": 0, "held_by": None})

    async def _delete_all(self, user_id: str, order: _Order) -> Answer:
        deleted = 0
        while True:
            batch = await self._database.run("synapse_bum_portal_delete_files", self._plan_batch, user_id, order)
            deleted += batch.deleted
            if not batch.left or not batch.deleted or deleted >= MOST_AT_ONCE:
                break
        self._kick()
        hold = None if batch.hold is None else batch.hold.as_json()
        return Answer({"deleted": deleted, "left": batch.left, "held_by": hold})

    def _kick(self) -> None:
        if self._remover is not None:
            self._remover.kick()

    def _plan_one(self, txn: LoggingTransaction, file: Address, order: _Order) -> None:
        stored = media.stored_media(txn, file.server_name, file.media_id, self._api.server_name)
        row = None if stored is None or not stored.local or stored.url_cache else media_deletion.row_of(txn, stored)
        if stored is None or row is None or row.quarantined_by == _HIDDEN:
            raise not_found("such file of this server")
        if row.quarantined_by == INFECTED:
            raise conflict("There is a finding about this file: delete it by that, which operators may")
        outcome = deletion.plan(
            txn, stored, policy=FILE_POLICY, actor=order.actor, reason=order.reason, now_ms=order.now_ms
        )
        if isinstance(outcome, deletion.Held):
            hold = outcome.hold
            raise conflict(f"This file must be kept: {hold.target} is on hold ({hold.reason})")
        if not isinstance(outcome, deletion.Planned):
            raise not_found("such file of this server")
        self._audit(txn, order, outcome.deletion.mxc, outcome.audit_detail())

    def _plan_batch(self, txn: LoggingTransaction, user_id: str, order: _Order) -> _Batch:
        account = account_of(txn, user_id)
        if account is None:
            raise not_found("such account")
        if account.is_open:
            raise conflict("Lock or deactivate the account first: it could upload more meanwhile")
        holds = holds_over(txn, user_id, order.now_ms)
        if holds:
            return _Batch(0, uploads.count_stored(txn, user_id)[0], holds[0])
        plans = deletion.plan_many(
            txn,
            uploads.stored_files_of(txn, user_id, self._api.server_name, BATCH),
            policy=ACCOUNT_POLICY,
            actor=order.actor,
            reason=order.reason,
            now_ms=order.now_ms,
        )
        if plans.planned:
            new = {"policy": ACCOUNT_POLICY, "items": len(plans.planned), "bytes": plans.size_bytes}
            self._audit(txn, order, user_id, new)
        return _Batch(len(plans.planned), uploads.count_stored(txn, user_id)[0], None)

    def _audit(self, txn: LoggingTransaction, order: _Order, target: str, new: dict[str, Any]) -> None:
        action = deletion.AUDIT_ACTION
        audit.append(txn, audit.Entry(order.now_ms, order.actor, action, target, new=new, reason=order.reason))
