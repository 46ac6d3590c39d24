"""The identity module: configuration in, services built, callbacks and routes registered."""

import logging
from typing import Any

from synapse.module_api import ModuleApi

from synapse_bum.after_restore import recovery_log
from synapse_bum.audit import keep_audit
from synapse_bum.audit_routes import add_audit_routes
from synapse_bum.config import SetupError, parse
from synapse_bum.database import Database, Leases
from synapse_bum.homeserver import requirements
from synapse_bum.homeserver.account_access import has_accounts_elsewhere
from synapse_bum.homeserver.shared_objects import shared_object
from synapse_bum.oidc.admins import Admins, watch_manual_changes
from synapse_bum.oidc.api import OidcApi
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.oidc.duty import IdentityDuty
from synapse_bum.oidc.login import LoginSync
from synapse_bum.oidc.providers import providers
from synapse_bum.oidc.scim.after_restore import ScimEndings
from synapse_bum.oidc.scim.wiring import add_scim
from synapse_bum.oidc.tables import OIDC
from synapse_bum.rest import api_routes

logger = logging.getLogger(__name__)


class OidcModule:
    """`synapse_bum.oidc.OidcModule` in homeserver.yaml."""

    @staticmethod
    def parse_config(config: dict[str, Any]) -> OidcConfig:
        """Called by Synapse while it reads its configuration; has no side effects.

        Raises:
            ConfigError: with the path of the key that is wrong.
        """
        return parse(OidcConfig, config)

    def __init__(self, config: OidcConfig, api: ModuleApi) -> None:
        requirements.check(requirements.DATABASE, requirements.LOG_CONTEXTS, requirements.IDENTITY)
        if shared_object(api, OidcModule, lambda: self) is not self:
            raise SetupError("`modules`: synapse_bum.oidc.OidcModule is loaded twice; remove one entry")
        mapped = providers(api)
        if has_accounts_elsewhere(api):
            logger.warning(
                "The Matrix Authentication Service does the logins: it maps claims, see `synapse-bum mas-config`;"
                " this module neither maps anybody nor follows roles"
            )
        elif not mapped:
            logger.warning("No entry of `oidc_providers` uses synapse_bum.oidc.OidcMappingProvider: nothing to do")
        database = Database(api, OIDC)
        recovery_log(api).add(ScimEndings())
        leases = Leases(api, database)
        routes = api_routes(api, config)
        add_audit_routes(routes, database)
        keep_audit(api, database, config.audit_lifetime)
        OidcApi(api, database, config, mapped).add_to(routes)
        admins = Admins(api, database, config)
        logins = LoginSync(api, database, admins, mapped)
        api.register_account_validity_callbacks(on_user_login=logins.on_user_login)
        watch_manual_changes(api, database)
        add_scim(api, database, leases, config, mapped)
        if api.should_run_background_tasks():
            IdentityDuty(api, database, leases, admins, logins).start()
        database.start()
