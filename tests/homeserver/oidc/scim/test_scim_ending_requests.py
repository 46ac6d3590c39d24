"""Requests that end access: nothing else in them keeps a leaver in, and nothing but them ends it."""

from http import HTTPStatus

from prometheus_client import REGISTRY
from synapse.module_api import UserID

from synapse_bum.testing.scim_bodies import LEAVES, RETURNS, patch_body, scim_user
from synapse_bum.testing.scim_case import USERS, JsonDict, ScimCase

HOUR_S = 3_600
INACTIVE = {"op": "replace", "path": "active", "value": "False"}


class EndingCase(ScimCase):
    def a_person(self, localpart: str = "anna") -> tuple[str, str]:
        """Somebody who has logged in and was provisioned: path of the resource, user id."""
        user_id = self.a_linked_person(localpart, localpart)
        made = self.create(localpart, localpart, emails=[{"value": f"{localpart}@a.example"}])
        return f"{USERS}/{made['id']}", user_id

    def by_hand(self, user_id: str, **change: object) -> None:
        """What an operator does over Synapse's admin API."""
        path = f"/_synapse/admin/v2/users/{user_id}"
        assert self.make_request("PUT", path, change, access_token=self.boss).code == HTTPStatus.OK

    def active_in_row(self) -> list[tuple[int, ...]]:
        """What logins go by."""
        return self.rows("SELECT active FROM synapse_bum_oidc_scim_users")


class WhateverIsWrongTestCase(EndingCase):
    def ends(self, method: str, body: JsonDict) -> None:
        """Asserts that a request ends access, and that nothing else becomes of it."""
        path, user_id = self.a_person()
        before = self.answered(self.ask("GET", path))
        after = self.answered(self.ask(method, path, body))
        assert self.is_locked(user_id)
        assert after["active"] is False
        names = ("userName", "externalId", "emails")
        assert [after.get(name) for name in names] == [before.get(name) for name in names]
        assert self.audited()[-1] == "oidc.scim.ended"
        self.answered(self.ask(method, path, body))

    def still_refused(self, method: str, body: JsonDict, status: HTTPStatus) -> None:
        """Asserts that a request which ends nothing is refused as ever."""
        path, user_id = self.a_person("carl")
        assert self.ask(method, path, body).code == status
        assert not self.is_locked(user_id)

    def test_a_login_name_that_somebody_else_has(self) -> None:
        self.create("bert", "bert")
        self.ends("PUT", scim_user("bert", "anna", active=False))
        self.still_refused("PUT", scim_user("bert", "carl"), HTTPStatus.CONFLICT)

    def test_an_address_that_is_none(self) -> None:
        emails = [{"value": "nobody"}]
        self.ends("PUT", scim_user("anna", "anna", active=False, emails=emails))
        self.still_refused("PUT", scim_user("carl", "carl", emails=emails), HTTPStatus.BAD_REQUEST)

    def test_a_login_name_that_is_missing(self) -> None:
        self.ends("PUT", scim_user("", "anna", active=False))

    def test_another_external_id(self) -> None:
        self.ends("PUT", scim_user("anna", "other", active="False"))

    def test_a_login_name_that_can_not_be_used(self) -> None:
        name = {"op": "replace", "path": "userName", "value": "\u202e@x"}
        self.ends("PATCH", patch_body(INACTIVE, name))
        self.still_refused("PATCH", patch_body(name), HTTPStatus.BAD_REQUEST)

    def test_an_attribute_that_nobody_knows(self) -> None:
        unknown = {"op": "replace", "path": "favouriteColour", "value": "blue"}
        self.ends("PATCH", patch_body(unknown, INACTIVE))
        self.still_refused("PATCH", patch_body(unknown), HTTPStatus.BAD_REQUEST)

    def test_a_mapping_of_the_operators_own_hinders_nothing(self) -> None:
        path, user_id = self.a_person()
        own = {"op": "replace", "path": "urn:contoso:scim:1.0:User:badge", "value": "1"}
        rename = {"op": "replace", "path": "displayName", "value": "Anna"}
        assert self.answered(self.ask("PATCH", path, patch_body(own, rename)))["displayName"] == "Anna"
        assert self.answered(self.ask("PATCH", path, patch_body(own, INACTIVE, rename)))["active"] is False
        assert self.is_locked(user_id)

    def test_the_log_says_so_without_values(self) -> None:
        path, _user_id = self.a_person()
        with self.assertLogs("synapse_bum.oidc.scim.service", "INFO") as logged:
            self.ask("PUT", path, scim_user("anna", "anna", active=False, emails=[{"value": "secret value"}]))
        assert "@anna:test" in logged.output[0]
        assert "emails.value" in logged.output[0]
        assert "secret" not in logged.output[0]


class DeactivatedByHandTestCase(EndingCase):
    rename = patch_body({"op": "replace", "path": "displayName", "value": "Anna Berg"})

    def test_a_new_name_does_not_end_access_for_good(self) -> None:
        path, user_id = self.a_person()
        self.by_hand(user_id, deactivated=True)
        assert self.answered(self.ask("PATCH", path, self.rename))["active"] is False
        assert self.active_in_row() == [(1,)]
        self.pump()
        assert self.get_success(self.store.get_profileinfo(UserID.from_string(user_id))).display_name != "Anna Berg"
        self.by_hand(user_id, deactivated=False, password="new")
        assert self.answered(self.ask("GET", path))["active"] is True

    def test_nor_that_of_somebody_who_was_never_provisioned(self) -> None:
        user_id = self.a_linked_person("anna", "anna")
        [found] = self.answered(self.ask("GET", USERS))["Resources"]
        self.by_hand(user_id, deactivated=True)
        self.answered(self.ask("PATCH", f"{USERS}/{found['id']}", self.rename))
        assert self.active_in_row() == [(1,)]

    def test_who_leaves_meanwhile_does_not_come_in_again(self) -> None:
        path, user_id = self.a_person()
        self.by_hand(user_id, deactivated=True)
        for _ in range(2):
            self.answered(self.ask("PATCH", path, LEAVES))
        assert self.active_in_row() == [(0,)]
        assert self.audited()[-2:] == ["oidc.scim.adopted", "oidc.scim.ended"]
        assert self.rows("SELECT COUNT(*) FROM synapse_bum_oidc_scim_endings") == [(0,)]


class LockedByHandTestCase(EndingCase):
    def test_what_an_operator_locks_after_he_had_unlocked_it_stays_locked(self) -> None:
        path, user_id = self.a_person()
        self.answered(self.ask("PATCH", path, LEAVES))
        self.by_hand(user_id, locked=False)
        self.by_hand(user_id, locked=True)
        self.answered(self.ask("PATCH", path, RETURNS))
        assert self.is_locked(user_id)

    def test_what_scim_locks_after_that_is_scims_again(self) -> None:
        path, user_id = self.a_person()
        self.answered(self.ask("PATCH", path, LEAVES))
        self.by_hand(user_id, locked=False)
        self.answered(self.ask("PATCH", path, LEAVES))
        self.answered(self.ask("PATCH", path, RETURNS))
        assert not self.is_locked(user_id)


class OneWhoFlapsTestCase(EndingCase):
    scim = {"max_deactivations_per_hour": 2}

    def counted(self) -> tuple[float, float, float]:
        """Endings, and refusals by the limit and for the last administrator, as Prometheus sees them."""
        refused = "synapse_bum_oidc_scim_refused_endings_total"
        endings = REGISTRY.get_sample_value("synapse_bum_oidc_scim_endings_total")
        limit = REGISTRY.get_sample_value(refused, {"reason": "limit"})
        last_admin = REGISTRY.get_sample_value(refused, {"reason": "last_admin"})
        assert endings is not None
        assert limit is not None
        assert last_admin is not None
        return endings, limit, last_admin

    def test_he_takes_nothing_from_others(self) -> None:
        path, _user_id = self.a_person()
        for _ in range(5):
            for body in (LEAVES, RETURNS):
                self.answered(self.ask("PATCH", path, body))
        other, other_id = self.a_person("bert")
        self.answered(self.ask("PATCH", other, LEAVES))
        assert self.is_locked(other_id)

    def test_refusals_are_counted_and_written_down_once_an_hour_for_each_person(self) -> None:
        paths = [self.a_person(f"p{number}")[0] for number in range(4)]
        before = self.counted()
        for path in paths:
            self.ask("PATCH", path, LEAVES)
        for path in paths[2:]:
            self.refused(self.ask("DELETE", path), HTTPStatus.TOO_MANY_REQUESTS)
        endings, limit, last_admin = (after - old for after, old in zip(self.counted(), before, strict=True))
        assert (endings, limit, last_admin) == (2, 4, 0)
        assert self.refusals() == ["@p2:test", "@p3:test"]
        self.wait(HOUR_S)
        new = [self.a_person(f"q{number}")[0] for number in range(2)]
        for path in (*new, paths[3]):
            self.ask("PATCH", path, LEAVES)
        assert self.refusals() == ["@p2:test", "@p3:test", "@p3:test"]

    def test_the_last_administrator_is_counted_too(self) -> None:
        path, user_id = self.a_person()
        self.by_hand(user_id, admin=True)
        self.by_hand("@boss:test", locked=True)
        before = self.counted()
        self.refused(self.ask("PATCH", path, LEAVES), HTTPStatus.FORBIDDEN)
        assert [after - old for after, old in zip(self.counted(), before, strict=True)] == [0, 0, 1]

    def refusals(self) -> list[str]:
        """Of whom the audit says that access was not ended."""
        sql = "SELECT target FROM synapse_bum_audit WHERE action = 'oidc.scim.refused' ORDER BY id"
        return [target for (target,) in self.rows(sql)]
