"""A real server that is set back to a backup: whatever was closed after it is closed at the first answered request."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from synapse_bum.testing.database_backup import DatabaseBackup
from synapse_bum.testing.http_client import HttpClient, MatrixClient
from synapse_bum.testing.local_server import ServerError
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.server_database import ServerDatabase
from synapse_bum.testing.synapse import RealSynapse

ADMIN = "/_synapse/admin"
PARTNER = "partner.example"
HOLDS = "/_synapse/client/bum/v1/retention/holds"
PARTNERS = "/_synapse/client/bum/v1/federation/partners"


def modules(log: Path) -> list[dict[str, object]]:
    """The recovery module behind others, as operators may have it."""
    return [
        {
            "module": "synapse_bum.retention.RetentionModule",
            "config": {
                "local_media": {"lifetime": "30d"},
                "deletion_log_path": str(log.with_name("deletions.log")),
                "schedule": {"interval": "1s"},
            },
        },
        {"module": "synapse_bum.federation.FederationModule", "config": {}},
        {"module": "synapse_bum.recovery.RecoveryModule", "config": {"log_path": str(log)}},
    ]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "recovery.log"


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param(
            "postgresql", marks=[pytest.mark.requires("postgresql"), pytest.mark.any_synapse, pytest.mark.long]
        ),
    ]
)
def synapse(request: pytest.FixtureRequest, log: Path) -> Iterator[RealSynapse]:
    with ExitStack() as stack:
        dsn = None
        if request.param == "postgresql":
            dsn = stack.enter_context(RealPostgres()).dsn()
        config: dict[str, object] = {"federation_domain_whitelist": []}
        yield stack.enter_context(RealSynapse(modules=modules(log), config=config, postgres_dsn=dsn))


def wait_for(log: Path, *words: str) -> None:
    """Wait until each word stands in the log."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        text = log.read_text() if log.exists() else ""
        if all(word in text for word in words):
            return
        time.sleep(0.2)
    raise AssertionError(f"{words} are not all in the log:\n{log.read_text() if log.exists() else None}")


def wait_until_seen(synapse: RealSynapse, key: str) -> None:
    """Wait until something is known to be there, so that its end is told."""
    deadline = time.monotonic() + 60
    with ServerDatabase(synapse) as database:
        while not database.rows("SELECT 1 FROM synapse_bum_recovery_seen WHERE key = ?", key):
            assert time.monotonic() < deadline
            time.sleep(0.2)


def wait_until(what: Callable[[], bool]) -> None:
    """Wait for what Synapse's own handlers finish."""
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def whoami(client: MatrixClient) -> int:
    return client.get("/_matrix/client/v3/account/whoami").status


def login(synapse: RealSynapse, name: str, password: str) -> int:
    body = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": name}, "password": password}
    return HttpClient(synapse.base_url).post("/_matrix/client/v3/login", body).status


class Story:
    """What there is before the backup, what is closed after it, and how that looks from outside."""

    def __init__(self, synapse: RealSynapse, log: Path) -> None:
        self.synapse = synapse
        self.log = log
        self.root = synapse.register("root", admin=True)
        self.second = synapse.register("second", admin=True)
        self.locked, self.gone, self.out, self.stays, self.kicked = (
            synapse.register(name) for name in ("locked", "gone", "out", "stays", "kicked")
        )
        self.stays_path = f"{ADMIN}/v2/users/{self.stays.user_id}"
        known = {
            "threepids": [{"medium": "email", "address": "lost@example.org"}],
            "external_ids": [{"auth_provider": "oidc-amt", "external_id": "lost"}],
        }
        assert self.root.put(self.stays_path, known).status == 200
        assert self.root.post(f"{ADMIN}/v1/registration_tokens/new", {"token": "invitation"}).status == 200
        self.changed = synapse.register("changed", password="old-password-of-mine")
        put = self.root.put(f"{PARTNERS}/{PARTNER}", {"organisation": "Amt", "reason": "contract"})
        assert put.status == 200, put.body
        self.deleted_room = self.stays.create_room(name="to be deleted").json["room_id"]
        self.room = self.stays.create_room(name="talk").json["room_id"]
        assert (
            self.stays.post(f"/_matrix/client/v3/rooms/{self.room}/invite", {"user_id": self.kicked.user_id}).status
            == 200
        )
        assert self.kicked.post(f"/_matrix/client/v3/join/{self.room}", {}).status == 200
        content = {"msgtype": "m.text", "body": "regretted"}
        self.event_id = self.stays.send(self.room, "m.room.message", content, "1").json["event_id"]
        self.since = self.kicked.get("/_matrix/client/v3/sync?timeout=0").json["next_batch"]
        wait_for(log, "@changed:", PARTNER)
        device = self.out.get("/_matrix/client/v3/account/whoami").json["device_id"]
        link = f"oidc-amt\x1flost\x1f{self.stays.user_id}"
        for key in (self.deleted_room, "invitation", link, f"{self.out.user_id} {device}"):
            wait_until_seen(synapse, key)
        self.expired = self.stays.upload(b"expires").json["content_uri"]
        self.deleted = self.stays.upload(b"is deleted").json["content_uri"]

    @property
    def hold(self) -> str:
        return f"{HOLDS}/{self.out.user_id}"

    def close(self) -> None:
        """Everything that can be closed."""
        root = self.root
        later = self.synapse.register("later")
        new = {"new_password": "new-password", "logout_devices": True}
        for answer in (
            root.put(f"{ADMIN}/v2/users/{self.locked.user_id}", {"locked": True}),
            root.post(f"{ADMIN}/v1/deactivate/{self.gone.user_id}", {"erase": True}),
            root.put(f"{ADMIN}/v2/users/{later.user_id}", {"locked": True}),
            root.put(self.stays_path, {"threepids": [], "external_ids": []}),
            root.delete(f"{ADMIN}/v1/registration_tokens/invitation"),
            self.stays.post(f"/_matrix/client/v3/rooms/{self.room}/kick", {"user_id": self.kicked.user_id}),
            self.out.post("/_matrix/client/v3/logout", {}),
            root.put(f"{ADMIN}/v1/users/{self.second.user_id}/admin", {"admin": False}),
            root.post(f"{ADMIN}/v1/reset_password/{self.changed.user_id}", new),
            root.request("DELETE", f"{PARTNERS}/{PARTNER}", json_body={"reason": "ended"}),
            root.put(self.hold, {"reason": "evidence", "until_ts": 4_000_000_000_000}),
            root.delete(f"{ADMIN}/v1/media/{self.deleted.removeprefix('mxc://')}"),
            root.request("DELETE", f"{ADMIN}/v1/rooms/{self.deleted_room}", json_body={"block": True, "purge": True}),
            self.stays.put(f"/_matrix/client/v3/rooms/{self.room}/redact/{self.event_id}/2", {}),
            self.stays.download(self.expired),
        ):
            assert answer.status == 200, answer.body
        with ServerDatabase(self.synapse) as database:
            media_id = self.expired.rpartition("/")[2]
            aged = "UPDATE local_media_repository SET created_ts = 1 WHERE media_id = ?"
            assert database.execute(aged, media_id) == 1
        wait_for(self.log.with_name("deletions.log"), self.expired)
        sources = ("files", "redactions", "sessions", "federation.partners", "holds", "rooms.blocked", "rooms")
        ends = ("addresses", "links", "registration_tokens", "devices", "memberships")
        wait_for(self.log, '"locked":true', '"erased":true', *(f'"source":"{name}"' for name in (*sources, *ends)))

    def assert_closed(self) -> None:
        """Looked at with the first requests after a start."""
        root, stays = self.root, self.stays
        assert stays.download(self.expired).status == 404
        assert stays.download(self.deleted).status == 404
        assert [whoami(client) for client in (stays, self.locked, self.gone, self.out)] == [200, 401, 401, 401]
        assert login(self.synapse, "changed", "old-password-of-mine") == 403
        assert self.second.get(f"{ADMIN}/v2/users").status == 403
        assert root.get(PARTNERS).json["partners"] == []
        details = root.get(self.stays_path).json
        assert (details["threepids"], details["external_ids"]) == ([], [])
        assert root.get(f"{ADMIN}/v1/registration_tokens").json["registration_tokens"] == []
        assert root.get(f"{ADMIN}/v2/users/{self.out.user_id}/devices").json["devices"] == []
        for since in ("", f"&since={self.since}"):
            sync = self.kicked.get(f"/_matrix/client/v3/sync?timeout=0{since}").json
            assert self.room not in sync.get("rooms", {}).get("join", {})
        later = root.get(f"{ADMIN}/v2/users/@later:{self.synapse.server_name}").json
        assert (later["locked"], later["deactivated"]) == (True, False)
        details = root.get(f"{ADMIN}/v2/users/{self.gone.user_id}").json
        assert (details["deactivated"], details["erased"]) == (True, True)
        assert stays.get(f"/_matrix/client/v3/rooms/{self.room}/event/{self.event_id}").json["content"] == {}
        assert root.get(self.hold).json["reason"] == "evidence"
        assert stays.get(f"/_matrix/client/v3/rooms/{self.deleted_room}/messages").status == 403
        assert root.get(f"{ADMIN}/v1/rooms/{self.deleted_room}").status == 404
        assert root.get(f"{ADMIN}/v1/rooms/{self.deleted_room}/block").json["block"]

    def members(self) -> list[str]:
        found: list[str] = self.root.get(f"{ADMIN}/v1/rooms/{self.room}/members").json["members"]
        return found

    def audited(self) -> set[str]:
        rows = self.root.get("/_synapse/client/bum/v1/audit?limit=1000").json["audit"]
        return {row["action"].removeprefix("recovery.") for row in rows if row["actor"] == "system:recovery"}


def test_what_was_closed_after_the_backup_is_closed_after_the_restore(
    synapse: RealSynapse, log: Path, tmp_path: Path
) -> None:
    story = Story(synapse, log)
    backup = DatabaseBackup(synapse, tmp_path / "backup")
    files = shutil.copytree(synapse.media_directory, tmp_path / "files")
    story.close()
    synapse.kill()
    backup.restore()
    shutil.copytree(files, synapse.media_directory, dirs_exist_ok=True)
    synapse.start()
    story.assert_closed()
    wait_until(lambda: story.kicked.user_id not in story.members())
    assert story.audited() == {
        "account",
        "address_removed",
        "device_removed",
        "file_deleted",
        "hold_set",
        "link_removed",
        "membership",
        "name_kept",
        "partner_removed",
        "password_dropped",
        "redacted",
        "registration_token_removed",
        "room_blocked",
        "room_deleted",
        "session_ended",
    }


@pytest.mark.any_synapse
def test_a_server_whose_log_was_emptied_does_not_start(log: Path) -> None:
    """What logrotate with `create` leaves behind is empty."""
    with RealSynapse(modules=modules(log), config={"federation_domain_whitelist": []}) as synapse:
        synapse.register("alice")
        wait_for(log, "@alice:")
        synapse.stop()
        content = log.read_bytes()
        log.write_bytes(b"")
        with pytest.raises(ServerError, match="is empty, though"):
            synapse.start()
        log.write_bytes(content)
        synapse.start()
