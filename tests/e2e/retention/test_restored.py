"""A real server that is set back to a backup: what is over age, or only a lifted hold kept, is shown to nobody.

The retention module stands before the recovery module, so that it begins with the holds of the backup.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from synapse_bum.rest import BASE
from synapse_bum.testing.database_backup import DatabaseBackup
from synapse_bum.testing.http_client import MatrixClient
from synapse_bum.testing.local_server import ServerError
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.server_database import ServerDatabase
from synapse_bum.testing.synapse import RealSynapse

LIFETIME_S = 15
FOREVER = 4_000_000_000_000
QUICK = {"background_updates": {"sleep_enabled": False}}
"""The retention waits until Synapse's background updates are done."""


def modules(folder: Path) -> list[dict[str, Any]]:
    lifetime = {"lifetime": f"{LIFETIME_S}s"}
    retention = {
        "messages": lifetime,
        "local_media": lifetime,
        "deletion_log_path": str(folder / "deletions.log"),
        "schedule": {"interval": "1s"},
    }
    return [
        {"module": "synapse_bum.retention.RetentionModule", "config": retention},
        {
            "module": "synapse_bum.recovery.RecoveryModule",
            "config": {"log_path": str(folder / "recovery.log")},
        },
    ]


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param(
            "postgresql", marks=[pytest.mark.requires("postgresql"), pytest.mark.any_synapse, pytest.mark.long]
        ),
    ]
)
def synapse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RealSynapse]:
    with ExitStack() as stack:
        dsn = stack.enter_context(RealPostgres()).dsn() if request.param == "postgresql" else None
        synapse = stack.enter_context(RealSynapse(modules=modules(tmp_path), postgres_dsn=dsn, config=QUICK))
        with ServerDatabase(synapse) as database:
            # A table that an update drops meanwhile would end the backup.
            wait_until(lambda: not database.rows("SELECT 1 FROM background_updates"))
        yield synapse


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.2)


def count(path: Path, word: str) -> int:
    return path.read_text().count(word) if path.exists() else 0


class Story:
    """A room with a message of each of three people; bob is on hold at the backup, carol only after it."""

    def __init__(self, synapse: RealSynapse, folder: Path) -> None:
        self.synapse = synapse
        self.log = folder / "recovery.log"
        self.deletions = folder / "deletions.log"
        self.root = synapse.register("root", admin=True)
        self.people = [synapse.register(name) for name in ("alice", "bob", "carol")]
        alice, self.bob, self.carol = self.people
        with ServerDatabase(synapse) as database:
            # Sessions and devices that are too new at the backup are ended by the restore.
            query = "SELECT 1 FROM synapse_bum_recovery_seen WHERE source IN ('sessions', 'devices')"
            wait_until(lambda: len(database.rows(query)) == 2 * len([self.root, *self.people]))
        wait_until(lambda: self.status()["messages"]["last_success_ts"])
        self.room = alice.create_room(name="talk", preset="public_chat").json["room_id"]
        self.hold(self.bob)
        wait_until(lambda: count(self.log, '"source":"holds"') == 1)
        for person in (self.bob, self.carol):
            assert person.post(f"/_matrix/client/v3/join/{self.room}", {}).status == 200
        self.event_ids = [self.say(person) for person in self.people]
        self.file = self.bob.upload(b"evidence of yesterday").json["content_uri"]

    def say(self, person: MatrixClient) -> str:
        content = {"msgtype": "m.text", "body": f"zebra of {person.user_id}"}
        event_id: str = person.send(self.room, "m.room.message", content, "1").json["event_id"]
        return event_id

    def status(self) -> Any:  # noqa: ANN401 - JSON
        return self.root.get(f"{BASE}/retention/status").json

    def hold(self, person: MatrixClient) -> None:
        body = {"reason": "evidence", "until_ts": FOREVER}
        assert self.root.put(f"{BASE}/retention/holds/{person.user_id}", body).status == 200

    def lift(self, person: MatrixClient) -> None:
        assert self.root.request("DELETE", f"{BASE}/retention/holds/{person.user_id}").status == 200

    def event(self, event_id: str) -> Any:  # noqa: ANN401 - JSON
        return self.people[0].get(f"/_matrix/client/v3/rooms/{self.room}/event/{event_id}").json.get("content")

    def shown(self) -> list[str]:
        """Everything in which alice could find a message, in one text each."""
        alice, room = self.people[0], f"/_matrix/client/v3/rooms/{self.room}"
        found = {"search_categories": {"room_events": {"search_term": "zebra"}}}
        return [
            alice.get("/_matrix/client/v3/sync").body.decode(),
            alice.get(f"{room}/messages?dir=b&limit=100").body.decode(),
            *(alice.get(f"{room}/context/{event_id}").body.decode() for event_id in self.event_ids[:2]),
            alice.post("/_matrix/client/v3/search", found).body.decode(),
        ]

    def stored(self, event_id: str) -> str:
        with ServerDatabase(self.synapse) as database:
            rows = database.rows("SELECT json FROM event_json WHERE event_id = ?", event_id)
        return str(rows[0][0]) if rows else ""


def test_what_is_over_age_and_what_only_a_lifted_hold_kept_is_shown_to_nobody(
    synapse: RealSynapse, tmp_path: Path
) -> None:
    story = Story(synapse, tmp_path)
    of_alice, of_bob, of_carol = story.event_ids
    backup = DatabaseBackup(synapse, tmp_path / "backup")
    files = shutil.copytree(synapse.media_directory, tmp_path / "files")
    story.hold(story.carol)
    story.lift(story.bob)
    wait_until(lambda: count(story.log, '"source":"holds"') == 3)
    wait_until(lambda: count(story.deletions, story.file))
    wait_until(lambda: not story.event(of_alice) and not story.event(of_bob))
    assert story.event(of_carol)["body"] == f"zebra of {story.carol.user_id}"
    synapse.kill()
    backup.restore()
    shutil.copytree(files, synapse.media_directory, dirs_exist_ok=True)
    # From now on no run deletes anything by itself.
    synapse.config["modules"][0]["config"].update(local_media={"lifetime": "10y"}, schedule={"interval": "1d"})
    synapse.start()
    assert story.bob.download(story.file).status == 404
    assert story.event(of_alice) == {}
    assert story.event(of_bob) == {}
    for text in story.shown():
        assert f"zebra of {story.bob.user_id}" not in text
        assert f"zebra of {story.people[0].user_id}" not in text
    assert "zebra" in story.stored(of_alice)
    wait_until(lambda: story.event(of_carol))
    assert story.event(of_alice) == {}
    assert "messages are over age" in synapse.log_path.read_text()
    content = {"msgtype": "m.text", "body": "young"}
    young = story.people[0].send(story.room, "m.room.message", content, "2").json["event_id"]
    assert story.event(young) == content
    assert story.root.post(f"{BASE}/retention/runs", {"confirm": True, "classes": ["messages"]}).status == 202
    wait_until(lambda: "zebra" not in story.stored(of_alice) + story.stored(of_bob))
    assert story.event(of_carol)["body"]


@pytest.mark.any_synapse
def test_a_server_without_its_deletion_log_does_not_start(tmp_path: Path) -> None:
    config = modules(tmp_path)[:1]
    path = tmp_path / "deletions.log"
    with RealSynapse(modules=config, config=QUICK) as synapse:
        synapse.register("alice").upload(b"expires")
        wait_until(path.exists)
        wait_until(lambda: count(path, '"dropped"'))
        time.sleep(1)
        synapse.stop()
        path.unlink()
        with pytest.raises(ServerError, match="is missing, though"):
            synapse.start()
        path.write_bytes(b"lost\n")
        synapse.start()
