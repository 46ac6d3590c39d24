"""What a leaver could leave behind: e-mails, tokens, personal data, work that holds up others, a closed door."""

import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, ClassVar
from unittest.mock import patch

from synapse.module_api import ModuleApi, UserID
from synapse.rest.client import openid
from synapse.storage.engines import PostgresEngine

from synapse_bum.config import parse
from synapse_bum.database import Leases
from synapse_bum.homeserver.account_access import end_sessions
from synapse_bum.homeserver.account_creation import mark_for, register
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.oidc.mapping import AdminClaim, Decision
from synapse_bum.oidc.people import note_login
from synapse_bum.oidc.scim.wiring import add_scim
from synapse_bum.testing.scim_bodies import LEAVES, patch_body
from synapse_bum.testing.scim_case import DAY_S, USERS, ScimCase

SERVICE = "synapse_bum.oidc.scim.deactivation"
BY_TOKEN = "get_user_by_access_token"
LEFT_BEHIND = "synapse_bum.oidc.scim.left_behind"


class LeftoversCase(ScimCase):
    servlets: ClassVar[list[Any]] = [*ScimCase.servlets, openid.register_servlets]

    def default_config(self) -> dict[str, Any]:
        config = super().default_config()
        config["public_baseurl"] = "http://test/"
        config["email"] = {"enable_notifs": True, "notif_from": "server@test", "smtp_host": "127.0.0.1"}
        return config

    def a_person(self, localpart: str = "anna") -> tuple[str, str, str]:
        """Somebody who has logged in: path of the resource, user id, access token."""
        user_id = self.a_linked_person(localpart, localpart)
        made = self.create(localpart, localpart)
        return f"{USERS}/{made['id']}", user_id, self.login(localpart, "pass")

    def an_administrator(self, localpart: str) -> tuple[str, str, str]:
        path, user_id, token = self.a_person(localpart)
        self.get_success(self.store.set_server_admin(UserID.from_string(user_id), True))  # noqa: FBT003
        return path, user_id, token

    def write(self, sql: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Runs a statement for each row."""

        def run(txn: Any) -> None:  # noqa: ANN401 - a transaction of Synapse
            for row in rows:
                txn.execute(sql, row)

        self.get_success(self.database.run("test", run))

    def add_rows(self, *rows: tuple[str, str, str, int, int]) -> None:
        """Adds rows of SCIM: identity provider, subject, user id, `created_ts`, `modified_ts`; with work left to do."""
        self.write(
            "INSERT INTO synapse_bum_oidc_scim_users (idp_id, subject, user_id, user_name, user_name_key, emails,"
            " active, log_out, created_ts, modified_ts) VALUES (?, ?, ?, 'x', 'x', '[]', 0, 1, ?, ?)",
            rows,
        )


class LeaverTestCase(LeftoversCase):
    def test_no_more_emails_about_messages(self) -> None:
        path, user_id, _token = self.a_person()
        self.get_success(self.store.user_add_threepid(user_id, "email", "anna@x.example", 0, 0))
        pool = self.hs.get_pusherpool()
        self.get_success(
            pool.add_or_update_pusher(
                user_id=user_id,
                kind="email",
                app_id="m.email",
                app_display_name="E-mail",
                device_display_name="anna@x.example",
                pushkey="anna@x.example",
                lang=None,
                data={},
            )
        )
        assert pool.pushers[user_id]
        self.answered(self.ask("PATCH", path, LEAVES))
        assert self.rows("SELECT COUNT(*) FROM pushers") == [(0,)]
        assert not pool.pushers[user_id]

    def test_he_can_not_prove_to_other_services_who_he_is(self) -> None:
        path, user_id, token = self.a_person()
        _other_path, other, other_token = self.a_person("bert")
        for whose, by in ((user_id, token), (other, other_token)):
            asked = self.make_request("POST", f"/_matrix/client/v3/user/{whose}/openid/request_token", {}, by)
            assert asked.code == HTTPStatus.OK
        self.answered(self.ask("PATCH", path, LEAVES))
        assert self.rows("SELECT user_id FROM open_id_tokens") == [(other,)]


class TokensForOthersTestCase(LeftoversCase):
    def token_for(self, user_id: str, admin_token: str) -> str:
        """The token with which an administrator acts as somebody else."""
        made = self.make_request("POST", f"/_synapse/admin/v1/users/{user_id}/login", {}, admin_token)
        assert made.code == HTTPStatus.OK, made.json_body
        token: str = made.json_body["access_token"]
        return token

    def test_they_end_with_the_lock_and_those_of_others_do_not(self) -> None:
        path, _user_id, token = self.an_administrator("anna")
        his = self.token_for("@boss:test", token)
        not_his = self.token_for("@anna:test", self.boss)
        # From here on Synapse has it in its cache.
        assert self.whoami(his).code == HTTPStatus.OK

        async def fail(*_arguments: object) -> None:
            raise RuntimeError

        with patch(f"{SERVICE}.end_sessions", fail):
            self.refused(self.ask("PATCH", path, LEAVES), HTTPStatus.SERVICE_UNAVAILABLE)
            assert self.whoami(his).json_body["errcode"] == "M_UNKNOWN_TOKEN"
        assert self.rows("SELECT COUNT(*) FROM access_tokens WHERE token = ?", not_his) == [(1,)]
        assert self.whoami(self.boss).code == HTTPStatus.OK
        if isinstance(self.store.database_engine, PostgresEngine):
            # There can be other processes, and they are told to forget it.
            told = self.rows("SELECT keys FROM cache_invalidation_stream_by_instance WHERE cache_func = ?", BY_TOKEN)
            assert ([his],) in told


class StuckTestCase(LeftoversCase):
    def test_hundreds_whose_sessions_resist_hold_up_nobody(self) -> None:
        self.add_rows(*(("keycloak", f"x{number}", f"@x{number}:test", 1, 1) for number in range(250)))
        path, user_id, _token = self.a_person()
        tried: list[str] = []

        async def resist(api: ModuleApi, whose: str) -> None:
            tried.append(whose)
            if whose != user_id:
                raise RuntimeError
            if len(tried) < 100:  # the attempt of the request itself, whose process then dies
                raise RuntimeError
            await end_sessions(api, whose)

        with patch(f"{SERVICE}.end_sessions", resist):
            self.refused(self.ask("PATCH", path, LEAVES), HTTPStatus.SERVICE_UNAVAILABLE)
            for _turn in range(8):
                self.reactor.pump([2, *[0] * 400])
        assert self.devices_of(user_id) == set()
        assert self.rows("SELECT COUNT(*) FROM synapse_bum_oidc_scim_users WHERE log_out = 1") == [(250,)]

    def test_who_has_failed_waits_longer_each_time(self) -> None:
        self.add_rows(("keycloak", "x", "@x:test", 1, 1))
        tried: list[str] = []

        async def resist(_api: ModuleApi, whose: str) -> None:
            tried.append(whose)
            raise RuntimeError

        with patch(f"{SERVICE}.end_sessions", resist):
            for _turn in range(60):
                self.reactor.pump([2, *[0] * 20])
        assert 4 <= len(tried) <= 8

    def test_administrators_who_are_kept_hold_up_no_deactivation(self) -> None:
        paths = [self.an_administrator(f"chief{number}")[0] for number in range(12)]
        for path in paths:
            assert self.ask("DELETE", path).code == HTTPStatus.NO_CONTENT
        self.wait(60)
        path, user_id, _token = self.a_person()
        assert self.ask("DELETE", path).code == HTTPStatus.NO_CONTENT
        boss = self.make_request("PUT", "/_synapse/admin/v2/users/@boss:test", {"locked": True}, self.boss)
        assert boss.code == HTTPStatus.OK
        self.wait(31 * DAY_S)
        self.wait(2)
        assert self.is_deactivated(user_id)
        assert not self.is_deactivated("@chief0:test")


class PersonalDataTestCase(LeftoversCase):
    trusted: ClassVar[Decision] = Decision(
        allowed=True,
        subject="anna",
        localpart="anna",
        user_name="anna",
        display_name="Anna",
        email="anna@x.example",
        admin=AdminClaim.NO,
        guest=False,
        reasons=(),
    )

    def test_it_ends_with_the_account_and_who_was_ended_stays_known(self) -> None:
        path, user_id, _token = self.a_person()
        name = {"op": "replace", "path": "name", "value": {"familyName": "Muster", "givenName": "Anna"}}
        emails = {"op": "replace", "path": "emails", "value": [{"value": "anna@x.example"}]}
        shown = {"op": "replace", "path": "displayName", "value": "Anna Muster"}
        self.answered(self.ask("PATCH", path, patch_body(name, emails, shown)))
        now_ms = self.hs.get_clock().time_msec()
        self.get_success(self.database.run("test", note_login, "keycloak", self.trusted, now_ms))
        assert self.ask("DELETE", path).code == HTTPStatus.NO_CONTENT
        said = "SELECT user_name, family_name FROM synapse_bum_oidc_scim_users"
        self.wait(29 * DAY_S)
        assert self.rows(said) == [("anna", "Muster")]
        self.wait(2 * DAY_S)
        self.wait(2)
        assert self.is_deactivated(user_id)
        said_at_all = (
            "SELECT external_id, user_name, user_name_key, display_name, given_name, family_name, emails"
            " FROM synapse_bum_oidc_scim_users"
        )
        assert self.rows(said_at_all) == [(None, "", "", None, None, None, "[]")]
        kept = "SELECT idp_id, subject, user_id, active FROM synapse_bum_oidc_scim_users"
        assert self.rows(kept) == [("keycloak", "anna", user_id, 0)]
        login = "SELECT subject, user_name, user_name_key, display_name, email FROM synapse_bum_oidc_people"
        assert self.rows(login) == [("anna", None, None, None, None)]
        self.refused(self.ask("GET", path), HTTPStatus.NOT_FOUND)


class OtherProviderTestCase(LeftoversCase):
    def test_what_another_one_had_begun_is_forgotten_and_nobody_is_linked(self) -> None:
        mark = mark_for("synapse_bum.oidc.scim", "okta", "eve", "@eve:test")
        self.get_success(register(self.hs.get_module_api(), "eve", "Eve", mark))
        leaver, token = self.register_user("carl", "pass"), self.login("carl", "pass")
        self.add_rows(("okta", "eve", "@eve:test", 0, 1), ("okta", "carl", leaver, 1, 1))
        self.wait(40)
        self.wait(2)
        assert self.rows("SELECT COUNT(*) FROM user_external_ids") == [(0,)]
        # What was complete is done all the same.
        assert self.rows("SELECT subject, log_out FROM synapse_bum_oidc_scim_users") == [("carl", 0)]
        assert self.whoami(token).code == HTTPStatus.UNAUTHORIZED

    def warned(self, **section: object) -> list[str]:
        """What a start with another section `scim` warns of."""
        config = parse(OidcConfig, {"scim": section})
        api = self.hs.get_module_api()
        with self.assertLogs(LEFT_BEHIND, logging.WARNING) as logged:
            logging.getLogger(LEFT_BEHIND).warning("that it listens")
            add_scim(api, self.database, Leases(api, self.database), config, {})
            self.pump(0.1)
        return [record.getMessage() for record in logged.records][1:]

    def test_a_start_without_scim_says_who_stays_outside(self) -> None:
        assert self.warned(enabled=False) == []
        for name in ("anna", "bert"):
            self.answered(self.ask("PATCH", self.a_person(name)[0], LEAVES))
        self.a_person("carl")
        assert self.ask("DELETE", self.a_person("dora")[0]).code == HTTPStatus.NO_CONTENT
        (warning,) = self.warned(enabled=False)
        assert "keycloak has ended the access of 3 people" in warning
        assert "1 of them are deleted; their accounts are not deactivated" in warning
        assert "`scim.idp_id: keycloak`" in warning
