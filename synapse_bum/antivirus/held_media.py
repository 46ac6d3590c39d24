"""The routes below `antivirus/held`: what waits for a scan with its key, and letting it go without one.

A file of a format that nobody knows looks like ciphertext, and no key proves anything about it: it would be held for
ever. An operator may say that it is not.
"""

from typing import Any

from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit
from synapse_bum.antivirus.api import ReasonBody
from synapse_bum.antivirus.quarantine import holding
from synapse_bum.database import Database
from synapse_bum.homeserver import media
from synapse_bum.homeserver.media_details import media_details
from synapse_bum.rest import Access, Answer, ApiRequest, Routes, not_found


class HeldMedia:
    """The handlers of the routes about held files."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        routes.add("GET", "antivirus/held", self.list)
        routes.add("POST", "antivirus/held/{server_name}/{media_id}/release", self.release, access=Access.OPERATOR)

    async def list(self, request: ApiRequest) -> Answer:
        """A page of held files, those first that wait longest."""
        page = request.page()
        entries, total = await self._database.run(
            "synapse_bum_antivirus_list_held", _describe, page.offset, page.limit, self._api.server_name
        )
        return Answer(page.answer("held", entries, total))

    async def release(self, request: ApiRequest) -> Answer:
        """Serve a held file from now on, on an operator's word."""
        reason = request.body(ReasonBody).reason
        names = request.path["server_name"], request.path["media_id"]
        now_ms = self._api.get_current_time_msec()

        def release(txn: LoggingTransaction) -> bool:
            return self._release(txn, *names, actor=request.user_id, reason=reason, now_ms=now_ms)

        if not await self._database.run("synapse_bum_antivirus_release_held", release):
            raise not_found("held file with this address")
        return Answer({"mxc": f"mxc://{names[0]}/{names[1]}"})

    def _release(
        self, txn: LoggingTransaction, server_name: str, media_id: str, *, actor: str, reason: str, now_ms: int
    ) -> bool:
        stored = media.stored_media(txn, server_name, media_id, self._api.server_name)
        if stored is None or not holding.let_go(txn, stored):
            return False
        audit.append(txn, _entry(f"mxc://{server_name}/{media_id}", actor, reason, now_ms))
        return True


def _describe(txn: LoggingTransaction, offset: int, limit: int, own_name: str) -> tuple[list[dict[str, Any]], int]:
    """A page of held files with what their rows say; one read by a unique key for each."""
    held, total = holding.list_held(txn, offset, limit)
    entries = []
    for server_name, media_id, since_ts in held:
        details = media_details(txn, server_name, media_id, own_name)
        entries.append(
            {
                "mxc": f"mxc://{server_name}/{media_id}",
                "uploader": None if details is None else details.stored.uploader,
                "size_bytes": None if details is None else details.size,
                "media_type": None if details is None else details.media_type,
                "since_ts": since_ts,
            }
        )
    return entries, total


def _entry(mxc: str, actor: str, reason: str, now_ms: int) -> audit.Entry:
    old: Any = "held"
    return audit.Entry(
        ts=now_ms, actor=actor, action="antivirus.let_go", target=mxc, old=old, new="served", reason=reason
    )
