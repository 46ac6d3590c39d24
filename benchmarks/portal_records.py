"""What years bring to the tables of our modules: findings, audit, holds, partners, runs, reports, days."""

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from benchmarks.row_terms import DAY_MS, HASH, SENTENCE, USERS, RowTerms
from benchmarks.synthetic_rows import Table

_Records: TypeAlias = Mapping[str, tuple[Mapping[str, str], int]]
"""Columns and number of rows, by table."""

_MINUTE_MS: Final = 60_000
_DAYS: Final = 730


def tables(terms: RowTerms) -> Iterator[tuple[Table, int]]:
    """The tables, with how many rows each."""
    for name, (columns, count) in {**_reports(terms), **_rules(terms), **_days(terms)}.items():
        yield Table(f"synapse_bum_{name}", columns), count


def _reports(terms: RowTerms) -> _Records:
    here, mine = f"'{terms.server_name}'", {"media_id": terms.file("i"), "server_name": f"'{terms.server_name}'"}
    waits = {"sha256": HASH, "since_ts": terms.earlier(80), "marked": "1"}
    return {
        "antivirus_findings": (
            {
                **mine,
                "sha256": HASH,
                "signature": "'Win.Trojan.Emotet-' || 7000000 + i || '-0'",
                "state": "(ARRAY['blocked', 'released', 'deleted', 'rejected'])[1 + i % 4]",
                "source": "'upload'",
                "uploader": terms.user(f"i % {USERS}"),
                "found_ts": terms.earlier(400),
            },
            2_000,
        ),
        "antivirus_held": ({**mine, **waits}, 2_000),
        "audit": (
            {
                "id": "1000 + i",
                "ts": f"{terms.now_ms} - (20000 - i) * 600000::bigint",
                "actor": terms.user("i % 60"),
                "action": "(ARRAY['antivirus.release', 'portal.user.lock', 'retention.hold'])[1 + i % 3]",
                "target": f"'mxc://' || {here} || '/' || {terms.file('i')}",
                "old": '\'{"state": "blocked"}\'',
                "new": '\'{"state": "released", "size_bytes": 4711, "until_ts": 1790000000000}\'',
                "reason": SENTENCE,
                "prev_hash": HASH,
                "hash": "repeat(md5('next' || i), 2)",
            },
            20_000,
        ),
        "deletions": (
            {
                "kind": "'local_media'",
                **mine,
                "file_id": terms.file("i"),
                "url_cache": "0",
                "uploader": terms.user(f"i % {USERS}"),
                "size_bytes": "4711",
                "thumbnail_bytes": "0",
                "created_ts": terms.earlier(400),
                "policy": "'retention:local_media'",
                "actor": "'synapse_bum.retention'",
                "leaves": "'drop'",
                "state": "'dropped'",
                "planned_ts": terms.earlier(300),
                "done_ts": terms.earlier(300),
                "attempts": "0",
                "next_try_ts": "0",
                "logged": "1",
            },
            20_000,
        ),
        "portal_tickets": (
            {
                "ticket_id": "'T-' || lpad(i::text, 6, '0')",
                "category": "1 + i % 2",
                "text": f"repeat({SENTENCE} || '. ', 5)",
                "contact": "'Erika Muster, Telefon 030 123456'",
                "reported_by": terms.user("0"),
                "reported_ts": terms.earlier(400),
            },
            1_000,
        ),
    }


def _rules(terms: RowTerms) -> _Records:
    finished = {"created_ts": terms.earlier(400), "started_ts": terms.earlier(300), "finished_ts": terms.earlier(300)}
    return {
        "federation_partners": (
            {
                "server_name": "'partner' || i || '.example'",
                "source": "'managed'",
                "organisation": "'Bundesamt für Musterangelegenheiten, Außenstelle ' || i",
                "valid_from_ts": terms.earlier(400),
                "valid_until_ts": f"{terms.now_ms + 400 * DAY_MS}",
                "reason": SENTENCE,
                "ticket": "'V-' || i",
                "created_by": terms.user("0"),
                "created_ts": terms.earlier(400),
            },
            500,
        ),
        "holds": (
            {
                "target": terms.user("i"),
                "reason": SENTENCE,
                "until_ts": f"{terms.now_ms + 400 * DAY_MS}",
                "created_by": terms.user("0"),
                "created_ts": terms.earlier(400),
            },
            2_000,
        ),
        "retention_runs": (
            {
                "run_id": "md5('run' || i)",
                "state": "'done'",
                "dry_run": "0",
                "classes": "'local_media,messages,remote_media'",
                "confirm": "0",
                **finished,
                "total": "3000",
                "messages": "1000",
                "local_media": "1000",
                "remote_media": "1000",
                "bytes": "4711000",
            },
            500,
        ),
        "storage_orphan_runs": (
            {
                "run_id": "md5('look' || i)",
                "state": "'failed'",
                "dry_run": "1",
                "started_by": terms.user("0"),
                **finished,
                "attempts": "1",
                "removed_files": "0",
                "removed_bytes": "0",
                "error": SENTENCE,
            },
            200,
        ),
    }


def _days(terms: RowTerms) -> _Records:
    begin_ms = terms.now_ms - _DAYS * DAY_MS
    ts = f"{begin_ms} + i * {DAY_MS}::bigint"
    day = {"day": f"to_char(to_timestamp(({ts}) / 1000), 'YYYY-MM-DD')", "ts": ts}
    files = ("local_files", "local_bytes", "local_thumbnail_bytes", "remote_files", "remote_bytes")
    stored = dict.fromkeys((*files, "remote_thumbnail_bytes", "used_bytes", "locked_users"), "i * 1000::bigint")
    minute = f"{terms.now_ms} - i * {_MINUTE_MS}::bigint"
    return {
        "portal_statistics": (
            {
                **day,
                "counted_ts": ts,
                "rooms": "4000 + i",
                "messages": "20000 + i % 7 * 9000",
                "sent_messages": "15000 + i % 7 * 6000",
                "active_users": "3000 + i % 7 * 900",
                "registered_users": f"{USERS} - 800 + i",
            },
            _DAYS,
        ),
        "storage_snapshots": (
            {**day, **stored, "users": f"{USERS} - 800 + i", "included_bytes": "10::bigint ^ 13", "gigabyte": "10 ^ 9"},
            _DAYS,
        ),
        "availability_probes": (
            {"probe_id": "md5('probe' || i)", "ts": minute, "state": "'ok'", "direct_ms": "90", "received_ts": minute},
            40 * 24 * 60,
        ),
        "availability_outages": (
            {
                "outage_id": "md5('outage' || i)",
                "from_ts": f"{terms.now_ms} - (i + 1) * {DAY_MS}::bigint",
                "to_ts": f"{terms.now_ms} - (i + 1) * {DAY_MS}::bigint + 5 * {_MINUTE_MS}",
                "ticket": "'T-' || i",
                "reason": SENTENCE,
                "source": "'entered'",
                "created_by": terms.user("0"),
                "created_ts": terms.earlier(400),
                "changed_ts": terms.earlier(400),
            },
            500,
        ),
        "availability_maintenance": (
            {
                "maintenance_id": "md5('maintenance' || i)",
                "from_ts": f"{terms.now_ms} + (i - 250) * {DAY_MS}::bigint",
                "to_ts": f"{terms.now_ms} + (i - 250) * {DAY_MS}::bigint + 60 * {_MINUTE_MS}",
                "text": SENTENCE,
                "created_ts": terms.earlier(400),
            },
            500,
        ),
    }
