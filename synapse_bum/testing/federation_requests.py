"""What servers ask each other and what users have other servers asked: every way that an allowlist has to close.

Lists only, for homeservers in the test's own process and for real ones. Source: Matrix server-server API and
client-server API; Synapse's own endpoints from `synapse/federation/transport/server/federation.py`.
"""

import secrets
from typing import Any, Final
from urllib.parse import quote

import attr

_V1: Final = "/_matrix/federation/v1"
_V2: Final = "/_matrix/federation/v2"
_UNSTABLE: Final = "/_matrix/federation/unstable"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class FederationRequest:
    """One request.

    Attributes:
        name: of the way.
        method: of HTTP.
        path: with its query.
        content: the JSON body; None without one.
    """

    name: str
    method: str
    path: str
    content: dict[str, Any] | None = None


def signed_requests(room_id: str, event_id: str, user_id: str, media_id: str) -> list[FederationRequest]:
    """What a server may ask us with its signature.

    Args:
        room_id: of a room here.
        event_id: of an event in it.
        user_id: of a user here.
        media_id: of a file here.
    """
    room, event, user = quote(room_id, safe=""), quote(event_id, safe=""), quote(user_id, safe="")
    somebody = quote("@somebody:other.example.com", safe="")
    body: dict[str, Any] = {}
    get, post, put = "GET", "POST", "PUT"
    return [
        FederationRequest("send", put, f"{_V1}/send/1", {"pdus": [], "edus": []}),
        FederationRequest("make_join", get, f"{_V1}/make_join/{room}/{somebody}?ver=10"),
        FederationRequest("send_join v1", put, f"{_V1}/send_join/{room}/{event}", body),
        FederationRequest("send_join v2", put, f"{_V2}/send_join/{room}/{event}", body),
        FederationRequest("make_leave", get, f"{_V1}/make_leave/{room}/{somebody}"),
        FederationRequest("send_leave v1", put, f"{_V1}/send_leave/{room}/{event}", body),
        FederationRequest("send_leave v2", put, f"{_V2}/send_leave/{room}/{event}", body),
        FederationRequest("make_knock", get, f"{_V1}/make_knock/{room}/{somebody}?ver=10"),
        FederationRequest("send_knock", put, f"{_V1}/send_knock/{room}/{event}", body),
        FederationRequest("invite v1", put, f"{_V1}/invite/{room}/{event}", body),
        FederationRequest("invite v2", put, f"{_V2}/invite/{room}/{event}", body),
        FederationRequest("exchange_third_party_invite", put, f"{_V1}/exchange_third_party_invite/{room}", body),
        FederationRequest("query profile", get, f"{_V1}/query/profile?user_id={user}"),
        FederationRequest("query directory", get, f"{_V1}/query/directory?room_alias=%23a%3Atest"),
        FederationRequest("user/devices", get, f"{_V1}/user/devices/{user}"),
        FederationRequest("user/keys/query", post, f"{_V1}/user/keys/query", {"device_keys": {}}),
        FederationRequest("user/keys/claim", post, f"{_V1}/user/keys/claim", {"one_time_keys": {}}),
        FederationRequest("publicRooms", get, f"{_V1}/publicRooms"),
        FederationRequest("publicRooms search", post, f"{_V1}/publicRooms", body),
        FederationRequest("state", get, f"{_V1}/state/{room}?event_id={event}"),
        FederationRequest("state_ids", get, f"{_V1}/state_ids/{room}?event_id={event}"),
        FederationRequest("backfill", get, f"{_V1}/backfill/{room}?v={event}&limit=1"),
        FederationRequest("get_missing_events", post, f"{_V1}/get_missing_events/{room}", body),
        FederationRequest("event", get, f"{_V1}/event/{event}"),
        FederationRequest("event_auth", get, f"{_V1}/event_auth/{room}/{event}"),
        FederationRequest("timestamp_to_event", get, f"{_V1}/timestamp_to_event/{room}?ts=0&dir=f"),
        FederationRequest("hierarchy", get, f"{_V1}/hierarchy/{room}"),
        FederationRequest("complexity", get, f"{_UNSTABLE}/rooms/{room}/complexity"),
        FederationRequest("media/download", get, f"{_V1}/media/download/{media_id}"),
        FederationRequest("media/thumbnail", get, f"{_V1}/media/thumbnail/{media_id}?width=32&height=32&method=scale"),
    ]


def outgoing_actions(server: str, room_id: str, space_id: str) -> list[FederationRequest]:
    """What one of our users may do for which this server has to ask another one.

    Args:
        server: the other one.
        room_id: of a room here in which the user is, and may invite.
        space_id: of a space here in which the user is, with a room of the other server.
    """
    client = "/_matrix/client"
    room, stranger = quote(room_id, safe=""), f"@stranger:{server}"
    user, alias = quote(stranger, safe=""), quote(f"#room:{server}", safe="")
    there = quote(f"!somewhere:{server}", safe="")
    get, post, put = "GET", "POST", "PUT"
    return [
        FederationRequest("profile", get, f"{client}/v3/profile/{user}"),
        FederationRequest("display name", get, f"{client}/v3/profile/{user}/displayname"),
        FederationRequest("avatar", get, f"{client}/v3/profile/{user}/avatar_url"),
        FederationRequest("keys/query", post, f"{client}/v3/keys/query", {"device_keys": {stranger: []}}),
        FederationRequest(
            "keys/claim",
            post,
            f"{client}/v3/keys/claim",
            {"one_time_keys": {stranger: {"DEVICE": "signed_curve25519"}}},
        ),
        FederationRequest("alias", get, f"{client}/v3/directory/room/{alias}"),
        FederationRequest("publicRooms", get, f"{client}/v3/publicRooms?server={server}"),
        FederationRequest("publicRooms search", post, f"{client}/v3/publicRooms?server={server}", {}),
        FederationRequest("join by alias", post, f"{client}/v3/join/{alias}", {}),
        FederationRequest("join by id", post, f"{client}/v3/join/{there}?server_name={server}&via={server}", {}),
        FederationRequest("knock", post, f"{client}/v3/knock/{there}?server_name={server}&via={server}", {}),
        FederationRequest("invite", post, f"{client}/v3/rooms/{room}/invite", {"user_id": stranger}),
        FederationRequest("createRoom with an invitation", post, f"{client}/v3/createRoom", {"invite": [stranger]}),
        FederationRequest("download", get, f"{client}/v1/media/download/{server}/unknown"),
        FederationRequest(
            "thumbnail", get, f"{client}/v1/media/thumbnail/{server}/unknown?width=32&height=32&method=scale"
        ),
        FederationRequest("hierarchy", get, f"{client}/v1/rooms/{quote(space_id, safe='')}/hierarchy"),
        FederationRequest("summary", get, f"{client}/unstable/im.nheko.summary/rooms/{there}/summary?via={server}"),
        FederationRequest(
            "sendToDevice",
            put,
            f"{client}/v3/sendToDevice/m.dummy/{secrets.token_hex(8)}",
            {"messages": {stranger: {"*": {"a": 1}}}},
        ),
    ]


CACHED: Final = ("download", "thumbnail")
"""Names of the actions that must be refused also where this server has the file already."""
