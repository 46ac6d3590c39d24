"""A login that is applied by a worker. Synapse's fake replication needs PostgreSQL, on which its tests are run.

`test_logins_on_postgres.py` names this file; by itself it is not collected.
"""

from typing import Any, ClassVar
from unittest.mock import AsyncMock, patch

from synapse.module_api import LoggingTransaction
from synapse.rest import admin
from synapse.rest.client import login, room
from tests.replication._base import BaseMultiWorkerStreamTestCase
from twisted.internet.defer import ensureDeferred
from twisted.python.threadpool import ThreadPool

from synapse_bum.oidc import people
from synapse_bum.oidc.mapping import AdminClaim, Decision
from synapse_bum.testing.login_case import add_logins

MAPPING = {"idp_id": "keycloak", "preset": "keycloak", "admin_roles": ["admin"]}


class WorkerTestCase(BaseMultiWorkerStreamTestCase):
    servlets: ClassVar[list[Any]] = [admin.register_servlets, login.register_servlets, room.register_servlets]

    def prepare(self, *reactor_clock_and_homeserver: Any) -> None:  # noqa: ANN401 - Synapse's
        super().prepare(*reactor_clock_and_homeserver)
        self.register_user("boss", "pass", admin=True)
        self.anna = self.register_user("anna", "pass")
        self.token = self.login("anna", "pass")
        store = self.hs.get_datastores().main
        self.get_success(store.record_user_external_id("oidc-keycloak", "1", self.anna))

    def logs_in_at_a_worker(self, admin: AdminClaim, name: str, email: str) -> None:
        decision = Decision(
            allowed=True,
            subject="1",
            localpart="anna",
            user_name="anna",
            display_name=name,
            email=email,
            admin=admin,
            guest=False,
            reasons=(),
        )
        now_ms = int(self.clock.time_msec())

        def note(txn: LoggingTransaction) -> bool:
            return people.note_login(txn, "keycloak", decision, now_ms)

        assert self.get_success(self.parts.database.run("test", note))
        done = ensureDeferred(self.parts.logins.on_user_login(self.anna, "m.login.sso", "oidc-keycloak"))
        # Part of it goes over connections between the processes.
        self.pump(0.1)
        self.successResultOf(done)
        self.replicate()

    def is_admin(self) -> bool:
        """As the main process remembers it."""
        return bool(self.get_success(self.hs.get_module_api().is_user_admin(self.anna)))

    def test_it_changes_everything_and_the_main_process_knows(self) -> None:
        # Up to 1.143 a real thread of a pool that the fake one replaces would be left behind otherwise.
        with patch.object(ThreadPool, "start"):
            worker = self.make_worker_hs("synapse.app.generic_worker")
        self.parts = add_logins(worker.get_module_api(), {}, [MAPPING])
        told = AsyncMock()
        worker.get_module_api().register_third_party_rules_callbacks(on_remove_user_third_party_identifier=told)
        room_id = self.helper.create_room_as(self.anna, tok=self.token)
        assert not self.is_admin()
        self.logs_in_at_a_worker(AdminClaim.YES, "Anna Müller", "mueller@x.example")
        assert self.is_admin()
        self.logs_in_at_a_worker(AdminClaim.NO, "Anna Schulz", "schulz@x.example")
        assert not self.is_admin()
        store = self.hs.get_datastores().main
        assert self.get_success(store.get_user_id_by_threepid("email", "schulz@x.example")) == self.anna
        assert self.get_success(store.get_user_id_by_threepid("email", "mueller@x.example")) is None
        told.assert_awaited_once_with(self.anna, "email", "mueller@x.example")
        self.pump(1)
        member = self.helper.get_state(room_id, "m.room.member", tok=self.token, state_key=self.anna)
        assert member["displayname"] == "Anna Schulz"
        waiting = self.get_success(self.parts.database.run("test", people.pending, 10))
        assert waiting == []
