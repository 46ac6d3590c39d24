"""Which file a path of the media store belongs to: the inverse of Synapse's `MediaFilePaths`. Pure.

A path that Synapse would not have made belongs to nobody we know.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: `synapse/media/filepath.py`. Ids are cut into folders: `ab/cd/rest`. Those
of URL previews begin with the day, `2017-09-28_rest`, and lie in `2017-09-28/rest`: the eleventh character is not in
the path. Synapse has always written `_`, and its comments say `-`.
"""

import re
from enum import Enum
from typing import Final

import attr


class Shelf(Enum):
    """The folders of a media store."""

    LOCAL_CONTENT = "local_content"
    LOCAL_THUMBNAILS = "local_thumbnails"
    URL_CACHE = "url_cache"
    URL_CACHE_THUMBNAILS = "url_cache_thumbnails"
    REMOTE_CONTENT = "remote_content"
    REMOTE_THUMBNAIL = "remote_thumbnail"

    @property
    def is_remote(self) -> bool:
        """Whether its files come from other servers; the folders below it are the names of these then."""
        return self in {Shelf.REMOTE_CONTENT, Shelf.REMOTE_THUMBNAIL}

    @property
    def has_thumbnails(self) -> bool:
        """Whether each file has a folder there, with its thumbnails in it."""
        return self in {Shelf.LOCAL_THUMBNAILS, Shelf.URL_CACHE_THUMBNAILS, Shelf.REMOTE_THUMBNAIL}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Owner:
    """Whose file it is.

    Attributes:
        shelf: where it lies.
        server_name: of the server that it came from; None for files of this one.
        file_ids: the media id, of remote files the `filesystem_id`; where the path leaves it open, all that it may be.
    """

    shelf: Shelf
    server_name: str | None
    file_ids: tuple[str, ...]


_NAME: Final = re.compile(r"[A-Za-z0-9_\-.\[\]:]+", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
# 32-32-image-png-crop; of old remote files without the method.
_THUMBNAIL: Final = re.compile(r"[0-9]+-[0-9]+-[A-Za-z0-9_\-.\[\]:]+", re.ASCII)


def owner_of(path: str) -> Owner | None:
    """Find out whose file a path is.

    Args:
        path: relative to the media store, with `/`.

    Returns:
        None when Synapse would not have made this path.
    """
    first, *parts = path.split("/")
    try:
        shelf = Shelf(first)
    except ValueError:
        return None
    if not all(_NAME.fullmatch(part) and part not in {".", ".."} for part in parts):
        return None
    server_name = None
    if shelf.is_remote:
        if not parts:
            return None
        server_name, *parts = parts
    if shelf.has_thumbnails and (not parts or _THUMBNAIL.fullmatch(parts.pop()) is None):
        return None
    file_ids = _ids_of(parts, may_have_day=shelf in {Shelf.URL_CACHE, Shelf.URL_CACHE_THUMBNAILS})
    return Owner(shelf, server_name, file_ids) if file_ids else None


def _ids_of(parts: list[str], *, may_have_day: bool) -> tuple[str, ...]:
    if may_have_day and len(parts) == 2 and _DAY.fullmatch(parts[0]):
        return f"{parts[0]}_{parts[1]}", f"{parts[0]}-{parts[1]}"
    if len(parts) == 3 and len(parts[0]) == len(parts[1]) == 2:
        return ("".join(parts),)
    return ()
