"""Files: whose there are, one user's, one file, and its deletion."""

import json
from http import HTTPStatus
from typing import Any

from synapse.rest.client import media

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.testing.portal_case import PortalTestCase

SCRIPT = "<script>alert('x')</script>"
ESCAPED = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"
FINDING = "GET /_synapse/client/bum/v1/antivirus/findings/"
SCAN = "GET /_synapse/client/bum/v1/antivirus/scans/"
ONE_FILE = "GET /_synapse/admin/v1/media/"


def answer(body: object, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, "application/json", "", json.dumps(body).encode())


UNKNOWN = answer({"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"}, 405)


OWNER = "owner=%40alice%3Atest"
"""As in the links of the list: before 1.140 Synapse tells of a file only to those who know whose it is."""


class FileCase(PortalTestCase):
    servlets = [*PortalTestCase.servlets, media.register_servlets]

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        super().prepare(*reactor_clock_and_homeserver)
        self.token = self.login("alice", "pass")

    def upload(self, content: bytes = b"hello", name: str = "a.txt") -> str:
        """Uploads as alice; returns the media id."""
        uri: str = self.helper.upload_media(content, tok=self.token, filename=name)["content_uri"]
        self.wait(1)
        return uri.rpartition("/")[2]

    def quarantine(self, media_id: str, by: str) -> None:
        store = self.hs.get_datastores().main
        self.get_success(
            store.db_pool.simple_update_one("local_media_repository", {"media_id": media_id}, {"quarantined_by": by})
        )

    def is_stored(self, media_id: str) -> bool:
        return self.get_success(self.hs.get_datastores().main.get_local_media(media_id)) is not None


class WhoseTestCase(FileCase):
    def test_accounts_without_their_storage(self) -> None:
        self.upload()
        self.browser.log_in()
        page = self.browser.get("files?q=ali")
        assert 'href="/_synapse/client/bum/portal/users/%40alice%3Atest/files"' in page
        assert "Größe" not in page
        assert "statistics/users/media" not in str([request.url for request in self.homeserver_api.asked])

    def test_the_address_of_a_file_leads_to_it(self) -> None:
        media_id = self.upload()
        self.browser.log_in()
        self.browser.get(f"files?q=mxc://test/{media_id}")
        assert self.browser.location.endswith(f"/files/test/{media_id}")
        page = self.browser.get("files?q=mxc://test/%22%3E%3Cscript%3E")
        assert self.browser.status == HTTPStatus.OK
        assert "<script" not in page


class ActivityTestCase(FileCase):
    portal = {"show_activity": True}

    def test_the_largest_first_and_last_access(self) -> None:
        media_id = self.upload(b"x" * 1234)
        self.browser.log_in()
        assert "1,2\N{NO-BREAK SPACE}kB" in self.browser.get("files")
        assert "Zuletzt abgerufen" in self.browser.get(f"users/{self.alice}/files")
        assert "Zuletzt abgerufen" in self.browser.get(f"files/test/{media_id}?{OWNER}")


class OfUserTestCase(FileCase):
    def test_order_lock_and_names(self) -> None:
        small, large = self.upload(b"x"), self.upload(b"x" * 5000, SCRIPT)
        self.quarantine(small, "@boss:test")
        self.browser.log_in()
        page = self.browser.get(f"users/{self.alice}/files?order=largest")
        assert page.index(large) < page.index(small)
        page = self.browser.get(f"users/{self.alice}/files?order=smallest")
        assert page.index(small) < page.index(large)
        assert ESCAPED in page
        assert "<script" not in page
        assert '<span class="tag">gesperrt</span>' in page
        assert "Einträge 1 bis 2 von 2" in page
        assert "Zuletzt abgerufen" not in page

    def test_nobody(self) -> None:
        self.browser.log_in()
        self.browser.get("users/@none:test/files")
        assert self.browser.status == HTTPStatus.NOT_FOUND


class FileTestCase(FileCase):
    def test_what_is_known_and_nothing_more(self) -> None:
        media_id = self.upload(name=SCRIPT)
        self.browser.log_in()
        page = self.browser.get(f"files/test/{media_id}?{OWNER}")
        assert ESCAPED in page
        assert "<script" not in page
        assert "keine Virenprüfung eingerichtet" in page
        assert "@alice:test" in page
        assert "<img" not in page

    def test_the_state_of_its_scan(self) -> None:
        media_id = self.upload()
        self.browser.log_in()
        scripted = self.homeserver_api.scripted
        nothing = answer({"errcode": "M_NOT_FOUND", "error": "There is no finding about this file"}, 404)
        scripted[FINDING] = scripted[SCAN] = nothing
        page = self.browser.get(f"files/test/{media_id}?{OWNER}")
        assert "Nicht gesperrt, kein Fund." in page
        assert "sauber" not in page
        for state, sentence in (
            ("clean", "Es wurde nichts gefunden."),
            ("unscanned", "noch nicht geprüft"),
            ("encrypted", "Die Datei ist verschlüsselt."),
        ):
            found = {"scan_state": state, "scanned_ts": None, "signature_version": None, "is_current": False}
            scripted[SCAN] = answer(found)
            assert sentence in self.browser.get(f"files/test/{media_id}?{OWNER}")
        scripted[FINDING] = answer({"state": "blocked", "signature": SCRIPT})
        page = self.browser.get(f"files/test/{media_id}?{OWNER}")
        assert f"„{ESCAPED}“" in page
        assert "<script" not in page
        scripted[FINDING] = OSError("away")
        self.browser.get(f"files/test/{media_id}?{OWNER}")
        assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE

    def test_with_an_old_synapse_from_the_list_of_its_owner(self) -> None:
        media_id = self.upload(name="alt.txt")
        self.browser.log_in()
        self.homeserver_api.scripted[ONE_FILE] = UNKNOWN
        assert "alt.txt" in self.browser.get(f"files/test/{media_id}?{OWNER}")
        page = self.browser.get(f"files/test/{media_id}")
        assert "erst ab Version 1.140" in page
        assert "Datei löschen" not in page
        self.browser.get(f"files/test/{media_id}/delete")
        assert self.browser.status == HTTPStatus.NOT_FOUND, "nobody knows who holds it"
        self.browser.get(f"files/test/nothing?{OWNER}")
        assert self.browser.status == HTTPStatus.NOT_FOUND

    def test_one_of_another_server_is_not_deleted_here(self) -> None:
        info = {"media_id": "abc", "media_type": "image/png", "media_length": 7, "created_ts": 1, "user_id": None}
        self.homeserver_api.scripted[ONE_FILE] = answer({"media_info": info})
        self.browser.log_in()
        page = self.browser.get("files/other.example/abc")
        assert "Jemand auf other.example" in page
        assert "Datei löschen" not in page
        self.browser.get("files/other.example/abc/delete")
        assert self.browser.status == HTTPStatus.NOT_FOUND


class DeletionTestCase(FileCase):
    more_modules = ({"module": "synapse_bum.retention.RetentionModule", "config": {}},)

    def test_it_asks_and_deletes_once(self) -> None:
        media_id = self.upload()
        self.browser.log_in()
        page = self.browser.get(f"files/test/{media_id}/delete?{OWNER}")
        assert f"Die Datei mxc://test/{media_id} wird auf diesem Server gelöscht" in page
        assert "Hochgeladen von @alice:test" in page
        assert self.is_stored(media_id)
        page = self.browser.submit(f"files/test/{media_id}/delete?{OWNER}")
        assert "ist gelöscht." in page
        assert "Dateien von @alice:test" in page
        # Hidden at once; what is on the disk goes a moment later, see test_file_deletion.py.
        self.browser.get(f"files/test/{media_id}?{OWNER}")
        assert self.browser.status == HTTPStatus.NOT_FOUND
        self.browser.get(f"files/test/{media_id}/delete?{OWNER}")
        assert self.browser.status == HTTPStatus.NOT_FOUND

    def test_what_is_held_stays_and_says_so_before_anybody_confirms(self) -> None:
        media_id = self.upload()
        self.browser.log_in()
        form = self.browser.token(self.browser.get(f"files/test/{media_id}/delete?{OWNER}"))
        path = f"/_synapse/client/bum/v1/retention/holds/{self.alice}"
        hold = {"reason": f"Verfahren {SCRIPT}", "until_ts": self.now_ms() + 10**10}
        token = self.login("boss", "pass")
        assert self.make_request("PUT", path, hold, access_token=token).code == HTTPStatus.OK
        page = self.browser.get(f"files/test/{media_id}/delete?{OWNER}")
        assert "kann diese Datei nicht gelöscht werden" in page
        assert ESCAPED in page
        assert "<script" not in page
        assert "Datei löschen</button>" not in page
        self.browser.post(f"files/test/{media_id}/delete?{OWNER}", {"_form": form})
        assert self.browser.status == HTTPStatus.CONFLICT
        assert self.is_stored(media_id)

    def test_a_room_that_its_owner_has_left_holds_it_too(self) -> None:
        media_id = self.upload()
        boss = self.login("boss", "pass")
        room_id = self.helper.create_room_as(self.boss, tok=boss)
        self.helper.join(room_id, self.alice, tok=self.token)
        self.helper.leave(room_id, self.alice, tok=self.token)
        path = f"/_synapse/client/bum/v1/retention/holds/{room_id}"
        hold = {"reason": "Verfahren 12/26", "until_ts": self.now_ms() + 10**10}
        assert self.make_request("PUT", path, hold, access_token=boss).code == HTTPStatus.OK
        self.browser.log_in()
        assert "Verfahren 12/26" in self.browser.get(f"files/test/{media_id}/delete?{OWNER}")
