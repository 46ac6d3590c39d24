"""How much is stored, how much of it counts, and what that means for the pool. Pure."""

from collections.abc import Mapping
from typing import Any, Final

import attr

from synapse_bum.config import boolean, option


@attr.s(auto_attribs=True, frozen=True, slots=True)
class CountConfig:
    """Section `count`: what counts as used storage. The database and backups never do.

    Attributes:
        local_media: files that were uploaded here, URL previews among them.
        remote_media: copies of files of other servers.
        thumbnails: of the files that count.
    """

    local_media: bool = option(boolean, default=True)
    remote_media: bool = option(boolean, default=True)
    thumbnails: bool = option(boolean, default=True)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Stored:
    """What Synapse's tables say is stored, whether it counts or not.

    Attributes:
        local_files: files that were uploaded here.
        local_bytes: of them, without thumbnails.
        local_thumbnail_bytes: of their thumbnails.
        remote_files: copies of files of other servers.
        remote_bytes: of them, without thumbnails.
        remote_thumbnail_bytes: of their thumbnails.
    """

    local_files: int = 0
    local_bytes: int = 0
    local_thumbnail_bytes: int = 0
    remote_files: int = 0
    remote_bytes: int = 0
    remote_thumbnail_bytes: int = 0

    @property
    def thumbnail_bytes(self) -> int:
        """Bytes of all thumbnails."""
        return self.local_thumbnail_bytes + self.remote_thumbnail_bytes

    def used_bytes(self, count: CountConfig) -> int:
        """The bytes that count."""
        local = self.local_bytes + self.local_thumbnail_bytes * count.thumbnails
        remote = self.remote_bytes + self.remote_thumbnail_bytes * count.thumbnails
        return local * count.local_media + remote * count.remote_media

    def by_kind(self) -> Mapping[str, int]:
        """Bytes by `local`, `remote` and `thumbnails`, as metrics are labelled."""
        return {"local": self.local_bytes, "remote": self.remote_bytes, "thumbnails": self.thumbnail_bytes}


NOTHING: Final = Stored()


@attr.s(auto_attribs=True, frozen=True, slots=True)
class UserStored:
    """What one user has uploaded that is still there.

    Attributes:
        user_id: of a user of this server.
        files: how many.
        file_bytes: of them, without thumbnails.
        thumbnail_bytes: of their thumbnails.
    """

    user_id: str
    files: int = 0
    file_bytes: int = 0
    thumbnail_bytes: int = 0

    def used_bytes(self, count: CountConfig) -> int:
        """The bytes that count, of his files."""
        return self.file_bytes + self.thumbnail_bytes * count.thumbnails

    def as_json(self, count: CountConfig) -> dict[str, Any]:
        """The object that the API shows."""
        return {"user_id": self.user_id, "used_bytes": self.used_bytes(count), "files": self.files}


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Pool:
    """The pool of one moment.

    Attributes:
        users: registered users.
        used_bytes: what counts.
        included_bytes: what the users bring with them.
        gigabyte: bytes of one unit that is billed.
    """

    users: int
    used_bytes: int
    included_bytes: int
    gigabyte: int

    @property
    def free_bytes(self) -> int:
        """What is left of it; 0 when it is used up."""
        return max(0, self.included_bytes - self.used_bytes)

    @property
    def extension_gb(self) -> int:
        """Started gigabytes beyond the pool."""
        return started(self.used_bytes - self.included_bytes, self.gigabyte)


def started(overrun_bytes: int, gigabyte: int) -> int:
    """How many units have been started: one byte beyond is a whole one, nothing beyond is none."""
    return max(0, -(-overrun_bytes // gigabyte))
