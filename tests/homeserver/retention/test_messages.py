"""Messages are gone when their year is over, wherever they stand, and nothing younger goes with them."""

from http import HTTPStatus

from synapse_bum.testing.message_case import REMOTE, MessageTestCase

OLD = 400
YOUNG = 9


class AgeTests(MessageTestCase):
    def test_old_messages_go_and_young_ones_stay(self) -> None:
        old = [self.send(f"ancient{n}", days=OLD) for n in range(5)]
        young = [self.send(f"recent{n}", days=YOUNG) for n in range(3)]
        assert self.backlog() == 5
        self.run_once()
        assert not any(self.is_stored(event_id) for event_id in old)
        assert [self.content_of(event_id) for event_id in old] == [None] * 5
        assert [(self.content_of(event_id) or {})["body"] for event_id in young] == ["recent0", "recent1", "recent2"]
        assert self.backlog() == 0
        assert self.text_left("ancient") == []

    def test_nothing_is_found_by_search(self) -> None:
        self.send("ancientword", days=OLD)
        self.send("recentword")
        assert self.search("ancientword") == 1
        self.run_once()
        assert (self.search("ancientword"), self.search("recentword")) == (0, 1)

    def test_a_lone_old_message_loses_its_content_and_the_room_goes_on(self) -> None:
        lone = self.send("lonely", days=OLD)
        self.run_once()
        assert self.content_of(lone) == {}
        assert self.text_left("lonely") == []
        assert self.backlog() == 0
        assert self.search("lonely") == 0
        answer = self.send("here again")
        assert (self.content_of(answer) or {})["body"] == "here again"

    def test_a_lone_message_counts_once_and_is_purged_when_others_follow(self) -> None:
        lone = self.send("lonely", days=OLD)
        self.run_once("first")
        self.run_once("second", thorough=True)
        assert [items for items, _ in self.confirmed] == [1]
        self.send("next", days=OLD)
        self.send("recent")
        self.run_once("third")
        assert not self.is_stored(lone)
        assert [items for items, _ in self.confirmed] == [1, 1]
        assert self.column("synapse_bum_retention_expired_events", "event_id", room_id=self.room) == []

    def test_state_stays(self) -> None:
        self.helper.send_state(self.room, "m.room.topic", {"topic": "our plans"}, tok=self.alice_token)
        self.send("ancient")
        self.make_all_old(self.room, OLD)
        self.send("recent")
        self.run_once()
        topic = self.helper.get_state(self.room, "m.room.topic", tok=self.bob_token)
        assert topic == {"topic": "our plans"}

    def test_a_room_admins_policy_of_ten_years_helps_nobody(self) -> None:
        policy = {"max_lifetime": 10 * 365 * 86_400_000, "min_lifetime": 10 * 365 * 86_400_000}
        self.helper.send_state(self.room, "m.room.retention", policy, tok=self.alice_token)
        old = self.send("ancient", days=OLD)
        self.send("recent")
        self.run_once()
        assert not self.is_stored(old)

    def test_exactly_a_lifetime_is_expired_and_a_millisecond_less_is_not(self) -> None:
        expired, kept = self.send("expired"), self.send("kept")
        self.send("end")
        self.make_old([expired], 365)
        self.make_old([kept], 365 - 1 / 86_400_000)
        self.run_once()
        assert not self.is_stored(expired)
        assert (self.content_of(kept) or {})["body"] == "kept"

    def test_a_message_from_before_received_ts_goes_by_the_senders_time(self) -> None:
        old, young = self.send("ancient", days=OLD), self.send("recent", days=YOUNG)
        forget = "UPDATE events SET received_ts = NULL WHERE room_id = ?"
        self.in_database(lambda txn: txn.execute(forget, (self.room,)))
        self.run_once()
        assert (self.is_stored(old), self.is_stored(young)) == (False, True)

    def test_rejected_soft_failed_and_outlying_messages_go_too(self) -> None:
        strange = [self.send(f"strange{n}", days=OLD) for n in range(3)]
        self.send("recent")

        def make_strange(txn: object) -> None:
            txn.execute("UPDATE events SET rejection_reason = 'x' WHERE event_id = ?", (strange[0],))  # type: ignore[attr-defined]
            txn.execute("UPDATE events SET outlier = ? WHERE event_id = ?", (True, strange[1]))  # type: ignore[attr-defined]
            txn.execute(  # type: ignore[attr-defined]
                "UPDATE event_json SET internal_metadata = '{\"soft_failed\": true}' WHERE event_id = ?", (strange[2],)
            )

        self.in_database(make_strange)
        self.run_once()
        assert not any(self.is_stored(event_id) for event_id in strange)
        assert self.text_left("strange") == []


class ForkTests(MessageTestCase):
    def test_a_lagging_fork_keeps_nothing_old_and_loses_nothing_young(self) -> None:
        base = self.send("base", days=OLD)
        lagging = self.inject("lagging", [base], days=YOUNG)
        main = base
        for n in range(4):
            main = self.inject(f"ancient{n}", [main], days=OLD)
        tip = self.inject("recent", [main])
        self.run_once()
        assert self.text_left("base", "ancient") == []
        assert sorted(self.text_left("lagging", "recent")) == ["lagging", "recent"]
        assert self.is_stored(lagging)
        assert self.is_stored(tip)
        assert self.backlog() == 0
        assert (self.content_of(self.send("goes on")) or {})["body"] == "goes on"

    def test_an_old_fork_that_is_the_rooms_latest_event_does_not_stop_the_purge(self) -> None:
        base = self.send("base", days=OLD)
        main = base
        for n in range(4):
            main = self.inject(f"ancient{n}", [main], days=OLD)
        self.inject("recent", [main])
        # The latest by the stream stands low: foreign keys point to it.
        fork = self.inject("forked", [base], days=OLD)
        self.run_once()
        assert self.text_left("base", "ancient", "forked") == []
        assert self.is_stored(fork)
        assert self.purger.failed_rooms == 0
        assert self.backlog() == 0
        self.send("goes on")

    def test_a_young_message_below_old_ones_stays_after_the_fork_was_merged(self) -> None:
        base = self.send("base", days=OLD)
        side = self.inject("nine days old", [base], days=YOUNG)
        main = base
        for n in range(10):
            main = self.inject(f"ancient{n}", [main], days=OLD)
        self.inject("merge", [main, side])
        self.run_once()
        assert (self.content_of(side) or {})["body"] == "nine days old"
        assert self.text_left("ancient") == []
        assert self.backlog() == 0

    def test_many_messages_at_one_depth_go_too(self) -> None:
        self.purger = type(self.purger)(self.api, self.database, message_step=3)
        base = self.send("base", days=OLD)
        ends = [self.inject(f"beside{n}", [base], days=OLD) for n in range(6)]
        self.inject("recent", ends)
        self.run_once()
        assert self.text_left("base", "beside") == []
        assert self.backlog() == 0


class PastTests(MessageTestCase):
    def prepare(self, *arguments: object) -> None:
        super().prepare(*arguments)
        self.join_remote()

    def test_what_was_fetched_from_the_past_goes_by_its_senders_time(self) -> None:
        first = self.send("first")
        old = self.backfill(first, 2 * 365, "two years ago")
        young = self.backfill(first, 2, "two days ago")
        self.run_once()
        assert self.text_left("two years ago") == []
        assert not self.is_stored(old) or self.content_of(old) == {}
        assert (self.content_of(young) or {})["body"] == "two days ago"
        assert self.backlog() == 0

    def test_it_comes_back_when_its_time_is_over(self) -> None:
        self.backfill(self.send("first"), 364, "nearly a year")
        self.run_once("first")
        assert self.text_left("nearly a year") == ["nearly a year"]
        assert self.backlog() == 0
        self.reactor.advance(2 * 86_400)
        assert self.backlog() == 1
        self.run_once("second")
        assert self.text_left("nearly a year") == []
        assert self.backlog() == 0

    def test_nobody_lengthens_a_life_by_a_date_in_the_future(self) -> None:
        late = self.backfill(self.send("first"), -1_000, "from the future")
        self.in_database(lambda txn: txn.execute("UPDATE events SET received_ts = 1 WHERE event_id = ?", (late,)))
        self.run_once()
        assert self.text_left("from the future") == []


class RelationTests(MessageTestCase):
    def test_edits_reactions_and_threads_go_with_their_events(self) -> None:
        root = self.send("root", days=OLD)
        self.send("* edited", days=OLD, relates_to={"rel_type": "m.replace", "event_id": root})
        self.send_event(
            "m.reaction", {"m.relates_to": {"rel_type": "m.annotation", "event_id": root, "key": "thumb"}}, days=OLD
        )
        self.send("in the thread", days=OLD, relates_to={"rel_type": "m.thread", "event_id": root})
        self.send("recent")
        self.run_once()
        assert self.text_left("root", "edited", "thumb", "in the thread") == []
        assert self.column("event_relations", "event_id", relates_to_id=root) == []
        assert self.column("threads", "thread_id", room_id=self.room) == []
        threads = self.make_request("GET", f"/_matrix/client/v1/rooms/{self.room}/threads", access_token=self.bob_token)
        assert (threads.code, threads.json_body["chunk"]) == (HTTPStatus.OK, [])

    def test_the_same_where_they_can_only_be_emptied(self) -> None:
        self.inject("young and low", [self.send("base", days=OLD)], days=YOUNG)
        root = self.send("root", days=OLD)
        self.send("in the thread", days=OLD, relates_to={"rel_type": "m.thread", "event_id": root})
        self.run_once()
        assert self.text_left("root", "in the thread") == []
        assert self.column("event_relations", "event_id", relates_to_id=root) == []
        assert self.column("threads", "thread_id", room_id=self.room) == []

    def test_what_was_redacted_goes_as_well(self) -> None:
        redacted = self.send("regretted", days=OLD)
        self.redact(redacted, days=OLD)
        self.send("recent")
        self.run_once()
        assert self.text_left("regretted") == []
        assert not self.is_stored(redacted)

    def test_a_redacted_state_event_does_not_come_back_with_its_redaction_gone(self) -> None:
        sent = self.helper.send_state(self.room, "m.room.topic", {"topic": "slander"}, tok=self.alice_token)
        self.redact(sent["event_id"], days=OLD)
        self.send("recent")
        self.run_once()
        assert self.column("redactions", "event_id", redacts=sent["event_id"]) == []
        assert self.helper.get_state(self.room, "m.room.topic", tok=self.bob_token) == {}
        assert self.text_left("slander") == []

    def redact(self, event_id: str, *, days: float) -> None:
        channel = self.make_request(
            "POST", f"/_matrix/client/v3/rooms/{self.room}/redact/{event_id}", {}, access_token=self.alice_token
        )
        assert channel.code == HTTPStatus.OK, channel.json_body
        self.make_old([channel.json_body["event_id"]], days)


class LeftRoomTests(MessageTestCase):
    def leave(self) -> None:
        self.helper.leave(self.room, self.alice, tok=self.alice_token)
        self.helper.leave(self.room, self.bob, tok=self.bob_token)

    def test_old_messages_go_from_a_room_that_all_left(self) -> None:
        self.send("ancient", days=OLD)
        self.leave()
        self.run_once()
        assert self.text_left("ancient") == []
        assert self.column("rooms", "room_id", room_id=self.room) == [self.room]

    def test_a_room_that_all_left_and_in_which_all_is_expired_is_removed(self) -> None:
        self.helper.send_state(self.room, "m.room.retention", {"max_lifetime": 86_400_000}, tok=self.alice_token)
        assert self.column("room_retention", "room_id", room_id=self.room)
        self.send("ancient")
        self.leave()
        self.make_all_old(self.room, OLD)
        self.run_once()
        assert self.column("rooms", "room_id", room_id=self.room) == []
        assert self.column("events", "event_id", room_id=self.room) == []
        assert self.column("room_retention", "room_id", room_id=self.room) == []
        assert self.column("synapse_bum_retention_left_rooms", "room_id", room_id=self.room) == []
        assert self.column("synapse_bum_audit", "target", action="retention.room.delete") == [self.room]

    def test_it_is_found_within_a_day_when_it_has_had_no_message_for_long(self) -> None:
        self.leave()
        self.run_once("first")
        self.make_all_old(self.room, OLD)
        self.run_once("second")
        assert self.column("rooms", "room_id", room_id=self.room) == [self.room]
        self.reactor.advance(2 * 86_400)
        self.run_once("third")
        assert self.column("rooms", "room_id", room_id=self.room) == []

    def test_a_room_to_which_somebody_is_invited_stays(self) -> None:
        carol = self.register_user("carol", "pass")
        self.helper.invite(self.room, self.alice, carol, tok=self.alice_token)
        self.leave()
        self.make_all_old(self.room, OLD)
        self.run_once()
        assert self.column("rooms", "room_id", room_id=self.room) == [self.room]

    def test_a_held_room_and_one_with_a_held_users_events_stay(self) -> None:
        self.leave()
        self.make_all_old(self.room, OLD)
        self.hold(self.room, days=1)
        self.hold(self.alice, days=3)
        self.run_once("first")
        self.reactor.advance(2 * 86_400)
        self.run_once("second")
        assert self.column("rooms", "room_id", room_id=self.room) == [self.room]
        self.reactor.advance(2 * 86_400)
        self.run_once("third")
        assert self.column("rooms", "room_id", room_id=self.room) == []

    def test_a_room_of_others_without_us_counts_as_left(self) -> None:
        self.join_remote()
        self.leave()
        self.make_all_old(self.room, OLD)
        self.run_once()
        assert self.column("room_memberships", "user_id", room_id=self.room, user_id=REMOTE) == []
