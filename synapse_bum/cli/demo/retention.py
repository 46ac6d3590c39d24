"""Steps about what is deleted by age. Nobody waits for 90 days: in the database, files and messages are made older."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from synapse_bum.cli.demo.promise import require, wait_until
from synapse_bum.cli.demo.stage import API, Stage
from synapse_bum.cli.demo.step import Step
from synapse_bum.testing import malware
from synapse_bum.testing.http_client import mxc_path

_DAY_MS: Final = 86_400_000
_RUN_SECONDS: Final = 30.0
_GONE_SECONDS: Final = 10.0
_LOCK_SECONDS: Final = 10.0
_SIZE: Final = 100_000
_WAITING: Final = frozenset({"queued", "running"})

_AGE_FILE: Final = "UPDATE local_media_repository SET created_ts = created_ts - ? WHERE media_id = ?"
# All that was sent so far, as if the server had slept: the order in which events came stays that of their times.
_AGE_EVENTS: Final = "UPDATE events SET received_ts = received_ts - ?1, origin_server_ts = origin_server_ts - ?1"


def _age(stage: Stage, statement: str, days: int, *parameters: str) -> None:
    """Change Synapse's database while Synapse runs: SQLite has one of the two wait for the other."""
    path = stage.synapse.config["database"]["args"]["database"]
    with closing(sqlite3.connect(path, timeout=_LOCK_SECONDS)) as connection, connection:
        changed = connection.execute(statement, (days * _DAY_MS, *parameters)).rowcount
    require(changed > 0, "Nothing was made older.")


def _upload(stage: Stage, *, days: int = 0) -> str:
    """Upload a file as Alice and have it be some days old; returns its mxc URI."""
    answer = stage.alice.upload(malware.unique_bytes(_SIZE))
    require(answer.status == HTTPStatus.OK, f"The upload was answered with HTTP {answer.status}, not with 200.")
    mxc: str = answer.json["content_uri"]
    if days:
        _age(stage, _AGE_FILE, days, mxc.rpartition("/")[2])
    return mxc


def _send(stage: Stage, room_id: str, body: str) -> str:
    """Send a message as Alice; returns its event id."""
    answer = stage.alice.send(room_id, "m.room.message", {"msgtype": "m.text", "body": body}, body.replace(" ", "-"))
    require(answer.status == HTTPStatus.OK, f"The message was answered with HTTP {answer.status}, not with 200.")
    event_id: str = answer.json["event_id"]
    return event_id


def _run(stage: Stage, *, dry_run: bool = False) -> Any:  # noqa: ANN401 - JSON
    """Have a run carried out, and insist that it is done."""
    answer = stage.admin.post(f"{API}/retention/runs", {"dry_run": dry_run})
    require(answer.status == HTTPStatus.ACCEPTED, f"The run was answered with HTTP {answer.status}, not with 202.")
    run: dict[str, Any] = {}

    def is_over() -> bool:
        run.update(stage.read(f"retention/runs/{answer.json['run_id']}"))
        return run["state"] not in _WAITING

    wait_until(is_over, _RUN_SECONDS, "The run was not over")
    require(run["state"] == "done", f"The run is {run['state']}, not done: {run['error']}.")
    return run


def _await_scheduled_run(stage: Stage) -> None:
    """Wait for the run that the schedule starts soon after the server; it would delete what a step makes older."""

    def is_over() -> bool:
        runs = stage.read("retention/runs")["runs"]
        return any(run["started_by"] is None and run["state"] not in _WAITING for run in runs)

    wait_until(is_over, _RUN_SECONDS, "The first run of the schedule was not over")


def _is_gone(stage: Stage, mxc: str) -> bool:
    """Whether a download answers 404 and the media store holds nothing of the file."""
    name = mxc.rpartition("/")[2]
    on_disk = any(name == "".join(path.parts[-3:]) for path in stage.stored_files())
    return stage.admin.download(mxc).status == HTTPStatus.NOT_FOUND and not on_disk


def _is_served(stage: Stage, mxc: str) -> bool:
    return stage.admin.download(mxc).status == HTTPStatus.OK


def _counted(stage: Stage) -> Iterator[str]:
    _await_scheduled_run(stage)
    old, young = _upload(stage, days=91), _upload(stage, days=89)
    yield "Alice has uploaded one file 91 days ago, and one 89 days ago. Lifetime of files: 90 days."
    run = _run(stage, dry_run=True)
    named = [item["target"] for item in run["sample"] if item["kind"] == "local_media"]
    require(old in named and young not in named, f"The dry run names {named}.")
    count, size = run["deleted"]["local_media"], run["deleted"]["bytes"]
    require(count == len(named) and size >= _SIZE, f"The dry run counts {count} files with {size} bytes.")
    yield f"A dry run would delete {count} file, {size:,} bytes, and names it: {old}."
    require(_is_served(stage, old) and _is_served(stage, young), "The dry run has deleted a file.")
    yield "Nothing is deleted: both files can be downloaded."


def _deleted(stage: Stage) -> Iterator[str]:
    old, young = _upload(stage, days=91), _upload(stage, days=89)
    room_id = stage.alice.create_room(preset="private_chat").json["room_id"]
    _send(stage, room_id, "last year")
    _age(stage, _AGE_EVENTS, 367)
    event_id = _send(stage, room_id, "today")
    yield (
        "Alice has uploaded one file 91 days ago and one 89 days ago. She has sent one message 367 days ago and one"
        " today."
    )
    run = _run(stage)
    counted = run["deleted"]
    what = f"{counted['local_media']} file(s) and {counted['messages']} message(s), {counted['bytes']:,} bytes"
    yield f"A run deletes all that is expired by now: {what}."
    seconds = wait_until(lambda: _is_gone(stage, old), _GONE_SECONDS, "The expired file is not gone")
    require(_is_served(stage, young), "The younger file is gone too.")
    yield f"The old file answers HTTP 404 and is off the disk {seconds:.1f} s later; the younger one is served."
    page = stage.alice.get(f"/_matrix/client/v3/rooms/{quote(room_id)}/messages", dir="b", limit=50).json
    left = [event["event_id"] for event in page["chunk"] if event["type"] == "m.room.message"]
    require(left == [event_id], f"The room shows {left}, not the younger message alone.")
    _send(stage, room_id, "after the run")
    yield "The old message is gone, the younger one is there, and the room takes the next one."
    status = stage.read("retention/status")
    overdue = {kind: of_kind["backlog_items"] for kind, of_kind in status.items()}
    require(not any(overdue.values()), f"The status says that something is overdue: {overdue}.")
    yield "The status says what an auditor asks for: nothing is overdue in any class."
    deletion = next((found for found in stage.read("retention/deletions")["deletions"] if found["target"] == old), None)
    require(deletion is not None and deletion["policy"] == "retention:local_media", "The deletion is not recorded.")
    yield "The record of deletions names the file, its size, the policy and the time; never any content."


def _held(stage: Stage) -> Iterator[str]:
    hold = f"{API}/retention/holds/{quote(stage.alice.user_id)}"
    mxc = _upload(stage, days=91)
    tomorrow_ts = time.time_ns() // 1_000_000 + _DAY_MS
    answer = stage.admin.put(hold, {"reason": "proceedings 12/26", "until_ts": tomorrow_ts})
    require(answer.status == HTTPStatus.OK, f"The hold was answered with HTTP {answer.status}, not with 200.")
    yield "A hold is set on Alice until tomorrow. She has uploaded a file 91 days ago."
    _run(stage)
    require(_is_served(stage, mxc), "The run has deleted a file on hold.")
    refused = stage.alice.delete(f"{API}/media/{mxc_path(mxc)}")
    require(refused.status == HTTPStatus.CONFLICT, f"Alice's own deletion was answered with HTTP {refused.status}.")
    yield f'A run leaves it alone. Alice can\'t delete it herself either: HTTP 409, "{refused.json["error"]}".'
    require(stage.admin.delete(hold).status == HTTPStatus.OK, "The hold could not be lifted.")
    _run(stage)
    wait_until(lambda: _is_gone(stage, mxc), _GONE_SECONDS, "The file is not gone")
    yield "The hold is lifted, and the next run deletes the file."


STEPS: Final = (
    Step("A dry run says what would be deleted", "a lifetime can be looked at before it counts", _counted),
    Step(
        "Messages go after a year, files after 90 days",
        "age counts from sending and uploading, whoever reads them meanwhile",
        _deleted,
    ),
    Step("A hold keeps what has to be kept", "nobody deletes it, not even its owner, until the hold ends", _held),
)
