"""The step about partners: a second homeserver is let in and shut out again while both of them run."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from synapse_bum.cli.demo.promise import require, wait_until
from synapse_bum.cli.demo.stage import API, Stage
from synapse_bum.cli.demo.step import Step
from synapse_bum.testing.federation import FederatingSynapse
from synapse_bum.testing.federation_requests import FederationRequest
from synapse_bum.testing.http_client import MatrixClient, Response
from synapse_bum.testing.signed_requests import send_signed

_ARRIVAL_SECONDS: Final = 20.0
_ROOMS: Final = "/_matrix/client/v3/rooms"


def _change(stage: Stage, method: str, partner: FederatingSynapse, reason: str) -> None:
    path = f"{API}/federation/partners/{partner.server_name}"
    answer = stage.admin.request(method, path, json_body={"reason": reason})
    require(answer.status == HTTPStatus.OK, f"{method} {path} was answered with HTTP {answer.status}, not with 200.")


def _look_up(stage: Stage, user: MatrixClient) -> Response:
    """Alice's client asks for the profile of another server's user."""
    return stage.alice.get(f"/_matrix/client/v3/profile/{quote(user.user_id)}")


def _signed(stage: Stage, partner: FederatingSynapse) -> int:
    """The partner asks for Alice's profile with his signature; returns the status of the answer."""
    path = f"/_matrix/federation/v1/query/profile?user_id={quote(stage.alice.user_id)}"
    return send_signed(partner, stage.synapse, FederationRequest("profile", "GET", path))


def _require_shut(stage: Stage, partner: FederatingSynapse, bob: MatrixClient) -> str:
    """Insist that nothing comes in and nothing goes out; returns the two answers in words."""
    inward, outward = _signed(stage, partner), _look_up(stage, bob).status
    require(inward == HTTPStatus.FORBIDDEN, f"Its signed request was answered with HTTP {inward}, not with 403.")
    require(outward != HTTPStatus.OK, "Alice's client can look up a user of it.")
    return f"its signed request is answered with HTTP {inward}, and Alice's look-up of its user Bob with HTTP {outward}"


def _last_text(user: MatrixClient, room_id: str) -> str:
    page = user.get(f"{_ROOMS}/{quote(room_id)}/messages", dir="b", limit=10)
    texts = [event["content"].get("body") for event in page.json["chunk"]] if page.status == HTTPStatus.OK else []
    return next((text for text in texts if text), "")


def _membership(stage: Stage, room_id: str, user: MatrixClient) -> str:
    answer = stage.alice.get(f"{_ROOMS}/{quote(room_id)}/state/m.room.member/{quote(user.user_id)}")
    return str(answer.json.get("membership"))


def _converse(stage: Stage, bob: MatrixClient) -> str:
    """Alice invites Bob, he joins and reads what she says; returns the id of their room."""
    created = stage.alice.create_room(invite=[bob.user_id])
    require(created.status == HTTPStatus.OK, f"The invitation was answered with HTTP {created.status}, not with 200.")
    room_id: str = created.json["room_id"]
    join = f"/_matrix/client/v3/join/{quote(room_id)}?via={stage.synapse.server_name}"
    wait_until(lambda: bob.post(join, {}).status == HTTPStatus.OK, _ARRIVAL_SECONDS, "Bob could not join")
    stage.alice.send(room_id, "m.room.message", {"msgtype": "m.text", "body": "Hello Bob"}, "hello")
    wait_until(lambda: _last_text(bob, room_id) == "Hello Bob", _ARRIVAL_SECONDS, "Bob did not get Alice's message")
    return room_id


def _live(stage: Stage) -> Iterator[str]:
    pid = stage.synapse.pid
    with FederatingSynapse(stage.authority) as partner:
        bob = partner.register("bob")
        shut = _require_shut(stage, partner, bob)
        yield f"A second homeserver starts, {partner.server_name}. It is no partner: {shut}."
        _change(stage, "PUT", partner, "agreement of today")
        status = _signed(stage, partner)
        require(status == HTTPStatus.OK, f"The partner's signed request was answered with HTTP {status}, not with 200.")
        room_id = _converse(stage, bob)
        yield "One request makes it a partner. Alice invites Bob to a room; he joins and reads her message."
        _change(stage, "DELETE", partner, "agreement ended")
        membership = _membership(stage, room_id, bob)
        require(membership == "leave", f"Bob's membership in the room is {membership}, not leave.")
        yield f"One request removes it. Bob is out of the room, and {_require_shut(stage, partner, bob)}."
    require(stage.synapse.pid == pid, "Synapse was restarted.")
    rows = stage.read("audit?action=federation.added")["audit"]
    require(bool(rows) and rows[0]["reason"] == "agreement of today", "The change is not in the audit.")
    yield f"Synapse still runs as process {pid}, and the audit names who did it and why."


STEPS: Final = (
    Step(
        "A partner is added, and removed, without a restart",
        "who may talk with this server is a request of the day, not a maintenance window",
        _live,
    ),
)
