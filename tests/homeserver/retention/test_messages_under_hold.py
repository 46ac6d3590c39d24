"""Holds: what a court wants to see stays, what others wrote around it does not, and afterwards all goes."""

from unittest.mock import patch

from synapse.module_api import LoggingTransaction

from synapse_bum.deletion import Hold, put_hold
from synapse_bum.homeserver import event_expiry
from synapse_bum.retention.classes import Step
from synapse_bum.retention.messages.room_purge import Deleted
from synapse_bum.testing.message_case import MessageTestCase

OLD = 400


class HoldTests(MessageTestCase):
    def test_a_held_room_keeps_everything_until_the_hold_ends(self) -> None:
        self.send("evidence", days=OLD)
        self.send("recent")
        other = self.new_room()
        gone = self.send("ancient", days=OLD, room_id=other)
        self.send("recent", room_id=other)
        self.hold(self.room, days=2)
        assert self.backlog() == 1
        self.run_once("first")
        assert self.text_left("evidence") == ["evidence"]
        assert not self.is_stored(gone)
        assert self.backlog() == 0
        self.reactor.advance(3 * 86_400)
        assert self.backlog() == 1
        self.run_once("second")
        assert self.text_left("evidence") == []
        assert self.backlog() == 0

    def test_a_held_users_messages_stay_and_those_around_them_go(self) -> None:
        bobs = []
        for n in range(3):
            self.send(f"alices{n}", days=OLD)
            content = {"msgtype": "m.text", "body": f"bobs{n}"}
            bobs.append(self.send_event("m.room.message", content, days=OLD, token=self.bob_token))
        self.send("recent")
        self.hold(self.bob, days=2)
        self.run_once("first")
        assert self.text_left("alices") == []
        assert [(self.content_of(event_id) or {})["body"] for event_id in bobs] == ["bobs0", "bobs1", "bobs2"]
        assert self.backlog() == 0
        assert sum(items for items, _ in self.confirmed) == 3
        self.reactor.advance(3 * 86_400)
        assert self.backlog() == 3
        self.run_once("second")
        assert self.text_left("bobs") == []
        assert sum(items for items, _ in self.confirmed) == 6
        assert self.messages_in(self.room) == self.messages_in(self.room)[-1:]
        assert self.backlog() == 0

    def test_a_hold_that_is_set_during_the_run_keeps_what_is_left(self) -> None:
        rooms = [self.new_room() for _ in range(3)]
        for n, room_id in enumerate(rooms):
            self.send(f"evidence{n}", days=OLD + 3 - n, room_id=room_id)
            self.send("recent", room_id=room_id)
        settle = self.purger._rooms.settle

        async def settle_and_hold(step: Step) -> Deleted:
            await self.database.run("test", self.put, rooms[2])
            return await settle(step)

        with patch.object(self.purger._rooms, "settle", settle_and_hold):
            self.run_once()
        assert self.text_left("evidence0", "evidence1", "evidence2") == ["evidence2"]

    def test_a_hold_between_looking_and_emptying_is_respected(self) -> None:
        lone = self.send("evidence", days=OLD)
        pruned = event_expiry.pruned

        async def prune_and_hold(*arguments: object) -> dict[str, str]:
            contents = await pruned(*arguments)  # type: ignore[arg-type]
            await self.database.run("test", self.put, self.alice)
            return contents

        with patch.object(event_expiry, "pruned", prune_and_hold):
            self.run_once()
        assert (self.content_of(lone) or {})["body"] == "evidence"
        assert self.confirmed == []
        assert self.column("synapse_bum_retention_message_rooms", "room_id", room_id=self.room) == [self.room]

    def put(self, txn: LoggingTransaction, target: str) -> None:
        put_hold(txn, Hold(target, "court order", self.now_ms + 10**9, "@admin:test", self.now_ms))
