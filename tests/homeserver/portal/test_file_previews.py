"""Previews of files: only where they are switched on, only of pictures that were scanned, once, and written down."""

import re
from collections.abc import Mapping
from html import unescape
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import patch

from synapse.rest.client import media
from synapse.server import HomeServer

from synapse_bum.antivirus.stored.backlog import TICK_MS
from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.portal.files.passes import LIFETIME_MS
from synapse_bum.testing import malware
from synapse_bum.testing.encrypted_files import encrypted
from synapse_bum.testing.engines import FakeEngine
from synapse_bum.testing.portal_case import Browser, PortalTestCase

SCRIPT = "<script>alert('x')</script>"
ESCAPED = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"
PICTURE = re.compile(r'<img src="([^"]+)"')
OWNER = "owner=%40alice%3Atest"
THUMBNAIL = "GET /_matrix/client/v1/media/thumbnail/"
REASON = {"reason": "Meldung 4711"}


class PreviewCase(PortalTestCase):
    """A homeserver whose antivirus asks a scripted scanner, and whose portal shows previews."""

    portal: ClassVar[Mapping[str, Any]] = {"file_previews": True}
    has_antivirus: ClassVar[bool] = True
    servlets: ClassVar[list[Any]] = [*PortalTestCase.servlets, media.register_servlets]

    def default_config(self) -> dict[str, Any]:
        config = super().default_config()
        if self.has_antivirus:
            settings = {"max_scan_size": "2M", "when_scanner_fails": "accept"}
            config["modules"].append({"module": "synapse_bum.antivirus.AntivirusModule", "config": settings})
        return config

    def make_homeserver(self, *reactor_and_clock: object) -> HomeServer:
        self.engine = FakeEngine()
        with patch("synapse_bum.antivirus.module.build_engines", return_value=[self.engine]):
            return super().make_homeserver(*reactor_and_clock)

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        super().prepare(*reactor_clock_and_homeserver)
        self.token = self.login("alice", "pass")
        self.settle()
        self.browser.log_in()

    def settle(self) -> None:
        for _ in range(12):
            self.reactor.advance(TICK_MS / 1000 / 2)
            self.pump()

    def upload(self, content: bytes = malware.png(40, 40), kind: str = "image/png", name: str = "lage.png") -> str:
        """Uploads as alice; returns the media id."""
        channel = self.make_request(
            "POST",
            f"/_matrix/media/v3/upload?filename={name}",
            content=content,
            access_token=self.token,
            shorthand=False,
            content_type=kind.encode(),
            custom_headers=[("Content-Length", str(len(content)))],
        )
        assert channel.code == HTTPStatus.OK, channel.json_body
        self.pump()
        uri: str = channel.json_body["content_uri"]
        return uri.rpartition("/")[2]

    def path(self, media_id: str) -> str:
        return f"files/test/{media_id}/preview?{OWNER}"

    def picture_of(self, page: str) -> str:
        """The address of the picture in a page."""
        return unescape(PICTURE.findall(page)[0])

    def views(self) -> list[dict[str, Any]]:
        """The rows that say that somebody looked at a file."""
        path = "/_synapse/client/bum/v1/audit?action=portal.file.view"
        rows: list[dict[str, Any]] = self.make_request("GET", path, access_token=self.boss_token()).json_body["audit"]
        return rows

    def boss_token(self) -> str:
        return self.login("boss", "pass")

    def quarantine(self, media_id: str, by: str) -> None:
        store = self.hs.get_datastores().main
        change = store.db_pool.simple_update_one
        self.get_success(change("local_media_repository", {"media_id": media_id}, {"quarantined_by": by}))

    def refused(self, media_id: str, sentence: str) -> None:
        """Asserts that neither the form nor its button leads anywhere, and that nothing was written down."""
        assert sentence in self.browser.get(f"files/test/{media_id}?{OWNER}")
        assert "Vorschau ansehen" not in self.browser.get(f"files/test/{media_id}?{OWNER}")
        assert sentence in self.browser.get(self.path(media_id))
        form = self.browser.token(self.browser.get("holds/new" if not self.has_antivirus else "files"))
        page = self.browser.post(self.path(media_id), {"_form": form, **REASON})
        assert self.browser.status == HTTPStatus.CONFLICT
        assert sentence in page
        assert "<img" not in page
        assert self.views() == []


class ShownTests(PreviewCase):
    def test_a_scanned_picture_is_shown_once_with_a_reason_in_the_audit(self) -> None:
        media_id = self.upload(name="%3Cscript%3Ealert('x')%3C/script%3E")
        page = self.browser.get(f"files/test/{media_id}?{OWNER}")
        assert "Es wurde nichts gefunden." in page
        assert "Vorschau ansehen …" in page
        page = self.browser.submit(self.path(media_id))
        assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY, "a reason is required"
        assert self.views() == []
        page = self.browser.submit(self.path(media_id), REASON)
        assert self.browser.status == HTTPStatus.OK
        assert ESCAPED in page
        assert "<script" not in page
        [row] = self.views()
        assert (row["actor"], row["target"], row["reason"]) == (self.boss, f"mxc://test/{media_id}", "Meldung 4711")
        assert row["new"] == {"owner": self.alice}
        assert THUMBNAIL not in self.asked(), "written down before anything was read"
        address = self.picture_of(page)
        self.browser.get(address)
        assert self.browser.status == HTTPStatus.OK
        assert self.browser.header("Content-Type") == "image/png"
        assert self.browser.header("Content-Disposition") == "inline"
        assert self.browser.header("X-Content-Type-Options") == "nosniff"
        assert "no-store" in self.browser.header("Cache-Control")
        assert "default-src 'none'" in self.browser.header("Content-Security-Policy")
        assert self.browser.channel.result["body"].startswith(b"\x89PNG")
        page = self.browser.get(address)
        assert self.browser.status == HTTPStatus.GONE
        assert "Sie gilt einmal" in page
        assert len(self.views()) == 1

    def asked(self) -> str:
        return str([f"{request.method} {request.url}" for request in self.homeserver_api.asked])

    def test_the_same_form_sent_again_shows_and_writes_nothing(self) -> None:
        media_id = self.upload()
        form = self.browser.token(self.browser.get(self.path(media_id)))
        self.browser.post(self.path(media_id), {"_form": form, **REASON})
        page = self.browser.post(self.path(media_id), {"_form": form, **REASON})
        assert "<img" not in page
        assert len(self.views()) == 1

    def test_a_pass_is_for_its_session_its_file_and_a_minute(self) -> None:
        media_id, other_id = self.upload(), self.upload(malware.png(41, 41))
        address = self.picture_of(self.browser.submit(self.path(media_id), REASON))
        self.register_user("chief", "pass", admin=True)
        other = Browser(self)
        other.log_in("chief")
        other.get(address)
        assert other.status == HTTPStatus.GONE
        self.browser.get(address.replace(media_id, other_id))
        assert self.browser.status == HTTPStatus.GONE
        self.browser.get(address.replace("pass=", "pass=x"))
        assert self.browser.status == HTTPStatus.GONE
        self.wait(LIFETIME_MS / 1000 + 1)
        self.settle()
        self.browser.get(address)
        assert self.browser.status == HTTPStatus.GONE

    def test_who_is_logged_out_sees_no_picture(self) -> None:
        media_id = self.upload()
        address = self.picture_of(self.browser.submit(self.path(media_id), REASON))
        stranger = Browser(self)
        stranger.get(address)
        assert stranger.status == HTTPStatus.UNAUTHORIZED

    def test_what_is_blocked_between_the_page_and_its_picture_is_not_shown(self) -> None:
        media_id = self.upload()
        address = self.picture_of(self.browser.submit(self.path(media_id), REASON))
        self.quarantine(media_id, "@boss:test")
        page = self.browser.get(address)
        assert self.browser.status == HTTPStatus.CONFLICT
        assert "Die Datei ist gesperrt." in page

    def test_without_its_row_in_the_audit_nothing_is_shown(self) -> None:
        media_id = self.upload()
        with patch("synapse_bum.portal.homeserver_api.steps.append", side_effect=OSError("full")):
            page = self.browser.submit(self.path(media_id), REASON)
        assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert "<img" not in page

    def test_what_is_no_small_picture_is_not_passed_on(self) -> None:
        media_id = self.upload()
        for body in (b"<svg onload=alert(1)>", b"\x89PNG\r\n\x1a\n" + b"x" * 2**23, b""):
            self.homeserver_api.scripted[THUMBNAIL] = HttpAnswer(200, "image/png", "", body)
            page = self.browser.get(self.picture_of(self.browser.submit(self.path(media_id), REASON)))
            assert self.browser.status == HTTPStatus.CONFLICT, body[:10]
            assert "kein verkleinertes Bild" in page
        self.homeserver_api.scripted[THUMBNAIL] = OSError("away")
        self.browser.get(self.picture_of(self.browser.submit(self.path(media_id), REASON)))
        assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE


class RefusedTests(PreviewCase):
    def test_what_was_not_scanned(self) -> None:
        self.engine.reachable = False
        self.refused(self.upload(), "noch nicht auf Viren geprüft.")

    def test_what_was_scanned_with_older_signatures(self) -> None:
        media_id = self.upload()
        self.wait(1)
        sql = "UPDATE synapse_bum_antivirus_verdicts SET signature_version = 'of old'"
        self.get_success(self.hs.get_module_api().run_db_interaction("test", lambda txn: txn.execute(sql)))
        self.refused(media_id, "nicht mit den neuesten Virensignaturen geprüft")

    def test_while_the_scanner_is_away(self) -> None:
        media_id = self.upload()
        self.engine.reachable = False
        self.wait(120)
        self.settle()
        self.refused(media_id, "oder die Virenprüfung ist gestört")

    def test_what_is_no_picture_or_one_that_may_hold_programs(self) -> None:
        svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>\n'
        for content, kind in ((svg, "image/svg+xml"), (b"The quick brown fox jumps.\n" * 50, "text/plain")):
            self.refused(self.upload(content, kind), "nur von Bildern der Arten PNG, JPEG, GIF und WebP")

    def test_what_only_says_that_it_is_a_picture(self) -> None:
        media_id = self.upload(b"<script>alert(1)</script>", "image/png")
        page = self.browser.get(self.picture_of(self.browser.submit(self.path(media_id), REASON)))
        assert self.browser.status == HTTPStatus.CONFLICT
        assert "kein verkleinertes Bild" in page

    def test_what_is_encrypted(self) -> None:
        self.refused(self.upload(encrypted(b"x" * 5_000).ciphertext, "image/png"), "Ende-zu-Ende-verschlüsselt")

    def test_what_somebody_has_quarantined_and_what_waits_for_its_scan(self) -> None:
        media_id = self.upload()
        self.quarantine(media_id, "@boss:test")
        self.refused(media_id, "Die Datei ist gesperrt.")
        self.quarantine(media_id, "synapse_bum:held")
        self.refused(media_id, "Die Datei wartet auf ihre Prüfung.")

    def test_nothing(self) -> None:
        for path in ("files/test/nothing/preview?" + OWNER, "files/test/nothing/preview/picture?pass=x&" + OWNER):
            self.browser.get(path)
            assert self.browser.status == HTTPStatus.NOT_FOUND, path


class WithoutAntivirusTests(PreviewCase):
    has_antivirus = False

    def test_there_are_none_at_all(self) -> None:
        self.refused(self.upload(), "keine Virenprüfung eingerichtet")


class SwitchedOffTests(PreviewCase):
    portal: ClassVar[Mapping[str, Any]] = {}

    def test_by_default_there_is_no_way_to_one(self) -> None:
        media_id = self.upload()
        page = self.browser.get(f"files/test/{media_id}?{OWNER}")
        assert "Das Portal zeigt den Inhalt von Dateien nicht an." in page
        assert "Vorschau ansehen" not in page
        form = self.browser.token(page)
        self.browser.get(self.path(media_id))
        assert self.browser.status == HTTPStatus.NOT_FOUND
        self.browser.post(self.path(media_id), {"_form": form, **REASON})
        assert self.browser.status == HTTPStatus.NOT_FOUND
        self.browser.get(f"files/test/{media_id}/preview/picture?pass=x")
        assert self.browser.status == HTTPStatus.NOT_FOUND
        assert self.views() == []
