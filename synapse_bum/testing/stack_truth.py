"""What is really so in the whole service: the disk, the database and the logs, past everything that only says so."""

import os
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from synapse_bum.audit.chain import Head, Row, first_broken
from synapse_bum.rest import BASE
from synapse_bum.testing.files_below import bytes_below, files_below
from synapse_bum.testing.http_client import HttpClient, Json
from synapse_bum.testing.server_database import ServerDatabase
from synapse_bum.testing.service_stack import ServiceStack

PATIENCE_S: Final = 120.0
"""What a machine that does ten other things may take for what takes a second otherwise."""

SUMS: Final = {
    "local_bytes": "SELECT COALESCE(SUM(media_length), 0) FROM local_media_repository",
    "remote_bytes": "SELECT COALESCE(SUM(media_length), 0) FROM remote_media_cache",
    "thumbnail_bytes": "SELECT (SELECT COALESCE(SUM(thumbnail_length), 0) FROM local_media_repository_thumbnails)"
    " + (SELECT COALESCE(SUM(thumbnail_length), 0) FROM remote_media_cache_thumbnails)",
}
"""What the account of what is stored must say, by its field."""

_AUDIT_ROWS: Final = (
    "SELECT id, ts, actor, action, target, old, new, reason, prev_hash, hash FROM synapse_bum_audit ORDER BY id"
)
_AUDIT_HEAD: Final = "SELECT id, hash, dropped_id, dropped_hash FROM synapse_bum_audit_head"
_LOOK_EVERY_S: Final = 0.1
_OLD_S: Final = 8 * 86_400
_RUN_IS_OVER: Final = frozenset({"done", "failed", "cancelled", "needs_confirmation"})


def eventually(
    what: Callable[[], object], instead: Callable[[], object] = lambda: None, seconds: float = PATIENCE_S
) -> None:
    """Wait until something is so.

    Args:
        what: is asked again and again.
        instead: what to show when it never is.
        seconds: limit.

    Raises:
        AssertionError: it was not so in this time.
    """
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"it did not happen in time; instead: {instead()}"
        time.sleep(_LOOK_EVERY_S)


def on_disk(stack: ServiceStack) -> int:
    """Bytes of all files on the media volume."""
    return bytes_below(stack.media_volume)


def accounts(stack: ServiceStack, admin: HttpClient) -> Mapping[str, tuple[int, ...]]:
    """What the API says is stored, beside what is: equal numbers in each, when all is right."""
    usage = admin.get(f"{BASE}/storage/usage").json
    with ServerDatabase(stack.main) as database:
        sums = {name: int(database.rows(query)[0][0]) for name, query in SUMS.items()}
    pairs: dict[str, tuple[int, ...]] = {name: (usage[name], found) for name, found in sums.items()}
    return {**pairs, "used_bytes": (usage["used_bytes"], sum(sums.values()), on_disk(stack))}


def add_up(found: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether what is said is what is."""
    return all(len(set(numbers)) == 1 for numbers in found.values())


def run_retention(admin: HttpClient) -> Json:
    """Start a run, wait for its end, and return it."""
    started = admin.post(f"{BASE}/retention/runs", {"confirm": True})
    assert started.status == HTTPStatus.ACCEPTED, started.body
    return _finished(admin, f"{BASE}/retention/runs/{started.json['run_id']}")


def recount(admin: HttpClient) -> Json:
    """Have all that is stored counted anew, and return the finished run."""
    started = admin.post(f"{BASE}/storage/recount", {})
    assert started.status == HTTPStatus.ACCEPTED, started.body
    return _finished(admin, f"{BASE}/storage/recount/{started.json['run_id']}")


def remove_orphans(stack: ServiceStack, admin: HttpClient) -> Json:
    """Let every file be older than a week, have what has no row removed, and return the finished look."""
    for path in files_below(stack.media_volume):
        os.utime(path, (time.time() - _OLD_S, time.time() - _OLD_S))
    started = admin.post(f"{BASE}/storage/orphans", {"dry_run": False})
    assert started.status == HTTPStatus.ACCEPTED, started.body
    return _finished(admin, f"{BASE}/storage/orphans/{started.json['run_id']}")


def _finished(admin: HttpClient, path: str) -> Json:
    found: dict[str, Any] = {}

    def is_over() -> bool:
        found.update(admin.get(path).json)
        return found["state"] in _RUN_IS_OVER

    eventually(is_over, lambda: found)
    return found


def audit_rows(stack: ServiceStack) -> list[Row]:
    """All rows of the audit log, oldest first.

    Raises:
        AssertionError: a row was changed, added or is missing.
    """
    with ServerDatabase(stack.main) as database:
        rows = [Row(*row) for row in database.rows(_AUDIT_ROWS)]
        head = Head(*database.rows(_AUDIT_HEAD)[0])
    broken = first_broken(head, rows)
    assert broken is None, f"the chain of the audit log is broken at row {broken}"
    return rows
