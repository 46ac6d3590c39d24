"""How long it is kept what logins say of people."""

from typing import Final
from unittest.mock import patch

from synapse_bum.oidc.login import REGISTRATION_MS
from synapse_bum.oidc.mapping import AdminClaim, Decision
from synapse_bum.oidc.people import note_login
from synapse_bum.testing.login_case import LoginTestCase

SAID: Final = (
    "SELECT user_name, user_name_key, display_name, email, bound_email FROM synapse_bum_oidc_people WHERE subject = ?"
)


class PeopleRetentionTestCase(LoginTestCase):
    def said_of(self, login: str) -> list[tuple[object, ...]]:
        """What is kept of somebody."""
        return self.rows(SAID, f"subject of {login}")

    def maps(self, login: str, idp_id: str = "keycloak") -> None:
        """Somebody's claims are mapped, and then he does not go on."""
        subject, email = f"subject of {login}", f"{login}@x.example"
        decision = Decision(
            allowed=True,
            subject=subject,
            localpart=login,
            user_name=login,
            display_name=login,
            email=email,
            admin=AdminClaim.NO,
            guest=False,
            reasons=(),
        )
        now_ms = self.hs.get_clock().time_msec()
        self.get_success(self.parts.database.run("test", note_login, idp_id, decision, now_ms))

    def test_it_ends_with_a_deactivation_by_hand(self) -> None:
        anna = self.comes("anna", email="anna@x.example", email_verified=True)
        self.comes("bert", email="bert@x.example", email_verified=True)
        kept = self.said_of("bert")
        assert self.said_of("anna") == [("anna", "anna", "Anna", "anna@x.example", "anna@x.example")]
        path = f"/_synapse/admin/v1/deactivate/{anna}"
        assert self.make_request("POST", path, {}, access_token=self.boss_token).code == 200
        self.turn(60)
        assert self.said_of("anna") == [(None, None, None, None, None)]
        assert self.said_of("bert") == kept

    def test_who_never_got_an_account_is_forgotten_after_the_time_for_a_registration(self) -> None:
        self.comes("bert")
        self.maps("anna")
        self.turn(REGISTRATION_MS / 1000 - 120)
        assert len(self.said_of("anna")) == 1
        self.turn(240)
        assert self.said_of("anna") == []
        assert len(self.said_of("bert")) == 1

    def test_everybody_gets_a_turn(self) -> None:
        came = ["a", "b", "c", "d"]
        for login in came:
            self.comes(login)
        for number in range(4):
            self.maps(f"z{number}")
            self.maps(f"z{number}", "another")
        with patch("synapse_bum.oidc.duty._PAGE", 3):
            self.turn(2 * REGISTRATION_MS / 1000)
            self.turn(200)
        kept = self.rows("SELECT subject FROM synapse_bum_oidc_people ORDER BY subject")
        assert kept == [(f"subject of {login}",) for login in came]
