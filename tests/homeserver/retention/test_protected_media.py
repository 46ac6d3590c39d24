"""What is an avatar or in an image pack now stays, however old; what no longer is goes, and nothing else stays."""

from http import HTTPStatus
from typing import Any
from unittest.mock import Mock, patch

from synapse.module_api import LoggingTransaction
from tests.test_utils import event_injection
from tests.unittest import override_config

from synapse_bum.homeserver import media_references
from synapse_bum.retention.classes import NotReadyError
from synapse_bum.retention.config import ProtectConfig
from synapse_bum.retention.media import protected, protection_progress
from synapse_bum.testing.deletion_case import SERVER
from synapse_bum.testing.local_media_case import DAY_MS, PICTURE, LocalMediaTestCase

REMOTE_AVATAR = (SERVER, "face")


def pack(*mxcs: str) -> dict[str, Any]:
    """Content of an image pack."""
    return {"images": {f"image{n}": {"url": mxc} for n, mxc in enumerate(mxcs)}}


class RoomCase(LocalMediaTestCase):
    def room(self, **options: Any) -> str:  # noqa: ANN401 - the arguments of `create_room_as`
        """Open a room of alice's."""
        room_id: str = self.helper.create_room_as(self.alice, tok=self.alice_token, **options)
        return room_id

    def send_state(self, room_id: str, event_type: str, content: dict[str, Any], state_key: str = "") -> None:
        """Send a state event as alice."""
        self.helper.send_state(room_id, event_type, content, tok=self.alice_token, state_key=state_key)


class KindTests(RoomCase):
    def test_avatars_and_image_packs_stay_and_other_keys_protect_nothing(self) -> None:
        room_id = self.room()
        profile, room_avatar, sticker, stable, shown, emote = (self.an_old_file() for _ in range(6))
        other = [self.an_old_file() for _ in range(4)]
        self.set_avatar(profile)
        self.send_state(room_id, "m.room.avatar", {"url": room_avatar, "info": {"thumbnail_url": other[0]}})
        self.send_state(room_id, "im.ponies.room_emotes", pack(sticker), "stickers")
        self.send_state(room_id, "m.room.image_pack", {**pack(stable), "pack": {"avatar_url": shown}})
        self.set_account_data("im.ponies.user_emotes", pack(emote))
        self.set_account_data("org.example.pack", pack(other[1]))
        self.set_account_data("im.ponies.emote_rooms", pack(other[2]))
        self.send_state(room_id, "org.example.pack", {**pack(other[3]), "url": other[3]})
        assert self.purge() == len(other)
        kept = [profile, room_avatar, sticker, stable, shown, emote]
        assert self.left([*kept, *other]) == kept

    def test_an_avatar_of_one_room_stays(self) -> None:
        room_id = self.room()
        mxc = self.an_old_file()
        self.send_state(room_id, "m.room.member", {"membership": "join", "avatar_url": mxc}, self.alice)
        self.purge()
        assert self.left([mxc]) == [mxc]
        self.helper.leave(room_id, self.alice, tok=self.alice_token)
        self.purge("next")
        assert self.left([mxc]) == []

    def test_an_avatar_goes_when_it_has_been_changed(self) -> None:
        self.room()
        first = self.an_old_file()
        self.set_avatar(first)
        assert self.purge() == 0
        second = self.an_old_file()
        self.set_avatar(second)
        self.pump(0.1)
        self.purge("next")
        assert self.left([first, second]) == [second]

    def test_pictures_go_when_room_and_pack_show_others(self) -> None:
        room_id = self.room()
        avatar, sticker, emote = (self.an_old_file() for _ in range(3))
        self.send_state(room_id, "m.room.avatar", {"url": avatar})
        self.send_state(room_id, "im.ponies.room_emotes", pack(sticker))
        self.set_account_data("im.ponies.user_emotes", pack(emote))
        assert self.purge() == 0
        self.send_state(room_id, "m.room.avatar", {})
        self.send_state(room_id, "im.ponies.room_emotes", {"images": "none"})
        self.set_account_data("im.ponies.user_emotes", {"images": {"a": 1, "b": {"url": [emote]}}})
        assert self.purge("next") == 3

    def test_the_file_of_somebody_else_is_protected_too(self) -> None:
        mxc = self.an_old_file(token=self.bob_token)
        self.set_avatar(mxc)
        assert self.purge() == 0

    def test_what_nobody_can_parse_protects_nothing_and_stops_nothing(self) -> None:
        room_id = self.room()
        mxc = self.an_old_file()
        self.execute("UPDATE profiles SET avatar_url = ? WHERE full_user_id = ?", "mxc://../x/y", self.alice)
        broken: list[dict[str, Any]] = [{"images": [mxc]}, {"images": {"a": None}}, {"pack": mxc}, {"images": {"": ""}}]
        for n, content in enumerate(broken):
            self.send_state(room_id, "m.image_pack", content, str(n))
        self.send_state(room_id, "m.room.avatar", {"url": {"mxc": mxc}})
        self.set_account_data("m.image_pack", {"images": {"a": {"url": f"https://{mxc}"}}})
        self.execute("UPDATE account_data SET content = ?", "[" * 100_000)
        assert self.purge() == 1

    def test_a_long_state_key_is_no_obstacle(self) -> None:
        room_id = self.room()
        mxc = self.an_old_file()
        self.send_state(room_id, "m.image_pack", pack(mxc), "%C3%BC" * 127)
        assert self.purge() == 0


class ConfiguredTests(RoomCase):
    def both(self) -> tuple[str, str]:
        """An avatar and an emote."""
        avatar, emote = self.an_old_file(), self.an_old_file()
        self.set_avatar(avatar)
        self.set_account_data("im.ponies.user_emotes", pack(emote))
        return avatar, emote

    def purge_with(self, **changes: Any) -> None:  # noqa: ANN401 - attributes of the configuration
        """Restart with another configuration, and purge."""
        given: dict[str, Any] = {"avatars": True, "image_packs": True, "max_bytes_per_user": 10 << 20, **changes}
        self.protected, self.purger = self.new_purger(ProtectConfig(**given))
        self.purge(str(changes))

    def test_each_can_be_switched_off(self) -> None:
        avatar, emote = self.both()
        self.purge()
        self.purge_with(image_packs=False)
        assert self.left([avatar, emote]) == [avatar]
        self.purge_with(avatars=False)
        assert self.left([avatar, emote]) == []

    def test_a_user_protects_no_more_than_his_allowance_and_his_avatar_first(self) -> None:
        avatar, emote = self.both()
        self.purge_with(max_bytes_per_user=len(PICTURE))
        assert self.left([avatar, emote]) == [avatar]

    def test_the_allowance_is_that_of_who_refers_to_the_file(self) -> None:
        mine, his = self.an_old_file(), self.an_old_file(token=self.bob_token)
        self.set_account_data("im.ponies.user_emotes", pack(mine, his))
        self.purge_with(max_bytes_per_user=len(PICTURE))
        assert len(self.left([mine, his])) == 1


class DuringARunTests(RoomCase):
    batch_size = 1

    def start(self) -> None:
        """Let a run delete its first file."""
        self.an_old_file(200)
        self.get_ready()
        assert self.batch().items == 1

    def test_an_avatar_that_is_set_during_the_run_stays(self) -> None:
        mxc = self.an_old_file()
        self.start()
        self.set_avatar(mxc)
        assert self.purge_on() == 0
        assert self.left([mxc]) == [mxc]
        assert self.purge("next") == 0

    def test_a_room_avatar_a_pack_and_an_emote_too(self) -> None:
        room_id = self.room()
        avatar, sticker, emote, face = (self.an_old_file() for _ in range(4))
        self.start()
        self.send_state(room_id, "m.room.avatar", {"url": avatar})
        self.send_state(room_id, "m.room.image_pack", pack(sticker))
        self.send_state(room_id, "m.room.member", {"membership": "join", "avatar_url": face}, self.alice)
        self.set_account_data("m.image_pack", pack(emote))
        assert self.purge_on() == 0
        assert len(self.left([avatar, sticker, emote, face])) == 4

    def test_what_is_set_between_following_and_planning_is_seen_too(self) -> None:
        room_id = self.room()
        mxc = self.an_old_file()
        self.start()
        caught_up = self.protected.catch_up

        async def catch_up_and_more(*arguments: Any) -> None:  # noqa: ANN401 - those of the method
            await caught_up(*arguments)
            event = await event_injection.create_event(
                self.hs, room_id=room_id, sender=self.alice, type="m.room.avatar", state_key="", content={"url": mxc}
            )
            persistence = self.hs.get_storage_controllers().persistence
            assert persistence is not None
            await persistence.persist_event(*event)

        with patch.object(self.protected, "catch_up", catch_up_and_more):
            assert self.batch().items == 0
        assert self.left([mxc]) == [mxc]

    def test_account_data_is_read_no_more_often_than_its_share_allows(self) -> None:
        for _ in range(5):
            self.an_old_file()
        self.get_ready()
        read = media_references.account_data_since
        now = [0.0]

        def slow(*arguments: Any) -> Any:  # noqa: ANN401 - those of the function
            now[0] += 0.2
            return read(*arguments)

        def position() -> int:
            ((reached,),) = self.rows("SELECT account_data_position FROM synapse_bum_retention_protection")
            return int(reached)

        clock = patch.object(protected, "time", Mock(monotonic=lambda: now[0]))
        with clock, patch.object(media_references, "account_data_since", side_effect=slow) as reading:
            self.get_ready()
            assert reading.call_count == 1, "each run begins with it"
            before = position()
            self.set_account_data("m.image_pack", pack())
            assert self.purge_on() == 5
            assert reading.call_count == 1, "it took too long to be read with each batch"
            assert position() == before, "what was not read is still to be read"
            self.get_ready()
            assert reading.call_count == 2
            assert position() > before

    def test_an_allowance_that_has_grown_is_seen(self) -> None:
        big, small = self.an_old_file(content=PICTURE + b"x" * 1_000), self.an_old_file()
        self.protected, self.purger = self.new_purger(
            ProtectConfig(avatars=True, image_packs=True, max_bytes_per_user=len(PICTURE) + 1_000)
        )
        self.set_account_data("im.ponies.user_emotes", pack(big, small))
        self.get_ready()
        assert [protects for *_, protects in self.protection()].count(1) == 1
        self.execute("UPDATE local_media_repository SET media_length = 1 WHERE media_id = ?", big.rpartition("/")[2])
        assert self.purge_on() == 0


class RebuildTests(RoomCase):
    def test_a_crash_in_the_middle_goes_on_and_nothing_is_deleted_meanwhile(self) -> None:
        mxc, avatar = self.an_old_file(), self.an_old_file()
        self.set_avatar(avatar)
        self.room()
        with patch.object(protected, "_read_rooms", side_effect=OSError("gone")):
            self.get_failure(self.purger.prepare(self.cutoff_ts, self.lease, thorough=False), OSError)
        self.protected, self.purger = self.new_purger()
        self.get_failure(self.purger.purge(self.step()), NotReadyError)
        with patch.object(media_references, "member_avatars_page", side_effect=AssertionError("read twice")):
            assert self.purge() == 1
        assert self.left([mxc, avatar]) == [avatar]

    def test_it_is_read_page_by_page(self) -> None:
        mxcs = [self.an_old_file() for _ in range(5)]
        for mxc in mxcs[:4]:
            room_id = self.room()
            self.send_state(room_id, "m.room.avatar", {"url": mxc})
            self.send_state(room_id, "m.room.member", {"membership": "join", "avatar_url": mxc}, self.alice)
        self.set_account_data("m.image_pack", pack(mxcs[4]))
        defaults = (1,)
        with (
            patch.object(media_references.member_avatars_page, "__defaults__", defaults),
            patch.object(media_references.account_data_page, "__defaults__", defaults),
            patch.object(media_references.rooms_page, "__defaults__", defaults),
            patch.object(media_references, "ROOMS_PAGE", 1),
            patch.object(protected, "SWEEP_PAGE", 2),
            patch.object(protected, "USERS_AT_ONCE", 1),
        ):
            self.rebuild()
        assert self.purge() == 0
        assert len(self.left(mxcs)) == 5

    def rebuild(self) -> None:
        """Read everything anew, however many transactions it takes."""
        self.get_success(self.module.database.run("test", self.protected._begin_if_due, True))  # noqa: FBT003
        for _ in range(200):
            if self.get_success(self.module.database.run("test", self.protected._build_page)).step is None:
                return
        raise AssertionError("the reading does not end")

    def test_what_vanishes_without_a_change_protects_for_a_day_at_most(self) -> None:
        room_id = self.room()
        mxc = self.an_old_file()
        self.send_state(room_id, "m.room.avatar", {"url": mxc})
        self.purge()
        self.execute("DELETE FROM current_state_events WHERE room_id = ?", room_id)
        assert self.purge("soon") == 0
        self.reactor.advance(DAY_MS / 1000)
        assert self.purge("next day") == 1

    def test_a_gap_in_the_stream_of_changes_has_it_read_anew(self) -> None:
        room_id = self.room()
        mxc = self.an_old_file()
        self.purge_nothing()
        self.send_state(room_id, "m.room.avatar", {"url": mxc})
        self.execute("DELETE FROM current_state_delta_stream")
        self.room()
        assert self.purge("next") == 0

    def purge_nothing(self) -> None:
        """A run with an empty list."""
        self.hold(self.alice)
        self.purge()
        self.execute("DELETE FROM synapse_bum_holds")

    def test_a_redacted_avatar_stays_until_synapse_has_forgotten_it(self) -> None:
        room_id = self.room()
        mxc = self.an_old_file()
        event_id = self.helper.send_state(room_id, "m.room.avatar", {"url": mxc}, tok=self.alice_token)["event_id"]
        channel = self.make_request(
            "POST", f"/_matrix/client/v3/rooms/{room_id}/redact/{event_id}", {}, access_token=self.alice_token
        )
        assert channel.code == HTTPStatus.OK
        assert self.purge() == 0
        self.reactor.advance(8 * DAY_MS / 1000)
        self.pump(1)
        assert self.purge("next") == 1

    @override_config({"redaction_retention_period": "7d"})
    def test_a_thorough_run_reads_everything_anew(self) -> None:
        room_id = self.room()
        mxc = self.an_old_file()
        self.send_state(room_id, "m.room.avatar", {"url": mxc})
        self.purge()
        self.execute("DELETE FROM current_state_events WHERE room_id = ?", room_id)
        self.get_ready(thorough=True)
        assert self.purge_on("thorough") == 1

    def test_a_position_never_goes_back(self) -> None:
        self.purge_nothing()

        def position(txn: LoggingTransaction) -> media_references.Positions:
            return protection_progress.read(txn).positions

        before = self.in_transaction(position)
        self.in_transaction(
            lambda txn: self.protected._advance(txn, media_references.Positions(0, 0), account_data=True)
        )
        assert self.in_transaction(position) == before


class RemoteTests(RoomCase):
    def referenced(self, *files: tuple[str, str]) -> set[tuple[str, str]]:
        """What the purger of remote media is told."""

        def ask(txn: LoggingTransaction) -> set[tuple[str, str]]:
            self.protected.follow(txn)
            return self.protected.referenced_remote(txn, list(files))

        found: set[tuple[str, str]] = self.in_transaction(ask)
        return found

    def test_what_users_of_other_servers_show_in_rooms_is_known_and_nothing_else(self) -> None:
        room_id = self.room()
        of_profile, of_room, of_pack, of_emote = ((SERVER, name) for name in ("profile", "room", "pack", "emote"))
        self.set_avatar("mxc://{}/{}".format(*of_profile))
        self.send_state(room_id, "m.room.avatar", {"url": "mxc://{}/{}".format(*of_room)})
        self.send_state(room_id, "m.room.image_pack", pack("mxc://{}/{}".format(*of_pack)))
        self.set_account_data("im.ponies.user_emotes", pack("mxc://{}/{}".format(*of_emote)))
        self.get_ready()
        self.get_success(
            event_injection.inject_member_event(
                self.hs,
                room_id,
                f"@carol:{SERVER}",
                "join",
                extra_content={"avatar_url": "mxc://{}/{}".format(*REMOTE_AVATAR)},
            )
        )
        of_alice = [of_profile, of_room, of_pack, of_emote]
        assert self.referenced(*of_alice, REMOTE_AVATAR) == {REMOTE_AVATAR}
        # As if carol had set them.
        self.execute(
            "UPDATE synapse_bum_retention_protected SET user_id = ? WHERE kind <> 'member'", f"@carol:{SERVER}"
        )
        assert self.referenced(*of_alice, REMOTE_AVATAR) == {of_room, of_pack, REMOTE_AVATAR}

    def test_without_having_read_nothing_is_said(self) -> None:
        self.get_failure(self.module.database.run("test", self.protected.follow), NotReadyError)
