"""Files that somebody has quarantined, as they are stored. Our own marks are left out: they have records of their own.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: `quarantined_by` in `local_media_repository` and
`remote_media_cache`.
"""

from typing import Final

from synapse_bum.homeserver.media import OUR_MARKS

_OTHERS: Final = (
    "quarantined_by IS NOT NULL AND quarantined_by <> 'system'"
    f" AND substr(quarantined_by, 1, {len(OUR_MARKS)}) <> '{OUR_MARKS}'"
)

# Both tables as a whole, since Synapse has no index on the column: 0.1 s for a million files.
QUARANTINED: Final = (
    f"SELECT '/' || media_id AS key, quarantined_by AS state FROM local_media_repository WHERE {_OTHERS}"  # noqa: S608
    f" UNION ALL SELECT media_origin || '/' || media_id, quarantined_by FROM remote_media_cache WHERE {_OTHERS}"
)
"""Key is the server's name, empty for this one, and the media id behind a slash."""
