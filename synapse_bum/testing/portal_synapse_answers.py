"""What Synapse's admin API answers to the portal: `synapse/rest/admin/`, in 1.133.0 and 1.163.2.

One account, room and file; accounts that differ in their state differ in their name.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

Answers: TypeAlias = Mapping[str, dict[str, Any] | None]
"""By method and path, percent-decoded; `*` is one segment. None says that there is no such object."""

NOW_MS: Final = 1_795_428_000_000
"""2026-11-23 10:00 UTC: when these answers are given."""

ROOM_ID: Final = "!room:test"
MXC: Final = "mxc://test/mediaone"

_ADMIN: Final = "/_synapse/admin"
_EARLIER: Final = NOW_MS - 3_600_000


def _account(name: str, **states: object) -> dict[str, Any]:
    user: dict[str, Any] = {
        "name": f"@{name}:test",
        "displayname": "Erika Muster",
        "avatar_url": "mxc://test/avatar",
        "user_type": None,
        "is_guest": False,
        "admin": False,
        "deactivated": False,
        "locked": False,
        "erased": False,
        "shadow_banned": False,
        "creation_ts": _EARLIER // 1000,
        "last_seen_ts": _EARLIER,
        "threepids": [{"medium": "email", "address": "erika@amt.example", "added_at": 1, "validated_at": 1}],
        "external_ids": [{"auth_provider": "keycloak", "external_id": "f1c2a7de"}],
    }
    return {**user, **states}


_ALICE: Final = _account("alice")
_BOSS: Final = _account("boss", admin=True)
_CAROL: Final = _account("carol", admin=True)
_LOCKED: Final = _account("locked", locked=True)

_ROOM: Final = {
    "room_id": ROOM_ID,
    "name": "Lage",
    "canonical_alias": "#lage:test",
    "topic": "Thema",
    "joined_members": 2,
    "joined_local_members": 1,
    "version": "10",
    "creator": "@alice:test",
    "encryption": None,
    "federatable": True,
    "public": False,
    "join_rules": "invite",
    "guest_access": None,
    "history_visibility": "shared",
    "state_events": 9,
    "room_type": None,
    "avatar": None,
    "joined_local_devices": 1,
    "forgotten": False,
}
_FILE: Final = {
    "media_id": "mediaone",
    "media_origin": None,
    "media_type": "image/png",
    "media_length": 5,
    "upload_name": "lage.txt",
    "created_ts": _EARLIER,
    "last_access_ts": _EARLIER,
    "quarantined_by": None,
    "safe_from_quarantine": False,
    "user_id": "@alice:test",
}
_DELETION: Final = {
    "delete_id": "one",
    "status": "complete",
    "shutdown_room": {
        "kicked_users": ["@alice:test"],
        "failed_to_kick_users": ["@bob:test"],
        "local_aliases": ["#lage:test"],
        "new_room_id": "!new:test",
    },
}

SYNAPSE: Final[Answers] = MappingProxyType(
    {
        f"GET {_ADMIN}/v2/users": {"users": [_ALICE, _BOSS, _CAROL, _LOCKED], "total": 4},
        f"GET {_ADMIN}/v2/users/@alice:test": _ALICE,
        f"GET {_ADMIN}/v2/users/@boss:test": _BOSS,
        f"GET {_ADMIN}/v2/users/@carol:test": _CAROL,
        f"GET {_ADMIN}/v2/users/@locked:test": _LOCKED,
        f"GET {_ADMIN}/v2/users/*": None,
        f"PUT {_ADMIN}/v2/users/*": _ALICE,
        f"GET {_ADMIN}/v2/users/*/devices": {
            "devices": [
                {
                    "device_id": "DEVICE",
                    "display_name": "Telefon",
                    "last_seen_ip": "192.0.2.1",
                    "last_seen_ts": _EARLIER,
                    "last_seen_user_agent": "Browser",
                    "user_id": "@alice:test",
                }
            ],
            "total": 1,
        },
        f"POST {_ADMIN}/v2/users/*/delete_devices": {},
        f"GET {_ADMIN}/v1/users/*/admin": {"admin": True},
        f"PUT {_ADMIN}/v1/users/*/admin": {},
        f"GET {_ADMIN}/v1/users/@carol:test/media": {"media": [], "total": 0},
        f"GET {_ADMIN}/v1/users/*/media": {"media": [_FILE], "total": 1},
        f"DELETE {_ADMIN}/v1/users/*/media": {"deleted_media": ["mediaone"], "total": 1},
        f"GET {_ADMIN}/v1/users/*/joined_rooms": {"joined_rooms": [ROOM_ID], "total": 1},
        f"GET {_ADMIN}/v1/username_available": {"available": True},
        f"GET {_ADMIN}/v1/threepid/email/users/*": None,
        f"POST {_ADMIN}/v1/deactivate/*": {"id_server_unbind_result": "success"},
        f"GET {_ADMIN}/v1/statistics/users/media": {
            "users": [{"user_id": "@alice:test", "displayname": "Erika", "media_count": 1, "media_length": 5}],
            "total": 1,
        },
        f"GET {_ADMIN}/v1/statistics/database/rooms": {"rooms": [{"room_id": ROOM_ID, "estimated_size": 12_300_000}]},
        f"GET {_ADMIN}/v1/rooms": {"rooms": [_ROOM], "offset": 0, "total_rooms": 1},
        f"GET {_ADMIN}/v1/rooms/*": _ROOM,
        f"GET {_ADMIN}/v1/rooms/*/members": {"members": ["@alice:test", "@bob:amt-a.example"], "total": 2},
        f"GET {_ADMIN}/v1/rooms/*/block": {"block": True, "user_id": "@boss:test"},
        f"GET {_ADMIN}/v1/rooms/*/state": {
            "state": [
                {"type": "m.room.create", "state_key": "", "sender": "@alice:test", "content": {}},
                {
                    "type": "m.room.power_levels",
                    "state_key": "",
                    "sender": "@alice:test",
                    "content": {"users": {"@alice:test": 100}},
                },
            ]
        },
        f"GET {_ADMIN}/v1/room/*/media": {"local": [MXC], "remote": ["mxc://amt-a.example/other", "no address"]},
        f"GET {_ADMIN}/v2/rooms/*/delete_status": {"results": [_DELETION]},
        f"DELETE {_ADMIN}/v2/rooms/*": {"delete_id": "one"},
        f"GET {_ADMIN}/v1/media/test/clean": {"media_info": {**_FILE, "media_id": "clean"}},
        f"GET {_ADMIN}/v1/media/*/*": {"media_info": _FILE},
        f"DELETE {_ADMIN}/v1/media/*/*": {"deleted_media": ["mediaone"], "total": 1},
    }
)
"""Every route of Synapse that pages ask."""
