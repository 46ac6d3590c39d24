"""A homeserver with the antivirus module and a room: an administrator of the room, and two users who send files."""

from http import HTTPStatus
from typing import Any, ClassVar

from synapse.module_api import LoggingTransaction
from synapse.rest import admin
from synapse.rest.client import login, media, profile, room
from synapse.rest.client import sync as sync_servlets
from tests.server import FakeChannel
from tests.test_utils import event_injection

from synapse_bum.antivirus.events.redactions import TICK_MS
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.deletion import Hold, put_hold
from synapse_bum.testing.antivirus_case import BASE, AntivirusTestCase
from synapse_bum.testing.encrypted_files import Attachment, encrypted

SCANNER = "/_matrix/media_proxy/unstable"
REMOTE = "remote.example"
CLEAN = b"minutes of the meeting"


class RoomTestCase(AntivirusTestCase):
    """`boss` has created the room and administers it; `alice` (`user`) and `bob` are members; `admin` is none.

    Attributes:
        room: id of the room.
    """

    servlets: ClassVar[list[Any]] = [
        admin.register_servlets,
        login.register_servlets,
        media.register_servlets,
        profile.register_servlets,
        room.register_servlets,
        sync_servlets.register_servlets,
    ]

    def prepare(self, *reactor_clock_and_homeserver: object) -> None:
        """Registers the users and opens the room."""
        super().prepare(*reactor_clock_and_homeserver)
        self.boss = self.register_user("boss", "pass")
        self.boss_token = self.login("boss", "pass")
        self.bob = self.register_user("bob", "pass")
        self.bob_token = self.login("bob", "pass")
        self.room = self.new_room()

    def new_room(self, **options: Any) -> str:  # noqa: ANN401 - the arguments of `create_room_as`
        """Open a room of the boss's and let alice and bob join."""
        room_id: str = self.helper.create_room_as(self.boss, tok=self.boss_token, **options)
        self.helper.join(room_id, self.user, tok=self.user_token)
        self.helper.join(room_id, self.bob, tok=self.bob_token)
        return room_id

    def give_power(self, user_id: str, level: int) -> None:
        """Give a user a power level in the room."""
        power = self.helper.get_state(self.room, "m.room.power_levels", tok=self.boss_token)
        power["users"] = {**power.get("users", {}), user_id: level}
        self.helper.send_state(self.room, "m.room.power_levels", power, tok=self.boss_token)

    def send(
        self,
        content: dict[str, Any],
        *,
        token: str | None = None,
        room_id: str | None = None,
        event_type: str = "m.room.message",
    ) -> str:
        """Send an event as alice, unless another token is given, and return its id."""
        sent = self.helper.send_event(room_id or self.room, event_type, content=content, tok=token or self.user_token)
        event_id: str = sent["event_id"]
        return event_id

    def send_file(self, mxc: str, **options: str) -> str:
        """Send a file in clear, and return the event's id."""
        return self.send({"msgtype": "m.file", "body": "a file", "url": mxc}, **options)

    def send_encrypted(self, **options: Any) -> str:  # noqa: ANN401 - the arguments of `send`
        """Send an event whose content the server can't see, and return its id."""
        content = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AAAA", **options.pop("more", {})}
        return self.send(content, event_type="m.room.encrypted", **options)

    def inject(self, sender: str, content: dict[str, Any], event_type: str = "m.room.message") -> str:
        """Have an event of another server's user arrive in the room, and return its id."""
        joined = event_injection.inject_member_event(self.hs, self.room, sender, "join")
        self.get_success(joined)
        event = self.get_success(
            event_injection.inject_event(self.hs, room_id=self.room, sender=sender, type=event_type, content=content)
        )
        event_id: str = event.event_id
        return event_id

    def redact(
        self, event_id: str, *, token: str | None = None, room_id: str | None = None, expect: int = HTTPStatus.OK
    ) -> None:
        """Redact an event as alice, unless another token is given."""
        channel = self.make_request(
            "POST",
            f"/_matrix/client/v3/rooms/{room_id or self.room}/redact/{event_id}",
            {},
            access_token=token or self.user_token,
        )
        assert channel.code == expect, channel.json_body

    def scan(
        self, attachment: Attachment, mxc: str, event_id: str, *, token: str | None = None, room_id: str | None = None
    ) -> FakeChannel:
        """Have an encrypted file scanned as part of an event; as alice, unless another token is given."""
        body = {"file": attachment.file(mxc), "room_id": room_id or self.room, "event_id": event_id}
        channel = self.make_request(
            "POST", f"{SCANNER}/scan_encrypted", body, access_token=token or self.user_token, shorthand=False
        )
        assert channel.code == HTTPStatus.OK, channel.json_body
        return channel

    def sent_encrypted(self, content: bytes = EICAR, *, token: str | None = None) -> tuple[str, str]:
        """Have alice send an encrypted file that is scanned as part of its event: by her own or the given token.

        Returns:
            The mxc URI and the event's id.
        """
        attachment = encrypted(content)
        mxc, event_id = self.upload(attachment.ciphertext), self.send_encrypted()
        self.scan(attachment, mxc, event_id, token=token)
        return mxc, event_id

    def delete(self, mxc: str, token: str | None = None, **query: str) -> FakeChannel:
        """`DELETE media/...` as alice, unless another token is given."""
        asked = "&".join(f"{name}={value.replace('#', '%23')}" for name, value in query.items())
        path = f"{BASE}/media/{mxc.removeprefix('mxc://')}?{asked}"
        return self.make_request("DELETE", path, access_token=token or self.user_token)

    def my_media(self, token: str | None = None, query: str = "") -> dict[str, Any]:
        """`GET media` as alice, unless another token is given."""
        channel = self.make_request("GET", f"{BASE}/media{query}", access_token=token or self.user_token)
        assert channel.code == HTTPStatus.OK, channel.json_body
        answer: dict[str, Any] = channel.json_body
        return answer

    def is_gone(self, mxc: str) -> bool:
        """Whether a file and its row are gone, after the duties have had their time."""
        for _ in range(3):
            self.reactor.advance(TICK_MS / 1000)
            self.pump()
        gone = self.download(mxc).code == HTTPStatus.NOT_FOUND
        self.reactor.advance(3_600)
        self.settle()
        name = mxc.rsplit("/", 1)[1]
        # Local files are stored by the first two characters of their ids in two folders.
        on_disk = any(name in "".join(path.parts[-3:]) for path in self.stored_files())
        if gone == on_disk:
            raise AssertionError(f"{mxc} is {'still on disk' if gone else 'gone from disk, but not hidden'}")
        return gone

    def hold(self, target: str) -> None:
        """Put a hold on a user or a room."""
        now_ms = self.hs.get_clock().time_msec()

        def put(txn: LoggingTransaction) -> None:
            put_hold(txn, Hold(target, "court order", now_ms + 10**10, self.admin, now_ms))

        self.get_success(self.hs.get_module_api().run_db_interaction("test", put))
