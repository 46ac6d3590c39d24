"""One homeserver that was used, and a copy of it for each test."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from pathlib import Path

import pytest

from synapse_bum.cli import main
from synapse_bum.cli.offboard import surroundings, work_folder
from synapse_bum.testing.offboard_case import StoppedServer, modules
from synapse_bum.testing.synapse import RealSynapse


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the machine around a homeserver, and the place where backups work: the real one has other servers."""
    root = tmp_path / "machine"
    monkeypatch.setattr(surroundings, "ROOT", root)
    monkeypatch.setattr(work_folder, "USUAL", root / "var/lib/synapse-bum-backup")
    return root


@pytest.fixture
def real_machine(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - takes it back
    """For tests whose command is a process of its own."""
    monkeypatch.setattr(surroundings, "ROOT", Path("/"))
    monkeypatch.setattr(work_folder, "USUAL", Path("/var/lib/synapse-bum-backup"))


@pytest.fixture(scope="session")
def used() -> Iterator[RealSynapse]:
    synapse = RealSynapse(config={"federation_domain_whitelist": []})
    synapse.config["modules"] = modules(synapse.directory)
    with synapse:
        admin = synapse.register("admin", admin=True)
        alice = synapse.register("alice", password="a long password of Alice")
        alice.upload(b"a file")
        room_id = alice.create_room().json["room_id"]
        alice.send(room_id, "m.room.message", {"msgtype": "m.text", "body": "Guten Morgen"}, "1")
        bob = synapse.register("bob")
        answers = [
            admin.put(f"/_synapse/admin/v2/users/{bob.user_id}", {"locked": True}),
            admin.put("/_synapse/client/bum/v1/federation/partners/partner.example", {"reason": "a contract"}),
            admin.post("/_synapse/admin/v1/registration_tokens/new", {"token": "invited"}),
        ]
        assert [answer.status for answer in answers] == [HTTPStatus.OK] * 3, answers
        synapse.stop()
        # What it was at when it was told to stop ends within a minute, for which no test waits.
        with closing(sqlite3.connect(synapse.directory / "homeserver.db")) as connection, connection:
            connection.execute("DELETE FROM synapse_bum_leases")
        yield synapse


@pytest.fixture
def server(used: RealSynapse, tmp_path: Path) -> StoppedServer:
    return StoppedServer(used, tmp_path, main)
