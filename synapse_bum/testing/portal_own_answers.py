"""What our own API answers to the portal, in the shapes of docs/api.md.

One object of every kind that a page can show; runs and reports that differ in their state differ in their id.
"""

from types import MappingProxyType
from typing import Final

from synapse_bum.rest import BASE
from synapse_bum.testing.portal_synapse_answers import MXC, NOW_MS, ROOM_ID, Answers

_EARLIER: Final = NOW_MS - 3_600_000
_LATER: Final = NOW_MS + 86_400_000

_FINDING: Final = {
    "mxc": MXC,
    "sha256": "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f",
    "signature": "Eicar-Test-Signature",
    "state": "blocked",
    "source": "upload",
    "uploader": "@alice:test",
    "reporter": "@bob:test",
    "found_ts": _EARLIER,
}
_SCANNER: Final = {
    "engine": "clamd",
    "engine_version": "ClamAV 1.4.6",
    "signature_version": "27000",
    "signature_ts": _EARLIER,
    "scanner_ok": True,
    "effective_max_scan_bytes": 26214400,
    "self_test": {"eicar": "found", "oversize": "passed", "encrypted_archive": "refused", "nested_archive": None},
    "totals": {"scanned": 5, "clean": 2, "infected": 3, "failed": 1, "unscanned": 0},
}
_RESCAN: Final = {
    "run_id": "rescan",
    "state": "needs_confirmation",
    "scanned": 22,
    "total": 27,
    "infected": 20,
    "signature_version": "27000",
    "started_by": "@boss:test",
    "created_ts": _EARLIER,
    "started_ts": _EARLIER,
    "finished_ts": None,
    "paused_by": "Doc.Mishap",
}
_HELD: Final = {
    "mxc": MXC,
    "uploader": "@alice:test",
    "size_bytes": 19353,
    "media_type": "application/octet-stream",
    "since_ts": _EARLIER,
}

_SCAN: Final = {
    "mxc": MXC,
    "scan_state": "clean",
    "scanned_ts": _EARLIER,
    "signature_version": "27000",
    "is_current": True,
}
_HOLD: Final = {
    "target": "@held:test",
    "reason": "Verfahren 12/26",
    "until_ts": _LATER,
    "created_by": "@boss:test",
    "created_ts": _EARLIER,
    "in_force": True,
}
_CLASS: Final = {
    "lifetime_ms": 7_776_000_000,
    "oldest_age_ms": 7_777_000_000,
    "backlog_items": 3,
    "backlog_bytes": 1866,
    "last_success_ts": _EARLIER,
}
_DRY_RUN: Final = {
    "run_id": "dry",
    "state": "done",
    "dry_run": True,
    "classes": ["messages", "local_media"],
    "confirm": False,
    "started_by": "@boss:test",
    "created_ts": _EARLIER,
    "started_ts": _EARLIER,
    "finished_ts": _EARLIER,
    "progress": {"done": 4, "total": 4},
    "deleted": {"messages": 3, "local_media": 1, "remote_media": 0, "bytes": 8_300_000},
    "sample": [{"kind": "local_media", "target": MXC, "ts": _EARLIER, "size_bytes": 20000}],
    "needs_confirmation": [],
    "error": None,
}
_FAILED_RUN: Final = {**_DRY_RUN, "run_id": "failed", "state": "failed", "error": {"messages": "disk I/O error"}}
_WAITING_RUN: Final = {
    **_DRY_RUN,
    "run_id": "waiting",
    "dry_run": False,
    "state": "needs_confirmation",
    "needs_confirmation": ["messages"],
}
_QUEUED_RUN: Final = {**_DRY_RUN, "run_id": "queued", "state": "queued", "started_ts": None, "finished_ts": None}
_DELETED: Final = {
    "kind": "messages",
    "target": ROOM_ID,
    "items": 3,
    "size_bytes": 1866,
    "policy": "retention:messages",
    "planned_ts": _EARLIER,
    "done_ts": _EARLIER,
}

_DAY: Final = {
    "ts": _EARLIER,
    "users": 2,
    "included_bytes": 2_000_000_000,
    "used_bytes": 2_211_626,
    "local_bytes": 1_306_497,
    "remote_bytes": 0,
    "thumbnail_bytes": 905_129,
}
_RECOUNT: Final = {
    "run_id": "recount",
    "state": "done",
    "started_by": "@boss:test",
    "created_ts": _EARLIER,
    "started_ts": _EARLIER,
    "finished_ts": _EARLIER,
    "drift_bytes": {"local": 7, "remote": 0, "thumbnails": 0},
    "error": "the count was interrupted",
}
_ORPHANS: Final = {
    "run_id": "looked",
    "state": "done",
    "dry_run": True,
    "started_by": "@boss:test",
    "created_ts": _EARLIER,
    "started_ts": _EARLIER,
    "finished_ts": _EARLIER,
    "removed": {"files": 0, "bytes": 0},
    "report": {
        "complete": False,
        "looked_at": {"files": 6, "rows": 2},
        "files_without_rows": {
            "files": 1,
            "bytes": 4242,
            "kinds": [
                {
                    "place": "the media store",
                    "folder": "local_content",
                    "files": 1,
                    "bytes": 4242,
                    "sample": ["aa/bb/orphan"],
                }
            ],
        },
        "rows_without_files": {
            "rows": 1,
            "bytes": 5,
            "kinds": [{"place": "a bucket", "folder": "local_content", "rows": 1, "bytes": 5, "sample": ["cc/dd/row"]}],
        },
        "undecided_rows": 1,
        "young_files": 5,
        "foreign_files": 1,
        "not_looked_at": [{"place": "a bucket", "what": "local_content", "reason": "timed out"}],
        "not_looked_at_more": 0,
        "disbelieved": ["the other store"],
    },
    "error": "a bucket could not be looked at",
}
_RUNNING_LOOK: Final = {**_ORPHANS, "run_id": "looking", "state": "running", "finished_ts": None, "error": None}
_INVOICE: Final = {
    "month": "2026-11",
    "users": 2,
    "billed_users": 50,
    "storage": {"used_gb": 0.002, "included_gb": 2, "extension_gb": 0},
    "lines": [
        {
            "position": "ML.1",
            "description": "Registrierte Nutzer, Stufe 1 bis 199",
            "quantity": 50,
            "unit_price": "2.50",
            "amount": "125.00",
        }
    ],
    "currency": "EUR",
    "net": True,
    "total": "127.00",
    "preliminary": True,
    "contract": "V-4711",
    "address": "Amt A\nWeg 1",
    "customer_users": None,
    "price_list_valid_from": "2024-01-01",
    "gigabyte": 1_000_000_000,
    "readings": {"tiers": "whole", "minimum": "users"},
    "users_basis": "distinct",
    "storage_basis": "peak",
    "locked_users": 0,
    "days_counted": 1,
    "days": 30,
}

_PARTNER: Final = {
    "server_name": "amt-a.example",
    "organisation": "Amt A",
    "source": "managed",
    "valid_from_ts": None,
    "valid_until_ts": _LATER,
    "reason": "Vereinbarung vom 1.10.",
    "ticket": "REQ-4711",
    "requested_by": "Frau B, Amt A",
    "created_by": "@boss:test",
    "created_ts": _EARLIER,
}
_CHECK: Final = {"allowed": True, "matched": "amt-a.example", "because": "partner"}
_SIGNED_LIST: Final = {
    "source": "https://federation.example/partners.jws",
    "partners": 41,
    "version": 7,
    "expires_ts": _LATER,
    "verified_ts": _EARLIER,
    "checked_ts": _EARLIER,
    "error": "the signature is wrong",
    "pending": {"version": 8, "partners": 2, "dropped": ["amt-b.example"], "since_ts": _EARLIER},
}

OWN: Final[Answers] = MappingProxyType(
    {
        f"GET {BASE}/antivirus/status": _SCANNER,
        f"GET {BASE}/antivirus/scans/*/*": _SCAN,
        f"GET {BASE}/antivirus/findings": {"findings": [_FINDING], "total": 1},
        f"GET {BASE}/antivirus/findings/test/clean": None,
        f"GET {BASE}/antivirus/findings/*/*": _FINDING,
        f"POST {BASE}/antivirus/findings/*/*/release": {**_FINDING, "state": "released"},
        f"DELETE {BASE}/antivirus/findings/*/*": {},
        f"POST {BASE}/antivirus/signatures/*/release": {"released": 20},
        f"POST {BASE}/antivirus/rescan": {"run_id": "rescan"},
        f"GET {BASE}/antivirus/rescan/*": _RESCAN,
        f"POST {BASE}/antivirus/rescan/*/confirm": _RESCAN,
        f"DELETE {BASE}/antivirus/rescan/*": {},
        f"GET {BASE}/antivirus/held": {"held": [_HELD], "total": 1},
        f"POST {BASE}/antivirus/held/*/*/release": {"mxc": MXC},
        f"GET {BASE}/retention/status": {"messages": _CLASS, "local_media": _CLASS, "remote_media": _CLASS},
        f"GET {BASE}/retention/runs": {"runs": [_WAITING_RUN, _QUEUED_RUN, _FAILED_RUN, _DRY_RUN], "total": 4},
        f"GET {BASE}/retention/runs/failed": _FAILED_RUN,
        f"GET {BASE}/retention/runs/queued": _QUEUED_RUN,
        f"GET {BASE}/retention/runs/dry": _DRY_RUN,
        f"POST {BASE}/retention/runs": {"run_id": "dry"},
        f"DELETE {BASE}/retention/runs/*": {},
        f"GET {BASE}/retention/deletions": {"deletions": [_DELETED], "total": 1},
        f"GET {BASE}/retention/holds": {"holds": [_HOLD], "total": 1},
        f"GET {BASE}/retention/holds/@held:test": _HOLD,
        f"GET {BASE}/retention/holds/*": None,
        f"PUT {BASE}/retention/holds/*": _HOLD,
        f"GET {BASE}/retention/holding/@held:test": {"holds": [_HOLD], "total": 1},
        f"GET {BASE}/retention/holding/*": {"holds": [], "total": 0},
        f"DELETE {BASE}/retention/holds/*": {},
        f"GET {BASE}/storage/usage": {**_DAY, "free_bytes": 5, "extension_gb": 0, "as_of_ts": _EARLIER},
        f"GET {BASE}/storage/users": {"users": [{"user_id": "@alice:test", "used_bytes": 5, "files": 1}], "total": 1},
        f"GET {BASE}/storage/history": {"history": [_DAY], "total": 1},
        f"GET {BASE}/storage/invoice": _INVOICE,
        f"POST {BASE}/storage/recount": {"run_id": "recount"},
        f"GET {BASE}/storage/recount/*": _RECOUNT,
        f"GET {BASE}/storage/orphans": {"runs": [_ORPHANS, _RUNNING_LOOK], "total": 2},
        f"POST {BASE}/storage/orphans": {"run_id": "looked"},
        f"GET {BASE}/storage/orphans/looked": _ORPHANS,
        f"GET {BASE}/storage/orphans/looking": _RUNNING_LOOK,
        f"DELETE {BASE}/storage/orphans/*": {},
        f"GET {BASE}/federation/partners": {"partners": [_PARTNER], "total": 1},
        f"PUT {BASE}/federation/partners/*": _PARTNER,
        f"DELETE {BASE}/federation/partners/*": {},
        f"GET {BASE}/federation/partners/*/impact": {
            "rooms": 2,
            "local_users": 14,
            "remote_users": 3,
            "rooms_without_power": [ROOM_ID],
        },
        f"GET {BASE}/federation/check/amt-b.example": {"allowed": False, "matched": None, "because": "not_listed"},
        f"GET {BASE}/federation/check/*": _CHECK,
        f"GET {BASE}/federation/outsiders": {
            "rooms": [{"room_id": ROOM_ID, "servers": ["stranger.example"]}],
            "total": 1,
        },
        f"GET {BASE}/federation/signed_list": _SIGNED_LIST,
        f"POST {BASE}/federation/signed_list/refresh": _SIGNED_LIST,
        f"POST {BASE}/federation/signed_list/confirm": _SIGNED_LIST,
        f"GET {BASE}/oidc/links": {
            "links": [{"idp_id": "keycloak", "subject": "f1c2", "user_id": "@alice:test", "admin_by": "idp"}],
            "total": 1,
        },
    }
)
"""Every route of ours that pages ask."""
