"""Rooms: the list, one room, its files, and its deletion."""

import json
from http import HTTPStatus
from typing import Any

from synapse.rest.client import directory

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.testing.portal_case import PortalTestCase

SCRIPT = "<script>alert('x')</script>"
ESCAPED = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"
ENCRYPTION = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}


def answer(body: object, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, "application/json", "", json.dumps(body).encode())


class RoomCase(PortalTestCase):
    servlets = [*PortalTestCase.servlets, directory.register_servlets]

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        super().prepare(*reactor_clock_and_homeserver)
        self.token = self.login("alice", "pass")

    def room(self, name: str | None = "Lage", **extra: Any) -> str:  # noqa: ANN401 - of the API
        content = {"topic": "Thema", **({} if name is None else {"name": name}), **extra}
        room_id: str = self.helper.create_room_as("alice", tok=self.token, extra_content=content)
        self.wait(1)
        return room_id

    def say(self, room_id: str, content: dict[str, Any]) -> None:
        self.helper.send_event(room_id, "m.room.message", content, tok=self.token)

    def is_member(self, room_id: str) -> bool:
        path = f"/_synapse/admin/v1/users/{self.alice}/joined_rooms"
        answer = self.make_request("GET", path, access_token=self.login("boss", "pass"))
        return room_id in answer.json_body["joined_rooms"]

    def deletions_asked(self) -> list[dict[str, Any]]:
        asked = [r for r in self.homeserver_api.asked if r.method == "DELETE" and "/v2/rooms/" in r.url]
        return [json.loads(request.body or b"{}") for request in asked]


class ListTestCase(RoomCase):
    def test_each_room_with_what_matters(self) -> None:
        room_id = self.room(initial_state=[ENCRYPTION])
        self.browser.log_in()
        page = self.browser.get("rooms")
        assert "Einträge 1 bis 1 von 1" in page
        assert "<bdi>Lage</bdi>" in page
        assert room_id in page
        assert '<span class="tag">verschlüsselt</span>' in page
        assert '<span class="tag">für andere Server offen</span>' in page
        assert "@alice:test" in page

    def test_search_by_name_address_and_id_and_pages(self) -> None:
        other = self.room("Anders", room_alias_name="treffpunkt")
        for number in range(52):
            self.homeserver_room(number)
        self.browser.log_in()
        assert "Einträge 1 bis 50 von 53" in self.browser.get("rooms")
        page = self.browser.get("rooms?order=members&from=50")
        assert "Einträge 51 bis 53 von 53" in page
        for typed in ("anders", "treffpunkt", "%23treffpunkt:test", "%23treffpunkt", other.replace("!", "%21")):
            page = self.browser.get(f"rooms?q={typed}")
            assert "Einträge 1 bis 1 von 1" in page, typed
            assert "<bdi>Anders</bdi>" in page
        assert "Keine Einträge gefunden." in self.browser.get("rooms?q=nirgends&order=members")

    def homeserver_room(self, number: int) -> None:
        """A row as Synapse's own statistics have it: making fifty rooms takes a minute."""
        store = self.hs.get_datastores().main
        room_id = f"!r{number}:test"
        for table, values in (
            ("rooms", {"is_public": False, "creator": self.alice, "room_version": "10"}),
            ("room_stats_state", {"name": f"Raum {number}"}),
            ("room_stats_current", dict.fromkeys(STATS, 1)),
        ):
            self.get_success(store.db_pool.simple_insert(table, {"room_id": room_id, **values}))

    def test_what_users_write_is_text_and_nothing_else(self) -> None:
        room_id = self.room(SCRIPT, topic=SCRIPT)
        self.browser.log_in()
        for path in ("rooms", f"rooms/{room_id}", f"rooms/{room_id}/files", f"rooms/{room_id}/delete"):
            page = self.browser.get(path)
            assert self.browser.status == HTTPStatus.OK
            assert ESCAPED in page, path
            assert "<script" not in page
        assert "<script" not in self.browser.get("rooms?q=%22%3E%3Cscript%3E&order=%3Cscript%3E")

    def test_no_answer_is_no_empty_list(self) -> None:
        self.browser.log_in()
        self.homeserver_api.scripted["GET /_synapse/admin/v1/rooms"] = OSError("away")
        page = self.browser.get("rooms")
        assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert "Keine Einträge" not in page


STATS = (
    "current_state_events",
    "joined_members",
    "invited_members",
    "left_members",
    "banned_members",
    "local_users_in_room",
    "completed_delta_stream_id",
    "knocked_members",
)


class SizesTestCase(RoomCase):
    def test_sqlite_says_that_it_cannot(self) -> None:
        self.browser.log_in()
        assert "Dieser Server benutzt SQLite." in self.browser.get("rooms/sizes")

    def test_without_statistics_of_postgresql(self) -> None:
        room_id = self.room()
        failed = answer({"errcode": "M_UNKNOWN", "error": "Internal server error"}, 500)
        self.homeserver_api.scripted["GET /_synapse/admin/v1/statistics/database/rooms"] = failed
        self.browser.log_in()
        for path in ("rooms/sizes", f"rooms/{room_id}"):
            assert "Zurzeit nicht bekannt" in self.browser.get(path)
            assert self.browser.status == HTTPStatus.OK

    def test_the_largest_with_a_room_that_is_gone(self) -> None:
        room_id = self.room()
        sizes = [{"room_id": room_id, "estimated_size": 12_300_000}, {"room_id": "!gone:test", "estimated_size": 5}]
        self.homeserver_api.scripted["GET /_synapse/admin/v1/statistics/database/rooms"] = answer({"rooms": sizes})
        self.browser.log_in()
        page = self.browser.get("rooms/sizes")
        assert "12,3\N{NO-BREAK SPACE}MB" in page
        assert "!gone:test" in page
        assert "etwa 12,3\N{NO-BREAK SPACE}MB" in self.browser.get(f"rooms/{room_id}")


class DetailTestCase(RoomCase):
    def test_members_with_their_power(self) -> None:
        room_id = self.room(room_version="10")
        bob = self.register_user("bob", "pass")
        self.helper.invite(room_id, self.alice, bob, tok=self.token)
        self.helper.join(room_id, bob, tok=self.login("bob", "pass"))
        self.wait(1)
        self.browser.log_in()
        page = self.browser.get(f"rooms/{room_id}")
        assert "2 Mitglieder, 2 von diesem Server" in page
        assert page.index("@alice:test</a></th>") < page.index("@bob:test</a></th>")
        assert "Administrator des Raums" in page
        assert "Alle, die die Adresse kennen" in page
        assert "Dieser Server benutzt SQLite." in page

    def test_a_room_that_does_not_exist(self) -> None:
        self.browser.log_in()
        for path in ("", "/files", "/delete", "/deletion"):
            self.browser.get(f"rooms/!none:test{path}")
            assert self.browser.status == HTTPStatus.NOT_FOUND, path


class FilesTestCase(RoomCase):
    def test_files_in_clear_and_nonsense_that_somebody_sent(self) -> None:
        room_id = self.room()
        for url in ("mxc://test/abc", "mxc://other.example/def", 'mxc://test/"><script>alert(1)', "mxc://test/abc"):
            self.say(room_id, {"msgtype": "m.file", "body": "x", "url": url})
        self.browser.log_in()
        page = self.browser.get(f"rooms/{room_id}/files")
        assert 'href="/_synapse/client/bum/portal/files/test/abc"' in page
        assert 'href="/_synapse/client/bum/portal/files/other.example/def"' in page
        assert "Keine gültige Adresse" in page
        assert "<script" not in page
        assert "Einträge 1 bis 3 von 3" in page
        assert "kann der Server nicht sehen" not in page

    def test_an_encrypted_room_says_why_it_cannot(self) -> None:
        room_id = self.room(initial_state=[ENCRYPTION])
        self.browser.log_in()
        assert "kann der Server nicht sehen" in self.browser.get(f"rooms/{room_id}/files")


class DeletionTestCase(RoomCase):
    FIELDS = {"reason": "Beschluss 7", "history": "purge"}

    def test_it_says_what_happens_and_does_it_once(self) -> None:
        room_id = self.room()
        self.browser.log_in()
        page = self.browser.get(f"rooms/{room_id}/delete")
        assert "Es wird 1 Mitglied von diesem Server entfernt." in page
        assert self.deletions_asked() == []
        fields = {"_form": self.browser.token(page), **self.FIELDS}
        self.browser.post(f"rooms/{room_id}/delete", fields)
        self.browser.post(f"rooms/{room_id}/delete", fields)
        assert self.deletions_asked() == [{"block": False, "purge": True}]
        self.wait(5)
        page = self.browser.get(f"rooms/{room_id}/deletion")
        assert "Die Löschung ist abgeschlossen." in page
        assert "nicht mehr vorhanden" in page
        assert self.browser.header("Refresh") == ""
        assert not self.is_member(room_id)
        self.browser.get(f"rooms/{room_id}")
        assert self.browser.location.endswith("/deletion")

    def test_nothing_without_a_reason(self) -> None:
        room_id = self.room()
        self.browser.log_in()
        page = self.browser.submit(f"rooms/{room_id}/delete", {"reason": " ", "history": "keep", "block": "on"})
        assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert "Bitte füllen Sie dieses Feld aus." in page
        assert self.deletions_asked() == []
        assert self.is_member(room_id)

    def test_block_keep_and_tell(self) -> None:
        room_id = self.room()
        self.browser.log_in()
        told = {"reason": "x", "history": "keep", "block": "on", "message": "Bitte nutzen Sie den neuen Raum."}
        self.browser.submit(f"rooms/{room_id}/delete", told)
        self.wait(5)
        (asked,) = self.deletions_asked()
        assert asked == {
            "block": True,
            "purge": False,
            "new_room_user_id": self.boss,
            "message": "Bitte nutzen Sie den neuen Raum.",
            "room_name": "Hinweis: „Lage“ wurde gelöscht",
        }
        page = self.browser.get(f"rooms/{room_id}/deletion")
        assert "Raum mit der Mitteilung" in page
        assert "noch vorhanden" in page
        page = self.browser.get(f"rooms/{room_id}")
        assert "Dieser Raum ist gesperrt (von @boss:test)" in page

    def test_progress_loads_itself_and_shows_failures(self) -> None:
        room_id = self.room()
        told = {"kicked_users": ["@a:test"], "failed_to_kick_users": ["@<b>:test"], "new_room_id": None}
        running = {"delete_id": "x", "room_id": room_id, "status": "active", "shutdown_room": told}
        beginning = "GET /_synapse/admin/v2/rooms/"
        self.homeserver_api.scripted[beginning] = answer({"results": [{**running, "status": "failed"}, running]})
        self.browser.log_in()
        page = self.browser.get(f"rooms/{room_id}/deletion")
        assert self.browser.header("Refresh").startswith("4; ")
        assert "Der Raum wird gelöscht." in page
        assert "@&lt;b&gt;:test" in page
        assert "Dieser Raum wird gerade gelöscht." in self.browser.get(f"rooms/{room_id}")
        self.homeserver_api.scripted[beginning] = answer({"results": [{**running, "status": "failed"}]})
        page = self.browser.get(f"rooms/{room_id}/deletion")
        assert self.browser.header("Refresh") == ""
        assert "fehlgeschlagen" in page
        assert "Noch einmal versuchen" in page

    def test_one_that_runs_already_is_not_begun_again(self) -> None:
        room_id = self.room()
        refusal = {"errcode": "M_UNKNOWN", "error": f"Purge already in progress for {room_id}"}
        self.homeserver_api.scripted["DELETE /_synapse/admin/v2/rooms/"] = answer(refusal, 400)
        result = {"delete_id": "x", "room_id": room_id, "status": "active", "shutdown_room": None}
        self.homeserver_api.scripted["GET /_synapse/admin/v2/rooms/"] = answer({"results": [result]})
        self.browser.log_in()
        assert "Dieser Raum wird schon gelöscht." in self.browser.submit(f"rooms/{room_id}/delete", self.FIELDS)


class HeldRoomTestCase(RoomCase):
    more_modules = ({"module": "synapse_bum.retention.RetentionModule", "config": {}},)

    def test_a_room_on_hold_stays(self) -> None:
        room_id = self.room()
        boss = self.login("boss", "pass")
        path = f"/_synapse/client/bum/v1/retention/holds/{room_id}"
        hold = {"reason": f"Verfahren {SCRIPT}", "until_ts": self.now_ms() + 10**10}
        self.browser.log_in()
        token = self.browser.token(self.browser.get(f"rooms/{room_id}/delete"))
        assert self.make_request("PUT", path, hold, access_token=boss).code == HTTPStatus.OK
        page = self.browser.get(f"rooms/{room_id}/delete")
        assert "gilt bis" in page
        assert ESCAPED in page
        page = self.browser.post(f"rooms/{room_id}/delete", {"_form": token, **DeletionTestCase.FIELDS})
        assert "gilt bis" in page
        assert self.deletions_asked() == []
        assert self.is_member(room_id)

    def test_a_hold_on_somebody_who_has_left_holds_what_he_sent_there(self) -> None:
        room_id = self.room()
        boss, alice = self.login("boss", "pass"), self.login("alice", "pass")
        self.helper.join(room_id, self.alice, tok=alice)
        self.helper.leave(room_id, self.alice, tok=alice)
        path = f"/_synapse/client/bum/v1/retention/holds/{self.alice}"
        hold = {"reason": "Verfahren 12/26", "until_ts": self.now_ms() + 10**10}
        assert self.make_request("PUT", path, hold, access_token=boss).code == HTTPStatus.OK
        self.browser.log_in()
        assert "Verfahren 12/26" in self.browser.get(f"rooms/{room_id}/delete")
        self.browser.submit(f"rooms/{room_id}/delete", DeletionTestCase.FIELDS)
        assert self.deletions_asked() == []
