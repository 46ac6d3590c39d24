"""Millions of files of 50,000 users, as rows of the real schema, and what an hour brings to them.

Five uploaded files have one copy of another server's file beside them. One file in twenty is a picture that the server
could read, so it has the five thumbnails that Synapse makes by default. Rows have no bytes on disk. Each user has as
many files as any other, and files came evenly over two years, the lowest number first.
"""

from collections.abc import Callable, Iterator
from typing import Final

from benchmarks.synthetic_rows import Table, fill
from synapse_bum.storage.usage import Stored
from synapse_bum.testing.server_database import ServerDatabase

USERS: Final = 50_000
DAYS: Final = 730
HOUR_MS: Final = 3_600_000
CAME_IN_AN_HOUR: Final = 2_000
"""Uploaded files. With 10 million files of two years, 570 came in an hour of the average."""

_DAY_MS: Final = 24 * HOUR_MS
_PARTNERS: Final = 50
_UPLOADS_FOR_A_COPY: Final = 5
_FILES_FOR_A_PICTURE: Final = 20
_THUMBNAILS: Final = 5

# Spreads neighbouring numbers over all users: it has no divisor in common with how many there are.
_SPREAD: Final = 2_654_435_761
_KIND: Final = f"(i % {_THUMBNAILS} + 1)"
_THUMBNAIL: Final = {
    "thumbnail_width": f"(ARRAY[32, 96, 320, 640, 800])[{_KIND}]",
    "thumbnail_height": f"(ARRAY[32, 96, 240, 480, 600])[{_KIND}]",
    "thumbnail_type": "'image/jpeg'",
    "thumbnail_method": f"(ARRAY['crop', 'crop', 'scale', 'scale', 'scale'])[{_KIND}]",
    "thumbnail_length": f"(ARRAY[1500, 4000, 15000, 45000, 60000])[{_KIND}]",
}


class StorageRows:
    """Fills the database of a homeserver further and further.

    Attributes:
        count: uploaded files so far, without those of `write_hour` and without those that were deleted.
    """

    def __init__(self, database: ServerDatabase, server_name: str, most: int, end_ms: int) -> None:
        """Write the users, who are there from the start, and a snapshot for each day.

        Args:
            database: on PostgreSQL, with our tables.
            server_name: of the homeserver.
            most: uploaded files in the end.
            end_ms: when the last of them comes; ms since the epoch.
        """
        self.count = 0
        self._database = database
        self._server_name = server_name
        self._begin_ms = end_ms - DAYS * _DAY_MS
        self._every_ms = DAYS * _DAY_MS // most
        self._hours = 0
        user_id = f"'@user' || i || ':{server_name}'"
        created = {"creation_ts": str(self._begin_ms // 1_000), "admin": "0", "is_guest": "0"}
        profile = {"user_id": "'user' || i", "displayname": "'User ' || i", "full_user_id": user_id}
        # Other tables refer to that of users, so its indexes stay.
        for table, last in (
            (Table("users", {"name": user_id, **created}), USERS - 1),
            (Table("profiles", profile), USERS - 1),
            (self._snapshots(), DAYS - 1),
        ):
            database.execute(table.insert(0, last))
            database.execute(f"VACUUM ANALYZE {table.name}")

    def grow_to(self, count: int) -> None:
        """Have so many files been uploaded, and what belongs to so many be there."""
        for table, rows in self._tables("file", lambda number: f"{self._begin_ms} + {number} * {self._every_ms}"):
            fill(self._database, table, rows(self.count), rows(count) - 1)
        self.count = count

    def came_before(self, files: int) -> int:
        """When the first so many uploaded files have come, and no other; ms since the epoch."""
        return self._begin_ms + files * self._every_ms

    def write_hour(self, begin_ms: int) -> None:
        """Write what comes in an hour, with the notes that the module makes when copies come.

        Args:
            begin_ms: of the hour; ms since the epoch.
        """
        first = self._hours * CAME_IN_AN_HOUR
        every_ms = HOUR_MS // CAME_IN_AN_HOUR
        for table, rows in self._tables("new", lambda number: f"{begin_ms} + ({number} - {first}) * {every_ms}"):
            self._database.execute(table.insert(rows(first), rows(first + CAME_IN_AN_HOUR) - 1))
        self._database.execute(
            "INSERT INTO synapse_bum_storage_arrivals (media_origin, media_id, created_ts)"
            " SELECT media_origin, media_id, created_ts FROM remote_media_cache WHERE created_ts >= ?",
            begin_ms,
        )
        self._hours += 1

    def stored(self) -> Stored:
        """What Synapse's tables say is stored."""
        ((*numbers,),) = self._database.rows(
            "SELECT (SELECT COUNT(*) FROM local_media_repository), (SELECT SUM(media_length)"
            " FROM local_media_repository), (SELECT SUM(thumbnail_length) FROM local_media_repository_thumbnails),"
            " (SELECT COUNT(*) FROM remote_media_cache), (SELECT SUM(media_length) FROM remote_media_cache),"
            " (SELECT SUM(thumbnail_length) FROM remote_media_cache_thumbnails)"
        )
        return Stored(*map(int, numbers))

    def _tables(self, kind: str, came: Callable[[str], str]) -> Iterator[tuple[Table, Callable[[int], int]]]:
        """The tables that grow, each with how many rows belong to so many uploaded files.

        Args:
            kind: of files; names them.
            came: makes the expression of the time from that of the number of an uploaded file.
        """
        picture = f"(i / {_THUMBNAILS} * {_FILES_FOR_A_PICTURE})"
        file = {
            "media_type": "'application/octet-stream'",
            "media_length": f"20000 + (i::bigint * {_SPREAD}) % 480000",
            "upload_name": "'attachment'",
            "authenticated": "true",
        }
        yield (
            Table(
                "local_media_repository",
                {
                    "media_id": f"substr(md5('{kind}' || i), 1, 24)",
                    **file,
                    "created_ts": came("i::bigint"),
                    "user_id": f"'@user' || (i::bigint * {_SPREAD}) % {USERS} || ':{self._server_name}'",
                    "safe_from_quarantine": "false",
                    "sha256": f"repeat(md5('{kind} here' || i), 2)",
                },
            ),
            lambda uploads: uploads,
        )
        yield (
            Table(
                "local_media_repository_thumbnails",
                {"media_id": f"substr(md5('{kind}' || {picture}), 1, 24)", **_THUMBNAIL},
            ),
            lambda uploads: uploads // _FILES_FOR_A_PICTURE * _THUMBNAILS,
        )
        yield (
            Table(
                "remote_media_cache",
                {
                    "media_origin": f"'partner' || i % {_PARTNERS} || '.example'",
                    "media_id": f"substr(md5('{kind}' || i), 1, 24)",
                    **file,
                    "created_ts": came(f"i::bigint * {_UPLOADS_FOR_A_COPY}"),
                    "last_access_ts": came(f"i::bigint * {_UPLOADS_FOR_A_COPY}"),
                    "filesystem_id": f"substr(md5('{kind}' || i), 1, 24)",
                    "sha256": f"repeat(md5('{kind} there' || i), 2)",
                },
            ),
            lambda uploads: uploads // _UPLOADS_FOR_A_COPY,
        )
        yield (
            Table(
                "remote_media_cache_thumbnails",
                {
                    "media_origin": f"'partner' || {picture} % {_PARTNERS} || '.example'",
                    "media_id": f"substr(md5('{kind}' || {picture}), 1, 24)",
                    "filesystem_id": f"substr(md5('{kind}' || i), 1, 24)",
                    **_THUMBNAIL,
                },
            ),
            lambda uploads: uploads // _UPLOADS_FOR_A_COPY // _FILES_FOR_A_PICTURE * _THUMBNAILS,
        )

    def _snapshots(self) -> Table:
        """The counts of past days: row number 0 is that of two years ago."""
        numbers = dict.fromkeys(
            (
                "locked_users",
                "local_files",
                "local_bytes",
                "local_thumbnail_bytes",
                "remote_files",
                "remote_bytes",
                "remote_thumbnail_bytes",
                "used_bytes",
            ),
            "i",
        )
        return Table(
            "synapse_bum_storage_snapshots",
            {
                "day": f"to_char(to_timestamp({self._begin_ms // 1_000}) + i * INTERVAL '1 day', 'YYYY-MM-DD')",
                "ts": f"{self._begin_ms} + i::bigint * {_DAY_MS}",
                "users": str(USERS),
                **numbers,
                "included_bytes": str(USERS * 1_000_000_000),
                "gigabyte": "1000000000",
            },
        )
