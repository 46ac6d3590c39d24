"""What claims would lead to, before anybody logs in with them."""

from typing import Any

from synapse.server import HomeServer

from synapse_bum.config import parse
from synapse_bum.database import Database
from synapse_bum.oidc.api import OidcApi
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.oidc.providers import providers
from synapse_bum.oidc.tables import OIDC
from synapse_bum.rest import api_routes
from synapse_bum.testing.sso_case import SsoTestCase

ANNA: dict[str, Any] = {
    "sub": "anna's subject",
    "preferred_username": "Anna.Müller",
    "name": "Anna Müller",
    "email": "Anna@Amt.example",
    "email_verified": True,
    "realm_access": {"roles": ["staff", "matrix-admin"]},
}


class PreviewTestCase(SsoTestCase):
    mapping = {
        "idp_id": "keycloak",
        "preset": "keycloak",
        "admin_roles": ["matrix-admin"],
        "required_roles": ["staff"],
    }

    def make_homeserver(self, *_reactor_and_clock: object) -> HomeServer:
        hs = self.setup_test_homeserver()
        api = hs.get_module_api()
        config = parse(OidcConfig, {})
        OidcApi(api, Database(api, OIDC), config, providers(api)).add_to(api_routes(api, config))
        return hs

    def preview(self, claims: dict[str, Any]) -> dict[str, Any]:
        return self.answer("POST", "oidc/preview", {"idp_id": "keycloak", "claims": claims})

    def test_somebody_new(self) -> None:
        found = self.preview(ANNA)
        reasons = found.pop("reasons")
        assert found == {
            "allowed": True,
            "user_id": "@anna.mueller:test",
            "localpart": "anna.mueller",
            "display_name": "Anna Müller",
            "emails": ["anna@amt.example"],
            "admin": True,
            "admin_claim": "yes",
        }
        assert all(isinstance(reason, str) for reason in reasons)

    def test_it_says_what_a_login_does_and_changes_nothing(self) -> None:
        self.register_user("anna.mueller", "pass")
        promised = self.preview(ANNA)
        assert any("suffix" in reason for reason in promised["reasons"])
        for table in ("synapse_bum_oidc_people", "synapse_bum_oidc_localparts", "user_external_ids"):
            assert self.count(f"SELECT COUNT(*) FROM {table}") == 0  # noqa: S608 - of the line above
        assert self.user_of(ANNA) == promised["user_id"]
        renamed = self.preview({**ANNA, "preferred_username": "anna.schulz"})
        assert (renamed["user_id"], renamed["localpart"]) == (promised["user_id"], promised["localpart"])
        assert any("already" in reason for reason in renamed["reasons"])

    def test_who_is_refused_is_nobody(self) -> None:
        found = self.preview({**ANNA, "realm_access": {"roles": []}})
        assert "required_roles" in " ".join(found.pop("reasons"))
        assert found == {
            "allowed": False,
            "user_id": None,
            "localpart": None,
            "display_name": None,
            "emails": [],
            "admin": False,
            "admin_claim": "unknown",
        }

    def test_who_was_ended_by_scim_is_refused(self) -> None:
        self.rows(
            "INSERT INTO synapse_bum_oidc_scim_users (idp_id, subject, user_id, emails, active, log_out, created_ts,"
            " modified_ts) VALUES ('keycloak', ?, '@x:test', '[]', 0, 0, 1, 1)",
            ANNA["sub"],
        )
        found = self.preview(ANNA)
        assert not found["allowed"]
        assert "SCIM" in " ".join(found["reasons"])

    def test_it_promises_nobody_elses_address(self) -> None:
        bert = self.register_user("bert", "pass")
        store = self.hs.get_datastores().main
        self.get_success(store.user_add_threepid(bert, "email", "anna@amt.example", 0, 0))
        found = self.preview(ANNA)
        assert found["emails"] == []
        assert any("address" in reason for reason in found["reasons"])

    def test_whose_account_is_closed_is_refused(self) -> None:
        anna = self.user_of(ANNA)
        for column, word in (("locked", "locked"), ("deactivated", "deactivated")):
            value = "TRUE" if column == "locked" else "1"
            self.rows(f"UPDATE users SET {column} = {value} WHERE name = ?", anna)  # noqa: S608 - of the line above
            found = self.preview(ANNA)
            assert found["allowed"] is False
            assert f"{anna} is {word}" in " ".join(found["reasons"])

    def test_what_is_said_of_administrators(self) -> None:
        for access, admin in (({"roles": ["staff"]}, False), ({"roles": ["staff", "matrix-admin"]}, True)):
            assert self.preview({**ANNA, "realm_access": access})["admin"] is admin

    def test_claims_may_hold_anything(self) -> None:
        for claims in ({}, {"sub": None}, {"sub": {"a": [1]}}, {"sub": "\x00"}, {**ANNA, "preferred_username": "\x00"}):
            assert self.preview(claims)["allowed"] is False
        odd = self.preview({**ANNA, "name": "\ud800\x00A", "email": ["x"], "realm_access": {"roles": ["staff", 1]}})
        assert odd["allowed"] is False

    def test_what_is_refused_says_why(self) -> None:
        body: dict[str, Any] = {"idp_id": "keycloak", "claims": {}}
        for changes, errcode, word in (
            ({"idp_id": "okta"}, "M_INVALID_PARAM", "must be one of keycloak"),
            ({"claims": []}, "M_INVALID_PARAM", "claims"),
            ({"idp_id": 1}, "M_INVALID_PARAM", "idp_id"),
            ({"more": 1}, "M_INVALID_PARAM", "more"),
        ):
            channel = self.ask("POST", "oidc/preview", {**body, **changes})
            assert (channel.code, channel.json_body["errcode"]) == (400, errcode)
            assert word in channel.json_body["error"]
        assert self.ask("POST", "oidc/preview", {"idp_id": "keycloak"}).json_body["errcode"] == "M_MISSING_PARAM"
        token = self.login("user", "pass") if self.register_user("user", "pass") else ""
        assert self.ask("POST", "oidc/preview", body, token=token).code == 403
