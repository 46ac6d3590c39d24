"""Whether Synapse tells the browsers apart that log in."""

import json
import logging

import pytest

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.portal.login.address_check import WAIT_MS
from synapse_bum.testing.portal_case import Browser, PortalTestCase

DEVICE = "GET /_synapse/admin/v2/users/%40boss%3Atest/devices/"
AT_ONCE = {"per_second": 1_000, "burst_count": 1_000}


class AddressCheckTestCase(PortalTestCase):
    server = {"rc_login": {"address": AT_ONCE, "account": AT_ONCE, "failed_attempts": AT_ONCE}}

    @pytest.fixture(autouse=True)
    def _logs(self, caplog: pytest.LogCaptureFixture) -> None:
        # Synapse's tests let errors through only.
        caplog.set_level(logging.WARNING, logger="synapse_bum.portal.login.address_check")
        self.caplog = caplog

    def log_in(self, noted: str | None = None) -> list[str]:
        """Logs in, with what Synapse notes; returns what the log says from then on."""
        self.homeserver_api.scripted.clear()
        if noted is not None:
            answer = json.dumps({"last_seen_ip": noted}).encode()
            self.homeserver_api.scripted[DEVICE] = HttpAnswer(200, "application/json", "", answer)
        self.caplog.clear()
        Browser(self).log_in()
        self.reactor.advance(WAIT_MS / 1000 + 1)
        self.pump(0.1)
        return [record.levelname for record in self.caplog.records if record.name.endswith("address_check")]

    def test_another_address_than_the_browsers_is_an_error_once(self) -> None:
        assert self.log_in("10.0.0.7") == ["ERROR"]
        assert "at 10.0.0.7" in self.caplog.text
        assert self.log_in("10.0.0.7") == []

    def test_the_same_address_written_otherwise_is_none(self) -> None:
        assert "ERROR" not in self.log_in("::ffff:127.0.0.1")

    def test_synapse_itself_notes_the_address(self) -> None:
        """127.0.0.1, in this process; a browser there is worth a question."""
        assert self.log_in() == ["WARNING"]

    def test_no_answer_says_nothing(self) -> None:
        self.homeserver_api.scripted[DEVICE] = None
        assert self.log_in("") == []
        assert self.log_in("10.0.0.7") == ["ERROR"]

    def test_a_session_that_has_ended_is_not_looked_at(self) -> None:
        self.browser.log_in()
        token = self.browser.token(self.browser.get("users/new"))
        self.browser.post("logout", {"_form": token})
        self.reactor.advance(WAIT_MS / 1000 + 1)
        assert not [r for r in self.caplog.records if r.name.endswith("address_check")]
