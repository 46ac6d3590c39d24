"""What a login brings: the display name and the e-mail address, once, and later if it did not work."""

import logging
from collections.abc import Sequence
from typing import Any, ClassVar
from unittest.mock import AsyncMock, patch

from synapse.module_api import ModuleApi

from synapse_bum.oidc import metrics
from synapse_bum.testing.login_case import LoginTestCase

HOUR_S = 3_600


class NameTestCase(LoginTestCase):
    server: ClassVar[dict[str, Any]] = {"enable_set_displayname": False}

    def name_of(self, user_id: str) -> str | None:
        name: str | None = self.make_request("GET", f"/profile/{user_id}").json_body.get("displayname")
        return name

    def test_a_new_name_comes_with_the_next_login_though_users_may_not_change_theirs(self) -> None:
        anna = self.comes("anna", name="Anna Müller")
        assert self.name_of(anna) == "Anna Müller"
        self.comes("anna", name="Anna Schulz")
        assert self.name_of(anna) == "Anna Schulz"
        assert self.audit("oidc.display_name.changed") == [("idp:keycloak", anna, None)]

    def test_claims_without_a_name_change_none(self) -> None:
        anna = self.comes("anna", name="Anna Müller")
        self.comes("anna", name=None)
        assert self.name_of(anna) == "Anna Müller"

    def test_the_rooms_get_it_too(self) -> None:
        session = self.log_in(self.person("anna"))
        room_id = self.helper.create_room_as(session["user_id"], tok=session["access_token"])
        self.comes("anna", name="Anna Schulz")
        self.pump(1)
        member = self.helper.get_state(
            room_id, "m.room.member", tok=session["access_token"], state_key=session["user_id"]
        )
        assert member["displayname"] == "Anna Schulz"

    def test_it_is_set_once_for_both_steps_of_a_login(self) -> None:
        self.comes("anna")
        with patch.object(ModuleApi, "set_displayname", AsyncMock()) as setting:
            self.comes("anna", name="Anna Schulz")
        assert setting.await_count == 1

    def test_it_is_not_set_when_something_else_changes(self) -> None:
        with patch.object(ModuleApi, "set_displayname", AsyncMock()) as setting:
            self.comes("anna", email="anna@x.example", email_verified=True)
        setting.assert_not_awaited()
        assert self.rows("SELECT pending FROM synapse_bum_oidc_people") == [(0,)]

    def test_a_name_that_can_not_be_set_stays_pending_and_comes_within_a_minute(self) -> None:
        anna = self.comes("anna")
        before = metrics.FAILURES.labels(step="display_name")._value.get()
        with patch.object(ModuleApi, "set_displayname", AsyncMock(side_effect=OSError("gone"))):
            assert self.comes("anna", name="Anna Schulz") == anna
            self.turn()
        assert metrics.FAILURES.labels(step="display_name")._value.get() > before
        assert metrics.PENDING_LOGINS._value.get() == 1
        self.turn(60)
        assert self.name_of(anna) == "Anna Schulz"
        self.turn()
        assert metrics.PENDING_LOGINS._value.get() == 0

    def test_a_name_that_is_set_but_not_in_the_rooms_gets_there(self) -> None:
        session = self.log_in(self.person("anna"))
        room_id = self.helper.create_room_as(session["user_id"], tok=session["access_token"])
        with patch.object(self.hs.get_profile_handler(), "_update_join_states", AsyncMock(side_effect=OSError("gone"))):
            self.comes("anna", name="Anna Schulz")
        assert self.name_of(session["user_id"]) == "Anna Schulz"
        self.turn(60)
        self.pump(1)
        member = self.helper.get_state(
            room_id, "m.room.member", tok=session["access_token"], state_key=session["user_id"]
        )
        assert member["displayname"] == "Anna Schulz"

    def test_what_fails_with_the_first_step_is_done_with_the_second(self) -> None:
        anna = self.comes("anna")
        with patch.object(self.parts.database, "run", AsyncMock(side_effect=[OSError("gone")])):
            page = self.come_back(self.person("anna", name="Anna Schulz"))
        assert page.code == 200
        self.get_success(self.parts.logins.on_user_login(anna, "m.login.token", "oidc-keycloak"))
        self.pump()
        assert self.name_of(anna) == "Anna Schulz"

    def test_the_second_step_looks_again_unless_the_first_one_has_just_left_nothing_here(self) -> None:
        anna = self.comes("anna")
        expected: Sequence[tuple[Sequence[str | int], int]] = (
            (["m.login.sso", "m.login.token"], 1),
            (["m.login.sso", "m.login.token", "m.login.token"], 2),
            (["m.login.sso", 130, "m.login.token"], 2),
            (["m.login.token"], 1),
        )
        for steps, looks in expected:
            assert self._looks(anna, steps) == looks

    def _looks(self, user_id: str, steps: Sequence[str | int]) -> int:
        """How often steps of a login, with seconds between them, look for something to do."""
        with patch.object(self.parts.database, "run", AsyncMock(side_effect=self.parts.database.run)) as asked:
            for step in steps:
                if isinstance(step, int):
                    self.reactor.advance(step)
                else:
                    self.get_success(self.parts.logins.on_user_login(user_id, step, "oidc-keycloak"))
        return sum(call.args[0] == "synapse_bum_oidc_login" for call in asked.await_args_list)

    def test_other_logins_change_nothing(self) -> None:
        anna = self.comes("anna")
        with patch.object(self.parts.logins, "_apply", AsyncMock()) as applied:
            self.come_back(self.person("anna", name="Anna Schulz"))
            applied.reset_mock()
            for provider in (None, "oidc", "oidc-other", "saml"):
                self.get_success(self.parts.logins.on_user_login(anna, "m.login.sso", provider))
            self.get_success(self.parts.logins.on_user_login(self.boss, "m.login.sso", "oidc-keycloak"))
        applied.assert_not_awaited()

    def test_somebody_locked_gets_nothing(self) -> None:
        anna = self.comes("anna")
        self.rows("UPDATE users SET locked = TRUE WHERE name = ?", anna)
        self.come_back(self.person("anna", name="Anna Schulz", email="anna@x.example", email_verified=True))
        self.turn(60)
        assert self.rows("SELECT displayname FROM profiles WHERE user_id = 'anna'") == [("Anna",)]
        assert self.rows("SELECT COUNT(*) FROM user_threepids") == [(0,)]
        assert self.rows("SELECT COUNT(*) FROM synapse_bum_oidc_people WHERE pending = 1") == [(0,)]

    def test_a_login_that_never_got_an_account_is_forgotten_after_an_hour(self) -> None:
        self.comes("anna")
        self.rows("DELETE FROM user_external_ids")
        self.rows("UPDATE synapse_bum_oidc_people SET pending = 1")
        self.turn(HOUR_S / 2)
        assert self.rows("SELECT pending FROM synapse_bum_oidc_people") == [(1,)]
        self.turn(HOUR_S)
        assert self.rows("SELECT pending FROM synapse_bum_oidc_people") == []


class EmailTestCase(LoginTestCase):
    def bound(self) -> list[tuple[str, str]]:
        return [(a, u) for a, u in self.rows("SELECT address, user_id FROM user_threepids ORDER BY address")]

    def has(self, user_id: str, address: str) -> None:
        store = self.hs.get_datastores().main
        self.get_success(store.user_add_threepid(user_id, "email", address, 0, 0))

    def shows(self, name: str, email: str | None) -> str:
        return self.comes(name, email=email, email_verified=True)

    def test_a_verified_address_is_bound_and_modules_are_told(self) -> None:
        told = AsyncMock()
        self.hs.get_module_api().register_third_party_rules_callbacks(on_add_user_third_party_identifier=told)
        anna = self.shows("anna", "Anna@X.example")
        assert self.bound() == [("anna@x.example", anna)]
        told.assert_awaited_once_with(anna, "email", "anna@x.example")
        assert self.rows("SELECT COUNT(*) FROM synapse_bum_oidc_people WHERE pending = 1") == [(0,)]

    def test_an_address_that_is_not_verified_is_not(self) -> None:
        self.comes("anna", email="anna@x.example")
        assert self.bound() == []

    def test_somebody_elses_address_stays_his(self) -> None:
        self.has(self.boss, "anna@x.example")
        with self.assertLogs("synapse_bum.oidc.emails", logging.WARNING) as logged:
            anna, _, _ = (self.shows("anna", "anna@x.example") for _ in range(3))
        assert self.bound() == [("anna@x.example", self.boss)]
        assert len(logged.records) == 1
        assert self.audit("oidc.email.taken") == [("idp:keycloak", anna, f"it is bound to {self.boss}")]
        assert "anna@" not in "".join(logged.output)

    def test_an_address_that_its_holder_gave_up_is_bound_at_the_next_login(self) -> None:
        anna = self.shows("anna", "office@x.example")
        bert = self.shows("bert", "office@x.example")
        assert self.bound() == [("office@x.example", anna)]
        self.shows("anna", "anna@x.example")
        assert self.bound() == [("anna@x.example", anna)]
        self.shows("bert", "office@x.example")
        assert self.bound() == [("anna@x.example", anna), ("office@x.example", bert)]

    def test_another_address_takes_the_place_of_the_one_before(self) -> None:
        told = AsyncMock()
        self.hs.get_module_api().register_third_party_rules_callbacks(on_remove_user_third_party_identifier=told)
        anna = self.shows("anna", "anna.mueller@x.example")
        pushers = self.hs.get_pusherpool()
        self.get_success(
            pushers.add_or_update_pusher(
                user_id=anna,
                device_id=None,
                kind="email",
                app_id="m.email",
                app_display_name="",
                device_display_name="",
                pushkey="anna.mueller@x.example",
                lang=None,
                data={},
            )
        )
        self.shows("anna", "anna.schulz@x.example")
        assert self.bound() == [("anna.schulz@x.example", anna)]
        told.assert_awaited_once_with(anna, "email", "anna.mueller@x.example")
        assert self.rows("SELECT COUNT(*) FROM pushers") == [(0,)]

    def test_an_address_that_was_bound_by_hand_stays(self) -> None:
        anna = self.comes("anna")
        self.has(anna, "private@y.example")
        self.has(anna, "anna.mueller@x.example")
        self.shows("anna", "anna.mueller@x.example")
        self.shows("anna", "anna.schulz@x.example")
        expected = ["anna.mueller@x.example", "anna.schulz@x.example", "private@y.example"]
        assert self.bound() == [(address, anna) for address in expected]

    def test_claims_without_an_address_remove_none(self) -> None:
        anna = self.shows("anna", "anna@x.example")
        self.shows("anna", None)
        assert self.bound() == [("anna@x.example", anna)]

    def test_an_address_is_in_no_log_and_no_audit(self) -> None:
        with self.assertLogs("synapse_bum", logging.DEBUG) as logged:
            self.shows("anna", "anna.mueller@x.example")
            self.shows("anna", "anna.schulz@x.example")
        written = self.rows("SELECT old, new, reason, target FROM synapse_bum_audit")
        assert "x.example" not in str(written) + "".join(logged.output)
