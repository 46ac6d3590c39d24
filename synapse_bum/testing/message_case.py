"""A homeserver in the test's own process whose messages have the age that a test gives them."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, ClassVar, TypeVar

from synapse.events import EventBase, make_event_from_dict
from synapse.module_api import LoggingTransaction
from synapse.rest import admin
from synapse.rest.client import login, relations, room, sync
from tests.test_utils.event_injection import inject_event, inject_member_event
from tests.unittest import HomeserverTestCase

from synapse_bum.database import Database, Lease
from synapse_bum.deletion import Hold, put_hold
from synapse_bum.homeserver.message_age import IS_MESSAGE
from synapse_bum.retention.classes import Batch, Step
from synapse_bum.retention.messages import MessagePurger

T = TypeVar("T")

DAY_MS = 86_400_000
LIFETIME_DAYS = 365
REMOTE = "@remote:remote.example"


class MessageTestCase(HomeserverTestCase):
    """Alice and bob of this server in a room, with a purger whose cut-off is a year ago.

    Attributes:
        purger: as a run has it.
        confirmed: items and bytes that the purger had counted, in transactions that were committed.
        room: where alice and bob are.
    """

    servlets: ClassVar[list[Any]] = [
        admin.register_servlets,
        login.register_servlets,
        relations.register_servlets,
        room.register_servlets,
        sync.register_servlets,
    ]
    message_step: ClassVar[int] = 2_000

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - the clock's module changed
        """Registers the users and opens the room."""
        super().prepare(*reactor_clock_and_homeserver)
        self.reactor.advance(5 * LIFETIME_DAYS * DAY_MS / 1000)
        self.api = self.hs.get_module_api()
        self.database = Database(self.api)
        self.confirmed: list[tuple[int, int]] = []
        self.alice = self.register_user("alice", "pass")
        self.alice_token = self.login("alice", "pass")
        self.bob = self.register_user("bob", "pass")
        self.bob_token = self.login("bob", "pass")
        self.restart()
        self.room = self.new_room()

    def restart(self) -> None:
        """Begin with a purger that remembers nothing but what is in the database."""
        self.purger = MessagePurger(self.api, self.database, message_step=self.message_step)

    def new_room(self, **options: Any) -> str:  # noqa: ANN401 - the arguments of `create_room_as`
        """Open a room of alice's and let bob join."""
        room_id: str = self.helper.create_room_as(self.alice, tok=self.alice_token, **options)
        self.helper.join(room_id, self.bob, tok=self.bob_token)
        return room_id

    @property
    def now_ms(self) -> int:
        """The present of the homeserver."""
        return int(self.hs.get_clock().time_msec())

    @property
    def cutoff_ts(self) -> int:
        """A year ago."""
        return self.now_ms - LIFETIME_DAYS * DAY_MS

    # Writing

    def send(
        self, body: str, *, days: float = 0, room_id: str | None = None, relates_to: dict[str, str] | None = None
    ) -> str:
        """Send a message as alice, make it that old, and return its id."""
        content: dict[str, Any] = {"msgtype": "m.text", "body": body}
        if relates_to is not None:
            content["m.relates_to"] = relates_to
        return self.send_event("m.room.message", content, days=days, room_id=room_id)

    def send_event(
        self,
        event_type: str,
        content: dict[str, Any],
        *,
        days: float = 0,
        room_id: str | None = None,
        token: str | None = None,
    ) -> str:
        """Send an event as alice, unless another token is given, make it that old, and return its id."""
        sent = self.helper.send_event(room_id or self.room, event_type, content=content, tok=token or self.alice_token)
        event_id: str = sent["event_id"]
        self.make_old([event_id], days)
        return event_id

    def inject(
        self, body: str, previous: list[str], *, days: float = 0, room_id: str | None = None, sender: str | None = None
    ) -> str:
        """Have a message arrive that follows these events, make it that old, and return its id."""
        event = self.get_success(
            inject_event(
                self.hs,
                prev_event_ids=previous,
                room_id=room_id or self.room,
                sender=sender or self.alice,
                type="m.room.message",
                content={"msgtype": "m.text", "body": body},
            )
        )
        self.make_old([event.event_id], days)
        event_id: str = event.event_id
        return event_id

    def join_remote(self, room_id: str | None = None) -> None:
        """Let a user of another server join."""
        self.get_success(inject_member_event(self.hs, room_id or self.room, REMOTE, "join"))

    def backfill(self, previous: str, days: float, body: str = "from the past", *, depth: int = 2) -> str:
        """Have a message be fetched from the past, just now, that its sender sent days ago; return its id."""

        def state_of(txn: LoggingTransaction) -> list[str]:
            txn.execute(
                "SELECT event_id FROM current_state_events WHERE room_id = ? AND (type IN"
                " ('m.room.create', 'm.room.power_levels') OR (type = 'm.room.member' AND state_key = ?))",
                (self.room, REMOTE),
            )
            return [event_id for (event_id,) in txn.fetchall()]

        event = make_event_from_dict(
            {
                "room_id": self.room,
                "sender": REMOTE,
                "type": "m.room.message",
                "content": {"msgtype": "m.text", "body": body},
                "depth": depth,
                "prev_events": [previous],
                "auth_events": self.in_database(state_of),
                "origin_server_ts": self.now_ms - int(days * DAY_MS),
                "hashes": {"sha256": "AAAA"},
                "signatures": {},
            },
            room_version=self.get_success(self.hs.get_datastores().main.get_room_version(self.room)),
        )
        self.get_success(self._persist_from_the_past(event))
        event_id: str = event.event_id
        return event_id

    async def _persist_from_the_past(self, event: EventBase) -> None:
        controllers = self.hs.get_storage_controllers()
        context = await self.hs.get_state_handler().compute_event_context(event)
        assert controllers.persistence is not None
        await controllers.persistence.persist_events([(event, context)], backfilled=True)

    def make_old(self, event_ids: Iterable[str], days: float) -> None:
        """Let events have been sent and received that long ago."""
        ts = self.now_ms - int(days * DAY_MS)

        def write(txn: LoggingTransaction) -> None:
            txn.execute_batch(
                "UPDATE events SET received_ts = ?, origin_server_ts = ? WHERE event_id = ?",
                [(ts, ts, event_id) for event_id in event_ids],
            )

        self.in_database(write)

    def make_all_old(self, room_id: str, days: float) -> None:
        """Let everything in a room be that old, its state too."""
        ts = self.now_ms - int(days * DAY_MS)

        def write(txn: LoggingTransaction) -> None:
            txn.execute("UPDATE events SET received_ts = ?, origin_server_ts = ? WHERE room_id = ?", (ts, ts, room_id))

        self.in_database(write)

    def hold(self, target: str, *, days: float = 30) -> None:
        """Put a hold on a user or a room."""
        until_ts = self.now_ms + int(days * DAY_MS)
        hold = Hold(target, "court order", until_ts, "@admin:test", self.now_ms)
        self.get_success(self.database.run("test", put_hold, hold))

    # Running

    def step(self, run_id: str = "run") -> Step:
        """What a run hands to the purger now."""
        return Step(run_id, self.cutoff_ts, self.now_ms, self.lease(), self._confirm)

    def lease(self) -> Lease:
        """A lease that does not end."""
        return Lease("retention.run", float("inf"), lambda: 0.0)

    def prepare_run(self, *, thorough: bool = False) -> None:
        """Look for what is new."""
        self.get_success(self.purger.prepare(self.cutoff_ts, self.lease(), thorough=thorough))

    def run_once(self, run_id: str = "run", *, thorough: bool = False) -> list[Batch]:
        """Do a whole run."""
        self.prepare_run(thorough=thorough)
        batches: list[Batch] = []
        for _ in range(1_000):
            batches.append(self.get_success(self.purger.purge(self.step(run_id))))
            if not batches[-1].more:
                return batches
        raise AssertionError("the run does not end")

    def backlog(self) -> int:
        """How many messages are expired and there."""
        return self.get_success(self.purger.backlog(self.cutoff_ts)).items

    def _confirm(self, txn: LoggingTransaction, items: int, size_bytes: int) -> None:
        txn.call_after(self.confirmed.append, (items, size_bytes))

    # Looking

    def in_database(self, func: Callable[[LoggingTransaction], T]) -> T:
        """Run a function in a transaction."""
        return self.get_success(self.hs.get_datastores().main.db_pool.runInteraction("test", func))

    def is_stored(self, event_id: str) -> bool:
        """Whether an event is in Synapse's tables."""
        return self.column("events", "event_id", event_id=event_id) == [event_id]

    def column(self, table: str, column: str, **where: str) -> list[Any]:
        """The values of a column where others have these values."""
        conditions = " AND ".join(f"{name} = ?" for name in where)

        def select(txn: LoggingTransaction) -> list[Any]:
            txn.execute(f"SELECT {column} FROM {table} WHERE {conditions}", tuple(where.values()))  # noqa: S608
            return [value for (value,) in txn.fetchall()]

        return self.in_database(select)

    def text_left(self, *words: str) -> list[str]:
        """Which of some words still stand in any table that has messages."""
        queries = (
            "SELECT json FROM event_json",
            "SELECT content FROM events WHERE content IS NOT NULL",
            "SELECT key FROM event_search",
        )
        searched = (
            "SELECT vector FROM event_search"
            if self.database.dialect.value == "postgres"
            else "SELECT value FROM event_search"
        )

        def select(txn: LoggingTransaction) -> str:
            found: list[str] = []
            for query in (*queries, searched):
                txn.execute(query)
                found += [str(text) for (text,) in txn.fetchall()]
            return "\n".join(found)

        everything = self.in_database(select)
        return [word for word in words if word in everything]

    def messages_in(self, room_id: str) -> list[str]:
        """Event ids of all messages that a room has rows of."""

        def select(txn: LoggingTransaction) -> list[str]:
            txn.execute(
                f"SELECT e.event_id FROM events AS e WHERE e.room_id = ? AND {IS_MESSAGE}"  # noqa: S608
                " ORDER BY e.topological_ordering, e.stream_ordering",
                (room_id,),
            )
            return [event_id for (event_id,) in txn.fetchall()]

        return self.in_database(select)

    def content_of(self, event_id: str, room_id: str | None = None) -> dict[str, Any] | None:
        """The content that bob is shown of an event; None when there is no such event."""
        channel = self.make_request(
            "GET", f"/_matrix/client/v3/rooms/{room_id or self.room}/event/{event_id}", access_token=self.bob_token
        )
        if channel.code == HTTPStatus.NOT_FOUND:
            return None
        assert channel.code == HTTPStatus.OK, channel.json_body
        content: dict[str, Any] = channel.json_body["content"]
        return content

    def search(self, word: str) -> int:
        """How many messages bob finds."""
        channel = self.make_request(
            "POST",
            "/_matrix/client/v3/search",
            {"search_categories": {"room_events": {"search_term": word}}},
            access_token=self.bob_token,
        )
        assert channel.code == HTTPStatus.OK, channel.json_body
        return int(channel.json_body["search_categories"]["room_events"]["count"])
