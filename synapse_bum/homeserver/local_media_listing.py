"""Files that were uploaded here, by age: walked uploader by uploader along Synapse's own index.

Synapse has an index on (user_id, created_ts) and none on created_ts. So the walk jumps from one uploader to the next
and looks, for each, at the oldest files only: it costs two looks into the index for an uploader, and what it finds.

Run on Synapse 1.133.0 and 1.163.2: `synapse/storage/schema/main` (index `users_have_local_media`, which the background
update of that name makes), `synapse/storage/databases/main/media_repository.py`.
"""

from collections.abc import Sequence
from typing import Any, Final

import attr
from synapse.module_api import ModuleApi
from synapse.storage.database import LoggingTransaction

from synapse_bum.homeserver.clock_lags import file_came_ts
from synapse_bum.homeserver.database_pool import is_postgres
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.media_deletion import HIDDEN_MARKER

UPLOADERS_AT_ONCE: Final = 500
"""Uploaders that one statement walks over, and files that it reads at most."""

_LAST_TS: Final = 2**63 - 1
"""Behind every file of an uploader; its negative is before all."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class LocalFile:
    """One stored file.

    Attributes:
        media: its row.
        created_ts: when it was uploaded, or its id reserved; ms since the epoch.
        size_bytes: of the file, without thumbnails.
    """

    media: StoredMedia
    created_ts: int
    size_bytes: int


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Place:
    """A place in the walk: behind one file.

    Attributes:
        uploader: of that file; None for those that nobody has uploaded, which come first.
        created_ts: of it.
        media_id: of it.
    """

    uploader: str | None
    created_ts: int
    media_id: str

    @classmethod
    def before(cls, uploader: str | None) -> "Place":
        """Before all files of an uploader."""
        return cls(uploader, -_LAST_TS, "")

    @classmethod
    def behind(cls, uploader: str | None) -> "Place":
        """Behind all files of an uploader."""
        return cls(uploader, _LAST_TS, "")

    @classmethod
    def at(cls, file: LocalFile) -> "Place":
        """Behind one file."""
        return cls(file.media.uploader, file.created_ts, file.media.media_id)


START: Final = Place.before(None)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Total:
    """What one uploader has of files that should be gone.

    Attributes:
        uploader: user id; None for files that nobody has uploaded.
        items: how many files.
        size_bytes: of them and their thumbnails.
        oldest_ts: when the oldest was uploaded, in ms since the epoch.
    """

    uploader: str | None
    items: int
    size_bytes: int
    oldest_ts: int


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Expired:
    """Files that are expired, as a condition on rows of Synapse's table.

    Quarantined files are among them, and those that a moderator has protected from quarantine: age is age. Reserved ids
    to which nothing was uploaded are not: Synapse removes them. What came while the system clock was behind counts
    from the end of that (`clock_lags.py`).

    Attributes:
        own_name: our server's name.
        cutoff_ts: uploaded at this time or earlier, in ms since the epoch.
        kept: SQL of a condition: the row `m` stays.
        kept_parameters: its parameters.
    """

    own_name: str
    cutoff_ts: int
    kept: str
    kept_parameters: tuple[Any, ...]

    @property
    def where(self) -> str:
        """The condition."""
        return (
            f"m.created_ts <= ? AND {file_came_ts('m')} <= ? AND m.media_length IS NOT NULL"
            " AND (m.quarantined_by IS NULL OR m.quarantined_by <> ?)"
            f" AND NOT ({self.kept})"
        )

    @property
    def parameters(self) -> tuple[Any, ...]:
        """The parameters of `where`."""
        return (self.cutoff_ts, self.cutoff_ts, HIDDEN_MARKER, *self.kept_parameters)

    def file(self, row: Sequence[Any]) -> LocalFile:
        """Reads a row of `_FILE`."""
        uploader, media_id, created_ts, size_bytes, url_cache = row
        media = StoredMedia(self.own_name, media_id, media_id, local=True, url_cache=bool(url_cache), uploader=uploader)
        return LocalFile(media, created_ts, size_bytes)


_FILE: Final = "m.media_id, m.created_ts, m.media_length, m.url_cache IS NOT NULL"
_OLDEST_FIRST: Final = "ORDER BY m.created_ts, m.media_id LIMIT ?"
# The next uploaders behind one, each found by one look into the index.
_FOLLOWING: Final = (
    "WITH RECURSIVE uploaders (user_id, n) AS ("
    "SELECT (SELECT x.user_id FROM local_media_repository AS x WHERE x.user_id > ? ORDER BY x.user_id LIMIT 1), 1"
    " UNION ALL SELECT (SELECT x.user_id FROM local_media_repository AS x WHERE x.user_id > u.user_id"
    " ORDER BY x.user_id LIMIT 1), u.n + 1 FROM uploaders AS u WHERE u.user_id IS NOT NULL AND u.n < ?)"
)
_BYTES: Final = (
    "m.media_length + COALESCE((SELECT sum(t.thumbnail_length) FROM local_media_repository_thumbnails AS t"
    " WHERE t.media_id = m.media_id), 0)"
)
_TOTAL: Final = f"count(m.media_id), COALESCE(sum({_BYTES}), 0), min(m.created_ts)"


def expired_page(
    api: ModuleApi, txn: LoggingTransaction, expired: Expired, after: Place, limit: int
) -> tuple[list[LocalFile], Place | None]:
    """The next expired files behind a place: uploader by uploader, the oldest of each first.

    Args:
        api: of the homeserver.
        txn: a transaction.
        expired: which.
        after: where to go on.
        limit: at most so many files, `UPLOADERS_AT_ONCE` or fewer. There may be less, or nothing, and still more behind
            the place that is returned.

    Returns:
        The files, and the place up to which everything was looked at; None at the end.
    """
    rest = _rest_of_uploader(txn, expired, after, limit)
    if len(rest) == limit:
        return rest, Place.at(rest[-1])
    if after.uploader is None:
        return rest, Place.before("")
    wanted = limit - len(rest)
    found, reached = _following_uploaders(api, txn, expired, after.uploader, wanted)
    if len(found) >= wanted:
        return rest + found[:wanted], Place.at(found[wanted - 1])
    return rest + found, None if reached is None else Place.behind(reached)


def oldest_files(
    api: ModuleApi, txn: LoggingTransaction, expired: Expired, after: str | None, each: int
) -> tuple[list[LocalFile], str | None]:
    """The oldest expired files of the next uploaders, at most so many of each.

    Args:
        api: of the homeserver.
        txn: a transaction.
        expired: which.
        after: behind which uploader to go on; None for the beginning.
        each: files of one uploader, at most `UPLOADERS_AT_ONCE`.

    Returns:
        The files, and the last uploader that was looked at; None at the end.
    """
    unwalked = [] if after is not None else [Place.before(None), Place.before("")]
    first = [file for place in unwalked for file in _rest_of_uploader(txn, expired, place, each)]
    found, reached = _following_uploaders(api, txn, expired, after or "", each)
    return first + found, reached


def _rest_of_uploader(txn: LoggingTransaction, expired: Expired, after: Place, limit: int) -> list[LocalFile]:
    """The next files of one uploader: a range of the index on (user_id, created_ts)."""
    whose, uploader = ("IS NULL", ()) if after.uploader is None else ("= ?", (after.uploader,))
    txn.execute(
        f"SELECT m.user_id, {_FILE} FROM local_media_repository AS m"  # noqa: S608
        f" WHERE m.user_id {whose} AND {expired.where} AND m.created_ts >= ? AND (m.created_ts, m.media_id) > (?, ?)"
        f" {_OLDEST_FIRST}",
        (*uploader, *expired.parameters, after.created_ts, after.created_ts, after.media_id, limit),
    )
    return [expired.file(row) for row in txn.fetchall()]


def _following_uploaders(
    api: ModuleApi, txn: LoggingTransaction, expired: Expired, after: str, each: int
) -> tuple[list[LocalFile], str | None]:
    """The oldest files of the uploaders behind one, and the last uploader that was looked at; None at the end.

    Rows come in the order of the walk, because nothing else than a loop over it can be made of it.
    """
    of_uploader = f"FROM local_media_repository AS m WHERE m.user_id = u.user_id AND {expired.where} {_OLDEST_FIRST}"
    if is_postgres(api):
        columns = "m.media_id, m.created_ts, m.media_length, m.is_preview"
        joined = f"LEFT JOIN LATERAL (SELECT {_FILE} AS is_preview {of_uploader}) AS m ON TRUE"
    else:
        columns = _FILE
        joined = f"LEFT JOIN local_media_repository AS m ON m.media_id IN (SELECT m.media_id {of_uploader})"
    txn.execute(
        f"{_FOLLOWING} SELECT u.n, u.user_id, {columns} FROM uploaders AS u {joined}"  # noqa: S608
        " WHERE u.user_id IS NOT NULL LIMIT ?",
        (after, UPLOADERS_AT_ONCE, *expired.parameters, each, UPLOADERS_AT_ONCE),
    )
    rows = txn.fetchall()
    if not rows:
        return [], None
    last = rows[-1][0]
    may_go_on = len(rows) == UPLOADERS_AT_ONCE
    if may_go_on and rows[0][0] != last:
        # The files of the last one may be cut off.
        rows = [row for row in rows if row[0] != last]
    stored = sorted((row for row in rows if row[2] is not None), key=lambda row: (row[0], row[3], row[2]))
    return [expired.file(row[1:]) for row in stored], rows[-1][1] if may_go_on else None


def expired_totals(
    api: ModuleApi, txn: LoggingTransaction, expired: Expired, after: str | None
) -> tuple[list[Total], str | None]:
    """How much the next uploaders have of expired files.

    Args:
        api: of the homeserver.
        txn: a transaction.
        expired: which.
        after: behind which uploader to go on; None for the beginning.

    Returns:
        The totals of those who have any, and the last uploader that was looked at; None at the end.
    """
    totals = [] if after is not None else _totals_without_walk(txn, expired)
    if is_postgres(api):
        txn.execute(
            f"{_FOLLOWING} SELECT u.n, u.user_id, t.* FROM uploaders AS u CROSS JOIN LATERAL ("  # noqa: S608
            f"SELECT {_TOTAL} FROM local_media_repository AS m WHERE m.user_id = u.user_id AND {expired.where}) AS t"
            " WHERE u.user_id IS NOT NULL ORDER BY u.n",
            (after or "", UPLOADERS_AT_ONCE, *expired.parameters),
        )
    else:
        txn.execute(
            f"{_FOLLOWING} SELECT u.n, u.user_id, {_TOTAL} FROM uploaders AS u"  # noqa: S608
            f" LEFT JOIN local_media_repository AS m ON m.user_id = u.user_id AND {expired.where}"
            " WHERE u.user_id IS NOT NULL GROUP BY u.n, u.user_id ORDER BY u.n",
            (after or "", UPLOADERS_AT_ONCE, *expired.parameters),
        )
    rows = txn.fetchall()
    totals += [Total(user_id, items, int(size), oldest) for _n, user_id, items, size, oldest in rows if items]
    return totals, rows[-1][1] if rows and rows[-1][0] == UPLOADERS_AT_ONCE else None


def _totals_without_walk(txn: LoggingTransaction, expired: Expired) -> list[Total]:
    """Of files without an uploader, or whose uploader is the empty string, behind which the walk begins."""
    totals = []
    for whose, uploader in (("IS NULL", None), ("= ''", "")):
        txn.execute(
            f"SELECT {_TOTAL} FROM local_media_repository AS m WHERE m.user_id {whose} AND {expired.where}",  # noqa: S608
            expired.parameters,
        )
        items, size, oldest = txn.fetchone() or (0, 0, None)
        if items:
            totals.append(Total(uploader, items, int(size), oldest))
    return totals


def has_files(txn: LoggingTransaction, count: int) -> bool:
    """Whether there are so many files, deleted ones left out; reads no more rows than that, and reserved ids."""
    txn.execute(
        "SELECT count(*) FROM (SELECT 1 FROM local_media_repository AS m WHERE m.media_length IS NOT NULL"
        " AND (m.quarantined_by IS NULL OR m.quarantined_by <> ?) LIMIT ?) AS counted",
        (HIDDEN_MARKER, count),
    )
    row = txn.fetchone()
    return row is not None and row[0] >= count
