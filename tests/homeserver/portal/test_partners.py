"""Partners, the check of a server, outsiders and the signed list, with the federation module itself behind them."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.testing.portal_case import PortalTestCase

API = "/_synapse/client/bum/v1/federation"
EVIL = "<script>alert('x')</script>"
ESCAPED = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"
NAME = "messenger.amt-a.example"
LIST: Mapping[str, Any] = {
    "source": "https://federation.example/partners.jws",
    "partners": 41,
    "version": 7,
    "expires_ts": 4_000_000_000_000,
    "verified_ts": 1_795_362_228_165,
    "checked_ts": 1_795_362_228_165,
    "error": None,
    "pending": None,
}
WAITS = {"version": 8, "partners": 20, "dropped": ["a.example", EVIL], "since_ts": 1_795_362_228_165}


def answer(content: Mapping[str, Any], status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, "application/json", "", json.dumps(content).encode())


class FederationPortalTestCase(PortalTestCase):
    federation: ClassVar[Mapping[str, Any]] = {}
    server: ClassVar[Mapping[str, Any]] = {"federation_domain_whitelist": []}

    def default_config(self) -> dict[str, Any]:
        config = super().default_config()
        module = {"module": "synapse_bum.federation.FederationModule", "config": dict(self.federation)}
        config["modules"].append(module)
        return config

    def setUp(self) -> None:
        super().setUp()
        self.browser.log_in()

    def add(self, name: str = NAME, **fields: str) -> str:
        return self.browser.submit("partners/new", {"server_name": name, "reason": "Vereinbarung", **fields})

    def sent(self, method: str) -> Sequence[dict[str, Any]]:
        asked = [request for request in self.homeserver_api.asked if request.method == method and API in request.url]
        return [json.loads(request.body or b"{}") for request in asked]

    def partner(self, name: str = NAME) -> dict[str, Any]:
        token = self.login("boss", "pass")
        listed = self.make_request("GET", f"{API}/partners", access_token=token).json_body["partners"]
        return next(one for one in listed if one["server_name"] == name)


class PartnersTestCase(FederationPortalTestCase):
    def test_an_empty_list_says_what_that_means(self) -> None:
        assert "Dieser Server tauscht mit keinem anderen Nachrichten aus." in self.browser.get("partners")

    def test_a_partner_is_added_with_days_as_people_mean_them(self) -> None:
        page = self.add(
            "Messenger.AMT-A.example",
            organisation=EVIL,
            valid_from="2000-01-31",
            valid_until="2030-03-30",
            ticket="REQ-4711",
            requested_by="Frau B",
        )
        assert f"{NAME} ist jetzt als Partner eingetragen." in page
        assert "<h1>messenger.amt-a.example</h1>" in page
        assert "30.03.2030" in page
        assert "bis 31.03.2030, 00:00 Uhr" in page
        assert "REQ-4711" in page
        assert ESCAPED in page
        assert "<script" not in page
        page = self.browser.get("partners")
        assert "ab 31.01.2000" in page
        assert "bis einschließlich 30.03.2030" in page
        assert "Beantragt von: Frau B" in page
        assert '<span class="tag">noch nicht gültig</span>' in page
        assert "hier eingetragen" in page
        assert "<script" not in page

    def test_a_partner_is_never_changed_by_adding_it_again(self) -> None:
        self.add(organisation="Amt A")
        page = self.add("MESSENGER.amt-a.example", organisation="Amt B")
        assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert "messenger.amt-a.example ist schon eingetragen." in page
        assert self.partner()["organisation"] == "Amt A"

    def test_names_that_are_none_are_explained_and_the_rest_is_kept(self) -> None:
        for name, said in (
            ("192.168.0.1", "IP-Adresse"),
            ("co.uk", "vollständigen Servernamen"),
            ("*.land.example", "nicht erlaubt"),
            (EVIL, "kein Servername"),
            ("a b", "kein Servername"),
        ):
            page = self.add(name, organisation="Amt A")
            assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY, name
            assert said in page, name
            assert 'value="Amt A"' in page
            assert "<script" not in page

    def test_what_is_typed_wrong_is_asked_for_again_before_anything_is_sent(self) -> None:
        self.browser.submit("partners/new", {"server_name": NAME, "reason": " "})
        assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY
        page = self.add(valid_from="2030-01-02", valid_until="2030-01-01")
        assert "Der letzte Tag liegt vor dem ersten." in page
        page = self.add(valid_until="9999-12-31")
        assert "zwischen 2000 und 2199" in page
        assert self.sent("PUT") == []

    def test_one_day_is_a_time_too(self) -> None:
        self.add(valid_from="2030-01-01", valid_until="2030-01-01")
        partner = self.partner()
        assert partner["valid_until_ts"] - partner["valid_from_ts"] == 86_400_000
        assert "noch nicht gültig" in self.browser.get("partners")

    def test_an_edit_changes_what_was_changed_and_keeps_moments_exact(self) -> None:
        exact = 1_900_000_000_123
        token = self.login("boss", "pass")
        body = {"reason": "genau", "valid_until_ts": exact, "organisation": "Amt A", "ticket": "1"}
        assert self.make_request("PUT", f"{API}/partners/{NAME}", body, access_token=token).code == HTTPStatus.OK
        page = self.browser.get(f"partners/{NAME}/edit")
        assert "Bisherige Begründung: genau" in page
        assert 'value="2030-03-17"' in page
        fields = {"organisation": "Amt B", "valid_until": "2030-03-17", "ticket": "1", "reason": "umbenannt"}
        page = self.browser.submit(f"partners/{NAME}/edit", fields)
        assert "sind gespeichert" in page
        partner = self.partner()
        assert partner["valid_until_ts"] == exact
        assert (partner["organisation"], partner["reason"], partner["ticket"]) == ("Amt B", "umbenannt", "1")

    def test_a_removal_shows_what_it_touches_asks_for_the_name_and_happens_once(self) -> None:
        self.add()
        impact = {"rooms": 2, "local_users": 14, "remote_users": 1, "rooms_without_power": [f"!{EVIL}:x"] * 25}
        self.homeserver_api.scripted[f"GET {API}/partners/{NAME}/impact"] = answer(impact)
        page = self.browser.get(f"partners/{NAME}/remove")
        assert "Betroffen sind 2 gemeinsame Räume." in page
        assert "Darin ist ein Nutzer des Partners." in page
        assert "In 25 Räumen kann niemand von hier" in page
        assert "und 5 weitere Räume" in page
        assert ESCAPED in page
        assert "<script" not in page
        self.browser.submit(f"partners/{NAME}/remove", {"reason": "Ende", "typed": "anderer.example"})
        assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert self.sent("DELETE") == []
        page = self.browser.submit(f"partners/{NAME}/remove", {"reason": "Ende", "typed": NAME})
        assert f"{NAME} ist kein Partner mehr." in page
        assert self.sent("DELETE") == [{"reason": "Ende"}]
        self.browser.get(f"partners/{NAME}")
        assert self.browser.status == HTTPStatus.NOT_FOUND

    def test_the_impact_is_what_the_server_counts(self) -> None:
        self.add()
        page = self.browser.get(f"partners/{NAME}/remove")
        assert "Mit diesem Partner gibt es keine gemeinsamen Räume." in page

    def test_a_removal_that_takes_too_long_is_said_to_go_on(self) -> None:
        self.add()
        self.homeserver_api.scripted[f"DELETE {API}/partners/{NAME}"] = ConnectionError("slow")
        self.browser.submit(f"partners/{NAME}/remove", {"reason": "Ende", "typed": NAME})
        assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE, "it is still there: nobody knows"
        self.homeserver_api.scripted[f"GET {API}/partners?"] = answer({"partners": [], "total": 0})
        token = self.browser.token(self.browser.get("partners/new"))
        self.homeserver_api.scripted.pop(f"GET {API}/partners?")
        listed = answer({"partners": [self.partner()], "total": 1})
        gone = answer({"partners": [], "total": 0})
        asked = iter([listed, gone, gone])
        loopback = self.homeserver_api
        send = loopback.send

        async def scripted(exchange: Any, request: Any, seconds: float) -> HttpAnswer:  # noqa: ANN401 - as it comes
            if request.method == "GET" and request.url.startswith(f"https://api.example{API}/partners?"):
                return next(asked)
            return await send(exchange, request, seconds)

        loopback.send = scripted  # type: ignore[method-assign]
        self.browser.post(f"partners/{NAME}/remove", {"_form": token, "reason": "Ende", "typed": NAME})
        assert self.browser.status == HTTPStatus.SEE_OTHER
        assert f"{NAME} wird noch entfernt." in self.browser.follow()

    def test_a_server_that_another_entry_lets_in_is_not_called_gone(self) -> None:
        self.add()
        allowed = {"allowed": True, "matched": "*.example", "because": "partner"}
        self.homeserver_api.scripted[f"GET {API}/check/{NAME}"] = answer(allowed)
        page = self.browser.submit(f"partners/{NAME}/remove", {"reason": "Ende", "typed": NAME})
        assert "Der Server darf aber weiterhin Nachrichten austauschen" in page

    def test_a_server_that_is_away_is_no_empty_list(self) -> None:
        self.homeserver_api.scripted[f"GET {API}/partners"] = ConnectionError("away")
        page = self.browser.get("partners")
        assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert "keine Partner" not in page


class ConfiguredTestCase(FederationPortalTestCase):
    federation: ClassVar[Mapping[str, Any]] = {
        "partners": {"fest.example": {"organisation": "Amt F"}, "*.land.example": {}},
        "allow_wildcards": True,
        "managed": False,
    }

    def test_what_stands_in_the_configuration_is_shown_and_can_not_be_changed(self) -> None:
        page = self.browser.get("partners")
        assert "Amt F" in page
        assert "Konfiguration" in page
        page = self.browser.get("partners/fest.example")
        assert "Dieser Partner steht in der Konfiguration des Servers." in page
        assert "/remove" not in page
        page = self.browser.submit("partners/fest.example/edit", {"reason": "x"})
        assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert "Nur dort kann er geändert oder entfernt werden." in page
        page = self.browser.submit("partners/fest.example/remove", {"reason": "x", "typed": "fest.example"})
        assert "Nur dort kann er geändert oder entfernt werden." in page

    def test_partners_of_run_time_may_be_switched_off(self) -> None:
        page = self.add()
        assert "Auf diesem Server können Partner nur in der Konfiguration geändert werden." in page

    def test_wildcards_are_explained_and_decide(self) -> None:
        page = self.browser.get("partners/%2A.land.example")
        assert "alle Server, deren Name auf den Teil hinter dem Sternchen endet" in page
        page = self.add("*.LAND.example")
        assert "*.land.example ist schon eingetragen." in page
        page = self.browser.get("server-check?name=Amt.Land.example")
        assert "Amt.Land.example darf Nachrichten mit diesem Server austauschen." in page
        assert "portal/partners/%2A.land.example" in page


class CheckTestCase(FederationPortalTestCase):
    def test_who_may_and_who_not_and_why(self) -> None:
        assert self.browser.get("server-check").count("notice") == 0
        page = self.browser.get("server-check?name=fremd.example")
        assert "fremd.example darf keine Nachrichten mit diesem Server austauschen." in page
        assert "Der Server ist kein Partner." in page
        assert "partners/new?name=fremd.example" in page
        self.add("fremd.example")
        page = self.browser.get("server-check?name=fremd.example")
        assert "Der Server ist Partner." in page
        assert "Das ist dieser Server selbst." in self.browser.get("server-check?name=test")

    def test_nonsense_is_a_friendly_word(self) -> None:
        for name in ("%3Cscript%3Ealert(1)", "..", "a/b", "%22%3E%3Cscript%3E", "%ff", "x" * 300, "a%20b"):
            page = self.browser.get(f"server-check?name={name}")
            assert self.browser.status == HTTPStatus.UNPROCESSABLE_ENTITY, name
            assert "<script" not in page
            assert "kein Servername" in page or "nicht an" in page, name

    def test_rooms_with_servers_that_are_out(self) -> None:
        assert "Keine Einträge gefunden." in self.browser.get("outsiders")
        rooms = [{"room_id": "!a:test", "servers": [EVIL, *(f"s{n}.example" for n in range(24))]}]
        self.homeserver_api.scripted[f"GET {API}/outsiders"] = answer({"rooms": rooms, "total": 1})
        page = self.browser.get("outsiders")
        assert "und 5 weitere" in page
        assert ESCAPED in page
        assert "<script" not in page


class SignedListTestCase(FederationPortalTestCase):
    def test_where_there_is_none_it_says_so(self) -> None:
        assert "keine signierte Partnerliste eingerichtet" in self.browser.get("signed-list")
        assert "Signierte Partnerliste" not in self.browser.get("partners")

    def test_a_list_that_waits_is_taken_over_with_a_reason(self) -> None:
        self.homeserver_api.scripted[f"GET {API}/signed_list"] = answer({**LIST, "pending": WAITS})
        assert "Sie nimmt 2 Partner weg" in self.browser.get("partners")
        page = self.browser.get("signed-list")
        assert "Sie nimmt 2 Partner weg" in page
        assert ESCAPED in page
        assert "<script" not in page
        page = self.browser.get("signed-list/confirm")
        assert "a.example fällt weg." in page
        assert "<script" not in page
        self.homeserver_api.scripted[f"POST {API}/signed_list/confirm"] = answer(LIST)
        page = self.browser.submit("signed-list/confirm", {"reason": "Rückfrage beim Herausgeber"})
        assert "Die neue Liste ist übernommen." in page
        assert self.sent("POST") == [{"reason": "Rückfrage beim Herausgeber"}]
        error = {"errcode": "M_UNKNOWN", "error": "No list waits for this, or it can't be taken over any more"}
        self.homeserver_api.scripted[f"POST {API}/signed_list/confirm"] = answer(error, 409)
        page = self.browser.submit("signed-list/confirm", {"reason": "noch einmal"})
        assert "Es wartet keine Liste mehr" in page

    def test_looking_for_it_says_how_that_went(self) -> None:
        scripted = self.homeserver_api.scripted
        for known, said in (
            (LIST, "auf dem neuesten Stand"),
            ({**LIST, "error": EVIL}, "konnte nicht erneuert werden"),
            ({**LIST, "pending": WAITS}, "wartet auf Ihre Entscheidung"),
        ):
            scripted[f"GET {API}/signed_list"] = scripted[f"POST {API}/signed_list/refresh"] = answer(known)
            page = self.browser.submit("signed-list/refresh")
            assert said in page
            assert "<script" not in page


class ForOperatorsTestCase(FederationPortalTestCase):
    def default_config(self) -> dict[str, Any]:
        config = super().default_config()
        for module in config["modules"]:
            module["config"]["operator_users"] = ["@other:test"]
        return config

    def test_others_see_everything_and_change_nothing(self) -> None:
        page = self.browser.get("partners")
        assert "den Betreibern vorbehalten" in page
        assert "partners/new" not in page
        assert "partners/new" not in self.browser.get("server-check?name=fremd.example")
        for step in ("partners/new", "partners/a.example/edit", "partners/a.example/remove", "signed-list/confirm"):
            assert "Den Betreibern vorbehalten" in self.browser.get(step), step


class NotLoadedTestCase(PortalTestCase):
    def test_it_is_said_that_there_is_no_federation_module(self) -> None:
        self.browser.log_in()
        for path in ("partners", f"partners/{NAME}", "server-check?name=a.example", "outsiders", "signed-list"):
            assert "Auf diesem Server nicht eingerichtet" in self.browser.get(path), path
