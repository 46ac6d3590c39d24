"""Leavers: who loses access, when, and who never does."""

from http import HTTPStatus
from typing import Any
from unittest.mock import Mock, patch

from synapse.module_api import ModuleApi, UserID

from synapse_bum.homeserver.account_access import account_of, end_sessions
from synapse_bum.oidc import people
from synapse_bum.oidc.scim.person import resource_id
from synapse_bum.testing.scim_bodies import LEAVES, RETURNS, patch_body, scim_user
from synapse_bum.testing.scim_case import DAY_S, USERS, JsonDict, ScimCase

SERVICE = "synapse_bum.oidc.scim.deactivation"


class LeaversCase(ScimCase):
    def a_person(self, localpart: str = "anna") -> tuple[str, str, str]:
        """Somebody who has logged in: path of the resource, user id, access token."""
        user_id = self.a_linked_person(localpart, localpart)
        made = self.create(localpart, localpart)
        return f"{USERS}/{made['id']}", user_id, self.login(localpart, "pass")

    def lock_by_hand(self, user_id: str, *, locked: bool = True) -> None:
        """What an operator does over Synapse's admin API."""
        path = f"/_synapse/admin/v2/users/{user_id}"
        assert self.make_request("PUT", path, {"locked": locked}, access_token=self.boss).code == HTTPStatus.OK

    def failing(self, name: str, error: type[Exception] = RuntimeError) -> Any:  # noqa: ANN401 - a patch
        """Has one step of the work after a commit fail."""

        async def fail(*_arguments: object) -> None:
            raise error

        return patch(f"{SERVICE}.{name}", fail)


class LeavesTestCase(LeaversCase):
    def test_tokens_are_refused_and_devices_are_gone_when_the_answer_comes(self) -> None:
        path, user_id, token = self.a_person()
        second = self.login("anna", "pass")
        assert self.whoami(token).code == HTTPStatus.OK
        assert self.answered(self.ask("PATCH", path, LEAVES))["active"] is False
        for one in (token, second):
            refused = self.whoami(one)
            assert (refused.code, refused.json_body["errcode"]) == (HTTPStatus.UNAUTHORIZED, "M_UNKNOWN_TOKEN")
        assert self.is_locked(user_id)
        assert self.devices_of(user_id) == set()
        assert self.rows("SELECT COUNT(*) FROM access_tokens WHERE user_id = ?", user_id) == [(0,)]
        assert self.rows("SELECT log_out FROM synapse_bum_oidc_scim_users") == [(0,)]
        assert self.audited() == ["oidc.scim.adopted", "oidc.scim.ended"]

    def test_a_login_by_the_identity_provider_is_refused_until_he_is_back(self) -> None:
        path, _user_id, _token = self.a_person()
        self.answered(self.ask("PATCH", path, LEAVES))
        assert self.ended() is True
        self.answered(self.ask("PATCH", path, RETURNS))
        assert self.ended() is False

    def ended(self) -> bool:
        """What the mapping asks at each login."""
        return self.get_success(self.database.run("test", people.is_ended, "keycloak", "anna"))

    def test_who_comes_back_has_his_account_again(self) -> None:
        path, user_id, _token = self.a_person()
        self.answered(self.ask("PATCH", path, LEAVES))
        self.answered(self.ask("PATCH", path, RETURNS))
        assert not self.is_locked(user_id)
        assert self.whoami(self.login("anna", "pass")).code == HTTPStatus.OK
        assert self.audited()[-1] == "oidc.scim.restored"

    def test_what_an_operator_has_locked_stays_locked(self) -> None:
        path, user_id, _token = self.a_person()
        self.lock_by_hand(user_id)
        self.answered(self.ask("PATCH", path, LEAVES))
        self.answered(self.ask("PATCH", path, RETURNS))
        assert self.is_locked(user_id)

    def test_who_was_unlocked_by_hand_is_locked_again_when_the_identity_provider_says_so(self) -> None:
        path, user_id, _token = self.a_person()
        self.answered(self.ask("PATCH", path, LEAVES))
        self.lock_by_hand(user_id, locked=False)
        self.answered(self.ask("PATCH", path, LEAVES))
        assert self.is_locked(user_id)

    def test_a_deactivated_account_is_shown_inactive_and_not_given_back(self) -> None:
        path, user_id, _token = self.a_person()
        self.get_success(self.store.set_user_deactivated_status(user_id, True))  # noqa: FBT003
        assert self.answered(self.ask("GET", path))["active"] is False
        assert "administrator" in self.refused(self.ask("PATCH", path, RETURNS), HTTPStatus.CONFLICT)


class OddPeopleTestCase(LeaversCase):
    mapping = {
        "idp_id": "entra",
        "preset": "entra_id",
        "tenant": "01234567-89ab-cdef-0123-456789abcdef",
        "trust_email": True,
    }

    def test_who_could_not_be_created_today_can_be_ended_all_the_same(self) -> None:
        """A guest from before guests were refused, and somebody whose subject was made by another rule."""
        for localpart, subject in (("guest=23ext=23", "01234567-89ab-cdef-0123-456789abcdef:x"), ("old", "an old sub")):
            user_id = self.a_linked_person(localpart, subject)
            path = f"{USERS}/{resource_id(subject)}"
            rename = {"op": "replace", "path": "displayName", "value": "Old"}
            self.answered(self.ask("PATCH", path, patch_body(rename)))
            self.answered(self.ask("PATCH", path, LEAVES))
            assert self.is_locked(user_id)
            assert self.ask("DELETE", path).code == HTTPStatus.NO_CONTENT


class ForeignTestCase(LeaversCase):
    def test_accounts_of_others_do_not_exist_for_scim(self) -> None:
        self.register_user("local", "pass")
        other = self.register_user("other", "pass")
        self.get_success(self.store.record_user_external_id("oidc-okta", "other", other))
        assert self.answered(self.ask("GET", USERS))["totalResults"] == 0
        for subject in ("other", "local", "boss"):
            path = f"{USERS}/{self.id_of(subject)}"
            for method, body in (
                ("GET", b""),
                ("PUT", scim_user(subject, subject)),
                ("PATCH", LEAVES),
                ("DELETE", b""),
            ):
                self.refused(self.ask(method, path, body), HTTPStatus.NOT_FOUND)
        assert not self.is_locked(other)
        assert not self.is_locked("@boss:test")

    def id_of(self, subject: str) -> str:
        """The id that a person with this subject would have."""
        return resource_id(subject)


class DeleteTestCase(LeaversCase):
    def test_deleted_is_locked_at_once_and_deactivated_after_30_days(self) -> None:
        path, user_id, token = self.a_person()
        assert self.ask("DELETE", path).code == HTTPStatus.NO_CONTENT
        assert self.whoami(token).code == HTTPStatus.UNAUTHORIZED
        assert self.is_locked(user_id)
        self.refused(self.ask("GET", path), HTTPStatus.NOT_FOUND)
        self.refused(self.ask("DELETE", path), HTTPStatus.NOT_FOUND)
        self.wait(30 * DAY_S - 60)
        assert not self.is_deactivated(user_id)
        self.wait(61)
        self.wait(2)
        assert self.is_deactivated(user_id)
        assert not self.get_success(self.store.is_user_erased(user_id))
        assert self.audited()[-2:] == ["oidc.scim.deleted", "oidc.scim.deactivated"]

    def test_created_anew_within_30_days_it_is_the_same_account(self) -> None:
        path, user_id, _token = self.a_person()
        assert self.ask("DELETE", path).code == HTTPStatus.NO_CONTENT
        self.wait(29 * DAY_S)
        assert self.account_of(self.create("anna", "anna")) == user_id
        assert not self.is_locked(user_id)
        self.wait(3 * DAY_S)
        assert not self.is_deactivated(user_id)
        assert self.audited()[-1] == "oidc.scim.returned"

    def test_after_that_only_an_administrator_brings_it_back(self) -> None:
        path, user_id, _token = self.a_person()
        assert self.ask("DELETE", path).code == HTTPStatus.NO_CONTENT
        self.wait(30 * DAY_S + 1)
        self.wait(2)
        assert "administrator" in self.refused(self.ask("POST", USERS, scim_user("anna", "anna")), HTTPStatus.CONFLICT)
        again = self.make_request(
            "PUT", f"/_synapse/admin/v2/users/{user_id}", {"deactivated": False, "password": "new"}, self.boss
        )
        assert again.code == HTTPStatus.OK, again.json_body
        assert self.account_of(self.create("anna", "anna")) == user_id
        assert not self.is_locked(user_id)

    def test_a_deactivation_that_was_cut_off_goes_on(self) -> None:
        path, user_id, _token = self.a_person()
        assert self.ask("DELETE", path).code == HTTPStatus.NO_CONTENT
        with self.failing("deactivate"):
            self.wait(30 * DAY_S + 1)
            self.wait(2)
        assert not self.is_deactivated(user_id)
        self.refused(self.ask("POST", USERS, scim_user("anna", "anna")), HTTPStatus.CONFLICT)
        self.wait(3)
        assert self.is_deactivated(user_id)


class CrashTestCase(LeaversCase):
    def test_killed_before_the_sessions_end_nobody_gets_in_and_the_next_start_ends_them(self) -> None:
        path, user_id, token = self.a_person()
        with self.failing("end_sessions"):
            later = self.ask("PATCH", path, LEAVES)
            self.refused(later, HTTPStatus.SERVICE_UNAVAILABLE)
            assert int((later.headers.getRawHeaders("Retry-After") or ["0"])[0]) > 0
        refused = self.whoami(token)
        assert refused.json_body["errcode"] == "M_USER_LOCKED"
        assert self.devices_of(user_id) != set()
        self.wait(3)
        assert self.devices_of(user_id) == set()
        assert self.answered(self.ask("PATCH", path, LEAVES))["active"] is False

    def test_a_commit_that_fails_leaves_all_as_it_was(self) -> None:
        path, user_id, token = self.a_person()
        with patch("synapse_bum.oidc.scim.service.audit.append", side_effect=RuntimeError):
            self.refused(self.ask("PATCH", path, LEAVES), HTTPStatus.INTERNAL_SERVER_ERROR)
        assert not self.is_locked(user_id)
        assert self.whoami(token).code == HTTPStatus.OK
        assert self.answered(self.ask("GET", path))["active"] is True
        assert self.rows("SELECT COUNT(*) FROM synapse_bum_oidc_scim_endings") == [(0,)]

    def test_one_whose_sessions_resist_holds_up_nobody(self) -> None:
        stubborn, _user_id, _token = self.a_person("anna")
        with self.failing("end_sessions"):
            self.ask("PATCH", stubborn, LEAVES)
            other, _other_id, _other_token = self.a_person("bert")
            self.ask("PATCH", other, LEAVES)

        async def only_others(api: ModuleApi, user_id: str) -> None:
            if user_id == "@anna:test":
                raise RuntimeError
            await end_sessions(api, user_id)

        with patch(f"{SERVICE}.end_sessions", only_others):
            self.wait(3)
        assert self.rows("SELECT user_id FROM synapse_bum_oidc_scim_users WHERE log_out = 1") == [("@anna:test",)]


class LastAdminTestCase(LeaversCase):
    def a_second_administrator(self) -> str:
        """The path of an administrator whom SCIM may change."""
        path, user_id, _token = self.a_person("chief")
        self.get_success(self.store.set_server_admin(self.user(user_id), True))  # noqa: FBT003
        return path

    def user(self, user_id: str) -> Any:  # noqa: ANN401 - Synapse's
        """The user id as Synapse wants it."""
        return UserID.from_string(user_id)

    def test_an_administrator_who_is_not_the_last_loses_access(self) -> None:
        path = self.a_second_administrator()
        assert self.answered(self.ask("PATCH", path, LEAVES))["active"] is False

    def test_the_last_one_stays(self) -> None:
        path = self.a_second_administrator()
        self.lock_by_hand("@boss:test")
        for request in (("PATCH", path, LEAVES), ("DELETE", path)):
            assert "administrator" in self.refused(self.ask(*request), HTTPStatus.FORBIDDEN)
        assert not self.is_locked("@chief:test")
        assert self.audited()[-2:] == ["oidc.scim.refused", "oidc.scim.refused"]
        assert self.answered(self.ask("GET", path))["active"] is True

    def test_it_is_not_deactivated_either_when_the_others_went_meanwhile(self) -> None:
        path = self.a_second_administrator()
        assert self.ask("DELETE", path).code == HTTPStatus.NO_CONTENT
        self.lock_by_hand("@boss:test")
        self.wait(31 * DAY_S)
        self.wait(2)
        assert not self.is_deactivated("@chief:test")


class LimitTestCase(LeaversCase):
    scim = {"max_deactivations_per_hour": 3}

    def test_a_mishap_ends_the_access_of_no_more_people_than_the_limit(self) -> None:
        made = [self.create(f"p{number}", f"p{number}") for number in range(5)]
        answers = [self.ask("PATCH", f"{USERS}/{one['id']}", LEAVES) for one in made]
        assert [one.code for one in answers] == [200, 200, 200, 429, 429]
        retry_after = int((answers[-1].headers.getRawHeaders("Retry-After") or ["0"])[0])
        assert 0 < retry_after <= 3_600
        locked = [self.is_locked(self.account_of(one)) for one in made]
        assert locked == [True, True, True, False, False]
        assert self.answered(self.ask("GET", f"{USERS}/{made[4]['id']}"))["active"] is True
        self.refused(self.ask("DELETE", f"{USERS}/{made[4]['id']}"), HTTPStatus.TOO_MANY_REQUESTS)
        self.wait(retry_after)
        assert self.ask("PATCH", f"{USERS}/{made[4]['id']}", LEAVES).code == HTTPStatus.OK

    def test_only_endings_count(self) -> None:
        people = [self.create(f"p{number}", f"p{number}", active=False) for number in range(4)]
        for one in people:
            self.answered(self.ask("PATCH", f"{USERS}/{one['id']}", RETURNS))
        rename: JsonDict = patch_body({"op": "replace", "path": "displayName", "value": "x"})
        for one in people:
            self.answered(self.ask("PATCH", f"{USERS}/{one['id']}", rename))
        assert self.ask("PATCH", f"{USERS}/{people[0]['id']}", LEAVES).code == HTTPStatus.OK


def test_an_account_can_be_used_only_when_it_is_neither_locked_nor_deactivated() -> None:
    for row, is_open in (((0, 0, 0), True), ((1, 0, 1), False), ((0, 1, 0), False)):
        found = account_of(Mock(fetchone=Mock(return_value=row)), "@a:test")
        assert found is not None
        assert found.is_open is is_open
