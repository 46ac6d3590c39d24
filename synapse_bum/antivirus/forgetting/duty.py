"""The hourly duty of forgetting, on one process: any that has the module, the media volume is not needed.

Bounded: a turn looks at so many pages of each table, and the next one goes on there. Each page is a transaction; a
crash loses none and repeats at most what was looked at since the last row that went.
"""

import logging
from collections import Counter
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit, deletion
from synapse_bum.antivirus import metrics
from synapse_bum.antivirus.findings.exemptions import take_turn
from synapse_bum.antivirus.findings.records import ACTOR
from synapse_bum.antivirus.forgetting import walks
from synapse_bum.antivirus.forgetting.walks import Kept, Look, Page, Position, Walk
from synapse_bum.database import Database, Lease, Leases
from synapse_bum.database.error_text import first_line

logger = logging.getLogger(__name__)

LEASE: Final = "antivirus.forgetting"
INTERVAL_MS: Final = 3_600_000
PAGES: Final = 500
"""Pages of each table that are looked at in one turn."""

AUDIT_ACTION: Final = "antivirus.forgotten"

_LEASE_TTL_MS: Final = 60_000
_REST_MS: Final = INTERVAL_MS // 2
"""A walk that has ended is not begun anew earlier, by whichever process."""

_DEFERRED: Final = "redactions"


class Forgetting:
    """Forgets what is known of files that are gone."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        """Takes the homeserver, and the database with the antivirus tables and those of deletions and the audit."""
        self._api = api
        self._database = database
        self._leases = Leases(api, database)
        self._busy = False

    def start(self) -> None:
        """Have it done every hour."""
        self._api.looping_background_call(
            self.run, INTERVAL_MS, desc="synapse_bum_antivirus_forgetting", run_on_all_instances=True
        )

    async def run(self) -> None:
        """Do one turn, unless the last one still runs or another process does it."""
        if self._busy:
            return
        self._busy = True
        try:
            await self._leases.run_while_held(LEASE, _LEASE_TTL_MS, self._turn)
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn tries again
            logger.warning("What is known of files that are gone stays for now: %s", first_line(error))
        finally:
            self._busy = False

    async def _turn(self, lease: Lease) -> None:
        forgotten: Counter[str] = Counter()
        for walk in walks.WALKS:
            await self._follow(walk, lease, forgotten)
        if lease.held:
            deferred = await self._database.run("synapse_bum_antivirus_forget_deferred", walks.forget_deferred)
            self._count(forgotten, _DEFERRED, deferred)
        if forgotten.total():
            counts = {walk.name: forgotten[walk.name] for walk in walks.WALKS} | {_DEFERRED: forgotten[_DEFERRED]}
            logger.info(
                "Forgot what was known of files that are gone: %s",
                ", ".join(f"{rows} {name}" for name, rows in counts.items() if rows),
                extra=counts,
            )

    async def _follow(self, walk: Walk, lease: Lease, forgotten: Counter[str]) -> None:
        desc, now_ms = f"synapse_bum_antivirus_forget_{walk.name}", self._api.get_current_time_msec()
        after = await self._database.run(desc, walks.read_position, walk, now_ms, _REST_MS)
        if after is None:
            return
        end: Position | None = after
        for _ in range(PAGES):
            if end is None or not lease.held:
                break
            at = Look(self._api.server_name, end, now_ms)
            # Most pages have nothing to forget: read, which on SQLite goes without the lock that writing takes.
            page = await self._api.run_db_interaction(desc, walk.look, at)
            if page.keys:
                page = await self._database.run(desc, self._forget, walk, at)
            self._count(forgotten, walk.name, len(page.keys))
            end = page.end
        await self._database.run(desc, walks.write_position, walk, end, now_ms)

    @staticmethod
    def _forget(txn: LoggingTransaction, walk: Walk, at: Look) -> Page:
        if walk.changes_findings:
            take_turn(txn)
        if walk.names_people:
            people = deletion.held_uploaders(txn, at.now_ms).users
            at = attr.evolve(at, kept=Kept(people, frozenset(deletion.held_rooms(txn, at.now_ms))))
        page = walks.forget(txn, walk, at)
        if page.keys and walk.changes_findings:
            new = {"names_removed_from": len(page.keys)}
            audit.append(txn, audit.Entry(at.now_ms, ACTOR, AUDIT_ACTION, walk.name, old=None, new=new))
        return page

    @staticmethod
    def _count(forgotten: Counter[str], name: str, rows: int) -> None:
        forgotten[name] += rows
        if rows:
            metrics.FORGOTTEN.labels(name).inc(rows)
