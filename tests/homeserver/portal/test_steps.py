"""What Synapse does for an administrator is written down before it is done, with his name."""

import re
from http import HTTPStatus
from typing import Any
from unittest.mock import patch

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.portal.forms.form import Form
from synapse_bum.portal.homeserver_api.steps import StepLog
from synapse_bum.portal.page import Area, Page
from synapse_bum.portal.reply import Reply
from synapse_bum.portal.visit import Visit
from synapse_bum.testing.portal_case import PortalTestCase

FORM = Form("confirm", ())
LOCK = "users/%40alice%3Atest/lock"
PUT = "PUT /_synapse/admin/v2/users/"


async def ask(visit: Visit) -> Reply:
    return visit.show("form.html", form=visit.blank(FORM), paragraphs=(), button="x", back=None)


async def forget_the_step(visit: Visit) -> Reply:
    await visit.server.put("/_synapse/admin/v2/users/{user_id}", {"locked": True}, user_id="@alice:test")
    return visit.go(visit.url("users"))


class StepTestCase(PortalTestCase):
    more_pages = (Page("forgetful", area=Area.APPLICATION, title="users.title", show=ask, submit=forget_the_step),)

    def setUp(self) -> None:
        super().setUp()
        self.browser.log_in()
        self.boss_token = self.login("boss", "pass")

    def rows(self) -> list[dict[str, Any]]:
        """The audit, oldest first."""
        channel = self.make_request("GET", "/_synapse/client/bum/v1/audit?limit=100", access_token=self.boss_token)
        rows: list[dict[str, Any]] = channel.json_body["audit"]
        return rows[::-1]

    def is_locked(self) -> bool:
        path = f"/_synapse/admin/v2/users/{self.alice}"
        return bool(self.make_request("GET", path, access_token=self.boss_token).json_body["locked"])

    def test_a_step_is_in_the_audit_with_the_administrators_name(self) -> None:
        self.browser.submit(LOCK)
        assert self.is_locked()
        (row,) = self.rows()
        assert (row["actor"], row["action"], row["target"]) == (self.boss, "portal.user.lock", self.alice)
        assert (row["old"], row["new"], row["reason"]) == (None, None, None)

    def test_looking_at_the_question_is_no_step(self) -> None:
        self.browser.get(LOCK)
        assert self.rows() == []

    def test_it_is_there_before_the_server_is_asked(self) -> None:
        self.homeserver_api.scripted[PUT] = None
        token = self.browser.token(self.browser.get(LOCK))
        self.browser.begin_post(LOCK, {"_form": token})
        self.pump(0.01)
        assert [row["action"] for row in self.rows()] == ["portal.user.lock"]
        self.browser.channel.await_result(timeout_ms=30_000)
        assert [(row["action"], row["new"]) for row in self.rows()[1:]] == [
            ("portal.unfinished", {"step": "portal.user.lock", "error": "UnavailableError"})
        ]

    def test_what_was_refused_is_written_down_too(self) -> None:
        refusal = b'{"errcode": "M_INVALID_PARAM", "error": "no"}'
        self.homeserver_api.scripted[PUT] = HttpAnswer(400, "application/json", "", refusal)
        self.browser.submit(LOCK)
        assert self.browser.status == HTTPStatus.CONFLICT
        done, refused = self.rows()
        assert (done["action"], refused["action"]) == ("portal.user.lock", "portal.refused")
        assert (refused["actor"], refused["target"]) == (self.boss, self.alice)
        assert refused["new"] == {"step": "portal.user.lock", "error": "M_INVALID_PARAM"}

    def test_without_the_row_nothing_is_done(self) -> None:
        with patch.object(StepLog, "write", side_effect=OSError("no database")):
            page = self.browser.submit(LOCK)
        assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert "Das Protokoll kann nicht geschrieben werden" in page
        assert not self.is_locked()

    def test_a_page_that_forgets_the_step_changes_nothing(self) -> None:
        self.browser.submit("forgetful")
        assert self.browser.status == HTTPStatus.INTERNAL_SERVER_ERROR
        assert not self.is_locked()
        assert self.rows() == []

    def test_the_reason_and_what_was_chosen_stand_in_the_row(self) -> None:
        room = self.helper.create_room_as(self.alice, tok=self.login("alice", "pass"))
        path = f"rooms/{room.replace('!', '%21').replace(':', '%3A')}/delete"
        self.browser.submit(path, {"reason": "Beschluss 7", "history": "purge", "block": "on"})
        (row,) = self.rows()
        assert (row["action"], row["target"], row["reason"]) == ("portal.room.delete", room, "Beschluss 7")
        assert row["new"] == {"history": "purge", "block": True}

    def test_a_new_account_and_its_password(self) -> None:
        page = self.browser.submit("users/new", {"name": "carol"})
        (row,) = self.rows()
        assert (row["action"], row["target"], row["new"]) == ("portal.user.create", "@carol:test", {"admin": False})
        (password,) = re.findall(r"\b\w{5}(?:-\w{5}){3}\b", page)
        self.browser.submit("users/%40carol%3Atest/password", {"way": "generated"})
        assert (self.rows()[1]["action"], self.rows()[1]["new"]) == ("portal.user.password", {"logged_out": False})
        assert password not in str(self.rows())

    def test_a_deletion_is_one_step(self) -> None:
        self.browser.submit("users/%40alice%3Atest/delete", {"typed": self.alice})
        assert [(row["action"], row["target"]) for row in self.rows()] == [("portal.user.delete", self.alice)]

    def test_administrators(self) -> None:
        self.browser.submit("administrators/%40alice%3Atest/appoint")
        self.browser.submit("administrators/%40alice%3Atest/remove")
        assert [row["action"] for row in self.rows()] == ["portal.admin.appoint", "portal.admin.remove"]
        page = self.browser.get("audit?action=portal.admin.remove")
        assert "Entzug des Administratorrechts veranlasst" in page
