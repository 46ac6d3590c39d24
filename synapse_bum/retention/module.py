"""The retention module: configuration in, services built, duties and routes registered."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit
from synapse_bum.audit import keep_audit
from synapse_bum.audit_routes import add_audit_routes
from synapse_bum.config import SetupError, parse
from synapse_bum.database import Database, Leases
from synapse_bum.deletion import AUDIT_ACTION, Deletion, FileRemover, Planned, file_remover
from synapse_bum.deletion.deletion_log import keep_deletion_log
from synapse_bum.homeserver import media, requirements
from synapse_bum.homeserver.reactor import monotonic_ms
from synapse_bum.homeserver.retention_settings import contrary_settings
from synapse_bum.homeserver.shared_objects import shared_object
from synapse_bum.rest import api_routes
from synapse_bum.retention.agreements import read_agreements
from synapse_bum.retention.api import RetentionApi
from synapse_bum.retention.classes import Purger, RetentionClass
from synapse_bum.retention.clock_record import ClockRecord, time_now
from synapse_bum.retention.config import RetentionConfig
from synapse_bum.retention.holds_api import HoldsApi
from synapse_bum.retention.media.local_media import LocalMediaPurger
from synapse_bum.retention.media.protected import ProtectedMedia
from synapse_bum.retention.media.remote_media import RemoteMediaPurger
from synapse_bum.retention.media.stray_files import StrayFiles
from synapse_bum.retention.messages.over_age import OverAgeMessages
from synapse_bum.retention.messages.purger import MessagePurger
from synapse_bum.retention.messages.purges import PURGES, PurgeOutbox
from synapse_bum.retention.policy import cutoff
from synapse_bum.retention.runs.runner import Runner
from synapse_bum.retention.tables import RETENTION

logger = logging.getLogger(__name__)


class RetentionModule:
    """`synapse_bum.retention.RetentionModule` in homeserver.yaml."""

    @staticmethod
    def parse_config(config: dict[str, Any]) -> RetentionConfig:
        """Called by Synapse while it reads its configuration; has no side effects.

        Raises:
            ConfigError: with the path of the key that is wrong.
        """
        return parse(RetentionConfig, config)

    def __init__(self, config: RetentionConfig, api: ModuleApi) -> None:
        requirements.check(
            requirements.DATABASE,
            requirements.LOG_CONTEXTS,
            requirements.MEDIA_DELETION,
            requirements.MEDIA_AGE,
            requirements.ROOM_HISTORY,
        )
        if shared_object(api, RetentionModule, lambda: self) is not self:
            raise SetupError("`modules`: synapse_bum.retention.RetentionModule is loaded twice; remove one entry")
        for sentence in contrary_settings(api):
            logger.warning("homeserver.yaml acts against the retention module: %s", sentence)
        if not config.lifetimes:
            logger.warning("No class has a lifetime in the retention module's configuration: nothing is deleted")
        database = Database(api, RETENTION, PURGES)
        routes = api_routes(api, config)
        add_audit_routes(routes, database)
        keep_audit(api, database, config.audit_lifetime)
        remover = file_remover(api, database)
        self.purgers = build_purgers(config, api, database, remover)
        RetentionApi(api, database, self.purgers, config).add_to(routes)
        HoldsApi(api, database).add_to(routes)
        leases = Leases(api, database)
        if api.should_run_background_tasks():
            clock = ClockRecord(database, api.get_current_time_msec, partial(monotonic_ms, api))
            self.runner = Runner(api, database, leases, self.purgers, clock, config)
            self.runner.start()
        if media.can_load_media(api):
            self._look_after_files(config, api, database, leases)
        OverAgeMessages(api, database, partial(messages_cutoff, config)).hide()
        database.start()

    def _look_after_files(self, config: RetentionConfig, api: ModuleApi, database: Database, leases: Leases) -> None:
        """What only a process with the media volume does."""

        async def cutoffs() -> Mapping[RetentionClass, int]:
            return await database.run("synapse_bum_retention_cutoffs", agreed_cutoffs, config, api)

        self.stray_files = StrayFiles(api, database, leases, cutoffs=cutoffs)
        keep_deletion_log(
            api,
            database,
            leases,
            config.deletion_log_path,
            on_replayed=audit_replayed,
            outboxes=[PurgeOutbox(api.server_name)],
        )


def build_purgers(
    config: RetentionConfig, api: ModuleApi, database: Database, remover: FileRemover | None
) -> Mapping[RetentionClass, Purger]:
    """Make a purger for each class that has a lifetime, in the order of their runs."""
    protected = ProtectedMedia(api, database, config.protect)
    batch_size = config.schedule.batch_size
    makers: Mapping[RetentionClass, Callable[[], Purger]] = {
        RetentionClass.MESSAGES: partial(MessagePurger, api, database, message_step=config.schedule.message_step),
        RetentionClass.LOCAL_MEDIA: partial(
            LocalMediaPurger, api, database, remover=remover, protected=protected, batch_size=batch_size
        ),
        RetentionClass.REMOTE_MEDIA: partial(
            RemoteMediaPurger,
            api,
            database,
            remover=remover,
            references=protected,
            batch_size=batch_size,
        ),
    }
    return {kind: make() for kind, make in makers.items() if kind in config.lifetimes}


def agreed_cutoffs(txn: LoggingTransaction, config: RetentionConfig, api: ModuleApi) -> Mapping[RetentionClass, int]:
    """Up to which time each class may be deleted by somebody who asks no operator; nothing in a dry run.

    Returns:
        ms since the epoch, by class; a class that no run has finished yet is missing.
    """
    now_ms = time_now(txn, api.get_current_time_msec())
    return {} if now_ms is None else cutoffs_at(txn, config, now_ms)


def messages_cutoff(config: RetentionConfig, txn: LoggingTransaction, now_ms: int) -> int | None:
    """By which time messages are over age; None when nothing of them may be deleted by somebody who asks nobody."""
    return cutoffs_at(txn, config, now_ms).get(RetentionClass.MESSAGES)


def cutoffs_at(txn: LoggingTransaction, config: RetentionConfig, now_ms: int) -> Mapping[RetentionClass, int]:
    """As `agreed_cutoffs`, for a time that is now."""
    if config.dry_run:
        return {}
    agreed = {kind: agreement.lifetime for kind, agreement in read_agreements(txn).items()}
    return {
        kind: min(cutoff(each, now_ms, config.timezone) for each in (lifetime, agreed[kind]))
        for kind, lifetime in config.lifetimes.items()
        if kind in agreed
    }


def audit_replayed(txn: LoggingTransaction, deletions: Sequence[Deletion]) -> None:
    """Write down what a restored database had brought back, and is deleted again."""
    for planned in map(Planned, deletions):
        audit.append(
            txn,
            audit.Entry(
                ts=planned.deletion.planned_ts,
                actor=planned.deletion.actor,
                action=AUDIT_ACTION,
                target=planned.deletion.mxc,
                old=None,
                new=planned.audit_detail(),
                reason=planned.deletion.reason,
            ),
        )
