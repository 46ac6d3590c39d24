"""The configuration in force: what administrators see of it, and that no secret is in it."""

import json
from http import HTTPStatus
from typing import Any

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.testing.portal_case import PortalTestCase

ROUTE = "/_synapse/client/bum/v1/portal/configuration"
SECRET = "s3cret-of-nobody"
MAIL = "operators@messenger.example"


class ConfigurationTestCase(PortalTestCase):
    portal = {
        "operator_users": ["@boss:test", "@other:test"],
        "support": {"contacts": [{"name": SECRET, "phone": SECRET}]},
    }
    more_modules = (
        {"module": "synapse_bum.retention.RetentionModule", "config": {"messages": {"lifetime": "1y"}}},
        {
            "module": "synapse_bum.storage.StorageModule",
            "config": {"hard_limit_gb": 2.5, "invoice": {"contract": SECRET}, "alert_at": [0.805, 1.0]},
        },
        {
            "module": "synapse_bum.federation.FederationModule",
            "config": {"partners": {"secret-partner.example": {"organisation": SECRET}}},
        },
        {"module": "unittest.mock.MagicMock", "config": {"password": SECRET}},
    )
    server = {
        "federation_domain_whitelist": [],
        "registration_shared_secret": SECRET,
        "macaroon_secret_key": SECRET,
        "form_secret": SECRET,
        "turn_shared_secret": SECRET,
        "turn_password": SECRET,
        "email": {"smtp_host": SECRET, "smtp_user": SECRET, "smtp_pass": SECRET, "notif_from": "a@b.example"},
        "max_upload_size": "20M",
    }

    def answer(self) -> dict[str, Any]:
        channel = self.make_request("GET", ROUTE, access_token=self.login("boss", "pass"))
        assert channel.code == HTTPStatus.OK, channel.json_body
        body: dict[str, Any] = channel.json_body
        return body

    def test_it_is_for_administrators(self) -> None:
        assert self.make_request("GET", ROUTE).code == HTTPStatus.UNAUTHORIZED
        token = self.login("alice", "pass")
        assert self.make_request("GET", ROUTE, access_token=token).code == HTTPStatus.FORBIDDEN

    def test_no_secret_is_in_the_answer_or_on_the_page(self) -> None:
        self.browser.log_in()
        for text in (json.dumps(self.answer()), self.browser.get("configuration")):
            assert SECRET not in text
            assert "secret-partner" not in text
            assert "api.example" not in text

    def test_what_is_hidden_is_named(self) -> None:
        modules = {module["name"]: module for module in self.answer()["modules"]}
        assert "partners" in modules["federation"]["hidden"]
        assert "invoice.contract" in modules["storage"]["hidden"]
        assert "support.contacts" in modules["portal"]["hidden"]
        self.browser.log_in()
        assert "invoice.contract" in self.browser.get("configuration")

    def test_every_setting_of_synapse_is_known_in_this_version(self) -> None:
        settings = {setting["key"]: setting for setting in self.answer()["synapse"]}
        assert [key for key, setting in settings.items() if not setting["known"]] == []
        assert settings["max_upload_size"] == {
            "key": "max_upload_size",
            "value": 20 * 2**20,
            "unit": "bytes",
            "known": True,
        }
        assert settings["federation_domain_whitelist"]["value"] == "partners"

    def test_values_as_a_reader_understands_them(self) -> None:
        self.browser.log_in()
        page = self.browser.get("configuration")
        assert self.browser.status == HTTPStatus.OK
        for expected in (
            "Nachrichten werden gelöscht nach",
            "1 Jahr ",
            "80,5\N{NO-BREAK SPACE}%, 100\N{NO-BREAK SPACE}%",
            "2,5",
            "nur mit Föderationspartnern",
            "@boss:test, @other:test",
            "vom Betreiber festgelegt",
            "unittest.mock.MagicMock",
        ):
            assert expected in page, expected
        # A module that is not loaded is said to be so.
        assert "Virenschutz" in page.partition("Nicht eingerichtet")[2]


class StrangeAnswerTestCase(PortalTestCase):
    def test_a_setting_and_a_module_that_nobody_has_named_are_shown_as_they_are(self) -> None:
        setting = {"key": "<b>new</b>", "value": "<script>x</script>", "unit": None, "is_default": False}
        module = {"module": "synapse_bum.new.NewModule", "name": None, "settings": [setting], "hidden": ["<i>"]}
        gone = {"key": "gone", "value": None, "unit": None, "known": False}
        body = {"modules": [module], "other_modules": ["<u>Other</u>"], "synapse": [gone]}
        answer = HttpAnswer(200, "application/json", "", json.dumps(body).encode())
        self.browser.log_in()
        self.homeserver_api.scripted[f"GET {ROUTE}"] = answer
        page = self.browser.get("configuration")
        assert self.browser.status == HTTPStatus.OK
        assert "&lt;script&gt;x&lt;/script&gt;" in page
        assert "synapse_bum.new.NewModule" in page
        assert "bei dieser Synapse-Version nicht bekannt" in page
        assert "<script" not in page
        assert "<u>" not in page

    def test_an_api_that_is_away_is_said_to_be_away(self) -> None:
        self.browser.log_in()
        self.homeserver_api.scripted[f"GET {ROUTE}"] = OSError("away")
        page = self.browser.get("configuration")
        assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert "antwortet nicht" in page
