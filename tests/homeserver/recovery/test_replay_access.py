"""By what people come in, set back to a backup: addresses, links, invitations, devices, names of accounts."""

from http import HTTPStatus
from typing import Any

from synapse.module_api import LoggingTransaction

from synapse_bum.testing.replay_case import ReplayTestCase

HASHED = "$2b$12$" + 22 * "s" + 31 * "h"
TOKEN = "invitation"


class NamesTestCase(ReplayTestCase):
    """Accounts that were made after the backup."""

    def test_the_name_of_an_account_that_was_locked_stays_taken_and_locked(self) -> None:
        backup = self.backup()
        carol, erin = self.register_user("carol", "pass"), self.register_user("erin", "pass")
        self.admin_put(f"v2/users/{carol}", {"locked": True})
        self.admin_put(f"v1/suspend/{erin}", {"suspend": True})
        self.register_user("dave", "pass")
        self.tell()
        self.restore(backup)
        sql = "SELECT locked, suspended, deactivated, password_hash FROM users WHERE name = ?"
        assert self.one(sql, carol) == (1, 0, 0, None)
        assert self.one(sql, erin) == (1, 1, 0, None)
        assert self.one(sql, "@dave:test") is None
        assert self.audited() == {"recovery.name_kept", "recovery.account_lost"}

    def test_nothing_of_the_module_keeps_a_stored_hash(self) -> None:
        carol = self.register_user("carol", "pass")

        def write(txn: LoggingTransaction) -> None:
            txn.execute("UPDATE users SET password_hash = ? WHERE name = ?", (HASHED, carol))

        self.run_sql(write)
        self.tell()
        (state,) = self.one("SELECT state FROM synapse_bum_recovery_seen WHERE source = 'accounts' AND key = ?", carol)
        assert "ssss" in state
        assert "hh" not in state
        assert "ssss" not in self.path.read_text()


class EndsTestCase(ReplayTestCase):
    """What was there before the backup and taken away after it."""

    def test_an_address_that_was_removed_is_removed_with_its_mails(self) -> None:
        carol = self.register_user("carol", "pass")
        both = [{"medium": "email", "address": f"{name}@test.example"} for name in ("old", "kept")]
        self.admin_put(f"v2/users/{carol}", {"threepids": both})
        self.tell()
        backup = self.backup()
        self.admin_put(f"v2/users/{carol}", {"threepids": both[1:]})
        self.tell()
        assert self.path.read_text().count("old@test.example") == 1
        assert "kept@test.example" not in self.path.read_text()
        self.restore(backup)
        assert self.one("SELECT count(*), max(address) FROM user_threepids") == (1, "kept@test.example")
        assert self.audited() == {"recovery.address_removed"}
        assert "old@" not in str(self.ask("audit?limit=1000"))

    def test_an_identity_that_was_unlinked_does_not_log_in(self) -> None:
        carol = self.register_user("carol", "pass")
        link = {"auth_provider": "oidc-amt", "external_id": "a b"}
        self.admin_put(f"v2/users/{carol}", {"external_ids": [link, {**link, "external_id": "kept"}]})
        self.tell()
        backup = self.backup()
        self.admin_put(f"v2/users/{carol}", {"external_ids": [{**link, "external_id": "kept"}]})
        self.tell()
        self.restore(backup)
        assert self.get_success(self.store.get_user_by_external_id("oidc-amt", "a b")) is None
        assert self.get_success(self.store.get_user_by_external_id("oidc-amt", "kept")) == carol
        assert self.audited() == {"recovery.link_removed"}

    def test_an_identity_with_another_name_logs_in_and_a_new_one_does_not(self) -> None:
        carol, dave = self.register_user("carol", "pass"), self.register_user("dave", "pass")
        link = {"auth_provider": "oidc-amt", "external_id": "old name"}
        self.admin_put(f"v2/users/{carol}", {"external_ids": [link]})
        self.tell()
        backup = self.backup()
        self.admin_put(f"v2/users/{carol}", {"external_ids": [{**link, "external_id": "new name"}]})
        self.admin_put(f"v2/users/{dave}", {"external_ids": [{**link, "external_id": "added"}]})
        self.tell()
        self.restore(backup)
        found = [
            self.get_success(self.store.get_user_by_external_id("oidc-amt", name))
            for name in ("old name", "new name", "added")
        ]
        assert found == [None, carol, None]
        assert self.audited() == {"recovery.link_removed", "recovery.link_moved"}

    def test_what_was_removed_and_added_again_is_there(self) -> None:
        carol = self.register_user("carol", "pass")
        link = {"auth_provider": "oidc-amt", "external_id": "a b"}
        self.admin_put(f"v2/users/{carol}", {"external_ids": [link]})
        self.tell()
        backup = self.backup()
        for links in ([], [link]):
            self.admin_put(f"v2/users/{carol}", {"external_ids": links})
            self.tell()
        self.restore(backup)
        assert self.get_success(self.store.get_user_by_external_id("oidc-amt", "a b")) == carol

    def test_a_registration_token_that_was_revoked_used_up_or_limited_is_gone(self) -> None:
        for token in (TOKEN, "used", "limited", "kept"):
            self.admin_post("v1/registration_tokens/new", {"token": token, "uses_allowed": 1})
        self.tell()
        backup = self.backup()
        self.admin_delete(f"v1/registration_tokens/{TOKEN}")
        self.admin_put("v1/registration_tokens/limited", {"uses_allowed": 0})

        def use(txn: LoggingTransaction) -> None:
            txn.execute("UPDATE registration_tokens SET completed = 1 WHERE token = 'used'")

        self.run_sql(use)
        self.tell()
        self.restore(backup)
        assert self.one("SELECT count(*), max(token) FROM registration_tokens") == (1, "kept")
        assert self.audited() == {"recovery.registration_token_removed"}
        assert TOKEN not in str(self.ask("audit?limit=1000"))


class DevicesTestCase(ReplayTestCase):
    """Devices that were removed after the backup."""

    def test_a_device_that_was_logged_out_gets_no_keys_and_everybody_is_told(self) -> None:
        carol = self.register_user("carol", "pass")
        stolen = self.login("carol", "pass", device_id="STOLEN")
        kept = self.login("carol", "pass", device_id="KEPT")
        keys = {
            "device_keys": {
                "user_id": carol,
                "device_id": "STOLEN",
                "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
                "keys": {"curve25519:STOLEN": "key", "ed25519:STOLEN": "key"},
                "signatures": {carol: {"ed25519:STOLEN": "signature"}},
            }
        }
        path = "/_matrix/client/v3/keys/upload"
        assert self.make_request("POST", path, keys, access_token=stolen).code == HTTPStatus.OK
        self.tell()
        backup = self.backup()
        path = "/_matrix/client/v3/logout"
        assert self.make_request("POST", path, {}, access_token=stolen).code == HTTPStatus.OK
        self.tell()
        self.restore(backup)
        told_before = self.one("SELECT max(stream_id) FROM device_lists_stream WHERE user_id = ?", carol)
        query: dict[str, Any] = {"device_keys": {carol: []}}
        path = "/_matrix/client/v3/keys/query"
        found = self.make_request("POST", path, query, access_token=kept).json_body["device_keys"].get(carol, {})
        listed = self.make_request("GET", "/_matrix/client/v3/devices", access_token=kept).json_body["devices"]
        assert "STOLEN" not in found
        assert [device["device_id"] for device in listed] == ["KEPT"]
        assert self.one("SELECT count(*) FROM e2e_device_keys_json WHERE user_id = ?", carol) == (0,)
        assert "recovery.device_removed" in self.audited()
        self.reactor.advance(60)
        self.tell()
        assert self.one("SELECT count(*) FROM synapse_bum_recovery_devices") == (0,)
        assert self.one("SELECT max(stream_id) FROM device_lists_stream WHERE user_id = ?", carol) > told_before

    def test_a_device_that_came_right_before_the_backup_ends_with_its_session(self) -> None:
        self.register_user("carol", "pass")
        self.login("carol", "pass", device_id="OLD")
        self.tell()
        self.login("carol", "pass", device_id="NEW")
        backup = self.backup()
        self.admin_delete("v2/users/@carol:test/devices/NEW")
        # By this it is seen that the database is older.
        self.admin_put("v2/users/@carol:test", {"locked": True})
        self.tell()
        self.restore(backup)
        assert self.one("SELECT count(*), max(device_id) FROM devices WHERE user_id = '@carol:test'") == (1, "OLD")
