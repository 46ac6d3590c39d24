"""The storage module: configuration in, services built, duties and routes registered."""

import logging
from typing import Any

from synapse.module_api import ModuleApi

from synapse_bum import audit
from synapse_bum.audit import keep_audit
from synapse_bum.audit_routes import add_audit_routes
from synapse_bum.config import SetupError, parse
from synapse_bum.database import Database, Leases
from synapse_bum.deletion import DELETION
from synapse_bum.homeserver import requirements
from synapse_bum.homeserver.shared_objects import shared_object
from synapse_bum.rest import api_routes
from synapse_bum.storage.alerts import Alerts, check_mail
from synapse_bum.storage.api import StorageApi
from synapse_bum.storage.config import StorageConfig
from synapse_bum.storage.duty import Accounting
from synapse_bum.storage.ledger import LEDGER, watch_changes
from synapse_bum.storage.limit import LIMIT, UploadLimit
from synapse_bum.storage.limit.ledger_counts import ledger_counts
from synapse_bum.storage.orphans import OrphansApi
from synapse_bum.storage.recounts import RECOUNTS
from synapse_bum.storage.snapshots_tables import SNAPSHOTS
from synapse_bum.storage.users_tables import USERS

logger = logging.getLogger(__name__)


class StorageModule:
    """`synapse_bum.storage.StorageModule` in homeserver.yaml."""

    @staticmethod
    def parse_config(config: dict[str, Any]) -> StorageConfig:
        """Called by Synapse while it reads its configuration; has no side effects.

        Raises:
            ConfigError: with the path of the key that is wrong.
        """
        return parse(StorageConfig, config)

    def __init__(self, config: StorageConfig, api: ModuleApi) -> None:
        requirements.check(
            requirements.DATABASE,
            requirements.LOG_CONTEXTS,
            requirements.STORED_BYTES,
            requirements.ALERT_MAILS,
            requirements.UPLOAD_LIMIT,
        )
        if shared_object(api, StorageModule, lambda: self) is not self:
            raise SetupError("`modules`: synapse_bum.storage.StorageModule is loaded twice; remove one entry")
        check_mail(api, config.alert_email)
        database = Database(api, audit.AUDIT, DELETION, LEDGER, USERS, SNAPSHOTS, RECOUNTS, LIMIT)
        routes = api_routes(api, config)
        add_audit_routes(routes, database)
        keep_audit(api, database, config.audit_lifetime)
        leases = Leases(api, database)
        watch_changes(api, database)
        StorageApi(api, database, config).add_to(routes)
        OrphansApi(api, database, leases).add_to(routes)
        limits = config.limits
        if limits is not None:
            UploadLimit(api, database, limits, ledger_counts(config.count)).start()
        if api.should_run_background_tasks():
            alerts = Alerts(
                api,
                database,
                alert_at=config.alert_at,
                email=config.alert_email,
                timezone=config.timezone,
                hard_limit_bytes=None if limits is None else limits.pool_bytes,
            )
            self.accounting = Accounting(api, database, leases, alerts, config)
            self.accounting.start()
        database.start()
