"""A server of 10,000 users, 5,000 rooms and 100,000 files, as rows of the real schema.

Names are as long as people choose them. Rows have no bytes on disk, and rooms no events but the one that is measured,
which is a real one that further members and files are added to. One user has a fifth of all files and is in 200 rooms.
"""

import time
from collections.abc import Iterator
from typing import Final

from benchmarks import portal_records
from benchmarks.row_terms import HASH, SENTENCE, SPREAD, USERS, RowTerms
from benchmarks.synthetic_rows import Table
from synapse_bum.testing.server_database import ServerDatabase

ROOMS: Final = 5_000
FILES: Final = 100_000
BUSIEST: Final = "user00000"
"""Who has most files and most rooms."""
MEMBERS: Final = 1_000
"""Of the room that is measured, besides the one who has made it."""

_COPIES: Final = 20_000
_BUSIEST_FILES: Final = 20_000
_BUSIEST_ROOMS: Final = 200
_MEMBERS_OF_A_ROOM: Final = 20
_ROOM_FILES: Final = 2_000
_STATE: Final = 400_000
_ADMINISTRATORS: Final = 60

_FILE_NAME: Final = "'Vermerk zur Beschaffung von Arbeitsplatzrechnern, Fassung ' || i || '.pdf'"


def fill(database: ServerDatabase, server_name: str, room_id: str) -> None:
    """Write everything; Synapse must not be running.

    Args:
        database: on PostgreSQL, with all tables; its background updates are over.
        server_name: of the homeserver.
        room_id: a room that Synapse has made.
    """
    # Synapse's triggers look events up, which these rows do not have.
    database.execute("SET session_replication_role = replica")
    terms = RowTerms(server_name, int(time.time() * 1_000))
    rows = _Rows(terms, room_id)
    for table, count in (*rows.accounts(), *rows.rooms(), *rows.files(), *portal_records.tables(terms)):
        database.execute(table.insert(0, count - 1))
    database.execute("SET session_replication_role = origin")
    for name in ("room_stats_current", "room_stats_state"):
        database.execute(f"DELETE FROM {name} WHERE room_id = ?", room_id)  # noqa: S608 - names of this file
    stats = "name, canonical_alias, join_rules, history_visibility, encryption, is_federatable"
    database.execute(
        f"INSERT INTO room_stats_state (room_id, {stats}) SELECT ?, {stats} FROM room_stats_state LIMIT 1",  # noqa: S608
        room_id,
    )
    database.execute(
        "INSERT INTO room_stats_current (room_id, current_state_events, joined_members, local_users_in_room,"
        " completed_delta_stream_id, invited_members, left_members, banned_members, knocked_members)"
        " VALUES (?, ?, ?, ?, 1, 0, 0, 0, 0)",
        room_id,
        MEMBERS,
        MEMBERS + 1,
        MEMBERS + 1,
    )
    database.execute("UPDATE synapse_bum_audit_head SET id = (SELECT MAX(id) FROM synapse_bum_audit)")
    database.execute("VACUUM ANALYZE")


class _Rows:
    """How the rows are made: tables with how many rows each."""

    def __init__(self, terms: RowTerms, room_id: str) -> None:
        self._terms = terms
        self._room_id = room_id

    def accounts(self) -> Iterator[tuple[Table, int]]:
        """Users with what belongs to them."""
        user_id, name = self._terms.user("i"), "'Dr. Annegret Musterfrau-Schönhuber ' || i"
        account = {
            "name": user_id,
            "creation_ts": f"{self._terms.now_ms // 1_000} - i::bigint * 7000",
            "admin": f"(i < {_ADMINISTRATORS})::integer",
            "is_guest": "0",
            "deactivated": "(i % 20 = 19)::integer",
            "locked": "i % 50 = 49",
        }
        yield Table("users", account), USERS
        profile = {"user_id": self._terms.localpart("i"), "displayname": name, "full_user_id": user_id}
        yield Table("profiles", profile), USERS
        seen = {
            "user_id": self._terms.user("i / 2"),
            "device_id": "'DEVICE' || i",
            "last_seen": self._terms.earlier(80),
        }
        yield Table("devices", {**seen, "display_name": "'Element Desktop: Linux'", "hidden": "false"}), 2 * USERS
        address = {"ip": "'10.0.' || i % 250 || '.' || i / 250 % 250", "user_agent": "'Element'"}
        yield Table("user_ips", {**seen, **address, "access_token": "'token' || i"}), 2 * USERS
        link = {"auth_provider": "'oidc-keycloak'", "external_id": "md5('subject' || i)", "user_id": user_id}
        yield Table("user_external_ids", link), USERS
        person = {"idp_id": "'keycloak'", "subject": "md5('subject' || i)", "admin": "'no'", "pending": "0"}
        yield Table("synapse_bum_oidc_people", {**person, "login_ts": self._terms.earlier(80)}), USERS

    def rooms(self) -> Iterator[tuple[Table, int]]:
        """Rooms with their members; the last of each twenty is of another server, in every tenth room."""
        room_id = self._terms.room("i")
        made = {"is_public": "i % 20 = 0", "creator": self._terms.user(f"i % {USERS}"), "room_version": "'10'"}
        yield Table("rooms", {"room_id": room_id, **made, "has_auth_chain_index": "true"}), ROOMS
        state = {
            "room_id": room_id,
            "name": "'Projektgruppe Digitale Akte, Abstimmung der Unterarbeitsgruppe ' || i",
            "canonical_alias": f"'#projektgruppe-digitale-akte-' || i || ':{self._terms.server_name}'",
            "join_rules": "'invite'",
            "history_visibility": "'shared'",
            "encryption": "CASE WHEN i % 3 = 0 THEN NULL ELSE 'm.megolm.v1.aes-sha2' END",
            "is_federatable": "true",
            "topic": SENTENCE,
        }
        yield Table("room_stats_state", state), ROOMS
        zeros = dict.fromkeys(("invited_members", "left_members", "banned_members", "knocked_members"), "0")
        current = {
            "room_id": room_id,
            **zeros,
            "current_state_events": f"{_MEMBERS_OF_A_ROOM} + i % 40",
            "joined_members": str(_MEMBERS_OF_A_ROOM),
            "local_users_in_room": str(_MEMBERS_OF_A_ROOM),
            "completed_delta_stream_id": "1",
        }
        yield Table("room_stats_current", current), ROOMS
        yield from self._members()
        group = {
            "state_group": "1000000 + i",
            # A few rooms have most of the state.
            "room_id": self._terms.room(f"i % (1 + i % {ROOMS})"),
            "type": "'m.room.member'",
            "state_key": "''",
            "event_id": "'$state' || i",
        }
        yield Table("state_groups_state", group), _STATE

    def _members(self) -> Iterator[tuple[Table, int]]:
        number = f"((i * 7919::bigint) % {USERS})"
        outside = f"i % {10 * _MEMBERS_OF_A_ROOM} = {_MEMBERS_OF_A_ROOM - 1}"
        server = f"'@gast' || i || ':partner' || i / {_MEMBERS_OF_A_ROOM} % 700 || '.example'"
        member = f"CASE WHEN {outside} THEN {server} ELSE {self._terms.user(number)} END"
        everywhere = self._terms.room(f"i / {_MEMBERS_OF_A_ROOM}")
        yield from self._joined("m", everywhere, member, ROOMS * _MEMBERS_OF_A_ROOM)
        # Every 23rd room: none of them has him already.
        yield from self._joined("b", self._terms.room(f"{ROOMS} - 1 - i * 23"), self._terms.user("0"), _BUSIEST_ROOMS)
        yield from self._joined("r", f"'{self._room_id}'", self._terms.user("i"), MEMBERS)

    def _joined(self, kind: str, room_id: str, user_id: str, count: int) -> Iterator[tuple[Table, int]]:
        event = {"event_id": f"'$join{kind}' || i", "room_id": room_id, "membership": "'join'"}
        current = Table("current_state_events", {**event, "type": "'m.room.member'", "state_key": user_id})
        sent = {"user_id": user_id, "sender": user_id, "forgotten": "0", "event_stream_ordering": "1"}
        local = {"user_id": user_id, "event_stream_ordering": "1"}
        for table in (
            current,
            Table("room_memberships", {**event, **sent}),
            Table("local_current_membership", {**event, **local}),
        ):
            yield table, count

    def files(self) -> Iterator[tuple[Table, int]]:
        """Files of this server and copies of others', and messages that carry some of them."""
        file = {
            "media_type": "'application/pdf'",
            "media_length": f"20000 + (i::bigint * {SPREAD}) % 480000",
            "created_ts": self._terms.earlier(80),
            "upload_name": _FILE_NAME,
            "authenticated": "true",
            "sha256": HASH,
        }
        owner = self._terms.user(f"CASE WHEN i < {_BUSIEST_FILES} THEN 0 ELSE i % {USERS} END")
        own = {"media_id": self._terms.file("i"), "user_id": owner, "safe_from_quarantine": "false"}
        yield Table("local_media_repository", {**file, **own}), FILES
        clean = {"server_name": f"'{self._terms.server_name}'", "media_id": self._terms.file("i"), "state": "'clean'"}
        scanned = {
            "signature_version": "'27000'",
            "scanned_ts": self._terms.earlier(80),
            "noted_ts": self._terms.earlier(80),
        }
        yield Table("synapse_bum_antivirus_verdicts", {**clean, **scanned}), FILES
        copy = {
            "media_origin": "'partner' || i % 50 || '.example'",
            "media_id": "substr(md5('copy' || i), 1, 24)",
            "filesystem_id": "substr(md5('copy' || i), 1, 24)",
            "last_access_ts": self._terms.earlier(12),
        }
        yield Table("remote_media_cache", {**file, **copy, "created_ts": self._terms.earlier(12)}), _COPIES
        # Below zero: events that came by back-filling, for which no sequence has to be moved on.
        at = {"topological_ordering": "i", "depth": "i", "stream_ordering": "-10 - i"}
        event = {"event_id": "'$file' || i", "room_id": f"'{self._room_id}'"}
        kind = {"type": "'m.room.message'", "processed": "true", "outlier": "false", "contains_url": "true"}
        when = dict.fromkeys(("origin_server_ts", "received_ts"), self._terms.earlier(80))
        yield Table("events", {**at, **event, **kind, **when}), _ROOM_FILES
        url = f"'mxc://{self._terms.server_name}/' || {self._terms.file('i')}"
        content = f"json_build_object('content', json_build_object('msgtype', 'm.file', 'url', {url}))::text"
        yield Table("event_json", {**event, "internal_metadata": "'{}'", "json": content}), _ROOM_FILES
