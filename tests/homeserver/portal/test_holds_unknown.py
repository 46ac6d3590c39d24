"""Nobody can tell whether something is on hold: then it stays."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import quote

import pytest

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.testing.portal_case import PortalTestCase

RETENTION = "synapse_bum.retention.RetentionModule"
HOLDING = "GET /_synapse/client/bum/v1/retention/holding"
ALICE = "users/%40alice%3Atest"
SILENT = (
    HttpAnswer(404, "text/html", "", b"<html>404 Not Found</html>"),
    HttpAnswer(405, "text/html", "", b""),
    HttpAnswer(502, "text/html", "", b""),
    HttpAnswer(200, "text/html", "", b"<html>"),
    OSError("connection refused"),
)


class HoldsUnknownTestCase(PortalTestCase):
    more_modules = ({"module": RETENTION, "config": {}},)

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's signature
        super().prepare(*reactor_clock_and_homeserver)
        self.room_id = self.helper.create_room_as(self.alice, tok=self.login("alice", "pass"))
        self.browser.log_in()

    def changes(self) -> list[str]:
        asked = [r for r in self.homeserver_api.asked if r.method != "GET" and "/_synapse/" in r.url]
        return [f"{request.method} {request.url}" for request in asked]

    def test_neither_account_nor_room_is_deleted(self) -> None:
        room = f"rooms/{quote(self.room_id, safe='')}/delete"
        ways = (
            (f"{ALICE}/delete", {"typed": self.alice}),
            (room, {"reason": "x", "history": "purge"}),
        )
        for path, fields in ways:
            for answer in SILENT:
                self.homeserver_api.scripted.pop(HOLDING, None)
                token = self.browser.token(self.browser.get(path))
                self.homeserver_api.scripted[HOLDING] = answer
                shown = self.browser.get(path)
                assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE, (path, answer)
                assert "Löschsperren nicht abrufbar" in shown
                shown = self.browser.post(path, {"_form": token, **fields})
                assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE, (path, answer)
                assert "Es wurde nichts geändert" in shown
        assert self.changes() == []

    @pytest.fixture(autouse=True)
    def _logs(self, caplog: pytest.LogCaptureFixture) -> None:
        self.caplog = caplog

    def test_the_log_says_what_to_do(self) -> None:
        self.homeserver_api.scripted[HOLDING] = SILENT[0]
        self.browser.get(f"{ALICE}/delete")
        assert "`config.admin_hosts` of the retention module must name the host" in self.caplog.text


class UnderAnotherNameTestCase(PortalTestCase):
    """The module answers, but not under the name by which the portal asks."""

    more_modules: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"module": RETENTION, "config": {"admin_hosts": ["elsewhere.example"]}},
    )

    def test_an_account_on_hold_stays(self) -> None:
        self.browser.log_in()
        self.browser.get(f"{ALICE}/delete")
        assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE


class WithoutRetentionTestCase(PortalTestCase):
    def test_nobody_is_asked(self) -> None:
        self.browser.log_in()
        self.browser.get(f"{ALICE}/delete")
        assert self.browser.status == HTTPStatus.OK
        assert not [r for r in self.homeserver_api.asked if "/retention/" in r.url]
