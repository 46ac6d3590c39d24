"""What was under way or kept when a partner was removed or ended: no attempt more, and no answer of his."""

from typing import Any
from unittest.mock import patch

from synapse.api.errors import FederationDeniedError
from synapse.http.matrixfederationclient import MatrixFederationRequest
from twisted.internet.defer import ensureDeferred

from synapse_bum.homeserver.federation_attempts import ask_at_each_attempt
from synapse_bum.testing.federation_case import PARTNER, FederationTestCase


class AttemptsTestCase(FederationTestCase):
    """A partner that is not there, so that Synapse tries again and again."""

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        super().prepare(*reactor_clock_and_homeserver)
        # The test case has put its wire in the place of the agent that the doors had put there.
        doors = self.module.doors
        ask_at_each_attempt(self.hs.get_module_api(), doors._outgoing, doors._lets_in)

    def send(self, path: str) -> Any:  # noqa: ANN401 - a Deferred
        request = MatrixFederationRequest(method="GET", destination=PARTNER, path=path)
        return self.hs.get_federation_http_client()._send_request(request, long_retries=True)

    def assert_it_ends(self) -> None:
        self.wire.reached.clear()
        for _ in range(20):
            self.reactor.advance(60)
        assert self.wire.reached == []

    def begin(self) -> Any:  # noqa: ANN401 - a Deferred
        sent = ensureDeferred(self.send("/_matrix/federation/v1/send/1"))
        self.pump(0.01)
        self.reactor.advance(10)
        assert len(self.wire.reached) >= 2
        return sent

    def test_a_request_that_is_tried_again_ends_with_the_removal(self) -> None:
        self.add()
        sent = self.begin()
        self.remove()
        self.assert_it_ends()
        self.failureResultOf(sent, FederationDeniedError)  # type: ignore[no-untyped-call]

    def test_a_request_that_is_tried_again_ends_with_the_partner(self) -> None:
        self.add(valid_until_ts=self.now_ms() + 30_000)
        sent = self.begin()
        self.reactor.advance(30)
        self.assert_it_ends()
        self.failureResultOf(sent, FederationDeniedError)  # type: ignore[no-untyped-call]

    def test_while_a_partner_leaves_only_events_and_messages_go_out(self) -> None:
        self.add()
        ask_at_each_attempt(self.hs.get_module_api(), {PARTNER}, lambda _name: False)
        self.wire.reached.clear()
        self.get_failure(self.send("/_matrix/federation/v1/query/profile"), FederationDeniedError)
        assert self.wire.reached == []
        self.begin()

    def test_a_list_of_rooms_that_is_kept_is_given_to_nobody_after_the_removal(self) -> None:
        self.add()
        client = self.hs.get_federation_client()
        path = f"/_matrix/client/v3/publicRooms?server={PARTNER}"

        async def answer(*_: object, **__: object) -> dict[str, Any]:
            return {"chunk": [], "total_room_count_estimate": 0}

        with patch.object(client, "get_public_rooms", answer):
            assert self.make_request("GET", path, access_token=self.alice_token).code == 200
        self.remove()
        assert self.make_request("GET", path, access_token=self.alice_token).code == 403

    def test_a_summary_that_is_kept_is_given_to_nobody_after_the_end(self) -> None:
        self.add(valid_until_ts=self.now_ms() + 30_000)
        client = self.hs.get_federation_client()
        room = f"!there:{PARTNER}"

        async def answer(**_: object) -> dict[str, Any]:
            return {"room": {"room_id": room}}

        with patch.object(client.transport_layer, "get_room_hierarchy", answer):
            self.get_success(client.get_room_hierarchy([PARTNER], room, suggested_only=False))
        assert self.get_success(client.get_room_hierarchy([PARTNER], room, suggested_only=False))[0]["room_id"] == room
        self.reactor.advance(31)
        self.get_failure(client.get_room_hierarchy([PARTNER], room, suggested_only=False), Exception)
