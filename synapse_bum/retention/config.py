"""What stands under `config:` of the retention module."""

from collections.abc import Mapping
from types import MappingProxyType
from zoneinfo import ZoneInfo

import attr

from synapse_bum.config import (
    SharedConfig,
    absolute_path,
    boolean,
    duration,
    duration_ms,
    integer,
    option,
    section,
    size,
    time_zone,
)
from synapse_bum.quantities import Duration
from synapse_bum.retention.classes import RetentionClass


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ClassConfig:
    """One of the sections `messages`, `local_media`, `remote_media`.

    Attributes:
        lifetime: after which an item is deleted.
    """

    lifetime: Duration = option(duration)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ProtectConfig:
    """Section `protect`: local files that stay, however old.

    Attributes:
        avatars: those that are an avatar of a user or a room now.
        image_packs: stickers and emotes in room state and account data.
        max_bytes_per_user: for each user who refers to them.
    """

    avatars: bool = option(boolean, default=True)
    image_packs: bool = option(boolean, default=True)
    max_bytes_per_user: int = option(size, default="10M")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ScheduleConfig:
    """Section `schedule`.

    Attributes:
        interval_ms: from the start of a scheduled run to the start of the next.
        batch_size: files in one transaction.
        message_step: events in one transaction, at most.
    """

    interval_ms: int = option(duration_ms, default="1h", key="interval")
    batch_size: int = option(integer(1, 500), default=200)
    message_step: int = option(integer(1, 20_000), default=2_000)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class RetentionConfig(SharedConfig):
    """The whole configuration of the module.

    Attributes:
        messages: None purges no messages.
        local_media: None deletes no files that were uploaded here.
        remote_media: None deletes no files of other servers.
        protect: local files that stay.
        schedule: when, and how much at a time.
        dry_run: runs only count.
        deletion_log_path: file outside the database that every deletion is appended to; None for none.
        timezone: where calendar years are counted.
    """

    messages: ClassConfig | None = option(section(ClassConfig), default=None)
    local_media: ClassConfig | None = option(section(ClassConfig), default=None)
    remote_media: ClassConfig | None = option(section(ClassConfig), default=None)
    protect: ProtectConfig = option(section(ProtectConfig), default={})
    schedule: ScheduleConfig = option(section(ScheduleConfig), default={})
    dry_run: bool = option(boolean, default=False)
    deletion_log_path: str | None = option(absolute_path, default=None)
    timezone: ZoneInfo = option(time_zone, default="Europe/Berlin")

    @property
    def lifetimes(self) -> Mapping[RetentionClass, Duration]:
        """The lifetime of each class that is configured."""
        sections = {
            RetentionClass.MESSAGES: self.messages,
            RetentionClass.LOCAL_MEDIA: self.local_media,
            RetentionClass.REMOTE_MEDIA: self.remote_media,
        }
        return MappingProxyType({kind: found.lifetime for kind, found in sections.items() if found is not None})
