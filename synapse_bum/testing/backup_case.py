"""A homeserver with a message and a file, and its backups, for tests of `synapse-bum backup`."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import attr
import psycopg2  # type: ignore[import-untyped]

from synapse_bum.testing.http_client import MatrixClient
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.synapse import RealSynapse

PASSWORD: Final = "a password of the tests"  # noqa: S105 - it protects nothing
TEXT: Final = "Guten Morgen"
CONTENT: Final = b"a file of some length\n" * 1_000

_ROLE: Final = "synapse"
_WAIT_SECONDS: Final = 180.0
_POLL_SECONDS: Final = 0.05
_HANGING: Final = """#!/bin/sh
case "$*" in *"{at}"*)
  touch "{mark}"
  waited=0
  while [ -e "{mark}" ] && [ $waited -lt 600 ]; do sleep 0.2; waited=$((waited + 1)); done
esac
exec "{program}" "$@"
"""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class InUse:
    """A homeserver that somebody uses.

    Attributes:
        synapse: it runs when this is made; tests may stop it.
        alice: who uses it.
        room_id: her room.
        event_id: her message, `TEXT`.
        mxc: her file, `CONTENT`.
    """

    synapse: RealSynapse
    alice: MatrixClient
    room_id: str
    event_id: str
    mxc: str

    @classmethod
    def begin(cls, synapse: RealSynapse) -> "InUse":
        """Has a user write a message and upload a file; the homeserver runs."""
        alice = synapse.register("alice")
        room_id = alice.create_room().json["room_id"]
        content = {"msgtype": "m.text", "body": TEXT}
        event_id = alice.send(room_id, "m.room.message", content, "1").json["event_id"]
        return cls(synapse, alice, room_id, event_id, alice.upload(CONTENT).json["content_uri"])

    def serves_what_it_held(self) -> bool:
        """Whether message and file are served as they were."""
        content = self.content_of(self.event_id)
        return bool(content["body"] == TEXT and self.alice.download(self.mxc).body == CONTENT)

    def say(self, text: str) -> str:
        """Has the user write one more message; returns its event id."""
        content = {"msgtype": "m.text", "body": text}
        event_id: str = self.alice.send(self.room_id, "m.room.message", content, str(time.time_ns())).json["event_id"]
        return event_id

    def content_of(self, event_id: str) -> Mapping[str, Any]:
        """What is served of a message."""
        path = f"/_matrix/client/v3/rooms/{quote(self.room_id, safe='')}/event/{quote(event_id, safe='')}"
        content: Mapping[str, Any] = self.alice.get(path).json["content"]
        return content

    def everything_served(self) -> Sequence[str]:
        """Each answer in which the user could find a message."""
        room = f"/_matrix/client/v3/rooms/{quote(self.room_id, safe='')}"
        paths = ("/_matrix/client/v3/sync", f"{room}/messages?dir=b&limit=100")
        return [self.alice.get(path).body.decode() for path in paths]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Backups:
    """Backups of a homeserver in a folder.

    Attributes:
        config: homeserver.yaml.
        folder: for everything of the backups.
        main: runs a command of `synapse-bum` in this process, and returns its status.
    """

    config: Path
    folder: Path
    main: Callable[[Sequence[str]], int]

    @property
    def repository(self) -> Path:
        """Of restic."""
        return self.folder / "repository"

    @property
    def work(self) -> Path:
        """Where backups are put together."""
        return self.folder / "work"

    @property
    def metrics(self) -> Path:
        """For node_exporter."""
        return self.folder / "backup.prom"

    def options(self) -> list[str]:
        """Those that every command needs."""
        password = self.folder / "password"
        if not password.exists():
            password.write_text(f"{PASSWORD}\n")
            password.chmod(0o600)
        return [
            *("--repository", str(self.repository), "--password-file", str(password)),
            *("--work-dir", str(self.work)),
        ]

    def run(self, *more: str | Path) -> int:
        """Runs the command with the homeserver's configuration; returns its status."""
        configured = ("-c", str(self.config), "--metrics-file", str(self.metrics))
        return self.main(["backup", *configured, *self.options(), *map(str, more)])

    def restore(self, folder: Path, *more: str | Path) -> int:
        """Restores without any configuration; returns the status."""
        return self.main(["backup", *self.options(), "--restore", str(folder), *map(str, more)])

    def begin(self, *more: str, variables: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """Starts the command as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "synapse_bum", "backup", "-c", str(self.config), *self.options(), *more],
            env={**os.environ, **(variables or {})},
            cwd=Path(__file__).parent.parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def restic(self, *arguments: str | Path) -> str:
        """Runs restic on the repository; returns what it prints."""
        command = ["restic", "--no-cache", *map(str, arguments)]
        done = subprocess.run(
            command,
            env={**os.environ, "RESTIC_REPOSITORY": str(self.repository), "RESTIC_PASSWORD": PASSWORD},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def snapshots(self) -> Sequence[Mapping[str, Any]]:
        """What stands in the repository."""
        found: Sequence[Mapping[str, Any]] = json.loads(self.restic("snapshots", "--json")) or []
        return found

    def metric(self, name: str) -> float:
        """A value of the file for node_exporter, by its name without the prefix."""
        values = dict(line.split() for line in self.metrics.read_text().splitlines() if not line.startswith("#"))
        return float(values[f'synapse_bum_backup_{name}{{server="messenger.example"}}'])


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Cluster:
    """Databases of a role that is no superuser and may make others.

    Attributes:
        server: that has them.
    """

    server: RealPostgres

    @classmethod
    def begin(cls, server: RealPostgres) -> "Cluster":
        """Makes the role."""
        cluster = cls(server)
        cluster.execute(f"CREATE ROLE {_ROLE} LOGIN CREATEDB")
        return cluster

    def create(self, name: str) -> str:
        """Makes an empty database as Synapse needs it; returns how the role reaches it."""
        self.execute(f"CREATE DATABASE {name} OWNER {_ROLE} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
        return self.dsn(name)

    def dsn(self, name: str) -> str:
        """How the role reaches a database."""
        return f"host={self.server.host} port={self.server.port} user={_ROLE} dbname={name}"

    def databases(self) -> set[str]:
        """The names of all."""
        return {str(name) for (name,) in self.execute("SELECT datname FROM pg_database")}

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Runs a statement as the superuser, in no transaction; returns its rows."""
        with contextlib.closing(psycopg2.connect(self.server.dsn(database))) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []


def hanging_program(folder: Path, name: str, at: str) -> tuple[Mapping[str, str], Path]:
    """Make a program that does its work, but waits before when its arguments hold a text.

    Args:
        folder: for it.
        name: of the program.
        at: the text.

    Returns:
        The variables with which it is found before the real one, and a file that is there while it waits. It goes on
        when a test removes that, or after two minutes.
    """
    program = shutil.which(name)
    assert program is not None
    folder.mkdir()
    mark = folder / "hangs"
    script = folder / name
    script.write_text(_HANGING.format(at=at, mark=mark, program=program))
    script.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}, mark


def wait_for(path: Path) -> None:
    """Waits until a file is there.

    Raises:
        AssertionError: it did not come within three minutes.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(_POLL_SECONDS)
