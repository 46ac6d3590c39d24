"""Files of other servers: fourteen days after they came here they are gone, and nobody fetches them again."""

import errno
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import patch

from synapse.module_api import LoggingTransaction
from synapse.rest.client import account_data, profile
from tests.test_utils import event_injection

from synapse_bum.deletion import After, DeletionState, Hold, put_hold
from synapse_bum.deletion.folders import Folder
from synapse_bum.deletion.planning import plan_many
from synapse_bum.homeserver.media_deletion import HIDDEN_MARKER, TOMBSTONE_MARKER
from synapse_bum.retention.config import ProtectConfig
from synapse_bum.retention.media import remote_media
from synapse_bum.retention.media.protected import ProtectedMedia
from synapse_bum.retention.media.remote_media import References
from synapse_bum.testing.deletion_case import SERVER
from synapse_bum.testing.known_references import KnownReferences
from synapse_bum.testing.remote_media_case import DAY_MS, LIFETIME_MS, PICTURE, RemoteMediaTestCase

DOORS = (
    "/_matrix/client/v1/media/download/{}",
    "/_matrix/client/v1/media/thumbnail/{}?width=32&height=32&method=scale",
    "/_matrix/media/v3/download/{}",
    "/_matrix/media/r0/thumbnail/{}?width=32&height=32&method=crop",
)


class TombstoneTests(RemoteMediaTestCase):
    def test_an_expired_file_is_404_at_every_door_and_never_fetched_again(self) -> None:
        self.receive("old", PICTURE, "image/png")
        assert len(self.files()) > 1, "the file and its thumbnails"
        self.days_pass(15)
        assert self.run_purger() == 1
        self.fetched.clear()
        with self.elsewhere(PICTURE, "image/png"):
            for door in DOORS:
                assert self.get(door.format(f"{SERVER}/old")).code == HTTPStatus.NOT_FOUND, door
        assert self.fetched == [], "no federation attempt"
        assert self.files() == []
        assert self.row("old") == (TOMBSTONE_MARKER, 0, None)
        assert self.count("remote_media_cache_thumbnails") == 0

    def test_legacy_doors_do_not_fetch_it_either(self) -> None:
        self.hs.config.media.enable_authenticated_media = False
        self.test_an_expired_file_is_404_at_every_door_and_never_fetched_again()

    def test_from_the_plan_on_the_file_is_404(self) -> None:
        self.receive("old")
        self.days_pass(15)
        self.prepare_run()
        with self.removal_stopped():
            self.purge()
            assert self.files() != [], "the bytes are there still"
            self.fetched.clear()
            assert self.ask("old").code == HTTPStatus.NOT_FOUND
            row = self.row("old")
            assert row is not None
            assert row[0] == HIDDEN_MARKER
        assert self.fetched == []

    def test_a_local_upload_of_the_same_bytes_is_served(self) -> None:
        self.hs.get_datastores().main.db_pool.updates._all_done = True
        before = self.upload(PICTURE)
        self.receive("old", PICTURE, "image/png")
        self.days_pass(15)
        self.run_purger()
        after = self.upload(PICTURE)
        for mxc in (before, after):
            assert self.download(mxc).result["body"] == PICTURE

    def test_nothing_younger_goes(self) -> None:
        self.receive("old")
        self.days_pass(1)
        self.receive("young")
        self.reactor.advance((LIFETIME_MS - DAY_MS) / 1000)
        assert self.run_purger() == 1
        self.fetched.clear()
        assert self.ask("young").code == HTTPStatus.OK
        assert self.fetched == [], "from the disk"
        assert self.ask("old").code == HTTPStatus.NOT_FOUND

    def test_a_file_is_expired_at_the_millisecond_and_not_before(self) -> None:
        self.receive("file")
        ((created_ts,),) = self.sql("SELECT created_ts FROM remote_media_cache")
        self.prepare_run()
        with patch.object(type(self), "cutoff", created_ts - 1):
            assert [batch.items for batch in self.purge()] == [0]
        with patch.object(type(self), "cutoff", created_ts):
            assert [batch.items for batch in self.purge()] == [1]

    def test_a_file_that_is_read_every_day_goes_all_the_same(self) -> None:
        self.receive("old")
        for _ in range(15):
            self.days_pass(1)
            self.ask("old")
        assert self.run_purger() == 1

    def test_a_quarantined_file_goes_too(self) -> None:
        self.receive("bad")
        self.sql("UPDATE remote_media_cache SET quarantined_by = '@moderator:test'")
        self.days_pass(15)
        assert self.run_purger() == 1
        assert self.files() == []

    def test_batches_are_recorded_and_a_second_run_finds_nothing(self) -> None:
        for number in range(7):
            self.receive(f"old{number}", b"x" * (number + 1))
        self.days_pass(15)
        assert self.backlog()[:2] == (7, 28)
        self.prepare_run()
        assert [batch.items for batch in self.purge()] == [3, 3, 1]
        assert self.confirmed == [(3, 6), (3, 15), (1, 7)]
        assert self.backlog() == (0, 0, None)
        audit = self.sql("SELECT actor, target, new FROM synapse_bum_audit WHERE action = 'retention.purge'")
        assert len(audit) == 3
        assert audit[0][:2] == ("retention", "run 1")
        self.settle()
        assert {deletion.policy for deletion in self.journal()} == {"retention:remote_media"}
        assert {deletion.state for deletion in self.journal()} == {DeletionState.DROPPED}
        assert self.run_purger() == 0
        assert self.index() == set()

    def test_a_transaction_that_fails_leaves_everything_and_is_made_good(self) -> None:
        self.receive("old")
        self.days_pass(15)
        self.prepare_run()

        def die(_txn: LoggingTransaction, _items: int, _bytes: int) -> None:
            raise RuntimeError("the process dies before the commit")

        with patch.object(self, "_confirm", die):
            self.get_failure(self.purger.purge(self.step()), RuntimeError)
        assert self.ask("old").code == HTTPStatus.OK
        assert self.index() == {"old"}
        assert self.journal() == []
        assert self.run_purger() == 1

    def test_a_crash_after_the_plan_is_made_good_by_the_next_process(self) -> None:
        self.receive("old")
        self.days_pass(15)
        self.prepare_run()
        with self.removal_stopped():
            self.purge()
            self.purger = self.make_purger()
            assert self.run_purger() == 0, "it is planned already"
        self.settle()
        assert self.files() == []
        assert self.row("old") == (TOMBSTONE_MARKER, 0, None)

    def test_what_synapse_purged_meanwhile_is_passed_over(self) -> None:
        self.receive("gone")
        self.receive("old")
        self.days_pass(15)
        self.prepare_run()
        self.sql("DELETE FROM remote_media_cache WHERE media_id = 'gone'")
        assert self.backlog()[0] == 1
        assert sum(batch.items for batch in self.purge()) == 1
        assert self.index() == set()

    def test_the_sample_names_the_oldest(self) -> None:
        for number in range(12):
            self.receive(f"old{number:02}", server=f"server{number % 2}.example")
            self.reactor.advance(1)
        self.days_pass(15)
        for state in ("without an index", "with an index"):
            sample = self.get_success(self.purger.sample(self.cutoff))
            expected = [f"mxc://server{number % 2}.example/old{number:02}" for number in range(10)]
            assert [item.target for item in sample] == expected, state
            assert {item.size_bytes for item in sample} == {len(b"from afar")}
            self.prepare_run()

    def test_a_class_of_a_thousand_files_is_large(self) -> None:
        self.receive("one")
        self.receive("two")
        for _ in ("without an index", "with an index"):
            assert not self.get_success(self.purger.is_large())
            with patch.object(remote_media, "LARGE_CLASS", 2):
                assert self.get_success(self.purger.is_large())
            self.prepare_run()


class AvatarTests(RemoteMediaTestCase):
    def test_the_avatar_of_a_remote_user_is_evicted_and_fetched_again(self) -> None:
        self.receive("avatar", PICTURE, "image/png")
        self.referenced.add((SERVER, "avatar"))
        self.days_pass(15)
        assert self.run_purger() == 1
        assert self.files() == []
        assert self.row("avatar") is None
        self.fetched.clear()
        self.receive("avatar", PICTURE, "image/png")
        assert self.fetched == ["avatar"]
        self.days_pass(13)
        assert self.run_purger() == 0, "its time begins anew"
        self.days_pass(2)
        assert self.run_purger() == 1
        assert [deletion.after for deletion in self.journal()] == [After.DROP, After.DROP]

    def test_what_was_an_avatar_and_is_none_any_more_gets_a_tombstone(self) -> None:
        self.receive("avatar", PICTURE, "image/png")
        self.referenced.add((SERVER, "avatar"))
        self.days_pass(15)
        self.run_purger()
        self.receive("avatar", PICTURE, "image/png")
        self.referenced.clear()
        self.days_pass(15)
        self.run_purger()
        self.fetched.clear()
        assert self.ask("avatar").code == HTTPStatus.NOT_FOUND
        assert self.fetched == []

    def test_a_document_or_a_huge_image_is_no_avatar(self) -> None:
        self.receive("document", b"%PDF", "application/pdf")
        with patch.object(remote_media, "MAX_AVATAR_BYTES", len(PICTURE) - 1):
            self.receive("huge", PICTURE, "image/png")
            self.referenced |= {(SERVER, "document"), (SERVER, "huge")}
            self.days_pass(15)
            assert self.run_purger() == 2
            assert self.run_purger() == 0
        for media_id in ("document", "huge"):
            assert self.row(media_id) == (TOMBSTONE_MARKER, 0, None), "also after another walk"

    def test_what_becomes_an_avatar_after_its_time_stays_away(self) -> None:
        self.receive("picture", PICTURE, "image/png")
        self.days_pass(15)
        assert self.run_purger() == 1
        self.referenced.add((SERVER, "picture"))
        self.prepare_run(thorough=True)
        self.fetched.clear()
        assert self.ask("picture", PICTURE, "image/png").code == HTTPStatus.NOT_FOUND
        assert self.fetched == []
        assert self.row("picture") == (TOMBSTONE_MARKER, 0, None)

    def test_avatars_and_others_are_planned_together(self) -> None:
        for name in ("b", "a", "c"):
            self.receive(name, PICTURE, "image/png")
        self.referenced.add((SERVER, "b"))
        self.days_pass(15)
        self.prepare_run()
        with patch.object(remote_media, "plan_many", wraps=plan_many) as planning:
            assert sum(batch.items for batch in self.purge()) == 3
        assert planning.call_count == 1, "one order of locks for all of them"
        ends = {deletion.media_id: deletion.after for deletion in self.journal()}
        assert ends == {"a": After.TOMBSTONE, "b": After.DROP, "c": After.TOMBSTONE}

    def test_each_batch_catches_up_before_it(self) -> None:
        for number in range(7):
            self.receive(f"old{number}")
        self.days_pass(15)
        self.prepare_run()
        known = KnownReferences(self.referenced)
        with patch.object(self.purger, "_references", known):
            assert len(self.purge()) == known.caught_up == 3


class RealReferencesTests(RemoteMediaTestCase):
    """With what stands in profiles, rooms and account data."""

    servlets: ClassVar[list[Any]] = [
        *RemoteMediaTestCase.servlets,
        account_data.register_servlets,
        profile.register_servlets,
    ]

    def references(self) -> References:
        rules = ProtectConfig(avatars=True, image_packs=True, max_bytes_per_user=10 << 20)
        return ProtectedMedia(self.hs.get_module_api(), self.module.database, rules)

    def put(self, path: str, content: dict[str, Any]) -> None:
        channel = self.make_request("PUT", path, content, access_token=self.alice_token)
        assert channel.code == HTTPStatus.OK, channel.json_body

    def refer_locally(self, *names: str) -> None:
        """Have a user of this server show pictures in every way that he has; another picture for each."""
        room_id = self.helper.create_room_as(self.alice, tok=self.alice_token)
        uris = [f"mxc://{SERVER}/{name}" for name in names]
        user = f"/_matrix/client/v3/user/{self.alice}/account_data"
        self.put(f"/_matrix/client/v3/profile/{self.alice}/avatar_url", {"avatar_url": uris[0]})
        self.put(f"{user}/im.ponies.user_emotes", {"images": {"a": {"url": uris[1]}}})
        self.helper.send_state(room_id, "m.room.avatar", {"url": uris[2]}, tok=self.alice_token)
        pack = {"images": {"a": {"url": uris[3]}}}
        self.helper.send_state(room_id, "m.room.image_pack", pack, tok=self.alice_token)

    def test_a_user_of_this_server_has_nothing_fetched_again(self) -> None:
        names = ("avatar", "emote", "room", "sticker")
        for name in names:
            self.receive(name, PICTURE, "image/png")
        self.refer_locally(*names)
        self.days_pass(15)
        assert self.run_purger() == len(names)
        self.refer_locally(*names)
        self.run_purger(thorough=True)
        self.fetched.clear()
        for name in names:
            assert self.row(name) == (TOMBSTONE_MARKER, 0, None), name
            assert self.ask(name, PICTURE, "image/png").code == HTTPStatus.NOT_FOUND
        assert self.fetched == []

    def test_what_a_user_of_another_server_shows_is_fetched_again(self) -> None:
        self.receive("face", PICTURE, "image/png")
        room_id = self.helper.create_room_as(self.alice, tok=self.alice_token)
        self.days_pass(15)
        self.prepare_run()
        self.get_success(
            event_injection.inject_member_event(
                self.hs, room_id, f"@carol:{SERVER}", "join", extra_content={"avatar_url": f"mxc://{SERVER}/face"}
            )
        )
        assert sum(batch.items for batch in self.purge()) == 1
        self.settle()
        assert self.row("face") is None


class UnremovedTests(RemoteMediaTestCase):
    def test_the_backlog_counts_what_can_not_be_removed(self) -> None:
        self.receive("old")
        ((created_ts,),) = self.sql("SELECT created_ts FROM remote_media_cache")
        self.days_pass(15)
        self.prepare_run()
        with patch.object(Folder, "remove", side_effect=OSError(errno.EROFS, "Read-only file system")):
            self.purge()
            self.settle()
            assert self.backlog() == (1, len(b"from afar"), created_ts)
        self.days_pass(1)
        assert self.files() == []
        assert self.backlog() == (0, 0, None)


class HoldTests(RemoteMediaTestCase):
    def hold(self, target: str, days: int) -> None:
        now_ms = int(self.clock.time_msec())
        hold = Hold(target, "a court asks", now_ms + days * DAY_MS, self.admin, now_ms)
        self.get_success(self.module.database.run("hold", put_hold, hold))

    def test_files_of_a_server_on_hold_stay_until_it_ends_and_hold_nobody_up(self) -> None:
        for number in range(7):
            self.receive(f"held{number}", server="held.example")
        self.receive("free")
        self.days_pass(15)
        self.hold("@suspect:held.example", days=10)
        assert self.backlog()[0] == 1
        assert [item.target for item in self.get_success(self.purger.sample(self.cutoff))] == [f"mxc://{SERVER}/free"]
        assert self.run_purger() == 1
        self.fetched.clear()
        assert self.ask("held3", server="held.example").code == HTTPStatus.OK
        assert self.fetched == []
        self.days_pass(11)
        assert self.backlog()[0] == 7
        assert self.run_purger() == 7

    def test_a_hold_on_a_room_holds_the_files_of_the_servers_in_it(self) -> None:
        self.receive("held", server="held.example")
        self.receive("free")
        room_id = self.helper.create_room_as(self.alice, tok=self.alice_token)
        self.sql(
            "INSERT INTO room_memberships (event_id, user_id, sender, room_id, membership)"
            " VALUES ('$join', '@guest:held.example', '@guest:held.example', ?, 'join')",
            room_id,
        )
        self.hold(room_id, days=100)
        self.days_pass(15)
        assert self.run_purger() == 1
        assert self.ask("held", server="held.example").code == HTTPStatus.OK
        assert self.ask("free").code == HTTPStatus.NOT_FOUND

    def test_a_hold_that_is_set_during_a_run_counts(self) -> None:
        for number in range(4):
            self.receive(f"held{number}", server="held.example")
        self.days_pass(15)
        self.prepare_run()
        first = self.get_success(self.purger.purge(self.step("run")))
        assert (first.items, first.more) == (3, True)
        self.hold("@suspect:held.example", days=10)
        second = self.get_success(self.purger.purge(self.step("run")))
        assert (second.items, second.more) == (0, False)
        assert self.ask("held3", server="held.example").code == HTTPStatus.OK
