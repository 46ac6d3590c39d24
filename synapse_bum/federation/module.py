"""The federation module: configuration in, services built, callbacks and routes registered."""

from typing import Any

from synapse.module_api import ModuleApi

from synapse_bum.after_restore import recovery_log
from synapse_bum.audit import keep_audit
from synapse_bum.audit_routes import add_audit_routes
from synapse_bum.config import SetupError, parse
from synapse_bum.database import Database, Leases
from synapse_bum.federation.api import FederationApi
from synapse_bum.federation.config import FederationConfig
from synapse_bum.federation.doors import Doors
from synapse_bum.federation.gate import Gate
from synapse_bum.federation.live import LiveAllowlist
from synapse_bum.federation.partners_after_restore import SOURCES
from synapse_bum.federation.removal import Removals
from synapse_bum.federation.tables import FEDERATION
from synapse_bum.federation.watch import Watch
from synapse_bum.homeserver import requirements
from synapse_bum.homeserver.shared_objects import shared_object
from synapse_bum.rest import api_routes


class FederationModule:
    """`synapse_bum.federation.FederationModule` in homeserver.yaml."""

    @staticmethod
    def parse_config(config: dict[str, Any]) -> FederationConfig:
        """Called by Synapse while it reads its configuration; has no side effects.

        Raises:
            ConfigError: with the path of the key that is wrong.
        """
        return parse(FederationConfig, config)

    def __init__(self, config: FederationConfig, api: ModuleApi) -> None:
        requirements.check(requirements.DATABASE, requirements.LOG_CONTEXTS, requirements.FEDERATION)
        if shared_object(api, FederationModule, lambda: self) is not self:
            raise SetupError("`modules`: synapse_bum.federation.FederationModule is loaded twice; remove one entry")
        if api.server_name.lower() in config.partners:
            raise SetupError(f"`config.partners.{api.server_name}`: this is the server's own name; remove it")
        database = Database(api, FEDERATION)
        self.live = LiveAllowlist(api, database, config)
        self.doors = Doors(api, self.live)
        self.doors.close()
        Gate(api, self.live.current, config.relay).register()
        for source in SOURCES:
            recovery_log(api).add(source)
        leases = Leases(api, database)
        routes = api_routes(api, config)
        add_audit_routes(routes, database)
        keep_audit(api, database, config.audit_lifetime)
        removals = Removals(api, database, leases, self.live, may_kick=config.removal.kick)
        FederationApi(api, database, config, self.live, removals).add_to(routes)
        if config.signed_list is not None:
            from synapse_bum.federation.list_api import ListApi  # with it comes a JOSE library
            from synapse_bum.federation.list_keeper import ListKeeper

            keeper = ListKeeper(
                api, database, leases, self.live, config.signed_list, allow_wildcards=config.allow_wildcards
            )
            ListApi(api, config.signed_list, keeper, self.live).add_to(routes)
            keeper.start()
        removals.start()
        Watch(api, database, leases, self.live, has_list=config.signed_list is not None).start()
        self.live.start()
        database.start()
