"""What is stored, summed up row by row: the slow truth that accounts are compared with. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from synapse_bum.storage.usage import Stored, UserStored

Rows: TypeAlias = Callable[[str], Iterable[tuple[Any, ...]]]
"""Returns the rows of a query."""


def stored_in_all(rows: Rows) -> Stored:
    """Sum up all that Synapse's tables name."""
    users = stored_by_user(rows).values()
    thumbnails: Counter[tuple[str, str]] = Counter()
    for origin, media_id, size in rows(
        "SELECT media_origin, media_id, thumbnail_length FROM remote_media_cache_thumbnails"
    ):
        thumbnails[origin, media_id] += size
    remote = {
        (origin, media_id): size
        for origin, media_id, size in rows("SELECT media_origin, media_id, media_length FROM remote_media_cache")
        if size
    }
    return Stored(
        local_files=sum(user.files for user in users),
        local_bytes=sum(user.file_bytes for user in users),
        local_thumbnail_bytes=sum(user.thumbnail_bytes for user in users),
        remote_files=len(remote),
        remote_bytes=sum(remote.values()),
        remote_thumbnail_bytes=sum(thumbnails[name] for name in remote),
    )


def stored_by_user(rows: Rows) -> Mapping[str, UserStored]:
    """Sum up what each user has uploaded; "" are files that nobody has."""
    thumbnails: Counter[str] = Counter()
    for media_id, size in rows("SELECT media_id, thumbnail_length FROM local_media_repository_thumbnails"):
        thumbnails[media_id] += size
    files: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for media_id, user_id, size in rows("SELECT media_id, user_id, media_length FROM local_media_repository"):
        if size is not None:
            files[user_id or ""].append((size, thumbnails[media_id]))
    return {
        user_id: UserStored(user_id, len(sizes), sum(size for size, _ in sizes), sum(size for _, size in sizes))
        for user_id, sizes in files.items()
    }
