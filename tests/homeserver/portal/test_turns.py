"""Two administrators at once: whatever each does to the other one, somebody stays."""

from http import HTTPStatus

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.portal.homeserver_api.turn import TTL_MS
from synapse_bum.testing.portal_case import Browser, PortalTestCase

USER = "/_synapse/admin/v2/users"
ENOUGH = 400


class TurnsTestCase(PortalTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.chief = self.register_user("chief", "pass", admin=True)
        self.other = Browser(self)
        self.other.log_in("chief")
        self.browser.log_in()

    def acting(self) -> set[str]:
        """Administrators who can do something, as the database has it."""
        pool = self.hs.get_datastores().main.db_pool
        rows = self.get_success(
            pool.simple_select_list("users", {"admin": 1, "deactivated": 0}, ["name", "locked"], "acting")
        )
        return {name for name, locked in rows if not locked}

    def both(self, step: str, *, more: bool = False) -> None:
        """Each does the same to the other one, at the same moment."""
        pairs = ((self.browser, self.chief), (self.other, self.boss))
        sent = []
        for browser, target in pairs:
            typed = {"typed": target} if more else {}
            path = step.format(target)
            sent.append((browser, path, {"_form": browser.token(browser.get(path)), **typed}))
        for browser, path, fields in sent:
            browser.begin_post(path, fields)
        self.until_answered()

    def until_answered(self) -> None:
        """Lets time pass until both have their answers."""
        for _ in range(ENOUGH):
            if self.browser.channel.is_finished() and self.other.channel.is_finished():
                return
            self.pump(0.05)
        raise AssertionError("no answer")

    def test_who_remove_each_other(self) -> None:
        self.both("administrators/{}/remove")
        assert len(self.acting()) == 1
        assert min(self.browser.status, self.other.status) == HTTPStatus.SEE_OTHER

    def test_who_lock_each_other(self) -> None:
        self.both("users/{}/lock")
        assert len(self.acting()) == 1

    def test_who_delete_each_other(self) -> None:
        self.both("users/{}/delete", more=True)
        assert len(self.acting()) == 1

    def test_of_whom_one_locks_and_one_removes(self) -> None:
        token = self.browser.token(self.browser.get(f"users/{self.chief}/lock"))
        other = self.other.token(self.other.get(f"administrators/{self.boss}/remove"))
        self.browser.begin_post(f"users/{self.chief}/lock", {"_form": token})
        self.other.begin_post(f"administrators/{self.boss}/remove", {"_form": other})
        self.until_answered()
        assert len(self.acting()) == 1

    def test_while_nobody_knows_whether_it_was_done_nobody_else_does_it(self) -> None:
        self.homeserver_api.scripted = {
            f"PUT {USER}": ConnectionError("away"),
            "PUT /_synapse/admin/v1/users": ConnectionError("away"),
        }
        self.browser.submit(f"administrators/{self.chief}/remove")
        assert self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE
        self.homeserver_api.scripted = {}
        page = self.other.submit(f"administrators/{self.boss}/remove")
        assert self.other.status == HTTPStatus.CONFLICT
        assert "Es wurde nichts getan" in page
        assert self.acting() == {self.boss, self.chief}
        self.wait(TTL_MS / 1000 + 1)
        self.other.submit(f"administrators/{self.boss}/remove")
        assert self.acting() == {self.chief}

    def test_a_refusal_gives_the_turn_back(self) -> None:
        no = HttpAnswer(HTTPStatus.BAD_REQUEST, "application/json", "", b'{"errcode": "M_UNKNOWN", "error": "No"}')
        self.homeserver_api.scripted = {"PUT /_synapse/admin/v1/users": no}
        self.browser.submit(f"administrators/{self.chief}/remove")
        assert self.browser.status == HTTPStatus.CONFLICT
        self.homeserver_api.scripted = {}
        self.browser.submit(f"administrators/{self.chief}/remove")
        assert self.acting() == {self.boss}
