"""Holds in the portal, with the retention itself behind them."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import quote, unquote

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.portal.presentation.hold_terms import last_day, until_ms
from synapse_bum.rest import BASE
from synapse_bum.testing.portal_case import PortalTestCase

HOLDS = f"{BASE}/retention/holds"
DAY_MS = 86_400_000
EVIL = "<script>alert('x')</script>"
ESCAPED = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"
RETENTION = {"module": "synapse_bum.retention.RetentionModule", "config": {}}


def answer(content: Mapping[str, Any], status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, "application/json", "", json.dumps(content).encode())


class HoldsPageTestCase(PortalTestCase):
    more_modules = (RETENTION,)

    def setUp(self) -> None:
        super().setUp()
        self.browser.log_in()
        self.day = last_day(self.now_ms() + 30 * DAY_MS)

    def fields(self, **given: str) -> dict[str, str]:
        return {"target": "@alice:test", "until": self.day, "reason": "Verfahren 12/26", **given}

    def changes(self) -> list[tuple[str, str, Any]]:
        """Every request that changed a hold: method, target, body."""
        asked = [r for r in self.homeserver_api.asked if "/retention/holds/" in r.url and r.method != "GET"]
        return [(r.method, unquote(r.url.rpartition("/")[2]), json.loads(r.body or b"null")) for r in asked]


class HoldTestCase(HoldsPageTestCase):
    def test_a_hold_is_set_changed_and_lifted(self) -> None:
        page = self.browser.get("holds")
        assert "Keine Einträge gefunden." in page
        page = self.browser.submit("holds/new", self.fields())
        assert "Die Löschsperre für @alice:test ist gesetzt." in page
        german = ".".join(reversed(self.day.split("-")))
        assert f"bis einschließlich {german}" in page
        assert "Verfahren 12/26" in page
        assert '<span class="tag">gilt</span>' in page
        assert "alle Dateien, die es hochgeladen hat" in page
        assert self.changes() == [("PUT", "@alice:test", {"reason": "Verfahren 12/26", "until_ts": until_ms(self.day)})]

        page = self.browser.get("holds/%40alice%3Atest/edit")
        assert f'value="{self.day}"' in page
        page = self.browser.submit("holds/%40alice%3Atest/edit", {"until": self.day, "reason": "Neues Zeichen"})
        assert "Die Löschsperre für @alice:test ist geändert." in page
        assert "Neues Zeichen" in page
        assert self.changes()[-1][2]["until_ts"] == until_ms(self.day)

        page = self.browser.get("holds/%40alice%3Atest/lift")
        assert "Gelöschtes lässt sich nicht zurückholen." in page
        assert "Begründung der Sperre: Neues Zeichen" in page
        assert len(self.changes()) == 2
        page = self.browser.submit("holds/%40alice%3Atest/lift")
        assert "Die Löschsperre für @alice:test ist aufgehoben." in page
        assert "Keine Einträge gefunden." in page
        assert [method for method, _target, _body in self.changes()] == ["PUT", "PUT", "DELETE"]

    def test_what_was_typed_wrong_is_said_and_kept(self) -> None:
        for fields, sentence in (
            (self.fields(target="alice"), "Das ist keine vollständige Kennung."),
            (self.fields(target="#lage:test"), "Das ist die Adresse eines Raums."),
            (self.fields(target="@nobody:test"), "Diesen Nutzer oder Raum kennt der Server nicht."),
            (self.fields(until=last_day(self.now_ms() - 2 * DAY_MS)), "schon vorbei"),
            (self.fields(until="9999-12-31"), "höchstens 100 Jahre"),
            (self.fields(reason=" "), "Bitte füllen Sie dieses Feld aus."),
        ):
            page = self.browser.submit("holds/new", fields)
            assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY, fields
            assert sentence in page
            assert fields["target"] in page
        assert "Keine Einträge gefunden." in self.browser.get("holds")

    def test_a_hold_that_is_there_is_not_replaced_unseen(self) -> None:
        self.browser.submit("holds/new", self.fields())
        page = self.browser.submit("holds/new", self.fields(reason="etwas anderes"))
        assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert "Hierfür gibt es schon eine Löschsperre" in page
        assert len(self.changes()) == 1

    def test_the_target_can_come_with_the_address(self) -> None:
        assert 'value="@alice:test"' in self.browser.get("holds/new?target=%40alice%3Atest")

    def test_a_room_of_this_server(self) -> None:
        room_id = self.helper.create_room_as("alice", tok=self.login("alice", "pass"))
        page = self.browser.submit("holds/new", self.fields(target=room_id))
        assert "Hält alle Nachrichten des Raums und alle Dateien aller" in page
        assert f'href="/_synapse/client/bum/portal/rooms/{quote(room_id, safe="")}"' in page

    def test_lifting_what_somebody_else_has_lifted(self) -> None:
        self.browser.submit("holds/new", self.fields())
        token = self.browser.token(self.browser.get("holds/%40alice%3Atest/lift"))
        self.homeserver_api.scripted[f"DELETE {HOLDS}/"] = answer(
            {"errcode": "M_NOT_FOUND", "error": "There is no hold on @alice:test"}, 404
        )
        self.browser.post("holds/%40alice%3Atest/lift", {"_form": token})
        assert "war schon aufgehoben" in self.browser.follow()

    def test_no_hold_no_page(self) -> None:
        for path in ("holds/%40alice%3Atest/edit", "holds/%40alice%3Atest/lift"):
            self.browser.get(path)
            assert self.browser.status == HTTPStatus.NOT_FOUND

    def test_nothing_breaks_out(self) -> None:
        hold = {
            "target": f"@{EVIL}:far.example",
            "reason": EVIL,
            "until_ts": self.now_ms() + DAY_MS + 1,
            "created_by": f"@{EVIL}:test",
            "created_ts": 1,
            "in_force": False,
        }
        self.homeserver_api.scripted[f"GET {HOLDS}?"] = answer({"holds": [hold], "total": 1})
        self.homeserver_api.scripted[f"GET {HOLDS}/"] = answer(hold)
        page = self.browser.get("holds")
        assert page.count(ESCAPED) >= 3
        assert '<span class="tag">beendet</span>' in page
        assert "alle Dateien des Servers far.example" in page
        for path in ("holds/%40alice%3Atest/edit", "holds/%40alice%3Atest/lift"):
            page += self.browser.get(path)
            assert self.browser.status == HTTPStatus.OK
        page += self.browser.submit("holds/new", self.fields(target=EVIL, reason=EVIL))
        assert "<script" not in page

    def test_an_api_that_is_away_is_no_empty_list(self) -> None:
        self.homeserver_api.scripted[f"GET {HOLDS}"] = OSError("away")
        page = self.browser.get("holds")
        assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert "Keine Einträge" not in page


class NoOperatorTestCase(HoldsPageTestCase):
    server: ClassVar[Mapping[str, Any]] = {}
    more_modules = ({"module": "synapse_bum.retention.RetentionModule", "config": {"operator_users": ["@op:test"]}},)
    portal: ClassVar[Mapping[str, Any]] = {"operator_users": ["@op:test"]}

    def test_others_read_only(self) -> None:
        page = self.browser.get("holds")
        assert "Änderungen sind den Betreibern vorbehalten." in page
        assert "holds/new" not in page
        for path in ("holds/new", "holds/%40alice%3Atest/lift", "holds/%40alice%3Atest/edit"):
            self.browser.get(path)
            assert self.browser.status == HTTPStatus.FORBIDDEN
        assert self.changes() == []


class NotLoadedTestCase(PortalTestCase):
    def test_that_there_are_no_holds_here_is_said(self) -> None:
        self.browser.log_in()
        for path in ("holds", "holds/new", "retention", "retention/runs", "retention/deletions", "retention/dry-run"):
            assert "nicht eingerichtet" in self.browser.get(path), path


class HereTestCase(HoldsPageTestCase):
    """What the pages of users and rooms say of holds."""

    def setUp(self) -> None:
        super().setUp()
        self.room = self.helper.create_room_as(self.alice, tok=self.login("alice", "pass"))
        self.places = {self.alice: f"users/{self.alice}", self.room: f"rooms/{self.room}"}

    def test_each_has_a_way_to_set_one_with_the_target_filled_in(self) -> None:
        for target, place in self.places.items():
            page = self.browser.get(place)
            assert "Es gilt keine Löschsperre." in page
            address = f"/_synapse/client/bum/portal/holds/new?target={quote(target, safe='')}"
            assert f'href="{address}"' in page
            assert f'value="{target}"' in self.browser.get(address)

    def test_one_in_force_is_shown_and_no_second_one_is_offered(self) -> None:
        for target in self.places:
            self.browser.submit("holds/new", self.fields(target=target, reason=EVIL))
        for target, place in self.places.items():
            page = self.browser.get(place)
            assert "gilt bis einschließlich" in page, target
            assert ESCAPED in page
            assert "<script" not in page
            assert "holds/new" not in page

    def test_one_on_a_room_is_shown_with_its_members_who_may_have_their_own(self) -> None:
        self.browser.submit("holds/new", self.fields(target=self.room))
        page = self.browser.get(self.places[self.alice])
        assert f"Für {self.room} gilt bis einschließlich" in page
        assert "holds/new" in page


class HereForOthersTestCase(PortalTestCase):
    more_modules = (RETENTION,)
    portal: ClassVar[Mapping[str, Any]] = {"operator_users": ["@chief:test"]}

    def test_who_is_no_operator_reads_and_sets_none(self) -> None:
        self.browser.log_in()
        page = self.browser.get(f"users/{self.alice}")
        assert "Es gilt keine Löschsperre." in page
        assert "holds/new" not in page


class HereWithoutRetentionTestCase(PortalTestCase):
    def test_nothing_is_said_of_holds(self) -> None:
        self.browser.log_in()
        assert "Löschsperre" not in self.browser.get(f"users/{self.alice}")
