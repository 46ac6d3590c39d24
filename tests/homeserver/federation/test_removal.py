"""What an operator's removal does: kicks, what is queued, rooms that stay, and what becomes of it after a crash."""

from typing import Any
from unittest.mock import patch

from synapse.api.constants import EventTypes, Membership
from synapse.module_api import LoggingTransaction, ModuleApi
from tests.server import FakeChannel
from tests.test_utils import event_injection
from twisted.internet.defer import Deferred

from synapse_bum.federation import partners
from synapse_bum.federation.removal import TICK_MS
from synapse_bum.homeserver import federation_rooms
from synapse_bum.testing.federation_case import PARTNER, FederationTestCase

FRIEND = f"@friend:{PARTNER}"
WAIT_S = 4


class RoomsTestCase(FederationTestCase):
    """A partner, and rooms with users of it."""

    federation = {"removal": {"wait": f"{WAIT_S}s"}}

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        super().prepare(*reactor_clock_and_homeserver)
        self.add()

    def room_with(self, user: str = FRIEND, *, membership: str = Membership.JOIN, power: int | None = None) -> str:
        """A room of alice's with somebody from elsewhere; with `power`, everybody's who created nothing is 0."""
        room: str = self.helper.create_room_as(self.alice, tok=self.alice_token, room_version="10")
        if membership == Membership.INVITE:
            joining = event_injection.inject_member_event(self.hs, room, self.alice, membership, target=user)
        else:
            joining = event_injection.inject_member_event(self.hs, room, user, membership)
        self.get_success(joining)
        if power is not None:
            levels = self.helper.get_state(room, "m.room.power_levels", tok=self.alice_token)
            levels["users"] = {user: power}
            self.helper.send_state(room, "m.room.power_levels", levels, tok=self.alice_token)
        return room

    def membership(self, room: str, user: str = FRIEND) -> str:
        state = self.get_success(
            self.hs.get_storage_controllers().state.get_current_state_event(room, EventTypes.Member, user)
        )
        assert state is not None
        found: str = state.membership
        return found

    def begin(self, name: str = PARTNER) -> FakeChannel:
        """Sends the DELETE and returns its channel, before anything is done."""
        channel = self.make_request(
            "DELETE",
            f"/_synapse/client/bum/v1/federation/partners/{name}",
            {"reason": "x"},
            access_token=self.boss_token,
            await_result=False,
        )
        self.pump(0.001)
        return channel

    def run_query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        def run(txn: LoggingTransaction) -> list[tuple[Any, ...]]:
            txn.execute(sql, values)
            return list(txn.fetchall()) if txn.description else []

        return self.get_success(self.hs.get_module_api().run_db_interaction("test", run))

    def take(self, position: int) -> None:
        """The other server has taken everything up to here."""
        store = self.hs.get_datastores().main
        self.get_success(store.set_destination_last_successful_stream_ordering(PARTNER, position))


class RemovalTestCase(RoomsTestCase):
    def test_members_are_kicked_and_their_server_gets_the_time_to_know(self) -> None:
        rooms = [self.room_with(), self.room_with(membership=Membership.INVITE)]
        channel = self.begin()
        assert [self.membership(room) for room in rooms] == ["leave", "leave"]
        # The federation client and sender read the configuration at each use; the media repository has its own.
        outgoing: Any = self.hs.config.federation.federation_domain_whitelist
        incoming: Any = self.hs.get_media_repository().federation_domain_whitelist
        assert PARTNER not in incoming
        assert PARTNER in outgoing
        assert not channel.is_finished()
        self.take(10**6)
        self.pump(0.1)
        assert PARTNER not in outgoing
        assert channel.code == 200
        row = self.audit()[0]
        assert row["action"] == "federation.closed"
        assert row["new"] == {
            "kicked": 2,
            "undelivered_kicks": 0,
            "rooms": 2,
            "rooms_without_power": [],
            "dropped_messages": 0,
        }

    def test_a_server_that_takes_nothing_is_not_waited_for_longer_than_that(self) -> None:
        room = self.room_with()
        channel = self.begin()
        self.reactor.advance(WAIT_S - 0.5)
        assert PARTNER in self.module.doors._outgoing
        self.reactor.advance(1)
        assert PARTNER not in self.module.doors._outgoing
        self.pump(0.1)
        assert channel.code == 200
        assert self.membership(room) == "leave"
        done = self.audit()[0]["new"]
        assert (done["kicked"], done["undelivered_kicks"]) == (1, 1)

    def test_a_room_in_which_kicks_hang_keeps_no_other_one_and_no_removal_waiting(self) -> None:
        rooms = sorted(self.room_with() for _ in range(3))
        kick = federation_rooms.kick

        async def hang_or_fail(api: ModuleApi, by: str, member: federation_rooms.Member, reason: str) -> int | None:
            if member.room_id == rooms[0]:
                await Deferred()
            if member.room_id == rooms[1]:
                raise RuntimeError("no such luck")
            return await kick(api, by, member, reason)

        with patch.object(federation_rooms, "kick", hang_or_fail), self.assertLogs("synapse_bum.federation", "ERROR"):
            channel = self.begin()
            assert PARTNER not in self.module.doors._incoming
            for _ in range(35):
                self.reactor.advance(1)
                self.pump()
        assert channel.code == 200
        assert [self.membership(room) for room in rooms] == ["join", "join", "leave"]
        assert PARTNER not in self.module.doors._outgoing
        assert self.audit()[0]["new"]["kicked"] == 1

    def test_without_anybody_to_wait_for_it_is_done_at_once(self) -> None:
        self.room_with(membership=Membership.INVITE)
        channel = self.begin()
        self.pump(0.01)
        assert channel.code == 200
        assert PARTNER not in self.module.doors._outgoing

    def test_rooms_without_power_are_named_before_and_after(self) -> None:
        free, bound = self.room_with(), self.room_with(power=100)
        assert self.answer("GET", f"federation/partners/{PARTNER}/impact") == {
            "rooms": 2,
            "local_users": 1,
            "remote_users": 1,
            "rooms_without_power": [bound],
        }
        self.begin()
        self.take(10**6)
        self.pump(0.1)
        assert (self.membership(free), self.membership(bound)) == ("leave", "join")
        assert self.audit()[0]["new"]["rooms_without_power"] == [bound]
        left = {"rooms": [{"room_id": bound, "servers": [PARTNER]}], "total": 1}
        assert self.answer("GET", "federation/outsiders") == left

    def test_what_is_queued_is_not_delivered_when_the_partner_is_back(self) -> None:
        self.room_with()
        send = {"messages": {FRIEND: {"DEVICE": {"secret": 1}}}}
        path = "/_matrix/client/v3/sendToDevice/m.dummy/"
        self.make_request("PUT", f"{path}1", send, access_token=self.alice_token)
        assert self.run_query("SELECT destination FROM device_federation_outbox") == [(PARTNER,)]
        channel = self.begin()
        self.reactor.advance(WAIT_S + 1)
        self.pump(0.1)
        assert channel.code == 200
        assert self.run_query("SELECT * FROM device_federation_outbox") == []
        assert self.run_query("SELECT * FROM destination_rooms WHERE destination = ?", PARTNER) == []
        assert self.audit()[0]["new"]["dropped_messages"] == 1
        sender: Any = self.hs.get_federation_sender()
        assert PARTNER not in sender._per_destination_queues
        self.make_request("PUT", f"{path}2", send, access_token=self.alice_token)
        self.add()
        assert self.run_query("SELECT * FROM device_federation_outbox") == []

    def test_a_partner_that_leaves_is_not_listed_and_not_changed(self) -> None:
        self.room_with()
        self.begin()
        assert self.answer("GET", "federation/partners")["total"] == 0
        assert self.answer("GET", f"federation/check/{PARTNER}")["because"] == "being_removed"
        channel = self.ask("PUT", f"federation/partners/{PARTNER}", {"reason": "x"})
        assert channel.code == 409
        assert "being removed" in channel.json_body["error"]

    def test_another_process_goes_on_after_a_crash(self) -> None:
        room = self.room_with()
        now = self.now_ms()

        def begin(txn: LoggingTransaction) -> None:
            partners.begin_change(txn, now)
            partners.begin_leaving(txn, partners.Leaving(PARTNER, now + 1_000, "x", self.boss))

        self.get_success(self.hs.get_module_api().run_db_interaction("test", begin))
        for _ in range(4):
            self.reactor.advance(TICK_MS / 1000)
            self.pump()
        assert self.membership(room) == "leave"
        assert self.audit()[0]["action"] == "federation.closed"
        assert self.run_query("SELECT server_name FROM synapse_bum_federation_partners") == []
        self.add()


class WildcardTestCase(RoomsTestCase):
    federation = {"removal": {"wait": f"{WAIT_S}s"}, "allow_wildcards": True}

    def test_a_wildcard_takes_with_it_whom_nobody_else_lets_in(self) -> None:
        self.remove()
        self.add("%2A.example.com")
        self.add("kept.example.com")
        rooms = {user: self.room_with(user) for user in (FRIEND, "@a:kept.example.com", "@b:example.com")}
        impact = self.answer("GET", "federation/partners/%2A.example.com/impact")
        assert (impact["rooms"], impact["remote_users"]) == (1, 1)
        self.begin("%2A.example.com")
        assert [self.membership(room, user) for user, room in rooms.items()] == ["leave", "join", "join"]
        assert self.is_allowed("kept.example.com")
        assert not self.is_allowed(PARTNER)

    def test_whom_another_partner_lets_in_stays(self) -> None:
        self.add("%2A.example.com")
        room = self.room_with()
        self.remove()
        assert self.is_allowed()
        assert self.membership(room) == "join"


class WithoutKicksTestCase(RoomsTestCase):
    federation = {"removal": {"kick": False}}

    def test_members_stay_and_nothing_is_waited_for(self) -> None:
        room = self.room_with()
        self.remove()
        assert self.membership(room) == "join"
        assert PARTNER not in self.module.doors._outgoing
        assert self.audit()[0]["new"]["kicked"] == 0
