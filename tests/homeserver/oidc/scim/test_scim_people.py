"""Creating, finding and changing people by SCIM: what identity providers and operators rely on."""

from http import HTTPStatus
from urllib.parse import quote

from synapse_bum.oidc.scim.person import resource_id
from synapse_bum.testing.scim_bodies import LEAVES, patch_body, scim_user
from synapse_bum.testing.scim_case import USERS, JsonDict, ScimCase

TENANT = "01234567-89ab-cdef-0123-456789abcdef"
OBJECT = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"


class CreateTestCase(ScimCase):
    def test_somebody_who_never_logged_in_gets_an_account_that_the_first_login_finds(self) -> None:
        made = self.create("Jürgen.Groß", "f1c2", displayName="Jürgen Groß")
        user_id = self.account_of(made)
        assert user_id == "@juergen.gross:test"
        linked = self.get_success(self.store.get_user_by_external_id("oidc-keycloak", "f1c2"))
        assert linked == user_id
        info = self.get_success(self.store.get_user_by_id(user_id))
        assert info is not None
        assert self.rows("SELECT password_hash, admin FROM users WHERE name = ?", user_id) == [(None, 0)]
        assert self.get_success(self.store.get_profileinfo(info.user_id)).display_name == "Jürgen Groß"
        assert self.audited() == ["oidc.scim.created"]

    def test_the_answer_is_the_resource_with_its_place(self) -> None:
        channel = self.ask("POST", USERS, scim_user(displayName="Anna"))
        made = self.answered(channel, HTTPStatus.CREATED)
        assert made["id"] == resource_id("subject-of-anna")
        assert channel.headers.getRawHeaders("Location") == [made["meta"]["location"]]
        assert channel.headers.getRawHeaders("Content-Type") == ["application/scim+json"]
        assert channel.headers.getRawHeaders("Cache-Control") == ["no-store"]
        assert self.answered(self.ask("GET", f"{USERS}/{made['id']}")) == made

    def test_a_person_is_created_once(self) -> None:
        self.create()
        self.refused(self.ask("POST", USERS, scim_user()), HTTPStatus.CONFLICT, "uniqueness")
        self.refused(self.ask("POST", USERS, scim_user("other")), HTTPStatus.CONFLICT, "uniqueness")
        assert self.rows("SELECT COUNT(*) FROM users WHERE name LIKE ?", "@anna%") == [(1,)]

    def test_a_login_name_belongs_to_one_person_in_whatever_case(self) -> None:
        self.create()
        self.refused(self.ask("POST", USERS, scim_user("ANNA", "other")), HTTPStatus.CONFLICT, "uniqueness")

    def test_an_account_that_is_there_is_nobody_elses(self) -> None:
        other = self.register_user("anna", "pass")
        user_id = self.account_of(self.create())
        assert user_id != other
        assert user_id.startswith("@anna-")
        assert self.rows("SELECT user_id FROM user_external_ids") == [(user_id,)]

    def test_nobody_becomes_the_administrator_by_his_name(self) -> None:
        user_id = self.account_of(self.create("boss", "x"))
        assert user_id != "@boss:test"

    def test_without_external_id_nobody_knows_whose_account_it_is(self) -> None:
        sentence = self.refused(
            self.ask("POST", USERS, scim_user("anna", None)), HTTPStatus.BAD_REQUEST, "invalidValue"
        )
        assert "externalId" in sentence
        assert self.rows("SELECT COUNT(*) FROM users WHERE name LIKE ?", "@anna%") == [(0,)]

    def test_unknown_attributes_are_no_obstacle(self) -> None:
        more: JsonDict = {
            "nickName": "A",
            "x": {"y": [1]},
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"a": 1},
        }
        made = self.create(**more)
        assert "x" not in made

    def test_who_is_created_inactive_can_not_log_in(self) -> None:
        user_id = self.account_of(self.create(active=False))
        assert self.is_locked(user_id)
        assert self.rows("SELECT active FROM synapse_bum_oidc_scim_users") == [(0,)]
        assert self.rows("SELECT COUNT(*) FROM synapse_bum_oidc_scim_endings") == [(0,)]

    def test_who_has_logged_in_before_is_taken_over_with_his_account(self) -> None:
        user_id = self.a_linked_person("anna.old", "subject-of-anna")
        assert self.account_of(self.create()) == user_id
        assert self.audited() == ["oidc.scim.adopted"]
        self.refused(self.ask("POST", USERS, scim_user()), HTTPStatus.CONFLICT, "uniqueness")

    def test_a_deactivated_account_is_an_administrators_affair(self) -> None:
        user_id = self.a_linked_person("anna", "subject-of-anna")
        self.get_success(self.store.set_user_deactivated_status(user_id, True))  # noqa: FBT003
        sentence = self.refused(self.ask("POST", USERS, scim_user()), HTTPStatus.CONFLICT)
        assert "administrator" in sentence


class EntraTestCase(ScimCase):
    mapping = {"idp_id": "entra", "preset": "entra_id", "tenant": TENANT}

    def test_the_subject_is_the_one_of_the_first_login(self) -> None:
        made = self.create("Anna.Berg@contoso.example", OBJECT.upper())
        assert self.account_of(made) == "@anna.berg:test"
        assert self.rows("SELECT auth_provider, external_id FROM user_external_ids") == [
            ("oidc-entra", f"{TENANT}:{OBJECT}")
        ]

    def test_the_nickname_that_entra_sends_by_default_is_refused_with_the_remedy(self) -> None:
        refused = self.ask("POST", USERS, scim_user("anna@contoso.example", "anna.berg"))
        assert "objectId" in self.refused(refused, HTTPStatus.BAD_REQUEST, "invalidValue")

    def test_guests_of_the_tenant_get_no_account(self) -> None:
        name = "anna_partner.example#EXT#@contoso.onmicrosoft.com"
        refused = self.ask("POST", USERS, scim_user(name, OBJECT))
        assert "uests" in self.refused(refused, HTTPStatus.BAD_REQUEST, "invalidValue")

    def test_all_three_styles_of_patch_end_access(self) -> None:
        styles = (
            patch_body({"op": "Replace", "path": "active", "value": "False"}),
            patch_body({"op": "Replace", "value": {"active": "False", "name.givenName": "Anna"}}),
            patch_body(
                {"op": "Add", "path": 'emails[type eq "work"].value', "value": "a@contoso.example"},
                {"op": "Replace", "path": "active", "value": False},
            ),
        )
        for number, style in enumerate(styles):
            made = self.create(f"p{number}@contoso.example", OBJECT[:-1] + str(number))
            answer = self.answered(self.ask("PATCH", f"{USERS}/{made['id']}", style))
            assert answer["active"] is False
            assert self.is_locked(self.account_of(made))

    def test_a_new_upn_renames_no_account(self) -> None:
        made = self.create("anna@contoso.example", OBJECT)
        operation = {"op": "Replace", "path": "userName", "value": "anna.neu@contoso.example"}
        changed = self.answered(self.ask("PATCH", f"{USERS}/{made['id']}", patch_body(operation)))
        assert (changed["userName"], self.account_of(changed)) == ("anna.neu@contoso.example", "@anna:test")
        guest = {"op": "Replace", "path": "userName", "value": "anna#EXT#@contoso.example"}
        self.refused(
            self.ask("PATCH", f"{USERS}/{made['id']}", patch_body(guest)), HTTPStatus.BAD_REQUEST, "invalidValue"
        )


class FindTestCase(ScimCase):
    def find(self, condition: str) -> list[str]:
        """The login names that a filter finds."""
        found = self.answered(self.ask("GET", f"{USERS}?filter={quote(condition)}"))
        assert found["totalResults"] == len(found["Resources"])
        return [one["userName"] for one in found["Resources"]]

    def test_people_are_found_before_they_are_created(self) -> None:
        self.create("Anna", "1", emails=[{"value": "Anna@a.example", "type": "work", "primary": True}])
        self.create("bert", "2", active=False)
        self.a_linked_person("carl", "3")
        assert self.find('userName eq "ANNA"') == ["Anna"]
        assert self.find('userName eq "carl"') == ["carl"]
        assert self.find('externalId eq "2"') == ["bert"]
        assert self.find('externalId eq "3"') == ["carl"]
        assert self.find(f'id eq "{resource_id("1")}"') == ["Anna"]
        assert self.find("active eq true") == ["Anna", "carl"]
        assert self.find('emails.value eq "anna@A.example"') == ["Anna"]
        assert self.find('emails[type eq "work"].value eq "anna@a.example" and active eq true') == ["Anna"]
        assert self.find('userName eq "anna" and active eq false') == []
        assert self.find('userName eq "nobody"') == []

    def test_who_has_logged_in_is_found_by_what_the_login_said(self) -> None:
        self.a_linked_person("anna.old", "1")
        note = (
            "INSERT INTO synapse_bum_oidc_people (idp_id, subject, user_name, user_name_key, display_name, admin,"
            " pending, login_ts) VALUES ('keycloak', '1', 'Anna.Groß', 'anna.gross', 'Anna', 'unknown', 0, 5)"
        )
        self.get_success(self.database.run("test", lambda txn: txn.execute(note)))
        assert self.find('userName eq "anna.groß"') == ["Anna.Groß"]
        assert self.find('userName eq "anna.old"') == []

    def test_an_old_login_keeps_its_name_from_nobody_who_is_provisioned(self) -> None:
        """A login name is given to somebody new when its owner has gone."""
        self.a_linked_person("old", "1")
        note = (
            "INSERT INTO synapse_bum_oidc_people (idp_id, subject, user_name, user_name_key, admin, pending, login_ts)"
            " VALUES ('keycloak', '1', 'Anna', 'anna', 'unknown', 0, 5)"
        )
        self.get_success(self.database.run("test", lambda txn: txn.execute(note)))
        made = self.create("anna", "2")
        assert self.find('userName eq "anna"') == ["anna"]
        self.refused(self.ask("POST", USERS, scim_user("ANNA", "3")), HTTPStatus.CONFLICT, "uniqueness")
        assert self.ask("DELETE", f"{USERS}/{made['id']}").code == HTTPStatus.NO_CONTENT
        self.create("anna", "4")

    def test_pages_hold_everybody_once(self) -> None:
        names = {f"p{number}" for number in range(5)}
        for name in sorted(names):
            self.create(name, name)
        seen: list[str] = []
        for start in (1, 3, 5):
            page = self.answered(self.ask("GET", f"{USERS}?startIndex={start}&count=2"))
            assert (page["totalResults"], page["startIndex"]) == (5, start)
            seen += [one["userName"] for one in page["Resources"]]
        assert sorted(seen) == sorted(names)
        body = {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
            "filter": "active eq true",
            "count": 0,
        }
        found = self.answered(self.ask("POST", f"{USERS}/.search", body))
        assert (found["totalResults"], found["Resources"]) == (5, [])

    def test_only_what_is_asked_for_is_sent(self) -> None:
        made = self.create(displayName="Anna")
        short = self.answered(self.ask("GET", f"{USERS}/{made['id']}?attributes=userName"))
        assert set(short) == {"schemas", "id", "userName"}

    def test_a_filter_that_is_not_understood_finds_nobody_and_says_so(self) -> None:
        self.create()
        for condition in ('userName co "a"', "userName", "not (active eq true)"):
            refused = self.ask("GET", f"{USERS}?filter={quote(condition)}")
            self.refused(refused, HTTPStatus.BAD_REQUEST, "invalidFilter")


class ChangeTestCase(ScimCase):
    def test_the_display_name_follows(self) -> None:
        made = self.create(displayName="Anna")
        change = patch_body({"op": "replace", "path": "displayName", "value": "Anna Berg"})
        assert self.answered(self.ask("PATCH", f"{USERS}/{made['id']}", change))["displayName"] == "Anna Berg"
        self.pump()
        info = self.get_success(self.store.get_user_by_id(self.account_of(made)))
        assert info is not None
        assert self.get_success(self.store.get_profileinfo(info.user_id)).display_name == "Anna Berg"

    def test_a_put_replaces_what_it_does_not_name_but_lets_nobody_in(self) -> None:
        made = self.create(displayName="Anna")
        self.answered(self.ask("PATCH", f"{USERS}/{made['id']}", LEAVES))
        body = {key: value for key, value in scim_user("anna2").items() if key != "active"}
        replaced = self.answered(self.ask("PUT", f"{USERS}/{made['id']}", body))
        assert (replaced["userName"], replaced["active"]) == ("anna2", False)
        assert "displayName" not in replaced
        assert self.is_locked(self.account_of(made))

    def test_external_id_stays(self) -> None:
        made = self.create()
        path = f"{USERS}/{made['id']}"
        self.refused(self.ask("PUT", path, scim_user("anna", "other")), HTTPStatus.BAD_REQUEST, "mutability")
        removed = patch_body({"op": "remove", "path": "externalId"})
        self.refused(self.ask("PATCH", path, removed), HTTPStatus.BAD_REQUEST, "mutability")
        assert self.answered(self.ask("GET", path)) == made

    def test_what_changes_nothing_writes_nothing(self) -> None:
        made = self.create(displayName="Anna")
        same = patch_body({"op": "replace", "path": "displayName", "value": "Anna"})
        assert self.answered(self.ask("PATCH", f"{USERS}/{made['id']}", same)) == made
        assert self.audited() == ["oidc.scim.created"]

    def test_nobody_takes_the_login_name_of_somebody_else(self) -> None:
        self.create("bert", "2")
        made = self.create()
        refused = self.ask("PUT", f"{USERS}/{made['id']}", scim_user("BERT"))
        self.refused(refused, HTTPStatus.CONFLICT, "uniqueness")

    def test_addresses_are_kept_and_not_bound(self) -> None:
        made = self.create(emails=[{"value": "a@a.example", "type": "work"}])
        assert made["emails"][0]["value"] == "a@a.example"
        assert self.rows("SELECT COUNT(*) FROM user_threepids") == [(0,)]


class TrustedEmailTestCase(ScimCase):
    mapping = {"idp_id": "keycloak", "preset": "keycloak", "trust_email": True}

    def bound(self) -> list[tuple[str, str]]:
        """Addresses with their accounts."""
        return [(a, b) for a, b in self.rows("SELECT address, user_id FROM user_threepids ORDER BY address")]

    def test_a_trusted_address_is_bound_changed_and_never_stolen(self) -> None:
        made = self.create(emails=[{"value": "Anna@a.example", "type": "work", "primary": True}])
        user_id = self.account_of(made)
        assert self.bound() == [("anna@a.example", user_id)]
        self.get_success(self.store.user_add_threepid("@boss:test", "email", "boss@a.example", 0, 0))
        for address, expected in (("new@a.example", "new@a.example"), ("boss@a.example", None)):
            body = scim_user(emails=[{"value": address, "primary": True}])
            self.answered(self.ask("PUT", f"{USERS}/{made['id']}", body))
            own = [found for found, owner in self.bound() if owner == user_id]
            assert own == ([] if expected is None else [expected])
        assert ("boss@a.example", "@boss:test") in self.bound()
