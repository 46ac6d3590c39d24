"""What somebody has put into his profile goes with the account, whatever this version of Synapse does itself."""

from http import HTTPStatus
from typing import Any

from synapse.types import UserID

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.testing.portal_case import PortalTestCase

REFUSAL = b'{"errcode": "M_FORBIDDEN", "error": "Profile isn\'t available"}'
PROFILE = "GET /_matrix/client/v3/profile"


class ProfileTestCase(PortalTestCase):
    def default_config(self) -> dict[str, Any]:
        config = super().default_config()
        # 1.133.0 has other fields than name and picture only with this one.
        config["experimental_features"] = {"msc4133_enabled": True}
        return config

    def setUp(self) -> None:
        super().setUp()
        self.browser.log_in()
        store = self.hs.get_datastores().main
        self.get_success(store.set_profile_field(UserID.from_string(self.alice), "de.behoerde.raum", "B 4.07"))

    def fields(self) -> dict[str, Any]:
        """What is left, as the database has it."""
        pool = self.hs.get_datastores().main.db_pool
        rows = self.get_success(pool.simple_select_list("profiles", {"user_id": "alice"}, ["fields"], "fields"))
        return dict(rows[0][0]) if rows and rows[0][0] and rows[0][0] != "{}" else {}

    def delete(self) -> str:
        return self.browser.submit(f"users/{self.alice}/delete", {"typed": self.alice})

    def test_the_fields_go(self) -> None:
        assert "ist gelöscht." in self.delete()
        assert self.fields() == {}
        assert any(request.method == "DELETE" for request in self.homeserver_api.asked)

    def test_a_profile_that_may_not_be_looked_at_does_not_stop_the_deletion(self) -> None:
        self.homeserver_api.scripted = {PROFILE: HttpAnswer(HTTPStatus.FORBIDDEN, "application/json", "", REFUSAL)}
        assert "ist gelöscht." in self.delete()
