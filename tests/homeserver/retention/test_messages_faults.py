"""What a crash, a conflict or a broken room does to a run: nothing is lost, nothing is counted twice."""

from unittest.mock import patch

from synapse.module_api import LoggingTransaction
from synapse.storage.databases.main.purge_events import PurgeEventsStore

from synapse_bum.homeserver import event_expiry, room_history
from synapse_bum.homeserver.message_listing import RoomAge
from synapse_bum.retention.messages import PurgeOutbox, count_purges, discovery, list_purges, room_purge
from synapse_bum.retention.messages.candidates import Mark, note_rooms, read_mark
from synapse_bum.retention.messages.discovery import Reach
from synapse_bum.retention.messages.purges import write_purge
from synapse_bum.testing.message_case import DAY_MS, MessageTestCase

OLD = 400


class PowerCutError(Exception):
    """Stands for the end of the process."""


class FaultTests(MessageTestCase):
    def fill(self, *, old: int = 5) -> list[str]:
        sent = [self.send(f"ancient{n}", days=OLD) for n in range(old)]
        self.send("recent")
        return sent

    def total(self) -> int:
        return sum(items for items, _ in self.confirmed)

    def journaled(self) -> list[int]:
        purges = self.get_success(self.database.run("test", list_purges, 0, 100))
        assert self.get_success(self.database.run("test", count_purges)) == len(purges)
        return [purge.events for purge in purges]

    def test_a_crash_between_the_purge_and_its_count_is_made_good_by_the_next_run(self) -> None:
        self.fill()
        self.prepare_run()
        with patch.object(room_purge, "_record", side_effect=PowerCutError):
            self.get_success(self.purger.purge(self.step()))
        assert (self.text_left("ancient"), self.total()) == ([], 0)
        self.restart()
        batches = self.run_once("after the restart")
        assert self.total() == sum(batch.items for batch in batches) == 5
        assert self.journaled() == [5]
        self.run_once("and again")
        assert self.total() == 5

    def test_a_crash_before_the_state_groups_are_released_is_made_good(self) -> None:
        self.fill()
        with patch.object(room_history, "release_state_groups", side_effect=PowerCutError):
            self.run_once("first")
        assert self.total() == 5
        self.restart()
        self.run_once("second")
        assert self.total() == 5
        assert self.column("synapse_bum_retention_purges", "state_groups", room_id=self.room) == [None]

    def test_a_purge_that_fails_leaves_everything_as_it_was(self) -> None:
        sent = self.fill()
        purge = PurgeEventsStore._purge_history_txn

        def fail(store: PurgeEventsStore, *arguments: object) -> object:
            purge(store, *arguments)  # type: ignore[arg-type]
            raise PowerCutError

        with patch.object(PurgeEventsStore, "_purge_history_txn", fail):
            self.run_once("first")
        assert all(self.is_stored(event_id) for event_id in sent)
        assert (self.total(), self.journaled(), self.purger.failed_rooms) == (0, [], 1)
        assert self.backlog() == 5
        self.run_once("second")
        assert (self.total(), self.journaled(), self.backlog()) == (5, [5], 0)

    def test_a_crash_while_messages_are_emptied_leaves_them_as_they_were(self) -> None:
        self.send("lonely", days=OLD)
        empty = event_expiry.empty

        def fail(*arguments: object) -> None:
            empty(*arguments)  # type: ignore[arg-type]
            raise PowerCutError

        with patch.object(event_expiry, "empty", fail):
            self.run_once("first")
        assert (self.text_left("lonely"), self.total(), self.backlog()) == (["lonely"], 0, 1)
        self.restart()
        self.run_once("second")
        assert (self.text_left("lonely"), self.total(), self.backlog()) == ([], 1, 0)

    def test_a_crash_while_a_room_is_removed_is_made_good(self) -> None:
        self.helper.send_state(self.room, "m.room.retention", {"max_lifetime": 86_400_000}, tok=self.alice_token)
        self.helper.leave(self.room, self.alice, tok=self.alice_token)
        self.helper.leave(self.room, self.bob, tok=self.bob_token)
        self.make_all_old(self.room, OLD)
        with patch.object(self.purger._left_rooms, "_note_removed", side_effect=PowerCutError):
            self.run_once("first")
        assert self.column("rooms", "room_id", room_id=self.room) == []
        assert self.column("room_retention", "room_id", room_id=self.room)
        self.restart()
        self.run_once("second")
        assert self.column("room_retention", "room_id", room_id=self.room) == []
        assert self.column("synapse_bum_audit", "target", action="retention.room.delete") == [self.room]

    def test_a_broken_room_does_not_stop_the_others(self) -> None:
        self.send("lonely", days=OLD + 1)
        other = self.new_room()
        self.send("ancient", days=OLD, room_id=other)
        self.send("recent", room_id=other)
        with patch.object(event_expiry, "empty", side_effect=PowerCutError):
            batches = self.run_once("first")
            assert not batches[-1].more
            assert (self.text_left("ancient"), self.purger.failed_rooms) == ([], 1)
            assert self.backlog() == 1
            self.run_once("second")
        assert self.purger.failed_rooms == 2

    def test_a_run_does_not_go_on_without_its_lease(self) -> None:
        sent = self.fill()
        self.prepare_run()
        step = self.step()
        step.lease.lose()
        assert self.get_success(self.purger.purge(step)).items == 0
        assert all(self.is_stored(event_id) for event_id in sent)

    def test_what_a_run_did_stands_in_journal_audit_and_deletion_log_once(self) -> None:
        self.fill()
        self.run_once("first")
        self.run_once("second")
        (row,) = [purge.as_json() for purge in self.get_success(self.database.run("test", list_purges, 0, 100))]
        (size_bytes,) = [size for _, size in self.confirmed]
        assert (row["kind"], row["target"], row["items"], row["size_bytes"]) == ("messages", self.room, 5, size_bytes)
        assert row["policy"] == "retention:messages"
        assert self.column("synapse_bum_audit", "target", action="retention.purge") == [self.room]
        outbox = PurgeOutbox("test")
        (line,) = self.get_success(self.database.run("test", outbox.pending, 10))
        assert {**row, "actor": "retention", "server": "test"}.items() <= line.fields.items()
        assert b"ancient" not in line.encoded()
        self.get_success(self.database.run("test", outbox.mark, [line]))
        assert self.get_success(self.database.run("test", outbox.pending, 10)) == []

    def test_a_room_that_fails_is_told_to_the_run(self) -> None:
        self.fill()
        with patch.object(PurgeEventsStore, "_purge_history_txn", side_effect=PowerCutError):
            batches = self.run_once("first")
        assert sum(batch.failed for batch in batches) == 1
        assert sum(batch.failed for batch in self.run_once("second")) == 0

    def test_purging_what_was_emptied_before_leaves_no_empty_record(self) -> None:
        self.send("lonely", days=OLD)
        self.run_once("first")
        self.send("recent")
        self.make_candidate()
        self.run_once("second")
        assert self.messages_in(self.room) == self.messages_in(self.room)[-1:]
        assert (self.total(), self.journaled()) == (1, [1])
        outbox = PurgeOutbox("test")
        assert len(self.get_success(self.database.run("test", outbox.pending, 10))) == 1

    def test_a_purge_of_emptied_messages_owes_its_state_groups_only(self) -> None:
        self.get_success(
            self.database.run(
                "test",
                write_purge,
                self.room,
                events=0,
                size_bytes=0,
                planned_ts=self.now_ms,
                done_ts=self.now_ms,
                run_id="run",
                state_groups=[7],
            )
        )
        assert self.journaled() == []
        assert self.get_success(self.database.run("test", PurgeOutbox("test").pending, 10)) == []
        with patch.object(room_history, "release_state_groups") as release:
            self.run_once("first")
            self.run_once("second")
        assert [call.args[1] for call in release.await_args_list] == [{7}]
        assert self.confirmed == []

    def make_candidate(self) -> None:
        """Let a run look at the room, as if something in it had become expired."""
        rooms = [RoomAge(self.room, 0)]
        self.get_success(self.database.run("test", note_rooms, rooms))

    def test_records_of_purges_are_forgotten_after_two_years(self) -> None:
        self.fill()
        self.run_once("first")
        assert self.journaled() == [5]
        self.reactor.advance(732 * 86_400)
        self.prepare_run()
        assert self.journaled() == []


class LongStreamTests(MessageTestCase):
    """A stream too long to be read as a whole in each run: the discovery goes by its marks."""

    def prepare(self, *arguments: object) -> None:
        super().prepare(*arguments)
        short = patch.object(discovery, "SHORT", 0)
        short.start()
        self.addCleanup(short.stop)
        self.make_all_old(self.room, 900)

    def mark(self) -> int:
        return self.get_success(self.database.run("test", read_mark, Mark.FORWARD)) or 0

    def test_days_go_by_and_each_message_goes_on_its_day(self) -> None:
        for days in (410, 400, 390, 364, 363, 100, 0):
            self.send(f"sent{days}ago", days=days)
        assert self.backlog() == 3
        self.run_once("first")
        assert self.text_left("410ago", "400ago", "390ago", "364ago") == ["364ago"]
        assert self.backlog() == 0
        mark = self.mark()
        assert mark > 0
        self.reactor.advance(1.5 * 86_400)
        assert self.backlog() == 1
        self.run_once("second")
        assert self.text_left("364ago", "363ago") == ["363ago"]
        self.reactor.advance(1.5 * 86_400)
        self.run_once("third")
        assert self.text_left("363ago", "100ago") == ["100ago"]
        assert self.mark() > mark
        assert self.backlog() == 0

    def test_what_lies_behind_the_mark_is_found_after_a_week_or_when_wanted(self) -> None:
        overlooked = self.send("overlooked")
        self.send("ancient", days=OLD)
        self.send("ancient too", days=OLD - 1)
        self.send("recent")
        self.run_once("first")
        assert self.is_stored(overlooked)
        self.make_old([overlooked], OLD)
        self.run_once("second", thorough=True)
        assert self.text_left("overlooked") == []

    def test_a_page_ends_anywhere(self) -> None:
        for n in range(7):
            self.send(f"ancient{n}", days=OLD - n)
        self.send("recent")
        with patch.object(discovery, "PAGE", 2):
            self.run_once()
        assert self.text_left("ancient") == []

    def test_a_stream_whose_times_do_not_grow_is_read_to_its_end_when_it_is_wanted(self) -> None:
        with patch.object(discovery, "SHORT", 0):
            self.run_once("nothing yet")
            for n in range(20):
                self.send(f"recent{n}")
            other = self.new_room()
            self.send("ancient", days=OLD, room_id=other)
            self.send("recent", room_id=other)
            self.run_once("by schedule")
            assert self.text_left("ancient") == ["ancient"]
            self.run_once("by an operator", thorough=True)
        assert self.text_left("ancient") == []

    def test_a_cut_off_that_was_later_once_hides_nothing(self) -> None:
        for days in (410, 364, 363, 100, 10, 0):
            self.send(f"sent{days}ago", days=days)
        # A run that nobody confirmed, with five days instead of a year.
        self.get_success(self.purger.prepare(self.now_ms - 5 * DAY_MS, self.lease(), thorough=False))
        assert self.backlog() == 1
        self.run_once("first")
        assert self.text_left("410ago", "364ago") == ["364ago"]
        self.reactor.advance(3 * 86_400)
        assert self.backlog() == 2
        self.run_once("second")
        assert self.text_left("364ago", "363ago", "100ago") == ["100ago"]
        assert self.backlog() == 0

    def test_it_hides_nothing_from_the_count_either(self) -> None:
        for days in (364, 363, 0):
            self.send(f"sent{days}ago", days=days)
        self.run_once("first")
        self.get_success(self.purger.prepare(self.now_ms - 5 * DAY_MS, self.lease(), thorough=False))
        # As where a run has finished with the room.
        self.in_database(lambda txn: txn.execute("DELETE FROM synapse_bum_retention_message_rooms"))
        self.reactor.advance(1.5 * 86_400)
        assert self.backlog() == 1

    def hide_at_the_end(self) -> None:
        """An expired message where the times along the stream do not lead to, and that can only be emptied."""
        self.run_once("nothing yet")
        for n in range(20):
            self.send(f"recent{n}")
        other = self.new_room()
        self.send("recent", room_id=other)
        self.send("ancient", days=OLD, room_id=other)

    def test_what_is_cut_off_of_the_thorough_discovery_the_next_run_does(self) -> None:
        self.hide_at_the_end()
        lease = self.lease()
        page = discovery._page_upwards

        def page_and_lose(txn: LoggingTransaction, at: int, upto: int, reach: Reach) -> int:
            lease.lose()
            return page(txn, at, upto, reach)

        with patch.object(discovery, "PAGE", 2), patch.object(discovery, "_page_upwards", page_and_lose):
            self.get_success(self.purger.prepare(self.cutoff_ts, lease, thorough=True))
        self.restart()
        self.run_once("by schedule")
        assert self.text_left("ancient") == []

    def test_what_a_thorough_dry_run_found_the_next_run_deletes(self) -> None:
        self.hide_at_the_end()
        self.prepare_run(thorough=True)
        assert self.backlog() == 1
        self.restart()
        self.run_once("by schedule")
        assert self.text_left("ancient") == []
        assert self.get_success(self.database.run("test", read_mark, Mark.REDISCOVERING)) == 0
