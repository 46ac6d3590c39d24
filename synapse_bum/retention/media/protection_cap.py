"""How many files one user can protect by referring to them: at most so many bytes. Pure.

Otherwise whoever makes a room with an image pack of his old files would keep them for ever.
"""

from collections.abc import Iterable
from typing import Final

import attr

from synapse_bum.retention.config import ProtectConfig
from synapse_bum.retention.media.references import Kind

_RANKS: Final = {Kind.PROFILE: 0, Kind.MEMBER: 1, Kind.ROOM_AVATAR: 1, Kind.ROOM_PACK: 2, Kind.USER_PACK: 2}
"""What counts first: a user's own face, then the avatars of his rooms, then his image packs."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Reference:
    """One local file that a user refers to.

    Attributes:
        kind: in which way.
        media_id: of the file.
        size_bytes: of the file; thumbnails don't count.
        created_ts: when it was uploaded, in ms since the epoch.
    """

    kind: Kind
    media_id: str
    size_bytes: int
    created_ts: int


def counts(kind: Kind, rules: ProtectConfig) -> bool:
    """Whether a kind of reference protects local files at all."""
    return rules.avatars if kind.is_avatar else rules.image_packs


def protected_files(references: Iterable[Reference], rules: ProtectConfig) -> frozenset[str]:
    """Decides which of the files that one user refers to stay.

    Avatars come first, then what was uploaded last. A file that does not fit any more leaves room for smaller ones.

    Args:
        references: all of this user's, to files that are stored here; the same file may come several times.
        rules: as configured.

    Returns:
        Ids of files that have together at most `max_bytes_per_user`.
    """
    counting = sorted(
        (reference for reference in references if counts(reference.kind, rules)),
        key=lambda reference: (_RANKS[reference.kind], -reference.created_ts, reference.media_id),
    )
    sizes: dict[str, int] = {}
    used = 0
    for reference in counting:
        if reference.media_id not in sizes and used + reference.size_bytes <= rules.max_bytes_per_user:
            sizes[reference.media_id] = reference.size_bytes
            used += reference.size_bytes
    return frozenset(sizes)
