"""A server with 5,000 files and 20,000 messages of all ages: one run, and exactly what is expired is gone."""

import itertools
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import attr
import pytest

from synapse_bum.rest import BASE
from synapse_bum.testing import malware
from synapse_bum.testing.http_client import MatrixClient, mxc_path
from synapse_bum.testing.http_load import Request, send_all
from synapse_bum.testing.postgres import RealPostgres
from synapse_bum.testing.retention_data import DAY_MS, MediaWriter, WrittenFile, backdate_file
from synapse_bum.testing.server_database import ServerDatabase, stopped
from synapse_bum.testing.synapse import RealSynapse
from synapse_bum.testing.written_messages import MessageWriter, NewMessage, WrittenMessage

pytestmark = pytest.mark.long

MODULE: Final = {
    "module": "synapse_bum.retention.RetentionModule",
    "config": {
        "messages": {"lifetime": "1y"},
        "local_media": {"lifetime": "90d"},
        "remote_media": {"lifetime": "14d"},
    },
}
ROOMS: Final = 6
OLD_WORD: Final = "zebra"
YOUNG_WORD: Final = "quagga"
RUN_SECONDS: Final = 240.0
GONE_SECONDS: Final = 120.0
CONNECTIONS: Final = 4


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Uploads:
    """Files of 150 days ago, by mxc URI.

    Attributes:
        protected: avatars of a user and of a room, a sticker of a room, an emote of a user.
        expired: what was an avatar before, and what stands under another key of account data.
    """

    protected: Sequence[str]
    expired: Sequence[str]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Written:
    """What stands on the server.

    Attributes:
        old: expired files, and thumbnails of some.
        young: files that are not.
        messages: of all ages, as the stream of events has them; those with `OLD_WORD` are expired.
    """

    old: Sequence[WrittenFile]
    young: Sequence[WrittenFile]
    messages: Sequence[WrittenMessage]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.requires("postgresql"))])
def synapse(request: pytest.FixtureRequest) -> Iterator[RealSynapse]:
    with ExitStack() as stack:
        dsn = stack.enter_context(RealPostgres()).dsn() if request.param == "postgres" else None
        # Updates of the schema must not run beside the writing of rows.
        config = {"background_updates": {"sleep_enabled": False}}
        homeserver = stack.enter_context(RealSynapse(postgres_dsn=dsn, config=config))
        with ServerDatabase(homeserver) as database:
            wait_for(lambda: database.rows("SELECT count(*) FROM background_updates") == [(0,)])
        yield homeserver


def wait_for(what: Callable[[], object], instead: Callable[[], object] = str, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"it did not happen in time; {instead()}"
        time.sleep(0.1)


def test_one_run_leaves_no_backlog_and_takes_nothing_that_is_young(synapse: RealSynapse) -> None:
    admin, alice = synapse.register("admin", admin=True), synapse.register("alice")
    avatars = take_avatars(alice)
    rooms = [room_with_a_message(alice) for _ in range(ROOMS)]
    uploads = refer_to_uploads(alice, rooms[0], avatars)
    with stopped(synapse) as database:
        for mxc in (*uploads.protected, *uploads.expired):
            backdate_file(database, mxc, days_ago(150))
        written = write_everything(synapse, database, alice.user_id, rooms)
        synapse.config["modules"] = [MODULE]
    expired_paths = {path for file in written.old for path in file.paths}
    expired_paths |= {path for path in files(synapse) if any(is_of(path, mxc) for mxc in uploads.expired)}
    left = files(synapse) - expired_paths
    # A scheduled run may be over already: so much is not deleted before somebody confirms it.
    assert_served(alice, [*written.old[::50], *written.young[::50]])
    assert found(alice, OLD_WORD)

    finished = run(admin)

    assert finished["deleted"]["local_media"] + finished["deleted"]["remote_media"] == len(written.old) + 2
    assert finished["deleted"]["messages"] == len(bodies_of(written, OLD_WORD)) + ROOMS
    status = admin.get(f"{BASE}/retention/status").json
    assert {kind: backlog(status[kind]) for kind in status} == dict.fromkeys(status, (0, 0, 0)), status
    wait_for(lambda: files(synapse) == left, lambda: different(files(synapse), left), GONE_SECONDS)
    assert_not_served(alice, [*(file.mxc for file in written.old), *uploads.expired])
    assert_served(alice, written.young)
    assert {mxc: alice.download(mxc).status for mxc in uploads.protected} == dict.fromkeys(uploads.protected, 200)
    for room_id in rooms:
        assert_only_young_messages(alice, room_id, written)
        sent = alice.send(room_id, "m.room.message", {"msgtype": "m.text", "body": "after the run"}, f"after-{room_id}")
        assert sent.status == HTTPStatus.OK, sent.body
        assert next(bodies(alice, room_id)) == "after the run"
    assert (found(alice, OLD_WORD), found(alice, YOUNG_WORD) > 0) == (0, True)
    with ServerDatabase(synapse) as database:
        kept = {event_id for (event_id,) in database.rows("SELECT event_id FROM event_search")}
        texts = database.rows("SELECT event_id FROM event_json WHERE json LIKE ?", f"%{OLD_WORD}%")
    assert texts == []
    assert not kept & {one.event_id for one in written.messages if one.message.body.startswith(OLD_WORD)}
    again = run(admin)
    assert again["deleted"] == {"messages": 0, "local_media": 0, "remote_media": 0, "bytes": 0}
    assert files(synapse) == left


def days_ago(days: float) -> int:
    return int(time.time() * 1_000 - days * DAY_MS)


def room_with_a_message(alice: MatrixClient) -> str:
    room_id: str = alice.create_room(preset="public_chat").json["room_id"]
    sent = alice.send(room_id, "m.room.message", {"msgtype": "m.text", "body": f"{OLD_WORD} the first"}, room_id)
    assert sent.status == HTTPStatus.OK, sent.body
    return room_id


def picture(alice: MatrixClient) -> str:
    mxc: str = alice.upload(malware.png(), "image/png").json["content_uri"]
    return mxc


def take_avatars(alice: MatrixClient) -> Sequence[str]:
    """One after the other, before there are rooms in which it would be said."""
    avatars = [picture(alice), picture(alice)]
    for mxc in avatars:
        path = f"/_matrix/client/v3/profile/{quote(alice.user_id, safe='')}/avatar_url"
        assert alice.put(path, {"avatar_url": mxc}).status == HTTPStatus.OK
    return avatars


def refer_to_uploads(alice: MatrixClient, room_id: str, avatars: Sequence[str]) -> Uploads:
    before, avatar = avatars
    of_room, sticker, emote, bookmark = (picture(alice) for _ in range(4))
    state = f"/_matrix/client/v3/rooms/{quote(room_id, safe='')}/state"
    account_data = f"/_matrix/client/v3/user/{quote(alice.user_id, safe='')}/account_data"
    answers = [
        alice.put(f"{state}/m.room.avatar", {"url": of_room}),
        alice.put(f"{state}/im.ponies.room_emotes/pack", {"images": {"wave": {"url": sticker}}}),
        alice.put(f"{account_data}/im.ponies.user_emotes", {"images": {"smile": {"url": emote}}}),
        alice.put(f"{account_data}/org.example.bookmarks", {"images": {"page": {"url": bookmark}}}),
    ]
    assert {answer.status for answer in answers} == {HTTPStatus.OK}, answers
    return Uploads([avatar, of_room, sticker, emote], [before, bookmark])


def write_everything(synapse: RealSynapse, database: ServerDatabase, user_id: str, rooms: Sequence[str]) -> Written:
    media = MediaWriter(synapse, database)
    old = [
        *local_files(media, user_id, 1_900, oldest=400, youngest=90.01),
        *previews(media, 300, oldest=400, youngest=90.01),
        *remote_files(media, 1_500, oldest=300, youngest=14.01),
    ]
    young = [
        *local_files(media, user_id, 700, oldest=89.9, youngest=0),
        *previews(media, 200, oldest=89.9, youngest=0),
        *remote_files(media, 400, oldest=13.9, youngest=0),
    ]
    media.flush()
    database.execute("UPDATE events SET received_ts = ?, origin_server_ts = ?", days_ago(900), days_ago(900))
    # A year has up to 366 days. One room has fallen silent; in the others young messages follow the old ones.
    new = itertools.chain(
        new_messages(rooms, 12_000, OLD_WORD, oldest=800, youngest=366.01),
        new_messages(rooms[1:], 8_000, YOUNG_WORD, oldest=364.9, youngest=0),
    )
    return Written(old, young, list(MessageWriter(database).write(new)))


def ages(count: int, oldest: float, youngest: float) -> Iterator[tuple[int, int]]:
    """Numbers and times, the earliest first."""
    return ((number, days_ago(oldest + (youngest - oldest) * number / count)) for number in range(count))


def local_files(media: MediaWriter, user_id: str, count: int, *, oldest: float, youngest: float) -> list[WrittenFile]:
    """Of a user, or of one whose account is gone; some have thumbnails."""
    return [
        media.local(
            f"local{oldest:.0f}x{number:014d}",
            b"local %d" % number,
            created_ts=ts,
            user_id=user_id if number % 5 else "@gone:messenger.example",
            thumbnails=2 if number % 4 == 0 else 0,
        )
        for number, ts in ages(count, oldest, youngest)
    ]


def previews(media: MediaWriter, count: int, *, oldest: float, youngest: float) -> list[WrittenFile]:
    return [
        media.local(
            f"2026-01-31_{oldest:.0f}x{number:08d}",
            b"preview %d" % number,
            created_ts=ts,
            user_id=None,
            thumbnails=number % 2,
            previewed_url=f"https://site.example/{number}",
        )
        for number, ts in ages(count, oldest, youngest)
    ]


def remote_files(media: MediaWriter, count: int, *, oldest: float, youngest: float) -> list[WrittenFile]:
    return [
        media.remote(
            f"partner{number % 3}.example",
            f"remote{oldest:.0f}x{number:014d}",
            b"remote %d" % number,
            created_ts=ts,
            thumbnails=2 if number % 4 == 0 else 0,
        )
        for number, ts in ages(count, oldest, youngest)
    ]


def new_messages(
    rooms: Sequence[str], count: int, word: str, *, oldest: float, youngest: float
) -> Iterator[NewMessage]:
    for number, ts in ages(count, oldest, youngest):
        yield NewMessage(rooms[number % len(rooms)], ts, f"{word} number {number} of many")


def run(admin: MatrixClient) -> dict[str, Any]:
    """Have a run carried out, and return it when it is done."""
    answer = admin.post(f"{BASE}/retention/runs", {"confirm": True})
    assert answer.status == HTTPStatus.ACCEPTED, answer.body
    path = f"{BASE}/retention/runs/{answer.json['run_id']}"
    wait_for(lambda: admin.get(path).json["finished_ts"], lambda: admin.get(path).json, RUN_SECONDS)
    finished: dict[str, Any] = admin.get(path).json
    assert finished["state"] == "done", finished
    return finished


def backlog(status: dict[str, Any]) -> tuple[int, int, int]:
    return status["backlog_items"], status["backlog_bytes"], status["oldest_age_ms"]


def files(synapse: RealSynapse) -> set[Path]:
    # Folders may go away meanwhile, which `os.walk` passes over.
    return {Path(folder, name) for folder, _folders, names in os.walk(synapse.media_directory) for name in names}


def is_of(path: Path, mxc: str) -> bool:
    """Whether a path is that of a file or of its thumbnails: Synapse cuts a media id into folders."""
    return mxc.rpartition("/")[2] in "".join(path.parts)


def different(is_there: set[Path], expected: set[Path]) -> str:
    return f"{len(is_there - expected)} too many, {len(expected - is_there)} too few: {sorted(is_there ^ expected)[:5]}"


def assert_not_served(alice: MatrixClient, mxcs: Sequence[str]) -> None:
    outcomes = send_all(alice.base_url, downloads(alice, mxcs), connections=CONNECTIONS, timeout=30)
    assert {outcome.status for outcome in outcomes} == {HTTPStatus.NOT_FOUND}
    assert len(outcomes) == len(mxcs)


def assert_served(alice: MatrixClient, young: Sequence[WrittenFile]) -> None:
    requests = list(downloads(alice, [file.mxc for file in young]))
    outcomes = send_all(alice.base_url, requests, connections=CONNECTIONS, timeout=30)
    contents = dict(zip((request.target for request in requests), (file.content for file in young), strict=True))
    served = {one.request.target: one.response.body if one.response else None for one in outcomes if one.status == 200}
    assert served == contents


def downloads(alice: MatrixClient, mxcs: Iterable[str]) -> Iterator[Request]:
    headers = {"Authorization": f"Bearer {alice.token}"}
    for mxc in mxcs:
        yield Request("GET", f"/_matrix/client/v1/media/download/{mxc_path(mxc)}", headers)


def bodies_of(written: Written, word: str, room_id: str | None = None) -> list[str]:
    """Texts of the messages with a word, the newest first."""
    messages = (one.message for one in reversed(written.messages) if room_id in (None, one.message.room_id))
    return [message.body for message in messages if message.body.startswith(word)]


def bodies(alice: MatrixClient, room_id: str) -> Iterator[str]:
    """Texts of a room as a client that scrolls up sees them, page by page; an expired message has none."""
    path = f"/_matrix/client/v3/rooms/{quote(room_id, safe='')}/messages"
    query: dict[str, str | int] = {"dir": "b", "limit": 1_000, "filter": json.dumps({"types": ["m.room.message"]})}
    while True:
        page = alice.get(path, **query)
        assert page.status == HTTPStatus.OK, page.body
        yield from (event["content"]["body"] for event in page.json["chunk"] if "body" in event["content"])
        if "end" not in page.json:
            return
        query["from_"] = page.json["end"]


def assert_only_young_messages(alice: MatrixClient, room_id: str, written: Written) -> None:
    assert list(bodies(alice, room_id)) == bodies_of(written, YOUNG_WORD, room_id)


def found(alice: MatrixClient, word: str) -> int:
    """How many messages a search finds."""
    answer = alice.post("/_matrix/client/v3/search", {"search_categories": {"room_events": {"search_term": word}}})
    assert answer.status == HTTPStatus.OK, answer.body
    return len(answer.json["search_categories"]["room_events"]["results"])
