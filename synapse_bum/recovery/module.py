"""The recovery module: configuration in, sources registered, the database brought up to date, the log kept."""

import logging
from pathlib import Path
from typing import Any

from synapse.module_api import ModuleApi

from synapse_bum.after_restore import Settings, recovery_log
from synapse_bum.after_restore.writer import Writer
from synapse_bum.audit import keep_audit
from synapse_bum.audit_routes import add_audit_routes
from synapse_bum.config import SetupError, parse
from synapse_bum.contract_end import refuse_when_noted
from synapse_bum.database import Database, Leases
from synapse_bum.deletion import file_remover
from synapse_bum.deletion.deletion_log import delete_held_again
from synapse_bum.homeserver import requirements
from synapse_bum.homeserver.media import can_load_media
from synapse_bum.homeserver.shared_objects import shared_object
from synapse_bum.recovery.accounts import Accounts
from synapse_bum.recovery.config import RecoveryConfig
from synapse_bum.recovery.deleted_files import DeletedFiles, Notes
from synapse_bum.recovery.devices import Devices
from synapse_bum.recovery.ends import all_ends
from synapse_bum.recovery.holds import Holds
from synapse_bum.recovery.links import Links
from synapse_bum.recovery.memberships import Memberships
from synapse_bum.recovery.quarantine import Quarantine
from synapse_bum.recovery.redactions import Redactions
from synapse_bum.recovery.rooms import BlockedRooms, DeletedRooms
from synapse_bum.recovery.sessions import Sessions
from synapse_bum.recovery.tables import RECOVERY
from synapse_bum.recovery.tidying import Tidying
from synapse_bum.rest import api_routes

logger = logging.getLogger(__name__)


class RecoveryModule:
    """`synapse_bum.recovery.RecoveryModule` in homeserver.yaml."""

    @staticmethod
    def parse_config(config: dict[str, Any]) -> RecoveryConfig:
        """Called by Synapse while it reads its configuration; has no side effects.

        Raises:
            ConfigError: with the path of the key that is wrong.
        """
        return parse(RecoveryConfig, config)

    def __init__(self, config: RecoveryConfig, api: ModuleApi) -> None:
        requirements.check(
            requirements.DATABASE, requirements.LOG_CONTEXTS, requirements.MEDIA_DELETION, requirements.RECOVERY
        )
        if shared_object(api, RecoveryModule, lambda: self) is not self:
            raise SetupError("`modules`: synapse_bum.recovery.RecoveryModule is loaded twice; remove one entry")
        database = Database(api, RECOVERY)
        add_audit_routes(api_routes(api, config), database)
        keep_audit(api, database, config.audit_lifetime)
        Tidying(api, database).start()
        if config.log_path is None:
            logger.warning(
                "`config.log_path` of the recovery module is not set: a restored backup opens what was closed"
            )
        else:
            self._keep_log(api, database, Settings(Path(config.log_path), config.log_begins_at))
        database.start()

    def _keep_log(self, api: ModuleApi, database: Database, settings: Settings) -> None:
        refuse_when_noted(settings.path)
        log = recovery_log(api)
        log.add(Accounts())
        log.add(Sessions())
        log.add(Devices())
        log.add(Holds())
        log.add(BlockedRooms())
        log.add(DeletedRooms(api))
        log.add(Quarantine(api.server_name))
        log.add(DeletedFiles(api))
        log.add(Redactions(api))
        log.add(Memberships())
        log.add(Links())
        for ends in all_ends():
            log.add(ends)
        file_remover(api, database)
        if can_load_media(api):
            Notes(api, database).start()
        log.open(settings)
        # The retention module may have come first, with holds as the backup has them.
        delete_held_again(api)
        if api.should_run_background_tasks():
            self.writer = Writer(api, database, Leases(api, database), log, settings)
            self.writer.start()
