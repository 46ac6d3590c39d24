"""Administrators by a role at the identity provider."""

import json
import logging
from typing import Any, ClassVar
from unittest.mock import patch

from synapse.module_api import LoggingTransaction

from synapse_bum.oidc import metrics, people
from synapse_bum.oidc.mapping import AdminClaim, Decision
from synapse_bum.testing.login_case import ADMIN_ROLE, LoginTestCase

DAY_S = 86_400
HOUR_S = 3_600
USERS = "/_synapse/admin/v2/users"


class RoleTestCase(LoginTestCase):
    def test_a_role_makes_an_administrator_at_the_login_and_its_absence_ends_it(self) -> None:
        anna = self.comes("anna")
        assert not self.is_admin(anna)
        token = self.log_in(self.person("anna", ADMIN_ROLE))["access_token"]
        assert self.is_admin(anna)
        assert self.make_request("GET", USERS, access_token=token).code == 200
        assert self.rows("SELECT COUNT(*) FROM synapse_bum_oidc_people WHERE pending = 1") == [(0,)]
        self.comes("anna")
        assert not self.is_admin(anna)
        assert self.make_request("GET", USERS, access_token=token).code == 403
        assert self.grants() == []

    def test_another_role_and_the_same_one_of_a_client_do_nothing(self) -> None:
        anna = self.comes("anna", "matrix-administrator", resource_access={"other": {"roles": [ADMIN_ROLE]}})
        assert not self.is_admin(anna)

    def test_claims_that_say_nothing_change_nothing(self) -> None:
        anna = self.comes("anna", ADMIN_ROLE)
        for unreadable in (None, {}, {"roles": ADMIN_ROLE}, {"roles": [1]}):
            self.comes("anna", realm_access=unreadable)
            assert self.is_admin(anna), unreadable

    def test_each_change_is_written_down_once(self) -> None:
        anna, *_ = [self.comes("anna", *roles) for roles in ([ADMIN_ROLE], [ADMIN_ROLE], [], [])]
        assert self.audit("oidc.admin.granted") == [("idp:keycloak", anna, None)]
        ((actor, target, reason),) = self.audit("oidc.admin.revoked")
        assert (actor, target) == ("idp:keycloak", anna)
        assert reason is not None
        assert "names no administrator role" in reason

    def test_somebody_locked_is_not_appointed_and_is_removed(self) -> None:
        anna, bert = self.comes("anna"), self.comes("bert", ADMIN_ROLE)
        self.rows("UPDATE users SET locked = TRUE WHERE name IN (?, ?)", anna, bert)
        self.come_back(self.person("anna", ADMIN_ROLE))
        self.come_back(self.person("bert"))
        assert not self.is_admin(anna)
        assert not self.is_admin(bert)


class ByHandTestCase(LoginTestCase):
    def test_who_was_appointed_by_hand_stays(self) -> None:
        anna = self.comes("anna")
        self.decide_by_hand(anna, admin=True)
        for roles in ([], [ADMIN_ROLE], []):
            self.comes("anna", *roles)
            assert self.is_admin(anna)
        assert self.grants() == []

    def test_who_has_the_role_and_is_appointed_by_hand_too_stays_without_the_role(self) -> None:
        anna = self.comes("anna", ADMIN_ROLE)
        self.decide_by_hand(anna, admin=True)
        assert self.grants() == []
        self.comes("anna")
        self.turn(2 * DAY_S)
        assert self.is_admin(anna)
        assert self.audit("oidc.admin.by_hand") == [(self.boss, anna, None)]

    def test_who_is_removed_by_hand_gets_the_right_back_with_the_next_login_that_shows_the_role(self) -> None:
        anna = self.comes("anna", ADMIN_ROLE)
        self.decide_by_hand(anna, admin=False)
        assert not self.is_admin(anna)
        assert self.grants() == []
        self.comes("anna")
        assert not self.is_admin(anna)
        self.comes("anna", ADMIN_ROLE)
        assert self.is_admin(anna)
        self.comes("anna")
        assert not self.is_admin(anna)

    def test_who_appoints_himself_stays_an_administrator_by_his_role_only(self) -> None:
        anna = self.comes("anna")
        token = self.log_in(self.person("anna", ADMIN_ROLE))["access_token"]
        for path, token_for in (
            (f"v1/users/{anna}/admin", token),
            (f"v1/users/{anna}/admin", self.acts_as_boss(token)),
        ):
            answer = self.make_request("PUT", f"/_synapse/admin/{path}", {"admin": True}, access_token=token_for)
            assert answer.code == 200, answer.json_body
        assert self.grants() == [(anna, "keycloak", 0)]
        self.comes("anna")
        assert not self.is_admin(anna)

    def test_each_appointment_and_removal_names_who_decided_it(self) -> None:
        anna, bert = self.comes("anna"), self.comes("bert", ADMIN_ROLE)
        for user_id, admin in ((anna, True), (anna, True), (anna, False), (anna, False), (bert, False)):
            self.decide_by_hand(user_id, admin=admin)
        found = self.rows(
            "SELECT actor, target, old, new FROM synapse_bum_audit WHERE action = 'oidc.admin.by_hand' ORDER BY id"
        )
        expected = [(anna, None, "manual"), (anna, "manual", None), (bert, "idp", None)]
        told = [(target, old and json.loads(old), new and json.loads(new)) for _, target, old, new in found]
        assert told == expected
        assert {actor for actor, *_ in found} == {self.boss}

    def test_an_appointment_by_hand_counts_also_when_a_login_comes_in_between(self) -> None:
        anna = self.comes("anna")
        store = self.hs.get_datastores().main
        as_ever = store.db_pool.runInteraction

        async def a_login_before(desc: str, *args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - Synapse's
            if desc == "set_server_admin":
                await self.parts.database.run("test", self._login, AdminClaim.YES)
                await self.parts.admins.apply("keycloak", "subject of anna", anna)
            result: object = await as_ever(desc, *args, **kwargs)
            return result

        with patch.object(store.db_pool, "runInteraction", a_login_before):
            self.decide_by_hand(anna, admin=True)
        self.comes("anna")
        assert self.is_admin(anna)

    def test_with_the_right_go_the_tokens_with_which_an_administrator_acts_as_others(self) -> None:
        anna = self.comes("anna")
        for removal in ("role", "hand"):
            token = self.log_in(self.person("anna", ADMIN_ROLE))["access_token"]
            as_boss = self.acts_as_boss(token)
            assert self.make_request("GET", "/_synapse/admin/v2/users", access_token=as_boss).code == 200
            if removal == "role":
                self.comes("anna")
            else:
                self.decide_by_hand(anna, admin=False)
            assert not self.is_admin(anna)
            assert self.make_request("GET", "/_synapse/admin/v2/users", access_token=as_boss).code == 401
            assert self.make_request("GET", "/_synapse/admin/v2/users", access_token=token).code == 403

    def acts_as_boss(self, token: str) -> str:
        """A token with which an administrator acts as another one."""
        answer = self.make_request("POST", f"/_synapse/admin/v1/users/{self.boss}/login", {}, access_token=token)
        assert answer.code == 200, answer.json_body
        found: str = answer.json_body["access_token"]
        return found

    def test_nobody_is_appointed_by_hand_while_it_can_not_be_written_down(self) -> None:
        anna = self.comes("anna", ADMIN_ROLE)
        path = f"/_synapse/admin/v1/users/{anna}/admin"
        with patch.object(self.parts.database, "run", side_effect=OSError("gone")):
            assert self.make_request("PUT", path, {"admin": True}, access_token=self.boss_token).code == 500
        assert self.grants() == [(anna, "keycloak", 0)]

    def test_a_login_that_brings_the_right_back_during_the_removal_is_not_taken_for_an_appointment_by_hand(
        self,
    ) -> None:
        anna = self.comes("anna", ADMIN_ROLE)
        store = self.hs.get_datastores().main
        as_ever = store.db_pool.runInteraction

        async def then_a_login(desc: str, *args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - Synapse's
            result: object = await as_ever(desc, *args, **kwargs)
            if desc == "set_server_admin":
                await self.parts.database.run("test", self._login, AdminClaim.YES)
                await self.parts.admins.apply("keycloak", "subject of anna", anna)
            return result

        with patch.object(store.db_pool, "runInteraction", then_a_login):
            self.decide_by_hand(anna, admin=False)
        assert self.grants() == [(anna, "keycloak", 0)]
        self.comes("anna")
        assert not self.is_admin(anna)

    def _login(self, txn: LoggingTransaction, admin: AdminClaim) -> None:
        decision = Decision(
            allowed=True,
            subject="subject of anna",
            localpart="anna",
            user_name="anna",
            display_name=None,
            email=None,
            admin=admin,
            guest=False,
            reasons=(),
        )
        assert people.note_login(txn, "keycloak", decision, int(self.clock.time_msec()))


class LastAdministratorTestCase(LoginTestCase):
    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's
        super().prepare(*reactor_clock_and_homeserver)
        self.anna = self.comes("anna", ADMIN_ROLE)
        self.boss_leaves()

    def test_the_last_one_stays_until_somebody_else_can_administer_the_server(self) -> None:
        with self.assertLogs("synapse_bum.oidc.admins", logging.WARNING) as logged:
            for _ in range(3):
                self.comes("anna")
                self.turn()
        assert self.is_admin(self.anna)
        assert len(logged.records) == 1
        assert len(self.audit("oidc.admin.kept")) == 1
        assert metrics.ADMINS_KEPT._value.get() == 1
        bert = self.comes("bert", ADMIN_ROLE)
        self.turn()
        assert not self.is_admin(self.anna)
        assert self.is_admin(bert)
        assert metrics.ADMINS_KEPT._value.get() == 0
        assert metrics.ADMINS.labels(idp_id="keycloak")._value.get() == 1

    def test_of_two_whose_roles_are_gone_one_stays(self) -> None:
        bert = self.comes("bert", ADMIN_ROLE)
        self.comes("anna")
        self.comes("bert")
        self.turn()
        assert [self.is_admin(self.anna), self.is_admin(bert)] == [False, True]

    def test_who_can_not_act_does_not_count(self) -> None:
        bert = self.comes("bert", ADMIN_ROLE)
        for change in (
            "UPDATE users SET locked = TRUE WHERE name = ?",
            "UPDATE users SET locked = FALSE, deactivated = 1 WHERE name = ?",
            "UPDATE users SET deactivated = 0, is_guest = 1 WHERE name = ?",
        ):
            self.rows(change, bert)
            self.comes("anna")
            assert self.is_admin(self.anna), change
        self.rows("UPDATE users SET is_guest = 0 WHERE name = ?", bert)
        self.turn()
        assert not self.is_admin(self.anna)

    def test_whose_access_is_just_being_ended_does_not_count(self) -> None:
        bert = self.comes("bert", ADMIN_ROLE)
        self.rows(
            "INSERT INTO synapse_bum_oidc_scim_users (idp_id, subject, user_id, emails, active, log_out, created_ts,"
            " modified_ts) VALUES ('keycloak', 'subject of bert', ?, '[]', 0, 1, 0, 0)",
            bert,
        )
        self.comes("anna")
        assert self.is_admin(self.anna)

    def test_one_who_is_kept_gets_the_role_back(self) -> None:
        self.comes("anna")
        self.comes("anna", ADMIN_ROLE)
        self.comes("bert", ADMIN_ROLE)
        self.turn()
        assert self.is_admin(self.anna)

    def test_the_last_one_stays_when_his_role_is_old(self) -> None:
        self.turn(DAY_S + HOUR_S)
        assert self.is_admin(self.anna)
        assert len(self.audit("oidc.admin.kept")) == 1


class AgeTestCase(LoginTestCase):
    def test_a_role_counts_for_a_day_after_the_login_that_showed_it(self) -> None:
        anna = self.comes("anna", ADMIN_ROLE)
        bert = self.comes("bert", ADMIN_ROLE)
        self.turn(12 * HOUR_S)
        self.comes("bert", ADMIN_ROLE)
        self.turn(12 * HOUR_S - 300)
        assert self.is_admin(anna)
        self.turn(600)
        assert not self.is_admin(anna)
        assert self.is_admin(bert)
        ((actor, target, reason),) = self.audit("oidc.admin.revoked")
        assert (actor, target) == ("idp:keycloak", anna)
        assert "admin_ttl" in (reason or "")

    def test_a_login_that_was_applied_late_appoints_nobody(self) -> None:
        self.comes("anna")
        with patch.object(self.parts.database, "run", side_effect=OSError("gone")):
            self.come_back(self.person("anna", ADMIN_ROLE))
            self.turn(DAY_S + HOUR_S)
        self.turn(120)
        assert self.audit("oidc.admin.granted") == []
        assert self.rows("SELECT COUNT(*) FROM synapse_bum_oidc_people WHERE pending = 1") == [(0,)]

    def test_a_clock_that_was_ahead_makes_nobody_an_administrator_for_longer(self) -> None:
        anna = self.comes("anna", ADMIN_ROLE)
        self.rows("UPDATE synapse_bum_oidc_admin_grants SET asserted_ts = asserted_ts + ?", 1000 * DAY_S * 1000)
        self.turn()
        self.turn(DAY_S + 300)
        assert not self.is_admin(anna)


class CrashTestCase(LoginTestCase):
    def test_what_was_revoked_is_told_by_the_duty_when_the_process_died_before(self) -> None:
        anna = self.comes("anna", ADMIN_ROLE)
        assert self.is_admin(anna)
        with patch("synapse_bum.oidc.admins.tell_admin_changed", side_effect=OSError("killed")):
            self.comes("anna")
        assert self.grants() == [(anna, "keycloak", 1)]
        assert self.rows("SELECT admin FROM users WHERE name = ?", anna) == [(0,)]
        self.turn(60)
        assert self.grants() == []
        assert not self.is_admin(anna)

    def test_who_was_appointed_is_told_by_the_duty_when_the_process_died_before(self) -> None:
        anna = self.comes("anna")
        assert not self.is_admin(anna)
        with patch("synapse_bum.oidc.admins.tell_admin_changed", side_effect=OSError("killed")):
            self.comes("anna", ADMIN_ROLE)
        self.turn(60)
        assert self.is_admin(anna)

    def test_an_older_yes_does_not_come_after_a_newer_no(self) -> None:
        anna = self.comes("anna")
        with patch.object(self.parts.logins, "_apply"):
            self.come_back(self.person("anna", ADMIN_ROLE))
            # Another process begins to apply this login here, and is slow.
            self.come_back(self.person("anna"))
        self.get_success(self.parts.admins.apply("keycloak", "subject of anna", anna))
        assert not self.is_admin(anna)
        assert self.grants() == []


class TwoProvidersTestCase(LoginTestCase):
    def test_the_right_is_lost_when_no_identity_provider_is_left_that_gives_it(self) -> None:
        anna = self.comes("anna", ADMIN_ROLE)
        self.rows(
            "INSERT INTO synapse_bum_oidc_admin_grants SELECT user_id, 'other', granted_ts, asserted_ts, 0"
            " FROM synapse_bum_oidc_admin_grants"
        )
        self.comes("anna")
        assert self.is_admin(anna)
        assert self.grants() == [(anna, "other", 0)]
        self.turn(DAY_S + 300)
        assert not self.is_admin(anna)

    def test_one_whom_another_identity_provider_appointed_has_two_grants(self) -> None:
        anna = self.comes("anna", ADMIN_ROLE)
        self.rows("UPDATE synapse_bum_oidc_admin_grants SET idp_id = 'other'")
        self.comes("anna", ADMIN_ROLE)
        assert self.grants() == [(anna, "keycloak", 0), (anna, "other", 0)]


class SwitchedOffTestCase(LoginTestCase):
    oidc: ClassVar[dict[str, Any]] = {"admin_sync": False}

    def test_nobody_is_appointed_or_removed(self) -> None:
        anna = self.comes("anna", ADMIN_ROLE)
        assert not self.is_admin(anna)
        self.rows("UPDATE users SET admin = 1 WHERE name = ?", anna)
        self.rows("INSERT INTO synapse_bum_oidc_admin_grants VALUES (?, 'keycloak', 0, 0, 0)", anna)
        self.comes("anna")
        self.turn(2 * DAY_S)
        assert self.rows("SELECT admin FROM users WHERE name = ?", anna) == [(1,)]

    def test_what_was_revoked_before_is_carried_out(self) -> None:
        anna = self.comes("anna")
        self.rows("INSERT INTO synapse_bum_oidc_admin_grants VALUES (?, 'keycloak', 0, 0, 1)", anna)
        self.turn()
        assert self.grants() == []
