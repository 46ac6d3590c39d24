"""What the audit says by the person, about the person and about the person's files, oldest first.

The names of other people in it are replaced. The hash of each entry stays as it is, so that whoever has the audit finds
the entry again.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from synapse_bum.cli.export_user.other_people import concealed, names
from synapse_bum.homeserver.database_snapshot import Snapshot

_TABLE: Final = "synapse_bum_audit"
# All rows, along the primary key: there is no index on people. The patterns let others through, too, such as whose
# names begin alike: `_is_meant` decides. Whether a target is a file of the person is asked for each row.
_ENTRIES: Final = (
    "SELECT a.ts, a.actor, a.action, a.target, a.old, a.new, a.reason, a.hash, a.of_a_file FROM ("
    "SELECT b.*, CASE WHEN {files} THEN 1 ELSE 0 END AS of_a_file FROM synapse_bum_audit AS b) AS a"
    " WHERE a.of_a_file = 1 OR a.actor = ? OR a.target LIKE ? ESCAPE '!' OR a.old LIKE ? ESCAPE '!'"
    " OR a.new LIKE ? ESCAPE '!' OR a.reason LIKE ? ESCAPE '!' ORDER BY a.id"
)
_OF_A_FILE: Final = (
    " OR b.target IN (SELECT 'mxc://' || f.server_name || '/' || f.media_id FROM {table} AS f WHERE f.uploader = ?)"
)
_OF_A_LOCAL_FILE: Final = (
    "b.target IN (SELECT 'mxc://' || ? || '/' || f.media_id FROM local_media_repository AS f WHERE f.user_id = ?)"
)
_FILE_TABLES: Final = ("synapse_bum_antivirus_findings", "synapse_bum_deletions")


def audit_entries(snapshot: Snapshot, user_id: str) -> Iterator[dict[str, Any]]:
    """Read entries by or about a person; none where this server has no audit.

    Args:
        snapshot: of the homeserver's database.
        user_id: of the person.
    """
    if not snapshot.columns(_TABLE):
        return
    server = user_id.partition(":")[2]
    plain, in_json = _pattern(user_id), _pattern(_in_json(user_id))
    files, values = _OF_A_LOCAL_FILE, [server, user_id]
    for table in _FILE_TABLES:
        if snapshot.columns(table):
            files += _OF_A_FILE.format(table=table)
            values.append(user_id)
    parameters = [*values, user_id, plain, in_json, in_json, plain]
    rows = snapshot.rows(_ENTRIES.format(files=files), parameters)
    for ts, actor, action, target, old, new, reason, row_hash, of_a_file in rows:
        details = [None if text is None else json.loads(text) for text in (old, new)]
        if not (of_a_file or _is_meant(user_id, actor, [target, *map(_text, details), reason or ""])):
            continue
        entry = {"ts": ts, "actor": actor, "action": action, "target": target, "old": details[0], "new": details[1]}
        yield {**concealed({**entry, "reason": reason}, user_id), "hash": row_hash}


def _is_meant(user_id: str, actor: str, texts: list[str]) -> bool:
    return actor == user_id or any(names(text, user_id) for text in texts)


def _text(detail: object) -> str:
    return json.dumps(detail, ensure_ascii=False)


def _in_json(text: str) -> str:
    """As it stands within a text of JSON."""
    return json.dumps(text)[1:-1]


def _pattern(text: str) -> str:
    """For LIKE with `!` as its escape: the text anywhere, and nothing that only looks alike."""
    return "%" + "".join(f"!{character}" if character in "!%_" else character for character in text) + "%"
