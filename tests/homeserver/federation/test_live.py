"""How partners reach a process: at its start, after a change, when something is down; and what a wrong set-up says."""

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import pytest
from synapse.module_api import LoggingTransaction, ModuleApi
from synapse.server import HomeServer
from twisted.internet import defer
from twisted.internet.defer import Deferred

from synapse_bum.config import SetupError
from synapse_bum.database import Database
from synapse_bum.federation import FederationModule, partners
from synapse_bum.federation.config import FederationConfig
from synapse_bum.federation.live import POLL_MS
from synapse_bum.federation.partner import Partner, Source
from synapse_bum.federation.whitelist import Whitelist
from synapse_bum.testing.federation_case import MODULE, PARTNER, FederationTestCase

POLL_S = POLL_MS / 1000


class DatabaseIsAwayError(Exception):
    """Stands for any error of the database."""


class LoadingTestCase(FederationTestCase):
    federation = {"partners": {"fixed.example": {}}}

    def database_is_away(self) -> AbstractContextManager[object]:
        return patch.object(Database, "run", side_effect=DatabaseIsAwayError("connection refused"))

    def make_homeserver(self, *reactor_and_clock: object) -> HomeServer:
        with self.database_is_away():
            hs = super().make_homeserver(*reactor_and_clock)
        whitelist: Any = hs.config.federation.federation_domain_whitelist
        self.allowed_before_loading = "fixed.example" in whitelist
        return hs

    def test_everything_is_denied_until_the_partners_are_read(self) -> None:
        assert not self.allowed_before_loading
        assert self.is_allowed("fixed.example")

    def test_a_database_that_is_away_changes_nothing_that_was_read(self) -> None:
        self.add()
        with self.database_is_away():
            self.reactor.advance(3 * POLL_S)
            whitelist: Any = self.hs.config.federation.federation_domain_whitelist
            assert PARTNER in whitelist
        assert self.is_allowed()

    def test_a_change_that_fails_leaves_nothing_behind(self) -> None:
        with patch("synapse_bum.federation.api.audit.append", side_effect=DatabaseIsAwayError):
            assert self.ask("PUT", f"federation/partners/{PARTNER}", {"reason": "x"}).code == 500
        assert self.answer("GET", "federation/partners")["total"] == 1
        assert self.audit() == []
        assert not self.is_allowed()
        self.add()
        with patch("synapse_bum.federation.api.audit.append", side_effect=DatabaseIsAwayError):
            assert self.ask("DELETE", f"federation/partners/{PARTNER}", {"reason": "x"}).code == 500
        assert self.is_allowed()

    def test_a_change_of_another_process_arrives_with_the_poll(self) -> None:
        def write(txn: LoggingTransaction) -> None:
            partners.begin_change(txn, 1)
            partners.put(txn, Partner(PARTNER, None, Source.MANAGED, created_ts=1))

        self.get_success(self.hs.get_module_api().run_db_interaction("test", write))
        whitelist = self.hs.config.federation.federation_domain_whitelist
        assert whitelist is not None
        assert PARTNER not in whitelist
        self.reactor.advance(POLL_S)
        self.pump()
        assert PARTNER in whitelist

    def test_a_database_that_lost_changes_is_believed(self) -> None:
        """A standby took over that did not know the last change; then it counts the same numbers once more."""
        api = self.hs.get_module_api()
        self.add("kept.example")
        before = self.get_success(api.run_db_interaction("test", partners.generation))
        self.add("lost.example")
        whitelist: Any = self.hs.config.federation.federation_domain_whitelist
        assert "lost.example" in whitelist

        def lose(txn: LoggingTransaction) -> None:
            txn.execute(
                "UPDATE synapse_bum_federation_generation SET generation = ?, token = ?, changed_ts = ?",
                (before.number, before.token, before.changed_ts),
            )
            partners.delete(txn, "lost.example", Source.MANAGED)

        def change(txn: LoggingTransaction) -> None:
            partners.begin_change(txn, 1)
            partners.put(txn, Partner("other.example", None, Source.MANAGED, created_ts=1))

        self.get_success(api.run_db_interaction("test", lose))
        self.reactor.advance(POLL_S)
        self.pump()
        assert "lost.example" not in whitelist
        self.add("lost.example")
        self.get_success(api.run_db_interaction("test", lose))
        self.get_success(api.run_db_interaction("test", change))
        self.reactor.advance(POLL_S)
        self.pump()
        assert "lost.example" not in whitelist
        assert "other.example" in whitelist
        assert "kept.example" in whitelist

    def test_of_two_readings_at_once_the_older_one_does_not_win(self) -> None:
        live, run = self.module.live, Database.run
        held: list[Deferred[None]] = []

        async def slow(database: Database, desc: str, func: Any, *args: Any) -> Any:  # noqa: ANN401 - as in `Database`
            found = await run(database, desc, func, *args)
            if desc == "synapse_bum_federation_load" and not held:
                held.append(Deferred())
                await held[0]
            return found

        self.add("first.example")
        self.get_success(self.hs.get_module_api().run_db_interaction("test", self.write_partner, "second.example"))
        with patch.object(Database, "run", slow):
            older = defer.ensureDeferred(live.refresh())
            self.pump()
            self.get_success(self.hs.get_module_api().run_db_interaction("test", self.write_partner, PARTNER))
            self.get_success(live.refresh())
            assert self.is_allowed()
            held[0].callback(None)
            self.get_success(older)
        whitelist: Any = self.hs.config.federation.federation_domain_whitelist
        assert PARTNER in whitelist

    @staticmethod
    def write_partner(txn: LoggingTransaction, name: str) -> None:
        partners.begin_change(txn, 1)
        partners.put(txn, Partner(name, None, Source.MANAGED, created_ts=1))

    def test_a_clock_that_was_set_back_brings_nobody_back(self) -> None:
        self.add(valid_until_ts=self.now_ms() + 2_000)
        whitelist: Any = self.hs.config.federation.federation_domain_whitelist
        self.reactor.advance(2)
        assert PARTNER not in whitelist
        with patch.object(whitelist, "_now_ms", lambda: self.now_ms() - 5_000):
            assert "fixed.example" in whitelist
            assert PARTNER not in whitelist

    def test_a_change_of_another_process_arrives_at_once_when_it_is_announced(self) -> None:
        def write(txn: LoggingTransaction) -> None:
            partners.begin_change(txn, 1)
            partners.put(txn, Partner(PARTNER, None, Source.MANAGED, created_ts=1))

        self.get_success(self.hs.get_module_api().run_db_interaction("test", write))
        whitelist = self.hs.config.federation.federation_domain_whitelist
        assert whitelist is not None
        store = self.hs.get_datastores().main
        (name,) = [one for one in store.external_cached_functions if one.startswith("synapse_bum.federation.")]
        # What replication calls in the other processes.
        assert store._attempt_to_invalidate_cache(name, ("partners",))
        self.pump()
        assert PARTNER in whitelist

    def test_validity_ends_without_anybody_doing_anything(self) -> None:
        self.add(valid_until_ts=self.now_ms() + 2_000)
        whitelist = self.hs.config.federation.federation_domain_whitelist
        assert whitelist is not None
        assert PARTNER in whitelist
        with self.database_is_away():
            self.reactor.advance(2)
            assert PARTNER not in whitelist

    def test_the_list_that_clients_see_is_the_one_in_force(self) -> None:
        self.add()
        whitelist = self.hs.config.federation.federation_domain_whitelist
        assert isinstance(whitelist, Whitelist)
        assert sorted(whitelist) == ["fixed.example", PARTNER]
        assert len(whitelist) == 2
        assert whitelist

    def test_what_is_no_name_is_denied(self) -> None:
        whitelist: Any = self.hs.config.federation.federation_domain_whitelist
        for name in (None, b"fixed.example", 1, ("fixed.example",), ""):
            assert name not in whitelist

    def test_names_that_are_too_long_are_not_even_kept(self) -> None:
        whitelist: Any = self.hs.config.federation.federation_domain_whitelist
        long = "a." * 8_000 + "fixed.example"
        assert long not in whitelist
        assert long not in self.module.live.latest._kept
        assert not any(len(name) > 255 for name, _ in self.module.doors._denials._noted)


class WrongSetUpTestCase(FederationTestCase):
    def load(self, **config: object) -> str:
        """What a homeserver with this configuration says instead of starting."""
        found = {**self.default_config(), **config}
        with pytest.raises(SetupError) as caught:
            self.setup_test_homeserver(config=found)
        return str(caught.value)

    def test_synapse_must_deny_all_by_itself(self) -> None:
        for whitelist in (None, ["a.example"]):
            sentence = self.load(server_name="other", federation_domain_whitelist=whitelist)
            assert "`federation_domain_whitelist: []`" in sentence

    def test_the_module_is_loaded_once(self) -> None:
        twice = [{"module": MODULE, "config": {}}] * 2
        assert "loaded twice" in self.load(server_name="other", modules=twice)

    def test_the_server_is_no_partner_of_itself(self) -> None:
        modules = [{"module": MODULE, "config": {"partners": {"other.example": {}}}}]
        assert "own name" in self.load(server_name="other.example", modules=modules)


class EarlyMediaRepositoryTestCase(FederationTestCase):
    """Synapse builds its media repository before the modules where OIDC is configured."""

    server = {
        "public_baseurl": "https://test.example/",
        "oidc_providers": [
            {
                "idp_id": "idp",
                "idp_name": "IdP",
                "issuer": "https://idp.example/",
                "client_id": "synapse",
                "client_secret": "secret",
                "discover": False,
                "authorization_endpoint": "https://idp.example/authorize",
                "token_endpoint": "https://idp.example/token",
                "jwks_uri": "https://idp.example/jwks",
                "user_mapping_provider": {"config": {"localpart_template": "{{ user.sub }}"}},
            }
        ],
    }

    def make_homeserver(self, *reactor_and_clock: object) -> HomeServer:
        remember = FederationModule.__init__
        early: list[Any] = []

        def init(module: FederationModule, config: FederationConfig, api: ModuleApi) -> None:
            api._hs.get_oidc_handler()
            early.append(api._hs.__dict__["_media_repository"].federation_domain_whitelist)
            remember(module, config, api)

        with patch.object(FederationModule, "__init__", init):
            hs = super().make_homeserver(*reactor_and_clock)
        assert early == [{}]
        return hs

    def test_it_asks_for_partners_all_the_same(self) -> None:
        self.add()
        repository = self.hs.get_media_repository()
        assert isinstance(repository.federation_domain_whitelist, Whitelist)
        assert PARTNER in repository.federation_domain_whitelist
        assert "media repository, content" in self.module.doors.proved
