"""Conditions on rows of ours, in SQL: whether Synapse still has the file, the bytes or the event that they are about.

Run on Synapse 1.133.0 and 1.163.2: `local_media_repository`, `remote_media_cache`, `events`. Each is one search in a
unique index, or in the indexes on sha256, for each row that is asked about.
"""

from typing import Final

from synapse_bum.homeserver.media_deletion import TOMBSTONE_MARKER

IS_STORED: Final = (
    "CASE WHEN t.server_name = ? THEN EXISTS (SELECT 1 FROM local_media_repository AS m WHERE m.media_id = t.media_id)"  # noqa: S608 - our own text
    " ELSE EXISTS (SELECT 1 FROM remote_media_cache AS m WHERE m.media_origin = t.server_name"
    " AND m.media_id = t.media_id"
    f" AND (m.quarantined_by IS NULL OR m.quarantined_by <> '{TOMBSTONE_MARKER}')) END"
)
"""Whether the file (`server_name`, `media_id`) of a row of the table `t` has a row; the parameter is our server's name.

A reserved media id has one before its upload, a file that is being removed until its bytes are gone. The tombstone of a
remote file is none.
"""

HAS_BYTES: Final = (
    "(EXISTS (SELECT 1 FROM local_media_repository AS m WHERE m.sha256 = t.sha256)"
    " OR EXISTS (SELECT 1 FROM remote_media_cache AS m WHERE m.sha256 = t.sha256))"
)
"""Whether any file with the bytes (`sha256`) of a row of the table `t` is stored."""

HAS_EVENT: Final = "EXISTS (SELECT 1 FROM events AS e WHERE e.event_id = t.event_id)"
"""Whether the event (`event_id`) of a row of the table `t` was not purged; a redacted one is there."""
