"""`B/portal/files`: files go with all their copies, with a journal and the audit, and never against a hold."""

import os
from http import HTTPStatus
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar
from unittest.mock import patch

from synapse.rest.client import media

from synapse_bum.portal.files import file_deletion
from synapse_bum.testing.portal_case import PortalTestCase

BASE = "/_synapse/client/bum/v1"
DELETE = f"{BASE}/portal/files/delete"
HERE = mkdtemp()


class FileDeletionTestCase(PortalTestCase):
    servlets: ClassVar = [*PortalTestCase.servlets, media.register_servlets]
    more_modules: ClassVar = ({"module": "synapse_bum.retention.RetentionModule", "config": {}},)
    server: ClassVar = {
        "media_storage_providers": [
            {
                "module": "file_system",
                "store_local": True,
                "store_remote": True,
                "store_synchronous": True,
                "config": {"directory": HERE},
            }
        ]
    }

    def setUp(self) -> None:
        super().setUp()
        self.boss_token = self.login("boss", "pass")
        self.alice_token = self.login("alice", "pass")

    def upload(self, content: bytes = b"hello") -> str:
        mxc: str = self.helper.upload_media(content, tok=self.alice_token)["content_uri"]
        self.pump(1)
        return mxc

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        channel = self.make_request(method, path, body or b"", access_token=self.boss_token)
        return channel.code, channel.json_body

    def lock(self) -> None:
        path = f"/_synapse/admin/v2/users/{self.alice}"
        assert self.ask("PUT", path, {"locked": True})[0] == HTTPStatus.OK

    def copies(self) -> list[str]:
        return [str(Path(folder, name)) for folder, _folders, names in os.walk(HERE) for name in names]

    def can_fetch(self, mxc: str) -> bool:
        path = f"/_matrix/client/v1/media/download/{mxc.removeprefix('mxc://')}"
        return self.make_request("GET", path, access_token=self.boss_token, shorthand=False).code == HTTPStatus.OK

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        store = self.hs.get_datastores().main
        return self.get_success(store.db_pool.simple_select_list(table, None, columns))

    def until_removed(self) -> None:
        for _ in range(50):
            self.wait(2)

    def tearDown(self) -> None:
        for path in self.copies():
            Path(path).unlink()
        super().tearDown()

    def test_one_file_goes_at_once_and_everywhere(self) -> None:
        mxc, other = self.upload(), self.upload(b"other")
        assert len(self.copies()) == 2
        assert self.ask("POST", DELETE, {"mxc": mxc, "reason": "Vorgang 7"}) == (
            HTTPStatus.OK,
            {"deleted": 1, "left": 0, "held_by": None},
        )
        assert not self.can_fetch(mxc)
        assert self.can_fetch(other)
        self.until_removed()
        (left,) = self.copies()
        assert Path(left).read_bytes() == b"other"
        assert [media_id for (media_id,) in self.rows("local_media_repository", "media_id")] == [
            other.rpartition("/")[2]
        ]
        journal = self.rows("synapse_bum_deletions", "media_id", "policy", "actor", "reason", "state")
        assert journal == [(mxc.rpartition("/")[2], "portal:file", self.boss, "Vorgang 7", "dropped")]
        (row,) = self.ask("GET", f"{BASE}/audit?action=media.delete")[1]["audit"]
        assert (row["actor"], row["target"], row["reason"]) == (self.boss, mxc, "Vorgang 7")
        assert self.ask("POST", DELETE, {"mxc": mxc})[0] == HTTPStatus.NOT_FOUND

    def test_all_files_of_an_account_that_nobody_can_use(self) -> None:
        for number in range(5):
            self.upload(b"%d" % number)
        body = {"user_id": self.alice}
        assert self.ask("POST", DELETE, body)[0] == HTTPStatus.CONFLICT, "more could come"
        self.lock()
        path = f"{BASE}/portal/files/deletion/{self.alice}"
        assert self.ask("GET", path)[1] == {"user_id": self.alice, "left": 5, "removing": 0}
        with patch.object(file_deletion, "BATCH", 2), patch.object(file_deletion, "MOST_AT_ONCE", 4):
            assert self.ask("POST", DELETE, body)[1] == {"deleted": 4, "left": 1, "held_by": None}
        assert self.ask("GET", path)[1] == {"user_id": self.alice, "left": 1, "removing": 4}
        assert self.ask("POST", DELETE, body)[1] == {"deleted": 1, "left": 0, "held_by": None}
        assert self.ask("POST", DELETE, body)[1] == {"deleted": 0, "left": 0, "held_by": None}
        self.until_removed()
        assert self.copies() == []
        assert self.ask("GET", path)[1] == {"user_id": self.alice, "left": 0, "removing": 0}
        assert {row[0] for row in self.rows("synapse_bum_deletions", "policy")} == {"portal:account"}
        found = self.ask("GET", f"{BASE}/audit?action=media.delete")[1]["audit"]
        assert [(row["target"], row["new"]["items"]) for row in found] == [
            (self.alice, 1),
            (self.alice, 2),
            (self.alice, 2),
        ]

    def test_a_hold_wins(self) -> None:
        mxc = self.upload()
        self.lock()
        until_ts = self.now_ms() + 10**9
        hold = {"reason": "AZ 1", "until_ts": until_ts}
        assert self.ask("PUT", f"{BASE}/retention/holds/{self.alice}", hold)[0] == HTTPStatus.OK
        status, said = self.ask("POST", DELETE, {"mxc": mxc})
        assert (status, "AZ 1" in said["error"]) == (HTTPStatus.CONFLICT, True)
        status, said = self.ask("POST", DELETE, {"user_id": self.alice})
        assert (status, said["deleted"], said["left"], said["held_by"]["until_ts"]) == (200, 0, 1, until_ts)
        assert self.rows("synapse_bum_deletions", "id") == []
        assert self.can_fetch(mxc)

    def test_who_may_not_and_what_is_nothing(self) -> None:
        mxc = self.upload()
        channel = self.make_request("POST", DELETE, {"mxc": mxc}, access_token=self.alice_token)
        assert channel.code == HTTPStatus.FORBIDDEN
        for body in ({}, {"mxc": mxc, "user_id": self.alice}, {"mxc": "mxc://a b/c"}, {"user_id": "alice"}):
            assert self.ask("POST", DELETE, body)[0] == HTTPStatus.BAD_REQUEST, body
        for body in ({"mxc": "mxc://test/nothing"}, {"mxc": "mxc://other.example/abc"}, {"user_id": "@none:test"}):
            assert self.ask("POST", DELETE, body)[0] == HTTPStatus.NOT_FOUND, body
        assert self.can_fetch(mxc)

    def test_through_the_pages_no_copy_stays(self) -> None:
        mxc = self.upload()
        self.upload(b"another")
        self.browser.log_in()
        self.browser.submit(f"files/{mxc.removeprefix('mxc://')}/delete?owner=%40alice%3Atest")
        assert "gelöscht, wird entfernt" in self.browser.get(f"users/{self.alice}/files")
        assert "Von diesem Konto ist 1 Datei gespeichert." in self.browser.get(f"users/{self.alice}")
        self.browser.submit(f"users/{self.alice}/delete", {"typed": self.alice})
        self.until_removed()
        assert self.copies() == []
        policies = self.rows("synapse_bum_deletions", "policy", "actor")
        assert sorted(policies) == [("portal:account", self.boss), ("portal:file", self.boss)]
