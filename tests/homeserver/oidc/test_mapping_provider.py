"""Logins over OpenID Connect, from the identity provider's claims to the session."""

from http import HTTPStatus

from synapse_bum.testing.sso_case import SsoTestCase

ANNA = {"sub": "11111111-0000-4000-8000-000000000001", "preferred_username": "Anna.Müller", "name": "Anna Müller"}
BERT = {"sub": "11111111-0000-4000-8000-000000000002", "preferred_username": "bert", "name": "Bert"}


class AccountTestCase(SsoTestCase):
    def test_somebody_new_gets_an_account_with_his_name(self) -> None:
        assert self.user_of(ANNA) == "@anna.mueller:test"
        assert self.rows("SELECT auth_provider, external_id, user_id FROM user_external_ids") == [
            ("oidc-keycloak", ANNA["sub"], "@anna.mueller:test")
        ]
        profile = self.make_request("GET", "/profile/@anna.mueller:test")
        assert profile.json_body["displayname"] == "Anna Müller"

    def test_who_comes_again_has_the_same_account_whatever_his_name_is_then(self) -> None:
        first = self.user_of(ANNA)
        assert self.user_of(ANNA) == first
        assert self.user_of({**ANNA, "preferred_username": "anna.schulz", "name": "Anna Schulz"}) == first
        assert self.user_of({**BERT, "preferred_username": "Anna.Müller"}) != first

    def test_two_people_with_one_name_have_two_accounts(self) -> None:
        names = ["Jürgen", "juergen", "JÜRGEN", "Ju\u0308rgen", "juergen"]
        people = [{"sub": str(number), "preferred_username": name} for number, name in enumerate(names)]
        users = [self.user_of(claims) for claims in people]
        assert users[0] == "@juergen:test"
        assert len(set(users)) == len(users)
        assert all(user.startswith("@juergen-") for user in users[1:])
        assert [self.user_of(claims) for claims in people] == users

    def test_nobody_gets_an_account_that_is_not_his(self) -> None:
        self.register_user("root", "pass", admin=True)
        self.rows("INSERT INTO users (name, creation_ts) VALUES ('@OLD:test', 1)")
        for name in ("root", "ROOT", "Röot", "boss", "old"):
            user = self.user_of({"sub": f"subject of {name}", "preferred_username": name})
            assert user not in {"@root:test", "@boss:test", "@old:test", "@OLD:test"}, name
        assert self.count("SELECT COUNT(*) FROM user_external_ids WHERE user_id IN ('@root:test', '@boss:test')") == 0

    def test_nobody_gets_the_account_of_somebody_who_has_gone(self) -> None:
        gone = self.user_of(ANNA)
        left = self.make_request("POST", f"/_synapse/admin/v1/deactivate/{gone}", {}, access_token=self.boss_token)
        assert left.code == HTTPStatus.OK
        assert self.user_of({**BERT, "preferred_username": "Anna.Müller"}) != gone
        assert "loginToken" not in self.come_back(ANNA).text_body

    def test_names_that_synapse_keeps_for_others_are_changed(self) -> None:
        names = {"4711": "@u4711:test", "_anna": "@=5fanna:test", "a/b=c": "@a=2fb=3dc:test"}
        for name, user in names.items():
            assert self.user_of({"sub": f"subject of {name}", "preferred_username": name}) == user

    def test_a_long_name_makes_a_user_id_of_255_bytes_at_most(self) -> None:
        users = {self.user_of({"sub": str(n), "preferred_username": "ж" * 500 + str(n)}) for n in range(2)}
        assert len(users) == 2
        assert all(len(user) <= 255 for user in users)

    def test_an_address_is_not_bound_by_synapse(self) -> None:
        self.log_in({**ANNA, "email": "anna@amt.example", "email_verified": True})
        assert self.count("SELECT COUNT(*) FROM user_threepids") == 0

    def test_each_login_is_written_down_once_and_pending(self) -> None:
        self.log_in({**ANNA, "email": "Anna@amt.example", "email_verified": True})
        columns = "idp_id, subject, user_name, user_name_key, display_name, email, admin, pending"
        read = f"SELECT {columns} FROM synapse_bum_oidc_people"  # noqa: S608 - of the line above
        row = ("keycloak", ANNA["sub"], "Anna.Müller", "anna.müller", "Anna Müller", "anna@amt.example", "unknown", 1)
        assert self.rows(read) == [row]
        self.rows("UPDATE synapse_bum_oidc_people SET pending = 0, bound_email = 'anna@amt.example'")
        self.log_in({**ANNA, "name": "Anna Schulz"})
        assert self.rows(read) == [(*row[:4], "Anna Schulz", None, *row[6:])]
        assert self.rows("SELECT bound_email FROM synapse_bum_oidc_people") == [("anna@amt.example",)]

    def test_what_no_database_takes_does_not_reach_it(self) -> None:
        for number, bad in enumerate(("\x00", "\ud800", "\u202e", "\n")):
            claims = {"sub": str(number), "preferred_username": f"bad{number}", "name": f"A{bad}B"}
            assert (
                self.user_of({**claims, "email": f"a{bad}@b.example", "email_verified": True}) == f"@bad{number}:test"
            )
            for claim in ("sub", "preferred_username"):
                if bad != "\u202e" or claim != "sub":
                    self.refused({**claims, claim: f"x{bad}y"})
        shown = [name for (name,) in self.rows("SELECT display_name FROM synapse_bum_oidc_people ORDER BY subject")]
        assert shown == ["AB", "AB", "AB", "A B"]

    def test_the_login_name_of_somebody_known_may_be_that_of_an_account(self) -> None:
        """He is known by his subject, so his name is not looked at."""
        mine = self.user_of(ANNA)
        self.register_user("root", "pass")
        assert self.user_of({**ANNA, "preferred_username": "root"}) == mine


class UserinfoTestCase(SsoTestCase):
    entry = {"user_profile_method": "userinfo_endpoint"}

    def test_a_megabyte_of_claims_is_no_obstacle(self) -> None:
        """In an ID token Synapse itself refuses it."""
        roles = {"roles": [f"role-{number:06}" for number in range(60_000)]}
        with self.identity_provider.id_token_override({"realm_access": None, "note": None}):
            assert self.user_of({**BERT, "realm_access": roles, "note": "x" * 200_000}) == "@bert:test"


class ProfileUpdateTestCase(SsoTestCase):
    """`sso.update_profile_information`: Synapse asks for a name also for people who have one."""

    server = {"sso": {"update_profile_information": True}}

    def test_nobody_collides_with_himself(self) -> None:
        user = self.user_of(ANNA)
        assert self.user_of({**ANNA, "name": "Anna Schulz"}) == user
        assert self.make_request("GET", f"/profile/{user}").json_body["displayname"] == "Anna Schulz"
        assert self.count("SELECT COUNT(*) FROM synapse_bum_oidc_localparts") == 1
