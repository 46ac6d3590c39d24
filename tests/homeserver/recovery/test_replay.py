"""A homeserver whose tables are set back to a backup while its log goes on, and what its start makes of that."""

from http import HTTPStatus
from typing import Any

from synapse.module_api import LoggingTransaction

from synapse_bum.oidc.people import is_ended
from synapse_bum.testing.antivirus_case import BASE
from synapse_bum.testing.replay_case import OTHER, PICTURE, ReplayTestCase


class FilesTestCase(ReplayTestCase):
    """Files that were blocked, released or quarantined after the backup."""

    def test_a_file_that_was_blocked_is_blocked(self) -> None:
        mxc = self.upload(PICTURE, content_type="image/png")
        self.settle()
        self.tell()
        backup = self.backup()
        self.infected = True
        run = self.make_request("POST", f"{BASE}/antivirus/rescan", {}, access_token=self.admin_token)
        assert run.code == HTTPStatus.ACCEPTED, run.result
        for _ in range(30):
            self.tell()
            if "antivirus.findings" in self.path.read_text():
                break
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        self.tell()
        self.restore(backup)
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        assert self.ask("antivirus/findings")["findings"][0]["state"] == "blocked"
        assert self.audited() == {"recovery.finding"}

    def test_a_file_that_was_released_is_released(self) -> None:
        self.infected = True
        mxc = self.upload(PICTURE, content_type="image/png")
        self.settle()
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        self.tell()
        backup = self.backup()
        path = f"{BASE}/antivirus/findings/{mxc.removeprefix('mxc://')}/release"
        released = self.make_request("POST", path, {"reason": "false"}, access_token=self.admin_token)
        assert released.code == HTTPStatus.OK, released.result
        self.tell()
        self.restore(backup)
        assert self.download(mxc).code == HTTPStatus.OK
        assert self.ask("antivirus/findings")["findings"][0]["state"] == "released"
        # Its bytes are excused again, too.
        self.tell()
        assert self.download(mxc).code == HTTPStatus.OK
        assert self.audited() == {"recovery.finding", "recovery.release"}

    def test_a_file_that_a_moderator_quarantined_is_in_quarantine(self) -> None:
        mxc, other = (self.upload(content, content_type="image/png") for content in (PICTURE, OTHER))
        self.settle()
        self.tell()
        backup = self.backup()
        self.admin_post(f"v1/media/quarantine/{mxc.removeprefix('mxc://')}", {})
        self.tell()
        self.restore(backup)
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        assert self.download(other).code == HTTPStatus.OK
        assert self.audited() == {"recovery.file_quarantined"}

    def test_a_file_that_an_administrator_deleted_is_deleted(self) -> None:
        mxc, other = (self.upload(content, content_type="image/png") for content in (PICTURE, OTHER))
        self.settle()
        self.tell()
        backup = self.backup()
        path = f"/_synapse/admin/v1/media/{mxc.removeprefix('mxc://')}"
        deleted = self.make_request("DELETE", path, access_token=self.admin_token)
        assert deleted.json_body["total"] == 1, deleted.result
        self.tell()
        self.restore(backup)
        assert self.download(mxc).code == HTTPStatus.NOT_FOUND
        assert self.download(other).code == HTTPStatus.OK
        assert self.audited() == {"recovery.file_deleted"}


class MessagesTestCase(ReplayTestCase):
    """Messages that were redacted after the backup."""

    def setUp(self) -> None:
        super().setUp()
        self.room = self.helper.create_room_as(self.user, tok=self.user_token)

    def say(self, text: str, token: str) -> str:
        return str(self.helper.send(self.room, text, tok=token)["event_id"])

    def redact(self, event_id: str, token: str) -> None:
        path = f"/_matrix/client/v3/rooms/{self.room}/redact/{event_id}/1{event_id}"
        channel = self.make_request("PUT", path, {}, access_token=token)
        assert channel.code == HTTPStatus.OK, channel.result

    def body(self, event_id: str) -> str | None:
        path = f"/_matrix/client/v3/rooms/{self.room}/event/{event_id}"
        text: str | None = self.make_request("GET", path, access_token=self.user_token).json_body["content"].get("body")
        return text

    def test_a_message_that_was_redacted_has_no_content(self) -> None:
        self.helper.join(self.room, self.admin, tok=self.admin_token)
        own, by_moderator, stays = (
            self.say("mine", self.user_token),
            self.say("theirs", self.admin_token),
            self.say("stays", self.user_token),
        )
        self.tell()
        backup = self.backup()
        self.redact(own, self.user_token)
        self.redact(by_moderator, self.user_token)
        self.tell()
        self.restore(backup)
        self.store._get_event_cache.clear()
        assert [self.body(event_id) for event_id in (own, by_moderator, stays)] == [None, None, "stays"]
        stored = self.one("SELECT json FROM event_json WHERE event_id = ?", own)[0]
        assert "mine" not in stored
        assert self.audited() == {"recovery.redacted"}


class ScimTestCase(ReplayTestCase):
    """What SCIM ended after the backup."""

    def default_config(self) -> dict[str, Any]:
        config = super().default_config()
        config["modules"] = [*config["modules"], {"module": "synapse_bum.oidc.OidcModule", "config": {}}]
        return config

    def write_person(self, active: int, deleted_ts: int | None) -> None:
        def write(txn: LoggingTransaction) -> None:
            txn.execute("DELETE FROM synapse_bum_oidc_scim_users")
            txn.execute(
                "INSERT INTO synapse_bum_oidc_scim_users (idp_id, subject, user_id, emails, active, log_out,"
                " created_ts, modified_ts, deleted_ts) VALUES ('keycloak', 'a/b', '@carol:test', '[]', ?, 0, 1, 1, ?)",
                (active, deleted_ts),
            )

        self.run_sql(write)

    def test_a_person_that_was_deleted_is_deleted_and_his_sessions_are_ended_again(self) -> None:
        self.write_person(1, None)
        self.tell()
        backup = self.backup()
        self.write_person(0, 77)
        self.tell()
        self.restore(backup)
        row = self.one("SELECT active, deleted_ts, log_out FROM synapse_bum_oidc_scim_users")
        assert row == (0, 77, 1)
        assert self.audited() == {"recovery.scim"}

    def test_who_came_and_went_after_the_backup_makes_no_account_at_the_next_login(self) -> None:
        backup = self.backup()
        self.write_person(0, 77)
        self.tell()
        self.restore(backup)
        row = self.one("SELECT user_id, active, deleted_ts, log_out, emails FROM synapse_bum_oidc_scim_users")
        assert row == ("@carol:test", 0, 77, 1, "[]")
        assert self.run_sql(lambda txn: is_ended(txn, "keycloak", "a/b"))
        assert self.audited() == {"recovery.scim"}

    def test_who_came_and_stayed_after_the_backup_has_no_row(self) -> None:
        backup = self.backup()
        self.write_person(1, None)
        self.tell()
        self.restore(backup)
        assert self.one("SELECT count(*) FROM synapse_bum_oidc_scim_users") == (0,)


class AccountsTestCase(ReplayTestCase):
    """Accounts that were closed in all other ways after the backup."""

    def test_flags_are_those_of_last(self) -> None:
        carol = self.register_user("carol", "pass")
        self.tell()
        backup = self.backup()
        self.admin_put(f"v2/users/{carol}", {"locked": True})
        self.admin_put(f"v1/suspend/{carol}", {"suspend": True})
        self.admin_post(f"v1/users/{carol}/shadow_ban", {})
        self.tell()
        self.restore(backup)
        flags = self.one("SELECT locked, suspended, shadow_banned FROM users WHERE name = ?", carol)
        assert tuple(map(bool, flags)) == (True, True, True)

    def test_a_lock_that_was_lifted_is_lifted(self) -> None:
        carol = self.register_user("carol", "pass")
        self.admin_put(f"v2/users/{carol}", {"locked": True})
        self.tell()
        backup = self.backup()
        self.admin_put(f"v2/users/{carol}", {"locked": False})
        self.tell()
        self.restore(backup)
        assert not self.one("SELECT locked FROM users WHERE name = ?", carol)[0]

    def test_no_right_and_no_account_is_given_back_by_a_file(self) -> None:
        carol, dave = self.register_user("carol", "pass"), self.register_user("dave", "pass")
        self.admin_post(f"v1/deactivate/{dave}", {"erase": True})
        self.tell()
        backup = self.backup()
        self.admin_put(f"v1/users/{carol}/admin", {"admin": True})
        self.admin_put(f"v2/users/{dave}", {"deactivated": False, "password": "new password"})
        self.tell()
        self.restore(backup)
        assert self.one("SELECT admin FROM users WHERE name = ?", carol) == (0,)
        assert self.one("SELECT deactivated, password_hash FROM users WHERE name = ?", dave) == (1, None)
        assert self.audited() == {"recovery.not_given_back"}

    def test_an_older_password_does_not_work(self) -> None:
        carol, dave = self.register_user("carol", "old password"), self.register_user("dave", "pass")
        self.tell()
        backup = self.backup()
        body = {"new_password": "new password", "logout_devices": False}
        self.admin_post(f"v1/reset_password/{carol}", body)
        self.tell()
        self.restore(backup)
        login = {"type": "m.login.password", "user": "carol", "password": "old password"}
        assert self.make_request("POST", "/_matrix/client/v3/login", login).code == HTTPStatus.FORBIDDEN
        assert self.one("SELECT password_hash FROM users WHERE name = ?", carol) == (None,)
        assert self.one("SELECT password_hash FROM users WHERE name = ?", dave) != (None,)
        assert self.audited() == {"recovery.password_dropped"}

    def test_the_name_of_an_account_that_was_given_up_stays_taken(self) -> None:
        backup = self.backup()
        carol = self.register_user("carol", "pass")
        self.tell()
        self.admin_post(f"v1/deactivate/{carol}", {})
        self.tell()
        self.restore(backup)
        assert self.one("SELECT deactivated, admin FROM users WHERE name = ?", carol) == (1, 0)
        assert self.audited() == {"recovery.name_kept"}

    def test_tokens_for_others_end_with_the_administrators_right(self) -> None:
        self.register_user("root", "pass", admin=True)
        token = self.login("root", "pass")
        carol = self.register_user("carol", "pass")
        path = f"/_synapse/admin/v1/users/{carol}/login"
        assert self.make_request("POST", path, {}, access_token=token).code == HTTPStatus.OK
        self.tell()
        backup = self.backup()
        self.admin_put("v1/users/@root:test/admin", {"admin": False})
        self.tell()
        self.restore(backup)
        count = self.one(
            "SELECT count(*) FROM access_tokens WHERE user_id = ? AND puppets_user_id = ?", "@root:test", carol
        )
        assert count == (0,)

    def test_a_session_that_began_right_before_the_backup_ends_with_it(self) -> None:
        self.register_user("carol", "pass")
        self.tell()
        token = self.login("carol", "pass")
        backup = self.backup()
        self.admin_put("v2/users/@carol:test", {"locked": True})
        self.tell()
        self.admin_put("v2/users/@carol:test", {"locked": False})
        self.tell()
        self.restore(backup)
        assert self.one("SELECT count(*) FROM access_tokens WHERE token = ?", token) == (0,)

    def test_a_session_that_was_refreshed_ends_with_its_device(self) -> None:
        self.register_user("carol", "pass")
        body = {"type": "m.login.password", "user": "carol", "password": "pass", "refresh_token": True}
        session = self.make_request("POST", "/_matrix/client/v3/login", body).json_body
        self.tell()
        backup = self.backup()
        refresh = {"refresh_token": session["refresh_token"]}
        renewed = self.make_request("POST", "/_matrix/client/v3/refresh", refresh).json_body
        self.tell()
        assert "device:" not in self.path.read_text()
        path = "/_matrix/client/v3/logout"
        assert self.make_request("POST", path, {}, access_token=renewed["access_token"]).code == HTTPStatus.OK
        self.tell()
        assert self.path.read_text().count("device:@carol:test") == 1
        self.restore(backup)
        assert self.one("SELECT count(*) FROM refresh_tokens") == (0,)
        assert self.one("SELECT count(*) FROM access_tokens WHERE user_id = '@carol:test'") == (0,)

    def test_the_log_holds_no_secret(self) -> None:
        password = "a password of mine"
        self.register_user("carol", password)
        token = self.login("carol", password)
        self.tell()
        path = "/_matrix/client/v3/logout"
        self.make_request("POST", path, {}, access_token=token)
        self.tell()
        text = self.path.read_text()
        (stored,) = self.one("SELECT password_hash FROM users WHERE name = '@carol:test'")
        assert '"source":"sessions"' in text
        for secret in (password, token, stored):
            assert secret not in text
