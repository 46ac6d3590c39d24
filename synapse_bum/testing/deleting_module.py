"""A module that deletes whatever an administrator names: what a feature does with `synapse_bum.deletion`, and no more.

In homeserver.yaml: `{"module": "synapse_bum.testing.deleting_module.DeletingModule", "config": {}}`.
"""

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit, deletion, reading
from synapse_bum.audit_routes import add_audit_routes
from synapse_bum.config import SharedConfig, parse
from synapse_bum.database import Database
from synapse_bum.deletion import remover
from synapse_bum.homeserver import media, requirements
from synapse_bum.reading import option
from synapse_bum.rest import Answer, ApiRequest, api_routes, not_found

POLICY: Final = "example:rule"
STEPS: Final = ("next_jobs", "note_unlinked", "drop_unlinked")
"""The remover's transactions, in the order in which it runs them."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class DeletingConfig(SharedConfig):
    """Configuration.

    Attributes:
        die_at: name of a step of the remover, at the beginning of which this process kills itself.
        lose_database: whether the database connection ends once in the middle of each step of the remover (PostgreSQL
            only).
        hurry: whether new uploads settle in a second and another process takes over after three.
    """

    die_at: str | None = option(reading.text, default=None)
    lose_database: bool = option(reading.boolean, default=False)
    hurry: bool = option(reading.boolean, default=False)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Wish:
    """Body of a deletion.

    Attributes:
        tombstone: whether a remote file must not be fetched again.
        room_id: a room in which the file is used.
    """

    tombstone: bool = option(reading.boolean, default=False)
    room_id: str | None = option(reading.text, default=None)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ManyWishes:
    """Body of a deletion of several files.

    Attributes:
        media_ids: of local files.
    """

    media_ids: tuple[str, ...] = option(reading.list_of(reading.text), default=())


class DeletingModule:
    """`POST example/deletions/{server_name}/{media_id}`, and the journal at `GET example/deletions`.

    `POST example/deletions` deletes several files in one transaction.

    Attributes:
        database: its transactions.
        remover: None in a process without the media volume.
    """

    @staticmethod
    def parse_config(config: dict[str, Any]) -> DeletingConfig:
        """Called by Synapse while it reads its configuration."""
        return parse(DeletingConfig, config)

    def __init__(self, config: DeletingConfig, api: ModuleApi) -> None:
        requirements.check(requirements.MEDIA_DELETION)
        self._api = api
        self.database = Database(api, deletion.DELETION)
        routes = api_routes(api, config)
        add_audit_routes(routes, self.database)
        routes.add("POST", "example/deletions/{server_name}/{media_id}", self._delete)
        routes.add("POST", "example/deletions", self._delete_many)
        routes.add("GET", "example/deletions", self._list)
        self.remover = deletion.file_remover(api, self.database)
        if config.die_at:
            setattr(remover, config.die_at, _die)
        if config.lose_database:
            for step in STEPS:
                setattr(remover, step, _losing_database(getattr(remover, step)))
        if config.hurry:
            setattr(remover, "SETTLE_MS", 1_000)  # noqa: B010 - it is a constant for everybody else
            setattr(remover, "LEASE_TTL_MS", 3_000)  # noqa: B010 - the same
        self.database.start()

    async def _delete(self, request: ApiRequest) -> Answer:
        wish = request.body(Wish)
        outcome = await self.database.run(
            "synapse_bum_example_delete",
            self.delete,
            request.path["server_name"],
            request.path["media_id"],
            actor=request.user_id,
            rooms=[wish.room_id] if wish.room_id else [],
            after=deletion.After.TOMBSTONE if wish.tombstone else deletion.After.DROP,
        )
        if isinstance(outcome, deletion.NotStored):
            raise not_found("file of this name")
        return Answer({"outcome": type(outcome).__name__})

    def delete(
        self,
        txn: LoggingTransaction,
        server_name: str,
        media_id: str,
        *,
        actor: str = "example",
        rooms: list[str] | None = None,
        after: deletion.After = deletion.After.DROP,
    ) -> deletion.Outcome:
        """Plan the deletion of a file, with its audit row, and wake the remover after the commit."""
        stored = media.stored_media(txn, server_name, media_id, self._api.server_name)
        if stored is None:
            return deletion.NotStored()
        now_ms = self._api.get_current_time_msec()
        outcome = deletion.plan(
            txn, stored, policy=POLICY, actor=actor, reason="a test", now_ms=now_ms, rooms=rooms or (), after=after
        )
        if isinstance(outcome, deletion.Planned):
            entry = audit.Entry(
                now_ms, actor, deletion.AUDIT_ACTION, outcome.deletion.mxc, new=outcome.audit_detail(), reason="a test"
            )
            audit.append(txn, entry)
            if self.remover is not None:
                txn.call_after(self.remover.kick)
        return outcome

    async def _delete_many(self, request: ApiRequest) -> Answer:
        plans = await self.database.run(
            "synapse_bum_example_delete_many", self.delete_many, request.body(ManyWishes).media_ids
        )
        return Answer(
            {
                "planned": [row.mxc for row in plans.planned],
                "already": [row.mxc for row in plans.already],
                "not_stored": [file.media_id for file in plans.not_stored],
            }
        )

    def delete_many(
        self, txn: LoggingTransaction, media_ids: Sequence[str], *, rooms: Sequence[str] = ()
    ) -> deletion.Plans:
        """Plan the deletion of local files, and wake the remover after the commit."""
        server_name = self._api.server_name
        found = [media.stored_media(txn, server_name, media_id, server_name) for media_id in media_ids]
        plans = deletion.plan_many(
            txn,
            [file for file in found if file is not None],
            policy=POLICY,
            actor="example",
            reason="a test",
            now_ms=self._api.get_current_time_msec(),
            rooms=rooms,
        )
        if self.remover is not None:
            txn.call_after(self.remover.kick)
        return plans

    async def _list(self, request: ApiRequest) -> Answer:
        page = request.page()
        rows, total = await self.database.run(
            "synapse_bum_example_list", deletion.list_deletions, page.offset, page.limit
        )
        return Answer(page.answer("deletions", [_shown(row) for row in rows], total))


def _shown(row: deletion.Deletion) -> dict[str, Any]:
    return {**row.as_json(), "state": row.state.value, "error": row.error}


def _die(*_arguments: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _losing_database(step: Callable[..., Any]) -> Callable[..., Any]:
    lost: list[bool] = []

    def lose_once(txn: LoggingTransaction, *arguments: object) -> Any:  # noqa: ANN401 - as the step
        result = step(txn, *arguments)
        if not lost:
            lost.append(True)
            txn.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return result

    return lose_once
