"""Events a second, and how long clients have to wait meanwhile: our runs and Synapse's `purge_history`.

Each purges rooms of its own with the same number of expired messages: Synapse's own in one go, as its administration's
API does it. Two clients, one that sends and one that syncs in a room that nobody purges, measure the worst wait. Rooms
whose turn has not come are held.
"""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import attr

from benchmarks.http_connections import Connection, Request
from benchmarks.measuring import Effort, Goal, spread
from benchmarks.report import Row, Section
from benchmarks.retention_server import RetentionServer, RunError, run_seconds, wait_until
from synapse_bum.rest import BASE
from synapse_bum.testing.http_client import MatrixClient
from synapse_bum.testing.retention_data import DAY_MS
from synapse_bum.testing.server_database import stopped
from synapse_bum.testing.written_messages import MessageWriter, NewMessage

EVENTS_PER_SECOND: Final = 4_000
LONGEST_STALL_MS: Final = 100

OURS: Final = "ours"
PEER: Final = "Synapse's own, in one go"
NOBODY: Final = "nobody purges"

_Ask: TypeAlias = Callable[[Connection, str], str]
"""Sends one request; takes and returns where the client is in the stream of events."""

_MS: Final = 1_000
_PAUSE_SECONDS: Final = 0.05
"""Between two requests of a client: without it, the clients alone would keep Synapse busy."""

_YOUNG_EVENTS: Final = 100
_IDLE_SECONDS: Final = 10.0
_SETTLING_SECONDS: Final = 2.0


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Purge:
    """One turn.

    Attributes:
        events: purged.
        seconds: that it took.
        sending_s: how long each message took to be sent meanwhile.
        syncing_s: how long each sync took meanwhile.
    """

    events: int
    seconds: float
    sending_s: Sequence[float]
    syncing_s: Sequence[float]

    @property
    def stall_ms(self) -> float:
        """The worst wait of a client."""
        return max(*self.sending_s, *self.syncing_s) * _MS


class Clients:
    """Somebody who sends and somebody who syncs, over connections that stay open."""

    def __init__(self, base_url: str, sender: MatrixClient, reader: MatrixClient, room_id: str) -> None:
        self._base_url = base_url
        self._sender = sender
        self._reader = reader
        self._room = quote(room_id, safe="")
        self._number = itertools.count()

    @contextmanager
    def at_work(self) -> Iterator[tuple[list[float], list[float]]]:
        """Yields the times of all requests, in seconds, of the sender and of the reader; complete at the end.

        Raises:
            RequestError: an answer was not a 200.
        """
        over = threading.Event()
        times: tuple[list[float], list[float]] = ([], [])
        errors: list[Exception] = []
        threads = [
            threading.Thread(target=self._work, args=(client, ask, over, into, errors))
            for client, ask, into in ((self._sender, self._send, times[0]), (self._reader, self._sync, times[1]))
        ]
        for thread in threads:
            thread.start()
        try:
            yield times
        finally:
            over.set()
            for thread in threads:
                thread.join()
        if errors:
            raise errors[0]

    def _work(
        self,
        client: MatrixClient,
        ask: _Ask,
        over: threading.Event,
        into: list[float],
        errors: list[Exception],
    ) -> None:
        since = ""
        try:
            with Connection(self._base_url, client.token or "") as connection:
                while not over.is_set():
                    began = time.perf_counter()
                    since = ask(connection, since)
                    into.append(time.perf_counter() - began)
                    time.sleep(_PAUSE_SECONDS)
        except Exception as error:  # noqa: BLE001 - of another thread
            errors.append(error)

    def _send(self, connection: Connection, _since: str) -> str:
        path = f"/_matrix/client/v3/rooms/{self._room}/send/m.room.message/purge{next(self._number)}"
        connection.ask(Request("PUT", path, json.dumps({"msgtype": "m.text", "body": "hello"}).encode()))
        return ""

    def _sync(self, connection: Connection, since: str) -> str:
        where = f"&since={since}" if since else ""
        body = connection.ask(Request("GET", f"/_matrix/client/v3/sync?timeout=0{where}"))
        return str(json.loads(body)["next_batch"])


class Laboratory:
    """The homeserver of this subject, with its rooms.

    Attributes:
        clients: in a room that nobody purges.
    """

    def __init__(self, everything: ExitStack, events: int, turns: int) -> None:
        """Start the homeserver and write the messages.

        Args:
            everything: stops it when it is closed.
            events: expired messages in each room.
            turns: rooms for each contender.
        """
        self._server = RetentionServer(everything, interval="15s")
        self._events = events
        alice, bob = (self._server.synapse.register(name) for name in ("alice", "bob"))
        live, *rooms = (_room_with_a_message(alice) for _ in range(1 + 2 * turns))
        joined = bob.post(f"/_matrix/client/v3/join/{quote(live, safe='')}", {})
        if joined.status != HTTPStatus.OK:
            raise RunError(f"HTTP {joined.status}: {joined.body[:200]!r}")
        self.clients = Clients(alice.base_url, alice, bob, live)
        now_ms = int(time.time() * 1_000)
        for room_id in rooms:
            self._hold(room_id, now_ms + 100 * DAY_MS)
        begin_ms, end_ms, young_ms = (now_ms - days * DAY_MS for days in (700, 400, 10))
        count = events * len(rooms)
        old = (
            NewMessage(rooms[number % len(rooms)], begin_ms + (end_ms - begin_ms) * number // count, _body(number))
            for number in range(count)
        )
        young = (
            NewMessage(rooms[number % len(rooms)], young_ms + number, _body(number))
            for number in range(_YOUNG_EVENTS * len(rooms))
        )
        with stopped(self._server.synapse) as database:
            database.execute("UPDATE events SET received_ts = ?, origin_server_ts = ?", begin_ms, begin_ms)
            for _message in MessageWriter(database).write(itertools.chain(old, young)):
                pass
            database.execute("ANALYZE")
        self._rooms = iter(rooms)
        # Confirms the lifetime, and finds the rooms: what a server has behind it before a run of any day.
        self._server.run("messages")

    def idle(self) -> Purge:
        """What the machine and Synapse do to clients while nobody purges: between two scheduled runs."""
        begin_ms = time.time() * _MS
        wait_until(lambda: self._server.scheduled_runs_from(begin_ms))
        with self.clients.at_work() as (sending, syncing):
            time.sleep(_IDLE_SECONDS)
        return Purge(0, _IDLE_SECONDS, sending, syncing)

    def by_run(self) -> Purge:
        """Purge the next room by scheduled runs of ours, as soon as it is not held any more."""
        room_id = next(self._rooms)
        time.sleep(_SETTLING_SECONDS)
        begin_ms = time.time() * _MS
        runs: list[dict[str, Any]] = []

        def is_over() -> bool:
            runs[:] = [run for run in self._server.scheduled_runs_from(begin_ms) if run["deleted"]["messages"]]
            return sum(int(run["deleted"]["messages"]) for run in runs) >= self._events

        with self.clients.at_work() as (sending, syncing):
            self._lift(room_id)
            wait_until(is_over)
        self._check(room_id)
        return Purge(self._events, sum(map(run_seconds, runs)), sending, syncing)

    def by_synapse(self) -> Purge:
        """Purge the next room by Synapse's own purge, up to the first young message."""
        room_id = next(self._rooms)
        ((last_old,),) = self._server.database.rows(
            "SELECT event_id FROM events WHERE room_id = ? AND received_ts > ? ORDER BY depth LIMIT 1",
            room_id,
            int(time.time() * 1_000) - 20 * DAY_MS,
        )
        api = "/_synapse/admin/v1"
        admin = self._server.admin
        time.sleep(_SETTLING_SECONDS)
        with self.clients.at_work() as (sending, syncing):
            began = time.monotonic()
            answer = admin.post(
                f"{api}/purge_history/{quote(room_id, safe='')}",
                {"purge_up_to_event_id": last_old, "delete_local_events": True},
            )
            path = f"{api}/purge_history_status/{answer.json['purge_id']}"
            wait_until(lambda: admin.get(path).json["status"] != "active")
            took = time.monotonic() - began
        self._check(room_id)
        return Purge(self._events, took, sending, syncing)

    def _check(self, room_id: str) -> None:
        """Insist that nothing old is left in a room, and everything young."""
        ((left,),) = self._server.database.rows(
            "SELECT count(*) FROM events INNER JOIN event_search USING (event_id) WHERE events.room_id = ?", room_id
        )
        if left != _YOUNG_EVENTS:
            raise RunError(f"{left} messages are left in the room, not {_YOUNG_EVENTS}")

    def _hold(self, room_id: str, until_ts: int) -> None:
        path = f"{BASE}/retention/holds/{quote(room_id, safe='')}"
        answer = self._server.admin.put(path, {"reason": "its turn has not come", "until_ts": until_ts})
        if answer.status != HTTPStatus.OK:
            raise RunError(f"HTTP {answer.status}: {answer.body[:200]!r}")

    def _lift(self, room_id: str) -> None:
        answer = self._server.admin.delete(f"{BASE}/retention/holds/{quote(room_id, safe='')}")
        if answer.status != HTTPStatus.OK:
            raise RunError(f"HTTP {answer.status}: {answer.body[:200]!r}")


def measure(effort: Effort) -> Iterator[Section]:
    """Measure purges; yields one section."""
    events, turns = (20_000, 1) if effort is Effort.QUICK else (100_000, 3)
    with ExitStack() as everything:
        laboratory = Laboratory(everything, events, turns)
        idle = laboratory.idle()
        purges: dict[str, list[Purge]] = {OURS: [], PEER: []}
        for _ in range(turns):
            purges[OURS].append(laboratory.by_run())
            purges[PEER].append(laboratory.by_synapse())
        yield _section(events, purges, idle)


def _section(events: int, purges: Mapping[str, Sequence[Purge]], idle: Purge) -> Section:
    rows: list[Row] = [
        (
            name,
            spread([purge.events / purge.seconds for purge in turns]),
            spread([purge.stall_ms for purge in turns]),
            spread([max(purge.sending_s) * _MS for purge in turns]),
            spread([max(purge.syncing_s) * _MS for purge in turns]),
            spread([second * _MS for purge in turns for second in purge.sending_s]).median,
        )
        for name, turns in [*purges.items(), (NOBODY, [idle])]
    ]
    rows[-1] = (NOBODY, None, *rows[-1][2:])
    rate = spread([purge.events / purge.seconds for purge in purges[OURS]]).median
    stall = spread([purge.stall_ms for purge in purges[OURS]]).highest
    return Section(
        title=f"Purging {events:,} messages of a room while clients send and sync in another one",
        columns=(
            "",
            "events/s",
            "worst wait, ms",
            "of the sender, ms",
            "of the reader, ms",
            "a message sent, median ms",
        ),
        rows=rows,
        goals=[
            Goal("events/s, ours", rate, EVENTS_PER_SECOND, "events/s", at_least=True),
            Goal("worst wait of a client, ours", stall, LONGEST_STALL_MS, "ms", without_us=idle.stall_ms),
        ],
        remarks=[
            f"Turns of each: {len(purges[OURS])}; in brackets the lowest and the highest.",
            "Synapse purges up to one event; ours goes by age, keeps a journal, and rests between its steps.",
        ],
    )


def _room_with_a_message(alice: MatrixClient) -> str:
    room_id: str = alice.create_room(preset="public_chat").json["room_id"]
    alice.send(room_id, "m.room.message", {"msgtype": "m.text", "body": "the first"}, room_id)
    return room_id


def _body(number: int) -> str:
    return f"message number{number} of many that were written long ago and nobody reads any more"
