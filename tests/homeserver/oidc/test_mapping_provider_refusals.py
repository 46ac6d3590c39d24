"""Who is not let in, at a login and at a confirmation, and what he is told."""

from http import HTTPStatus
from typing import Any
from unittest.mock import AsyncMock, patch

from synapse_bum.database import Database
from synapse_bum.oidc.mapping import parse_mapping
from synapse_bum.oidc.mapping_provider import OidcMappingProvider
from synapse_bum.testing.sso_case import SsoTestCase

TENANT = "0a0b0c0d-1111-4222-8333-444455556666"
STAFF = {"realm_access": {"roles": ["staff"]}}
ANNA: dict[str, Any] = {"sub": "anna's subject", "preferred_username": "anna", **STAFF}
ERIC: dict[str, Any] = {
    "sub": "another one for each application",
    "tid": TENANT,
    "oid": "99999999-1111-4222-8333-444455556666",
    "preferred_username": "Eric.Groß@amt.example",
    "name": "Eric Groß",
}


class RoleTestCase(SsoTestCase):
    mapping = {"idp_id": "keycloak", "preset": "keycloak", "required_roles": ["staff"]}

    def test_who_has_not_the_role_is_told_so_and_gets_nothing(self) -> None:
        for roles in ({}, {"realm_access": {"roles": "staff"}}, {"resource_access": {"other": {"roles": ["staff"]}}}):
            assert "required_roles" in self.refused({**ANNA, "realm_access": {}, **roles})
        assert self.count("SELECT COUNT(*) FROM synapse_bum_oidc_people") == 0
        assert self.count("SELECT COUNT(*) FROM synapse_bum_oidc_localparts") == 0

    def test_who_has_lost_the_role_comes_in_no_more(self) -> None:
        user = self.user_of(ANNA)
        self.refused({**ANNA, "realm_access": {"roles": ["guest"]}})
        assert self.user_of(ANNA) == user

    def test_who_has_lost_the_role_can_confirm_nothing(self) -> None:
        session = self.log_in(ANNA)
        token, path = session["access_token"], f"devices/{session['device_id']}"
        asked = self.make_request("DELETE", path, access_token=token)
        assert asked.code == HTTPStatus.UNAUTHORIZED
        ui_session = asked.json_body["session"]
        page = self.confirm({**ANNA, "realm_access": {"roles": ["guest"]}}, ui_session)
        assert page.code == HTTPStatus.BAD_REQUEST
        attempt = {"auth": {"session": ui_session}}
        assert self.make_request("DELETE", path, attempt, access_token=token).code == HTTPStatus.UNAUTHORIZED
        assert self.confirm(ANNA, ui_session).code == HTTPStatus.OK
        assert self.make_request("DELETE", path, attempt, access_token=token).code == HTTPStatus.OK

    def test_who_lacks_a_name_is_told_which_claim(self) -> None:
        assert "preferred_username" in self.refused({"sub": "nobody", **STAFF})

    def test_who_was_ended_by_scim_comes_in_no_more(self) -> None:
        user = self.user_of(ANNA)
        self.rows(
            "INSERT INTO synapse_bum_oidc_scim_users (idp_id, subject, user_id, emails, active, log_out, created_ts,"
            " modified_ts) VALUES ('keycloak', ?, ?, '[]', 0, 0, 1, 1)",
            ANNA["sub"],
            user,
        )
        before = self.rows("SELECT login_ts FROM synapse_bum_oidc_people")
        self.reactor.advance(1)
        assert "ended" in self.refused(ANNA)
        assert self.rows("SELECT login_ts FROM synapse_bum_oidc_people") == before
        self.rows("UPDATE synapse_bum_oidc_scim_users SET active = 1")
        assert self.user_of(ANNA) == user

    def test_a_database_that_is_away_is_a_page_and_no_session(self) -> None:
        with patch.object(Database, "run", AsyncMock(side_effect=RuntimeError("gone"))):
            page = self.refused(ANNA)
        assert "try again later" in page
        assert "gone" not in page


class FewScopesTestCase(SsoTestCase):
    """Whoever asks for the scope `openid` only gets nothing but a `sub` from the userinfo endpoint."""

    mapping = {"idp_id": "keycloak", "preset": "keycloak", "required_roles": ["staff"]}
    entry = {"user_profile_method": "userinfo_endpoint"}

    def test_a_subject_alone_shows_no_role_and_confirms_nothing(self) -> None:
        session = self.log_in(ANNA)
        token, path = session["access_token"], f"devices/{session['device_id']}"
        ui_session = self.make_request("DELETE", path, access_token=token).json_body["session"]
        page = self.confirm({"sub": ANNA["sub"]}, ui_session)
        assert page.code == HTTPStatus.BAD_REQUEST
        attempt = {"auth": {"session": ui_session}}
        assert self.make_request("DELETE", path, attempt, access_token=token).code == HTTPStatus.UNAUTHORIZED
        self.helper.whoami(token)

    def test_nor_does_it_let_anybody_in(self) -> None:
        assert "required_roles" in self.refused({"sub": ANNA["sub"]})


class LogoutTestCase(SsoTestCase):
    entry = {"backchannel_logout_enabled": True}

    def log_out(self) -> None:
        token = self.identity_provider.generate_logout_token(self.session_there)
        with self.identity_provider.patch_homeserver(self.hs):
            channel = self.make_request(
                "POST",
                "/_synapse/client/oidc/backchannel_logout",
                content=f"logout_token={token}".encode(),
                content_is_form=True,
            )
        assert channel.code == HTTPStatus.OK

    def test_a_logout_at_the_identity_provider_ends_the_session(self) -> None:
        token = self.log_in(ANNA, with_sid=True)["access_token"]
        self.helper.whoami(token)
        self.log_out()
        self.helper.whoami(token, HTTPStatus.UNAUTHORIZED)

    def test_synapse_finds_that_the_mapping_uses_the_subject(self) -> None:
        """It asks with a `sub` and nothing else, and would advise to ignore the `sub` of logouts."""
        metadata = self.identity_provider.get_metadata()
        metadata |= {"backchannel_logout_supported": True, "backchannel_logout_session_supported": True}
        with (
            patch.object(self.identity_provider, "get_metadata", lambda: metadata),
            self.assertNoLogs("synapse.handlers.oidc", "WARNING"),
        ):
            self.log_in(ANNA)


class LogoutWithRolesTestCase(LogoutTestCase):
    mapping = {"idp_id": "keycloak", "preset": "keycloak", "required_roles": ["staff"]}


class SubjectTestCase(SsoTestCase):
    def test_a_subject_says_who_it_is_and_lets_nobody_in(self) -> None:
        """Where nothing is required of anybody."""
        mapper = OidcMappingProvider(parse_mapping(dict(self.mapping)), self.hs.get_module_api())
        assert mapper.get_remote_user_id({"sub": ANNA["sub"]}) == ANNA["sub"]
        assert "preferred_username" in self.refused({"sub": ANNA["sub"]})


class TenantTestCase(SsoTestCase):
    mapping = {"idp_id": "entra", "preset": "entra_id", "tenant": TENANT}
    issuer = f"https://login.microsoftonline.test/{TENANT}/v2.0/"

    def test_a_person_is_the_same_by_tenant_and_object(self) -> None:
        assert self.user_of(ERIC) == "@eric.gross:test"
        renamed = {**ERIC, "preferred_username": "e.gross@amt.example", "sub": "of another application"}
        assert self.user_of(renamed) == "@eric.gross:test"
        assert self.rows("SELECT external_id FROM user_external_ids") == [(f"{TENANT}:{ERIC['oid']}",)]

    def test_two_domains_do_not_collide(self) -> None:
        other = {**ERIC, "oid": "88888888-1111-4222-8333-444455556666", "preferred_username": "eric.gross@b.example"}
        assert self.user_of(ERIC) != self.user_of(other)

    def test_guests_and_people_of_other_tenants_are_refused(self) -> None:
        assert "deny_guests" in self.refused({**ERIC, "acct": 1})
        assert "deny_guests" in self.refused({**ERIC, "idp": "https://sts.windows.net/another/"})
        guest = "eric_amt.example#EXT#@other.onmicrosoft.example"
        assert "deny_guests" in self.refused({**ERIC, "preferred_username": guest})
        assert "tid" in self.refused({**ERIC, "tid": TENANT.replace("0a", "0b")})
        assert "tid" in self.refused({key: value for key, value in ERIC.items() if key != "tid"})
