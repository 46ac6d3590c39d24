"""The availability module: configuration in, services built, routes registered."""

from typing import Any

from synapse.module_api import ModuleApi

from synapse_bum.audit import keep_audit
from synapse_bum.audit_routes import add_audit_routes
from synapse_bum.availability.api import AvailabilityApi
from synapse_bum.availability.config import AvailabilityConfig
from synapse_bum.availability.maintenance_api import MaintenanceApi
from synapse_bum.availability.measuring import Slices
from synapse_bum.availability.probe_token import ProbeToken
from synapse_bum.availability.probes_api import ProbesApi
from synapse_bum.availability.tables import AVAILABILITY
from synapse_bum.availability.watch import Watch
from synapse_bum.config import SetupError, parse
from synapse_bum.database import Database, Leases
from synapse_bum.homeserver import requirements
from synapse_bum.homeserver.shared_objects import shared_object
from synapse_bum.rest import api_routes
from synapse_bum.secret_store import SecretStore


class AvailabilityModule:
    """`synapse_bum.availability.AvailabilityModule` in homeserver.yaml."""

    @staticmethod
    def parse_config(config: dict[str, Any]) -> AvailabilityConfig:
        """Called by Synapse while it reads its configuration; has no side effects.

        Raises:
            ConfigError: with the path of the key that is wrong.
        """
        return parse(AvailabilityConfig, config)

    def __init__(self, config: AvailabilityConfig, api: ModuleApi) -> None:
        requirements.check(requirements.DATABASE, requirements.LOG_CONTEXTS)
        if shared_object(api, AvailabilityModule, lambda: self) is not self:
            raise SetupError("`modules`: synapse_bum.availability.AvailabilityModule is loaded twice; remove one entry")
        database = Database(api, AVAILABILITY)
        token = ProbeToken(config, SecretStore(database))
        routes = api_routes(api, config)
        add_audit_routes(routes, database)
        keep_audit(api, database, config.audit_lifetime)
        AvailabilityApi(api, database, config).add_to(routes)
        MaintenanceApi(api, database).add_to(routes)
        ProbesApi(api, database, Slices(config.probe_interval_ms), token).add_to(routes)
        Watch(api, database, Leases(api, database), config).start()
        database.start()
