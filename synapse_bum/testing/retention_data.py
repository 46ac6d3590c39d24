"""Files of any age that nobody uploaded: rows and bytes as Synapse's media repository writes them.

Rows and files are those of Synapse 1.133.0 and 1.163.2, on SQLite and PostgreSQL. Messages of any age are written by
`written_messages`.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attr
from synapse.media.filepath import MediaFilePaths

from synapse_bum.testing.server_database import ServerDatabase
from synapse_bum.testing.synapse import RealSynapse

DAY_MS: Final = 24 * 60 * 60 * 1_000

_THUMBNAILS: Final = ((32, "crop"), (96, "crop"), (320, "scale"), (640, "scale"), (800, "scale"))
"""Side in pixels and method of the thumbnails that Synapse makes of a picture by default."""
_THUMBNAIL_TYPE: Final = "image/png"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class WrittenFile:
    """A file that is stored.

    Attributes:
        mxc: its URI.
        created_ts: since when it is said to be stored, ms since the epoch.
        content: what a download answers.
        paths: of the file and of its thumbnails in the media folder.
    """

    mxc: str
    created_ts: int
    content: bytes = attr.ib(repr=False)
    paths: Sequence[Path] = attr.ib(repr=False)


class MediaWriter:
    """Writes files into the media folder of a homeserver, and their rows, for a server that runs or not."""

    def __init__(self, synapse: RealSynapse, database: ServerDatabase) -> None:
        """Nothing is written yet.

        Args:
            synapse: whose media folder it is.
            database: of the same homeserver.
        """
        self._server_name = synapse.server_name
        self._paths = MediaFilePaths(str(synapse.media_directory))
        self._database = database
        self._local: list[Sequence[object]] = []
        self._local_thumbnails: list[Sequence[object]] = []
        self._remote: list[Sequence[object]] = []
        self._remote_thumbnails: list[Sequence[object]] = []

    def local(
        self,
        media_id: str,
        content: bytes,
        *,
        created_ts: int,
        user_id: str | None,
        media_type: str = "application/octet-stream",
        thumbnails: int = 0,
        previewed_url: str | None = None,
    ) -> WrittenFile:
        """Write a file of this server; its row is written by `flush`.

        Args:
            media_id: a new one; of a URL preview as Synapse names these, `2026-01-31_abcdef`.
            content: of the file, and of each of its thumbnails.
            created_ts: upload, ms since the epoch.
            user_id: who uploaded it; None for a URL preview.
            media_type: MIME type.
            thumbnails: how many it has, at most five.
            previewed_url: the picture of this page's preview; None for an upload.
        """
        files, thumbnail_of = self._paths.local_media_filepath, self._paths.local_media_thumbnail
        if previewed_url is not None:
            files, thumbnail_of = self._paths.url_cache_filepath, self._paths.url_cache_thumbnail
        paths = [files(media_id)]
        for side, method in _THUMBNAILS[:thumbnails]:
            paths.append(thumbnail_of(media_id, side, side, _THUMBNAIL_TYPE, method))
            self._local_thumbnails.append((media_id, side, side, _THUMBNAIL_TYPE, method, len(content)))
        row = (media_id, media_type, len(content), created_ts, user_id, previewed_url, _sha256(content), True, False)
        self._local.append(row)
        return _written(f"mxc://{self._server_name}/{media_id}", created_ts, content, paths)

    def remote(
        self,
        server_name: str,
        media_id: str,
        content: bytes,
        *,
        created_ts: int,
        media_type: str = "application/octet-stream",
        thumbnails: int = 0,
    ) -> WrittenFile:
        """Write a copy of another server's file; its row is written by `flush`.

        Args:
            server_name: of the other server.
            media_id: there, and the name of the file here.
            content: of the file, and of each of its thumbnails.
            created_ts: when it was first received here, ms since the epoch.
            media_type: MIME type.
            thumbnails: how many it has, at most five.
        """
        paths = [self._paths.remote_media_filepath(server_name, media_id)]
        for side, method in _THUMBNAILS[:thumbnails]:
            paths.append(self._paths.remote_media_thumbnail(server_name, media_id, side, side, _THUMBNAIL_TYPE, method))
            thumbnail = (server_name, media_id, side, side, _THUMBNAIL_TYPE, method, len(content), media_id)
            self._remote_thumbnails.append(thumbnail)
        self._remote.append(
            (server_name, media_id, media_type, len(content), created_ts, created_ts, media_id, _sha256(content), True)
        )
        return _written(f"mxc://{server_name}/{media_id}", created_ts, content, paths)

    def flush(self) -> None:
        """Write the rows of all files since the last time."""
        thumbnail = ("thumbnail_width", "thumbnail_height", "thumbnail_type", "thumbnail_method", "thumbnail_length")
        of_file = ("media_type", "media_length", "created_ts")
        for table, columns, rows in (
            # A file that is there has its thumbnails.
            ("local_media_repository_thumbnails", ("media_id", *thumbnail), self._local_thumbnails),
            (
                "local_media_repository",
                ("media_id", *of_file, "user_id", "url_cache", "sha256", "authenticated", "safe_from_quarantine"),
                self._local,
            ),
            (
                "remote_media_cache_thumbnails",
                ("media_origin", "media_id", *thumbnail, "filesystem_id"),
                self._remote_thumbnails,
            ),
            (
                "remote_media_cache",
                ("media_origin", "media_id", *of_file, "last_access_ts", "filesystem_id", "sha256", "authenticated"),
                self._remote,
            ),
        ):
            self._database.insert(table, columns, rows)
            rows.clear()


def backdate_file(database: ServerDatabase, mxc: str, created_ts: int) -> None:
    """Let a real upload have been made earlier.

    Args:
        database: of the server that has it.
        mxc: of a file of this server.
        created_ts: ms since the epoch.

    Raises:
        LookupError: there is no such file.
    """
    media_id = mxc.rpartition("/")[2]
    changed = database.execute(
        "UPDATE local_media_repository SET created_ts = ? WHERE media_id = ?", created_ts, media_id
    )
    if changed != 1:
        raise LookupError(f"no file {mxc} on this server")


def _written(mxc: str, created_ts: int, content: bytes, paths: Sequence[str]) -> WrittenFile:
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return WrittenFile(mxc, created_ts, content, [Path(path) for path in paths])


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
