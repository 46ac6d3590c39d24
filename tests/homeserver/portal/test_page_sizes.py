"""Full pages are no larger than 100 kB: names as long as people choose them, and lists as long as they are shown."""

import datetime as dt
import json
import re
from html import unescape
from typing import Any, ClassVar
from urllib.parse import urlsplit

from synapse_bum.homeserver.http_exchange import HttpAnswer, HttpRequest
from synapse_bum.portal.accounts import user_import
from synapse_bum.portal.statistics import periods
from synapse_bum.testing.portal_case import PortalTestCase

MOST_BYTES = 100_000
FULL = 50
NAME = "Dr. Annegret Musterfrau-Schönhuber (Referat Z 14, Bonn) "
ROOM = "Projektgruppe Digitale Akte, Abstimmung der Unterarbeitsgruppe 3: Schnittstellen und Betrieb "
SENTENCE = (
    "Aufbewahrung bis zum Abschluss des Verfahrens, Aktenzeichen Z 14-12007/33#4, auf Wunsch des Justiziars. " * 2
)
TS = 1_790_000_000_000
HASH = "a1" * 32

_HIDDEN = re.compile(r'<input type="hidden" name="(_form|lines|passwords)" value="([^"]*)">')
_SECRET = re.compile(r'<code class="secret">([^<]+)</code>')


def user(number: int) -> dict[str, Any]:
    return {
        "name": f"@annegret.musterfrau-schoenhuber{number}:test",
        "displayname": f"{NAME}{number}",
        "deactivated": False,
        "admin": True,
        "locked": True,
        "shadow_banned": True,
        "creation_ts": TS,
        "last_seen_ts": TS,
    }


def room(number: int) -> dict[str, Any]:
    return {
        "room_id": f"!{HASH[:42]}{number}:test",
        "name": f"{ROOM}{number}",
        "canonical_alias": f"#projektgruppe-digitale-akte-{number}:test",
        "joined_members": 1000,
        "joined_local_members": 900,
        "encryption": "m.megolm.v1.aes-sha2",
        "federatable": True,
        "public": True,
        "creator": f"@annegret.musterfrau-schoenhuber{number}:test",
        "version": "10",
        "join_rules": "invite",
    }


def file(number: int) -> dict[str, Any]:
    return {
        "media_id": f"{HASH[:24]}{number}",
        "media_type": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "media_length": 4_711_000,
        "upload_name": f"{ROOM}{number}.docx",
        "created_ts": TS,
        "last_access_ts": TS,
        "quarantined_by": "@annegret.musterfrau-schoenhuber:test",
        "safe_from_quarantine": False,
    }


def audit_row(number: int) -> dict[str, Any]:
    changed = {"display_name": NAME, "email": "annegret.musterfrau-schoenhuber@behoerde.example", "until_ts": TS}
    return {
        "id": number,
        "ts": TS,
        "actor": "@annegret.musterfrau-schoenhuber:test",
        "action": "portal.user.edit",
        "target": f"@annegret.musterfrau-schoenhuber{number}:test",
        "old": changed,
        "new": changed,
        "reason": SENTENCE,
        "prev_hash": HASH,
        "hash": HASH,
    }


def hold(number: int) -> dict[str, Any]:
    return {
        "target": f"@annegret.musterfrau-schoenhuber{number}:test",
        "reason": SENTENCE,
        "until_ts": TS,
        "created_by": "@annegret.musterfrau-schoenhuber:test",
        "created_ts": TS,
        "in_force": True,
    }


def finding(number: int) -> dict[str, Any]:
    return {
        "mxc": f"mxc://test/{HASH[:24]}{number}",
        "sha256": HASH,
        "signature": "Win.Trojan.Emotet-9951800-0.UNOFFICIAL",
        "state": "blocked",
        "source": "content_scanner",
        "uploader": f"@annegret.musterfrau-schoenhuber{number}:test",
        "reporter": None,
        "found_ts": TS,
    }


def answer(**values: object) -> HttpAnswer:
    return HttpAnswer(200, "application/json", "", json.dumps(values).encode())


class FullListsTestCase(PortalTestCase):
    portal: ClassVar = {"show_activity": True}

    def test_lists(self) -> None:
        full = range(FULL)
        media = {"media": [file(number) for number in full], "total": 20_000}
        usage = [{"user_id": user(n)["name"], "displayname": NAME, "media_count": n, "media_length": n} for n in full]
        status = {
            "scanner_ok": True,
            "engine": "clamd",
            "engine_version": "ClamAV 1.4.6",
            "signature_version": "27000",
            "signature_ts": TS,
            "effective_max_scan_bytes": 26_214_400,
            "self_test": {},
            "totals": dict.fromkeys(("scanned", "clean", "infected", "failed", "unscanned"), 1),
        }
        lists: dict[str, dict[str, HttpAnswer]] = {
            "users": {"_synapse/admin/v2/users?": answer(users=[user(n) for n in full], total=10_000)},
            "rooms": {"_synapse/admin/v1/rooms?": answer(rooms=[room(n) for n in full], total_rooms=5_000)},
            "files": {"_synapse/admin/v1/statistics/users/media": answer(users=usage, total=10_000)},
            "users/@alice:test/files": {"_synapse/admin/v1/users/%40alice%3Atest/media": answer(**media)},
            "audit": {"_synapse/client/bum/v1/audit": answer(audit=[audit_row(n) for n in full], total=20_000)},
            "holds": {"_synapse/client/bum/v1/retention/holds": answer(holds=[hold(n) for n in full], total=2_000)},
            "findings": {
                "_synapse/client/bum/v1/antivirus/status": answer(**status),
                "_synapse/client/bum/v1/antivirus/findings": answer(findings=[finding(n) for n in full], total=2_000),
            },
        }
        self.browser.log_in()
        for path, answers in lists.items():
            self.homeserver_api.scripted = {f"GET /{beginning}": found for beginning, found in answers.items()}
            self.assert_small(self.browser.get(path), path)

    def test_statistics_of_two_years(self) -> None:
        self.browser.log_in()
        for span in periods.SPANS:
            days = [TS - 86_400_000 * number for number in range(int(span))]
            own = ("rooms", "messages", "sent_messages", "active_users", "registered_users")
            counted = [{"day": _day(ts), "ts": ts, **dict.fromkeys(own, ts // 1_000)} for ts in days]
            stored = [{"ts": ts, "users": ts // 1_000, "used_bytes": ts, "included_bytes": ts * 2} for ts in days]
            self.homeserver_api.scripted = {
                "GET /_synapse/client/bum/v1/portal/statistics": answer(statistics=counted, total=len(days)),
                "GET /_synapse/client/bum/v1/storage/history": answer(history=stored, total=len(days)),
            }
            self.assert_small(self.browser.get(f"statistics?span={span}"), span)

    def assert_small(self, page: str, what: str) -> None:
        assert self.browser.status == 200, what
        assert len(page) > 3_000, what
        assert len(page.encode()) <= MOST_BYTES, (what, len(page.encode()))


class FullImportTestCase(PortalTestCase):
    """An import of as many accounts as one may have, of which every fifth can't be made."""

    def setUp(self) -> None:
        super().setUp()
        self.browser.log_in()
        lines = [f"annegret.musterfrau-schoenhuber{n};{NAME}{n};musterfrau{n}@behoerde.example;ja" for n in range(400)]
        bad = [f"Annegret Musterfrau-Schönhuber {n};{NAME}{n};a;vielleicht" for n in range(100)]
        self.text = "\n".join(["benutzername;anzeigename;e-mail;administrator", *lines, *bad])
        self.homeserver_api.scripted = {
            "GET /_synapse/admin/v1/username_available": answer(available=True),
            "GET /_synapse/admin/v1/threepid": HttpAnswer(404, "", "", b'{"errcode":"M_NOT_FOUND","error":""}'),
            "PUT /_synapse/admin/v2/users/": self.made,
            "PUT /_synapse/admin/v1/users/": answer(),
        }

    def made(self, request: HttpRequest) -> HttpAnswer:
        if urlsplit(request.url).path.endswith("9%3Atest"):
            return HttpAnswer(400, "", "", json.dumps({"errcode": "M_UNKNOWN", "error": SENTENCE[:80]}).encode())
        return HttpAnswer(201, "application/json", "", b"{}")

    def send(self, path: str, page: str, **more: str) -> str:
        forms = [dict(_HIDDEN.findall(form)) for form in page.split("<form")[1:]]
        fields = next(found for found in forms if (path == "users/import/run") == ("lines" in found) and len(found) > 1)
        return self.browser.post(path, {**{name: unescape(value) for name, value in fields.items()}, **more})

    def assert_small(self, page: str) -> None:
        assert self.browser.status == 200
        assert len(page.encode()) <= MOST_BYTES, len(page.encode())

    def preview(self) -> str:
        token = self.browser.token(self.browser.get("users/import"))
        return self.browser.post("users/import", {"_form": token, "rows": self.text})

    def test_preview_and_result(self) -> None:
        page = self.preview()
        self.assert_small(page)
        page = self.send("users/import/run", page)
        self.assert_small(page)
        assert "360 Konten wurden angelegt." in page
        assert "1 bis 50 von 400" in page
        passwords: list[str] = []
        for number in range(0, 400, 50):
            page = self.send("users/import/results", page, **{"from": str(number)})
            self.assert_small(page)
            passwords += _SECRET.findall(page)
            assert page.count("Der Server hat abgelehnt: Aufbewahrung") >= 5
        assert len(set(passwords)) == 360
        assert "Vorherige Seite" in page
        assert "Nächste Seite" not in page
        page = self.send("users/import/results", page, **{"from": "999999"})
        assert "400 bis 400 von 400" in page

    def test_half_of_it(self) -> None:
        page, moments = self.preview(), iter([0.0] * 202)
        clock = user_import.carry_out.__defaults__
        user_import.carry_out.__defaults__ = (lambda: next(moments, 1_000.0),)
        try:
            page = self.send("users/import/run", page)
        finally:
            user_import.carry_out.__defaults__ = clock
        self.assert_small(page)
        assert "199 Konten sind noch nicht angelegt." in page
        assert "152 bis 201 von 201" in page
        assert "Seite</button>" not in page


def _day(ts: int) -> str:
    return dt.datetime.fromtimestamp(ts / 1_000, dt.timezone.utc).date().isoformat()
