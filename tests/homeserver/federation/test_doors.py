"""Every way between two servers: closed before one is a partner, open while it is, closed again after its removal."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from synapse.http.matrixfederationclient import MatrixFederationHttpClient
from synapse.server import HomeServer
from tests.test_utils import SMALL_PNG
from twisted.internet.defer import Deferred

from synapse_bum.homeserver import federation_doors
from synapse_bum.testing.federation_case import PARTNER, FederationTestCase
from synapse_bum.testing.federation_requests import CACHED, FederationRequest, outgoing_actions, signed_requests
from synapse_bum.testing.remote_media import elsewhere

ANSWERED_HERE = {"sendToDevice", "keys/query", "keys/claim", "hierarchy"}
"""What is answered without the other server: queued for later, or with what is known here."""


class DoorsTestCase(FederationTestCase):
    """`alice` is in a room in which everybody may invite, and has a file."""

    server = {
        "allow_public_rooms_over_federation": True,
        "dynamic_thumbnails": True,
        "federation": {"max_long_retries": 0, "max_short_retries": 0},
        "experimental_features": {"msc3266_enabled": True},
    }

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        super().prepare(*reactor_clock_and_homeserver)
        self.room = self.helper.create_room_as(self.alice, tok=self.alice_token, room_version="10")
        self.helper.join(self.room, self.boss, tok=self.boss_token)
        self.event = self.helper.send(self.room, "hello", tok=self.alice_token)["event_id"]
        self.space = self.helper.create_room_as(
            self.alice, tok=self.alice_token, extra_content={"creation_content": {"type": "m.space"}}
        )
        self.helper.join(self.space, self.boss, tok=self.boss_token)
        child = f"!elsewhere:{PARTNER}"
        self.helper.send_state(self.space, "m.space.child", {"via": [PARTNER]}, state_key=child, tok=self.alice_token)
        self.file = self.helper.upload_media(SMALL_PNG, tok=self.alice_token)["content_uri"].rpartition("/")[2]

    def denied(self) -> list[str]:
        """Names of the signed requests that are refused because of their server."""
        requests = signed_requests(self.room, self.event, self.alice, self.file)
        assert len(requests) == 30
        return [one.name for one in requests if self.is_denied(one)]

    def is_denied(self, request: FederationRequest) -> bool:
        channel = self.make_signed_federation_request(request.method, request.path, request.content)
        assert channel.code != 401
        return channel.code == 403 and b"Federation denied" in channel.result["body"]

    def ways_out(self, token: str) -> Iterator[tuple[str, list[str], int | None]]:
        """Every action with the servers that it reached and the answer, None while there is none."""
        actions = outgoing_actions(PARTNER, self.room, self.space)
        assert len(actions) == 18
        for action in actions:
            # What was asked before has failed by then; that would keep Synapse from trying again.
            self.reactor.advance(61)
            self.pump()
            store = self.hs.get_datastores().main
            self.get_success(store.set_destination_retry_timings(PARTNER, None, 0, 0))
            self.wire.reached.clear()
            channel = self.make_request(
                action.method,
                action.path,
                action.content if action.content is not None else b"",
                access_token=token,
                shorthand=False,
                await_result=False,
            )
            self.pump(0.01)
            yield action.name, list(self.wire.reached), channel.code if channel.is_finished() else None

    def assert_shut(self) -> None:
        assert len(self.denied()) == 30
        for token in (self.alice_token, self.boss_token):
            for name, reached, status in self.ways_out(token):
                assert reached == [], name
                if name not in ANSWERED_HERE:
                    assert status is None or status >= 400, name

    def assert_open(self) -> None:
        assert self.denied() == []
        for token in (self.alice_token, self.boss_token):
            for name, reached, _status in self.ways_out(token):
                assert set(reached) == {PARTNER}, name

    def test_every_way_follows_the_partner(self) -> None:
        self.assert_shut()
        self.add()
        self.assert_open()
        self.remove()
        self.assert_shut()
        self.add()
        self.assert_open()

    def test_a_cached_file_is_served_to_nobody_after_the_removal(self) -> None:
        self.add()
        fetched: list[str] = []
        ways = [one for one in outgoing_actions(PARTNER, self.room, self.space) if one.name in CACHED]

        def statuses(token: str) -> list[int]:
            with elsewhere(self.hs, SMALL_PNG, fetched, "image/png"):
                return [
                    self.make_request(one.method, one.path, access_token=token, shorthand=False).code for one in ways
                ]

        assert statuses(self.alice_token) == [200, 200]
        assert fetched == ["unknown"]
        self.remove()
        assert statuses(self.alice_token) == statuses(self.boss_token) == [403, 403]
        self.add()
        assert statuses(self.alice_token) == [200, 200]
        assert fetched == ["unknown"]

    def test_a_request_that_names_no_server_is_refused(self) -> None:
        header = ("Authorization", "Bearer nobody")
        path = "/_matrix/federation/v1/publicRooms"
        assert self.make_request("GET", path, shorthand=False, custom_headers=[header]).code == 403

    def test_the_key_server_asks_no_stranger_for_keys(self) -> None:
        path = f"/_matrix/key/v2/query/{PARTNER}x/ed25519:a"
        self.make_request("GET", path, shorthand=False, await_result=False)
        self.pump(0.01)
        assert self.wire.reached == []
        self.add(f"{PARTNER}x")
        self.make_request("GET", path, shorthand=False, await_result=False)
        self.pump(0.01)
        assert set(self.wire.reached) == {f"{PARTNER}x"}

    def test_all_places_were_tried_at_the_start(self) -> None:
        assert set(self.module.doors.proved) == {
            "federation client",
            "federation client, each attempt",
            "federation sender",
            "federation server",
            "key server",
            "media repository, content",
            "media repository, information",
        }


class HoleTestCase(FederationTestCase):
    """A Synapse in which a place does not ask."""

    def make_homeserver(self, *reactor_and_clock: object) -> HomeServer:
        patched = patch.object(MatrixFederationHttpClient, "_send_request", self.send)
        patched.start()
        self.addCleanup(patched.stop)
        return super().make_homeserver(*reactor_and_clock)

    @staticmethod
    async def send(*_: object, **__: object) -> None:
        return None

    def test_nothing_is_allowed_at_all(self) -> None:
        self.add()
        assert self.answer("GET", f"federation/check/{PARTNER}") == {
            "allowed": False,
            "matched": None,
            "because": "door_open",
        }
        assert self.make_signed_federation_request("GET", "/_matrix/federation/v1/publicRooms").code == 403


class SilentPlaceTestCase(HoleTestCase):
    """A Synapse in which a place tries to reach the server, and waits for it."""

    @staticmethod
    async def send(*_: object, **__: object) -> None:
        await Deferred()

    def test_nothing_is_allowed_at_all(self) -> None:
        self.reactor.advance(11)
        super().test_nothing_is_allowed_at_all()


class UnknownPlacesTestCase(HoleTestCase):
    """A Synapse in which the places can't even be found."""

    def make_homeserver(self, *reactor_and_clock: object) -> HomeServer:
        patched = patch.object(federation_doors, "incoming_doors", side_effect=AttributeError("renamed"))
        patched.start()
        self.addCleanup(patched.stop)
        return super().make_homeserver(*reactor_and_clock)
