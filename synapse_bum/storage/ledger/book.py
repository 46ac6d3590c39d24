"""The ledger's one row: what is stored in all, as of when, and what the last full recount corrected."""

from collections.abc import Mapping
from typing import Final

import attr

from synapse_bum.database import Cursor
from synapse_bum.homeserver.stored_bytes import Share
from synapse_bum.storage.usage import Stored

_COLUMNS: Final = (
    "settled_ts, as_of_ts, recounted_ts, period,"
    " local_files, local_file_bytes, local_thumbnail_bytes, remote_files, remote_file_bytes, remote_thumbnail_bytes,"
    " recent_local_files, recent_local_file_bytes, recent_local_thumbnail_bytes,"
    " recent_remote_files, recent_remote_file_bytes, recent_remote_thumbnail_bytes,"
    " drift_local, drift_remote, drift_thumbnails"
)
_NAMES: Final = tuple(name.strip() for name in _COLUMNS.split(","))

# One row, by its primary key.
_READ: Final = f"SELECT {_COLUMNS} FROM synapse_bum_storage_ledger"  # noqa: S608
_WRITE: Final = (
    f"INSERT INTO synapse_bum_storage_ledger (only_row, {_COLUMNS})"  # noqa: S608
    f" VALUES (1, {', '.join('?' * len(_NAMES))}) ON CONFLICT (only_row) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _NAMES)
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Part:
    """One part of what is stored: of the files that are settled, or of the recent ones.

    Attributes:
        local: files that were uploaded here.
        remote: copies of files of other servers.
    """

    local: Share
    remote: Share

    def __add__(self, other: "Part") -> "Part":
        return Part(self.local + other.local, self.remote + other.remote)


@attr.s(auto_attribs=True, frozen=True, slots=True, kw_only=True)
class Ledger:
    """What the ledger says.

    Attributes:
        settled_ts: files that came until then are in `settled`; ms since the epoch, as all times.
        as_of_ts: when it was brought up to date.
        recounted_ts: when all was counted anew.
        period: in which period of the tally that was; None when nothing was noted then.
        settled: what is stored of older files.
        recent: what is stored of younger ones.
        drift_bytes: what the last recount corrected, by `local`, `remote` and `thumbnails`; None when there was nothing
            to compare with.
    """

    settled_ts: int
    as_of_ts: int
    recounted_ts: int
    period: int | None
    settled: Part
    recent: Part
    drift_bytes: Mapping[str, int] | None = None

    @property
    def stored(self) -> Stored:
        """What is stored in all."""
        every = self.settled + self.recent
        return Stored(
            local_files=every.local.files,
            local_bytes=every.local.file_bytes,
            local_thumbnail_bytes=every.local.thumbnail_bytes,
            remote_files=every.remote.files,
            remote_bytes=every.remote.file_bytes,
            remote_thumbnail_bytes=every.remote.thumbnail_bytes,
        )


def read(txn: Cursor) -> Ledger | None:
    """Reads what was counted last, whatever is stored; one row. None before the first count."""
    txn.execute(_READ)
    row = txn.fetchone()
    if row is None:
        return None
    numbers, drift = row[4:16], row[16:19]
    local, remote, recent_local, recent_remote = (Share(*numbers[start : start + 3]) for start in range(0, 12, 3))
    return Ledger(
        settled_ts=row[0],
        as_of_ts=row[1],
        recounted_ts=row[2],
        period=row[3],
        settled=Part(local, remote),
        recent=Part(recent_local, recent_remote),
        drift_bytes=None if drift[0] is None else dict(zip(("local", "remote", "thumbnails"), drift, strict=True)),
    )


def write(txn: Cursor, ledger: Ledger) -> None:
    """Replaces the row."""
    drift = ledger.drift_bytes
    shares = (ledger.settled.local, ledger.settled.remote, ledger.recent.local, ledger.recent.remote)
    txn.execute(
        _WRITE,
        (
            ledger.settled_ts,
            ledger.as_of_ts,
            ledger.recounted_ts,
            ledger.period,
            *(number for share in shares for number in attr.astuple(share)),
            *((None, None, None) if drift is None else (drift["local"], drift["remote"], drift["thumbnails"])),
        ),
    )
