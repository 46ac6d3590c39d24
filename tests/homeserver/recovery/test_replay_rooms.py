"""Rooms, their names and who is in them, set back to a backup; and what a hold keeps."""

from http import HTTPStatus
from typing import Any

from synapse.module_api import LoggingTransaction

from synapse_bum.after_restore import Logged
from synapse_bum.deletion import Hold, delete_hold, put_hold
from synapse_bum.recovery import owed
from synapse_bum.recovery.memberships import Memberships
from synapse_bum.recovery.owed import Membership
from synapse_bum.recovery.rooms import DeletedRooms
from synapse_bum.testing.replay_case import ReplayTestCase

ALIAS = "/_matrix/client/v3/directory/room/%23talk:test"


class RoomTestCase(ReplayTestCase):
    """A room with a moderator and a member.

    Attributes:
        member: user id.
        room: room id.
    """

    def setUp(self) -> None:
        super().setUp()
        self.member = self.register_user("member", "pass")
        self.token = self.login("member", "pass")
        self.room = self.helper.create_room_as(self.user, tok=self.user_token)
        self.helper.join(self.room, self.member, tok=self.token)
        self.tell()

    def reads(self, what: str = "state") -> int:
        path = f"/_matrix/client/v3/rooms/{self.room}/{what}"
        return self.make_request("GET", path, access_token=self.token).code

    def body_of(self, what: str) -> str:
        path = f"/_matrix/client/v3/rooms/{self.room}/{what}"
        return str(self.make_request("GET", path, access_token=self.token).json_body)

    def synced(self, since: str | None = None) -> Any:  # noqa: ANN401 - JSON
        path = "/_matrix/client/v3/sync?timeout=0" + ("" if since is None else f"&since={since}")
        return self.make_request("GET", path, access_token=self.token).json_body

    def slid(self, pos: str | None = None) -> Any:  # noqa: ANN401 - JSON
        wanted = {"ranges": [[0, 9]], "required_state": [], "timeline_limit": 5}
        path = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0"
        path += "" if pos is None else f"&pos={pos}"
        return self.make_request("POST", path, {"lists": {"all": wanted}}, access_token=self.token).json_body

    def hold(self, target: str) -> None:
        self.run_sql(lambda txn: put_hold(txn, Hold(target, "evidence", 4_000_000_000_000, self.admin, 1)))

    def lift(self, target: str) -> None:
        self.run_sql(lambda txn: delete_hold(txn, target))

    def tidy(self) -> None:
        self.reactor.advance(60)
        self.tell()

    def in_state(self) -> str:
        (membership,) = self.one(
            "SELECT membership FROM current_state_events WHERE room_id = ? AND state_key = ?", self.room, self.member
        )
        return str(membership)


class MembershipsTestCase(RoomTestCase):
    """Who left after the backup."""

    def test_who_was_banned_reads_nothing_after_the_restore(self) -> None:
        backup = self.backup()
        self.helper.ban(self.room, self.user, self.member, tok=self.user_token)
        self.tell()
        self.restore(backup)
        sync = self.make_request("GET", "/_matrix/client/v3/sync", access_token=self.token).json_body
        assert self.room not in sync.get("rooms", {}).get("join", {})
        assert self.one("SELECT membership FROM local_current_membership WHERE user_id = ?", self.member) == ("leave",)
        snapshot = self.one("SELECT membership FROM sliding_sync_membership_snapshots WHERE user_id = ?", self.member)
        assert snapshot == ("leave",)
        owes = self.run_sql(owed.memberships)
        assert owes == [Membership(self.room, self.member, "ban", self.user)]
        assert self.audited() == {"recovery.membership"}

    def test_who_left_gets_no_new_message_before_and_after_he_is_made_to_leave(self) -> None:
        since = self.synced()["next_batch"]
        slid = self.slid()
        assert self.room in slid["rooms"]
        left = Logged(f"{self.room} {self.member}", {"is": "leave", "by": self.user}, 1)
        assert self.run_sql(lambda txn: Memberships().close_again(txn, [left]))
        self.forget()
        for body in ("first", "second"):
            self.helper.send(self.room, body, tok=self.user_token)
            sync = self.synced(since)
            assert self.room not in sync.get("rooms", {}).get("join", {})
            slid = self.slid(slid["pos"])
            assert self.room not in slid["rooms"]
            assert body not in f"{sync}{slid}"
            since = sync["next_batch"]
        assert [self.reads(), self.reads("messages?dir=b")] == [HTTPStatus.OK] * 2
        assert "first" not in self.body_of("messages?dir=b")
        assert self.in_state() == "leave"
        self.tidy()
        sync = self.synced(since)
        assert list(sync["rooms"]["leave"]) == [self.room]
        assert "first" not in str(sync)
        # Others know him for a member until then, and no longer.
        event_ids = self.get_success(self.store.get_partial_current_state_ids(self.room))
        event = self.get_success(self.store.get_event(event_ids["m.room.member", self.member]))
        assert event.membership == "leave"
        joined = self.one("SELECT joined_members FROM room_stats_current WHERE room_id = ?", self.room)
        assert joined == (1,)

    def test_who_came_again_is_in(self) -> None:
        backup = self.backup()
        self.helper.leave(self.room, self.member, tok=self.token)
        self.tell()
        self.helper.join(self.room, self.member, tok=self.token)
        self.tell()
        self.restore(backup)
        assert self.run_sql(owed.memberships) == []
        assert self.reads() == HTTPStatus.OK

    def test_who_only_comes_is_not_told(self) -> None:
        assert "memberships" not in self.path.read_text()

    def test_somebody_who_has_left_leaves_and_is_banned_by_synapse(self) -> None:
        for membership in ("leave", "ban"):
            owes = Membership(self.room, self.member, membership, self.user)

            def owe(txn: LoggingTransaction, owes: Membership = owes) -> None:
                owed.owe_membership(txn, owes)

            self.run_sql(owe)
            self.tidy()
            assert self.in_state() == membership
            assert self.run_sql(owed.memberships) == []

    def test_a_ban_of_somebody_who_has_no_power_any_more_is_a_leave(self) -> None:
        self.run_sql(lambda txn: owed.owe_membership(txn, Membership(self.room, self.member, "ban", "@who:test")))
        self.tidy()
        assert self.in_state() == "leave"


class NamesTestCase(RoomTestCase):
    """Names and the directory."""

    def test_a_name_and_a_listing_that_were_taken_back_are_gone(self) -> None:
        put = self.make_request("PUT", ALIAS, {"room_id": self.room}, access_token=self.user_token)
        assert put.code == HTTPStatus.OK, put.result
        self.get_success(self.store.set_room_is_public(self.room, is_public=True))
        self.tell()
        backup = self.backup()
        self.get_success(self.store.set_room_is_public(self.room, is_public=False))
        assert self.make_request("DELETE", ALIAS, {}, access_token=self.user_token).code == HTTPStatus.OK
        self.tell()
        # Rooms themselves are not set back here.
        self.get_success(self.store.set_room_is_public(self.room, is_public=True))
        self.restore(backup)
        assert self.make_request("GET", ALIAS).code == HTTPStatus.NOT_FOUND
        assert not self.one("SELECT is_public FROM rooms WHERE room_id = ?", self.room)[0]
        assert self.audited() == {"recovery.room_alias_removed", "recovery.room_unlisted"}


class HoldsTestCase(RoomTestCase):
    """What was deleted after the backup and is on hold."""

    def test_a_room_on_hold_is_hidden_and_goes_when_the_hold_ends(self) -> None:
        self.hold(self.room)
        source = DeletedRooms(self.hs.get_module_api())
        done = self.run_sql(lambda txn: source.close_again(txn, [Logged(self.room, None, 1)]))
        assert [one.action for one in done] == ["recovery.held"]
        assert self.one("SELECT count(*) FROM events WHERE room_id = ? AND type = 'm.room.create'", self.room) == (1,)
        assert self.one("SELECT count(*) FROM blocked_rooms WHERE room_id = ?", self.room) == (1,)
        membership = self.one("SELECT DISTINCT membership FROM local_current_membership WHERE room_id = ?", self.room)
        assert membership == ("leave",)
        self.tidy()
        # Synapse keeps no state of rooms that nobody here is in.
        assert self.one("SELECT count(*) FROM current_state_events WHERE room_id = ?", self.room) == (0,)
        assert self.one("SELECT count(*) FROM rooms WHERE room_id = ?", self.room) == (1,)
        self.lift(self.room)
        self.tidy()
        assert self.one("SELECT count(*) FROM rooms WHERE room_id = ?", self.room) == (0,)
        assert self.run_sql(owed.held_rooms) == []

    def test_a_room_that_came_again_is_not_deleted(self) -> None:
        source = DeletedRooms(self.hs.get_module_api())
        assert self.run_sql(lambda txn: source.close_again(txn, [Logged(self.room, {}, 1)])) == []
        assert self.reads() == HTTPStatus.OK

    def test_the_content_of_a_redacted_message_on_hold_is_kept_apart_until_the_hold_ends(self) -> None:
        event_id = str(self.helper.send(self.room, "mine", tok=self.token)["event_id"])
        self.tell()
        backup = self.backup()
        self.hold(self.member)
        path = f"/_matrix/client/v3/rooms/{self.room}/redact/{event_id}/1"
        assert self.make_request("PUT", path, {}, access_token=self.token).code == HTTPStatus.OK
        self.tell()
        self.restore(backup)
        assert "mine" not in self.one("SELECT json FROM event_json WHERE event_id = ?", event_id)[0]
        kept = "SELECT json FROM synapse_bum_recovery_held_events WHERE event_id = ?"
        assert "mine" in self.one(kept, event_id)[0]
        assert self.audited() == {"recovery.held", "recovery.hold_set", "recovery.redacted"}
        self.tidy()
        assert self.one(kept, event_id) is not None
        self.lift(self.member)
        self.tidy()
        assert self.one(kept, event_id) is None
