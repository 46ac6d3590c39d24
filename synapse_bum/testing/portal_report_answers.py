"""What our own API answers to the portal about reports: availability, faults, days, settings, the audit.

In the shapes of docs/api.md; reports of faults that differ in their state differ in their id.
"""

from types import MappingProxyType
from typing import Final

from synapse_bum.rest import BASE
from synapse_bum.testing.portal_synapse_answers import NOW_MS, Answers

_EARLIER: Final = NOW_MS - 3_600_000
_LATER: Final = NOW_MS + 86_400_000

_OUTAGE: Final = {
    "id": "outage",
    "from_ts": _EARLIER - 1_800_000,
    "to_ts": _EARLIER,
    "ticket": "INC-4711",
    "excuse": None,
    "reason": "Netzteil ausgefallen",
    "source": "entered",
    "created_by": "@boss:test",
    "created_ts": _EARLIER,
    "changed_ts": _EARLIER,
}
_AVAILABILITY: Final = {
    "month": "2026-11",
    "preliminary": False,
    "service_minutes": 44640,
    "outage_minutes": 35,
    "excused_minutes": 15,
    "measured_outage_minutes": 60,
    "not_measured_minutes": 12,
    "allowed_minutes": 44,
    "availability": 0.99921594,
    "measured_availability": 0.99865591,
    "target": 0.999,
    "target_met": True,
    "outages": [_OUTAGE],
    "as_of_ts": _EARLIER,
}
_MAINTENANCE: Final = {
    "id": "maintenance",
    "from_ts": _LATER,
    "to_ts": _LATER + 3_600_000,
    "text": "Der Messenger wird aktualisiert.",
    "created_ts": _EARLIER,
}

_REPORTED: Final = {
    "id": "NEW",
    "category": 2,
    "text": "Seit heute kommen keine Dateien an.",
    "contact": "Erika Muster, 030 1",
    "email": "erika@amt.example",
    "reported_by": "@boss:test",
    "reported_ts": _EARLIER,
    "confirmed_by": None,
    "confirmed_ts": None,
    "due_ts": None,
    "answered_by": None,
    "answered_ts": None,
    "answer": None,
    "mails_waiting": 0,
    "mails_go_out": True,
}
_CONFIRMED: Final = {
    **_REPORTED,
    "id": "CONFIRMED",
    "confirmed_by": "@boss:test",
    "confirmed_ts": _EARLIER,
    "due_ts": _LATER,
}
_ANSWERED: Final = {
    **_CONFIRMED,
    "id": "ANSWERED",
    "answered_by": "@boss:test",
    "answered_ts": _EARLIER,
    "answer": "Erledigt.",
}
_AUDIT: Final = {
    "ts": _EARLIER,
    "actor": "idp:keycloak",
    "action": "antivirus.rescan.queued",
    "target": "rescan",
    "old": {"name": "vorher", "more": {"inner": "tief"}},
    "new": {"name": "nachher", "list": ["eins"]},
    "reason": "Ticket 4711",
    "hash": "b949cae9190e73f7754537b17eecf22204f504111f0704c2d5b700eb9e67f09f",
}
_CONFIGURATION: Final = {
    "modules": [
        {
            "module": "synapse_bum.retention.module.RetentionModule",
            "name": "retention",
            "settings": [{"key": "messages.lifetime", "value": 1, "unit": "years", "is_default": False}],
            "hidden": ["deletion_log_path"],
        }
    ],
    "other_modules": ["somebody.else.Module"],
    "synapse": [
        {"key": "max_upload_size", "value": 52_428_800, "unit": "bytes", "known": True},
        {"key": "registration_requires_token", "value": "Wort", "unit": None, "known": True},
    ],
}
_STATISTICS_DAY: Final = {
    "day": "2026-11-22",
    "ts": _EARLIER,
    "counted_ts": _EARLIER,
    "rooms": 118,
    "messages": 5310,
    "sent_messages": 4127,
    "active_users": 5,
    "registered_users": 1204,
}

REPORTS: Final[Answers] = MappingProxyType(
    {
        f"GET {BASE}/availability": _AVAILABILITY,
        f"GET {BASE}/availability/outages": {"outages": [_OUTAGE], "total": 1},
        f"POST {BASE}/availability/outages": _OUTAGE,
        f"GET {BASE}/availability/outages/*": _OUTAGE,
        f"PUT {BASE}/availability/outages/*": _OUTAGE,
        f"DELETE {BASE}/availability/outages/*": {},
        f"GET {BASE}/maintenance": {"maintenance": [_MAINTENANCE], "total": 1},
        f"POST {BASE}/maintenance": _MAINTENANCE,
        f"GET {BASE}/maintenance/*": _MAINTENANCE,
        f"PUT {BASE}/maintenance/*": _MAINTENANCE,
        f"DELETE {BASE}/maintenance/*": {},
        f"POST {BASE}/portal/files/delete": {"deleted": 1, "left": 0, "held_by": None},
        f"GET {BASE}/portal/files/deletion/*": {"user_id": "@alice:test", "left": 1, "removing": 0},
        f"GET {BASE}/portal/statistics": {"statistics": [_STATISTICS_DAY], "total": 1},
        f"GET {BASE}/portal/configuration": _CONFIGURATION,
        f"GET {BASE}/portal/tickets": {
            "tickets": [_REPORTED, _CONFIRMED, _ANSWERED],
            "total": 3,
            "mails_go_out": True,
        },
        f"POST {BASE}/portal/tickets": _REPORTED,
        f"GET {BASE}/portal/tickets/NEW": _REPORTED,
        f"GET {BASE}/portal/tickets/CONFIRMED": _CONFIRMED,
        f"GET {BASE}/portal/tickets/ANSWERED": _ANSWERED,
        f"POST {BASE}/portal/tickets/*/confirm": _CONFIRMED,
        f"POST {BASE}/portal/tickets/*/answer": _ANSWERED,
        f"GET {BASE}/audit": {"audit": [_AUDIT], "total": 1},
    }
)
"""Every route of reports that pages ask."""
