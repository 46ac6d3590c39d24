"""Messages that can't go as others do: their room is busy, Synapse can't read them, or they come back."""

import importlib
import json
from collections.abc import Collection
from typing import Any
from unittest.mock import patch

from synapse.events import make_event_from_dict
from synapse.storage.databases.main.events_worker import InvalidEventError
from synapse.types import RoomStreamToken
from twisted.internet.defer import ensureDeferred

from synapse_bum.retention.classes import Batch
from synapse_bum.retention.messages import discovery
from synapse_bum.testing.message_case import MessageTestCase

OLD = 400


class BusyTests(MessageTestCase):
    """Somebody else purges a room, or fetches its past."""

    def prepare(self, *arguments: object) -> None:
        super().prepare(*arguments)
        self.sent = self.send("evergreen", days=OLD)
        self.send("recent")
        store = self.hs.get_datastores().main
        theirs = self.get_success(store.try_acquire_read_write_lock(self.lock_name(), self.room, write=True))
        assert theirs is not None
        self.theirs = theirs

    @staticmethod
    def lock_name() -> str:
        name: str = importlib.import_module("synapse.handlers.pagination").PURGE_PAGINATION_LOCK_NAME
        return name

    def run_waiting(self, run_id: str, *, released_at: int | None = None) -> list[Batch]:
        """A run for which time goes by; they release the room after so many tenths of a second."""
        self.prepare_run()
        batches: list[Batch] = []
        tenths = 0
        while not batches or batches[-1].more:
            purging = ensureDeferred(self.purger.purge(self.step(run_id)))
            while not purging.called:
                if tenths == released_at:
                    self.get_success(self.theirs.release())
                tenths += 1
                assert tenths < 1_000
                self.reactor.advance(0.1)
            batches.append(self.get_success(purging))
        return batches

    def test_its_messages_are_emptied_and_the_run_is_no_success(self) -> None:
        batches = self.run_waiting("first")
        assert self.is_stored(self.sent)
        assert (self.text_left("evergreen"), self.backlog()) == ([], 0)
        assert (sum(batch.failed for batch in batches), sum(batch.items for batch in batches)) == (1, 1)
        self.get_success(self.theirs.release())
        batches = self.run_waiting("second")
        assert not self.is_stored(self.sent)
        assert (sum(batch.failed for batch in batches), sum(batch.items for batch in batches)) == (0, 0)

    def test_a_short_request_is_waited_for(self) -> None:
        batches = self.run_waiting("first", released_at=5)
        assert not self.is_stored(self.sent)
        assert sum(batch.failed for batch in batches) == 0

    def test_others_come_first_and_then_it_is_tried_again(self) -> None:
        other = self.new_room()
        gone = self.send("ancient", days=OLD - 1, room_id=other)
        self.send("recent", room_id=other)
        batches = self.run_waiting("first", released_at=12)
        assert (self.is_stored(self.sent), self.is_stored(gone)) == (False, False)
        assert sum(batch.failed for batch in batches) == 0


class UnreadableTests(MessageTestCase):
    """Synapse can't read one of the messages that can only be emptied."""

    def prepare(self, *arguments: object) -> None:
        super().prepare(*arguments)
        self.inject("young and low", [self.send("base", days=OLD)], days=1)
        self.bad = self.send("unreadable", days=OLD)
        self.others = [self.send(f"ancient{n}", days=OLD - 1) for n in range(3)]
        self.send("recent")

    def run_and_check(self) -> None:
        self.run_once("first")
        assert self.text_left("base", "unreadable", "ancient", "recent") == ["recent"]
        assert (self.purger.failed_rooms, self.backlog()) == (0, 0)
        assert sum(items for items, _ in self.confirmed) == 5
        assert [self.content_of(event_id) for event_id in self.others] == [{}] * 3
        self.run_once("second", thorough=True)
        assert sum(items for items, _ in self.confirmed) == 5

    def set(self, column: str, value: object) -> None:
        query = f"UPDATE event_json SET {column} = ? WHERE event_id = ?"  # noqa: S608
        self.in_database(lambda txn: txn.execute(query, (value, self.bad)))
        self.hs.get_datastores().main._invalidate_local_get_event_cache(self.bad)

    def test_its_format_is_unknown(self) -> None:
        self.set("format_version", 99)
        self.run_and_check()
        (left,) = self.column("event_json", "json", event_id=self.bad)
        assert (json.loads(left)["content"], json.loads(left)["type"]) == ({}, "m.room.message")
        assert "unsigned" not in json.loads(left)

    def test_it_is_no_json(self) -> None:
        self.set("json", '{"unreadable"')
        self.run_and_check()

    def test_its_json_is_missing(self) -> None:
        self.in_database(lambda txn: txn.execute("DELETE FROM event_json WHERE event_id = ?", (self.bad,)))
        self.hs.get_datastores().main._invalidate_local_get_event_cache(self.bad)
        self.run_and_check()

    def test_it_makes_synapse_fail_for_all_that_are_read_with_it(self) -> None:
        store = self.hs.get_datastores().main
        read = store.get_events_as_list

        async def fail(event_ids: Collection[str], **options: Any) -> object:  # noqa: ANN401 - those of Synapse
            if self.bad in event_ids:
                raise InvalidEventError("no such room")
            return await read(event_ids, **options)

        with patch.object(store, "get_events_as_list", fail):
            self.run_once("first")
        assert self.text_left("base", "unreadable", "ancient") == []

    def test_a_database_that_fails_is_another_thing(self) -> None:
        store = self.hs.get_datastores().main
        with patch.object(store, "get_events_as_list", side_effect=store.db_pool.engine.module.OperationalError):
            self.run_once("first")
        assert self.text_left("unreadable", "ancient") == ["unreadable", "ancient"]
        assert self.purger.failed_rooms == 1


class ComebackTests(MessageTestCase):
    """A message that was emptied and then purged by somebody else."""

    def prepare(self, *arguments: object) -> None:
        super().prepare(*arguments)
        lone = self.send("comeback", days=OLD)
        store = self.hs.get_datastores().main
        event = self.get_success(store.get_event(lone))
        self.event = make_event_from_dict(event.get_pdu_json(), room_version=event.room_version)
        self.run_once("first")
        self.send("recent")
        depth = max(self.column("events", "topological_ordering", room_id=self.room))
        token = self.get_success(RoomStreamToken(topological=depth, stream=0).to_string(store))
        self.get_success(self.hs.get_storage_controllers().purge_events.purge_history(self.room, token, True))  # noqa: FBT003
        assert not self.is_stored(lone)

    def remembered(self) -> list[str]:
        return self.column("synapse_bum_retention_expired_events", "event_id", room_id=self.room)

    def test_it_is_deleted_again_when_it_is_fetched_again(self) -> None:
        self.get_success(self._persist_from_the_past(self.event))
        assert self.text_left("comeback") == ["comeback"]
        self.make_old([self.event.event_id], OLD)
        assert self.backlog() == 1
        self.run_once("second")
        assert (self.text_left("comeback"), self.backlog()) == ([], 0)
        assert sum(items for items, _ in self.confirmed) == 2

    def test_it_is_forgotten_within_a_week(self) -> None:
        assert self.remembered() == [self.event.event_id]
        self.run_once("second")
        assert self.remembered() == [self.event.event_id]
        self.reactor.advance(8 * 86_400)
        self.run_once("third")
        assert self.remembered() == []

    def test_what_is_still_there_is_not_forgotten(self) -> None:
        other = self.new_room()
        lone = self.send("lonely", days=OLD, room_id=other)
        self.run_once("second")
        with patch.object(discovery, "EMPTIED_PAGE", 1):
            self.run_once("third", thorough=True)
        assert self.remembered() == []
        assert self.column("synapse_bum_retention_expired_events", "event_id", room_id=other) == [lone]
