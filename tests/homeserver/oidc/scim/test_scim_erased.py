"""An administrator deletes somebody's account: nothing is kept of the person, who may not come back alone."""

from http import HTTPStatus

from synapse_bum.oidc import people
from synapse_bum.oidc.scim.erased import forget_erased
from synapse_bum.testing.scim_bodies import RETURNS
from synapse_bum.testing.scim_case import USERS, ScimCase

KEPT = (
    "SELECT external_id, user_name, display_name, given_name, family_name, emails"
    " FROM synapse_bum_oidc_scim_users WHERE subject = ?"
)


class ErasedTestCase(ScimCase):
    def deactivate(self, user_id: str, *, erase: bool) -> None:
        path = f"/_synapse/admin/v1/deactivate/{user_id}"
        assert self.make_request("POST", path, {"erase": erase}, access_token=self.boss).code == HTTPStatus.OK

    def forget(self) -> int:
        now_ms = self.hs.get_clock().time_msec()
        return self.get_success(self.database.run("test", forget_erased, now_ms))

    def test_what_scim_said_of_an_erased_person_is_forgotten(self) -> None:
        user_id, other_id = self.a_linked_person("anna", "anna"), self.a_linked_person("bert", "bert")
        made = self.create("anna", "anna")
        self.create("bert", "bert")
        kept = self.rows(KEPT, "bert")
        self.deactivate(user_id, erase=True)
        self.deactivate(other_id, erase=False)
        assert self.forget() == 1
        assert self.rows(KEPT, "anna") == [(None, "", None, None, None, "[]")]
        assert self.rows(KEPT, "bert") == kept, "only deactivated"
        assert self.audited()[-1] == "oidc.scim.deactivated"
        assert self.forget() == 0
        assert self.get_success(self.database.run("test", people.is_ended, "keycloak", "anna"))
        assert self.ask("GET", f"{USERS}/{made['id']}").code == HTTPStatus.NOT_FOUND
        assert self.ask("PATCH", f"{USERS}/{made['id']}", RETURNS).code == HTTPStatus.NOT_FOUND
        assert self.is_deactivated(user_id)
