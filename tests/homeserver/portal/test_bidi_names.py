"""Names with characters that turn round what stands behind them, on pages."""

import re
from urllib.parse import quote

from synapse_bum.testing.portal_case import PortalTestCase

HEBREW = "\u05e9\u05dc\u05d5\u05dd"


class BidiNamesTestCase(PortalTestCase):
    def heading(self, path: str) -> str:
        found = re.search("<h1>(.*?)</h1>", self.browser.get(path), re.DOTALL)
        assert found is not None
        return found[1]

    def test_headings_run_in_the_readers_direction(self) -> None:
        token = self.login("alice", "pass")
        for name, shown in (("Harmlos\u202e!nehcsol etiB", "Harmlos!nehcsol etiB"), (HEBREW, f"\u2068{HEBREW}\u2069")):
            answer = self.make_request("POST", "/_matrix/client/v3/createRoom", {"name": name}, access_token=token)
            profile = f"/_matrix/client/v3/profile/{self.alice}/displayname"
            assert self.make_request("PUT", profile, {"displayname": name}, access_token=token).code == 200
            self.browser.log_in()
            room = f"rooms/{quote(answer.json_body['room_id'], safe='')}"
            for path in (room, f"{room}/delete", "users/%40alice%3Atest"):
                heading = self.heading(path)
                assert shown in heading, path
                assert "\u202e" not in heading, path
            edited = self.browser.get("users/%40alice%3Atest/edit")
            assert f'value="{name}"' in edited, "what can be changed is as it was written"
