"""The antivirus module: configuration in, services built, callbacks and routes registered."""

import logging
from functools import partial
from typing import Any

from synapse.module_api import ModuleApi
from twisted.internet.defer import ensureDeferred
from twisted.internet.threads import deferToThreadPool

from synapse_bum.after_restore import recovery_log
from synapse_bum.antivirus.api import AntivirusApi
from synapse_bum.antivirus.config import AntivirusConfig, EngineKind, ScannerConfig
from synapse_bum.antivirus.content_scanner import service as content_scanner
from synapse_bum.antivirus.decision import Policy
from synapse_bum.antivirus.engines.clamd import ClamdEngine
from synapse_bum.antivirus.engines.engine import Engine
from synapse_bum.antivirus.engines.icap import IcapEngine
from synapse_bum.antivirus.engines.pool import EnginePool
from synapse_bum.antivirus.events.event_annotations import EventAnnotations
from synapse_bum.antivirus.events.links import Links
from synapse_bum.antivirus.events.redactions import Redactions
from synapse_bum.antivirus.file_scans import FileScans
from synapse_bum.antivirus.findings.after_restore import Findings, Releases
from synapse_bum.antivirus.findings.enforcement import Enforcer
from synapse_bum.antivirus.forgetting.duty import Forgetting
from synapse_bum.antivirus.gate import UploadGate
from synapse_bum.antivirus.held_media import HeldMedia
from synapse_bum.antivirus.own_media import OwnMedia
from synapse_bum.antivirus.quarantine import holding
from synapse_bum.antivirus.quarantine.holding import Holder
from synapse_bum.antivirus.quarantine.quarantine_stream import QuarantineStream
from synapse_bum.antivirus.scanning.monitor import STATUS_INTERVAL_MS, ScannerMonitor
from synapse_bum.antivirus.scanning.scanner import Scanner
from synapse_bum.antivirus.scanning.self_test import SelfTest
from synapse_bum.antivirus.stored import rescan
from synapse_bum.antivirus.stored.backlog import TICK_MS, Backlog
from synapse_bum.antivirus.stored.rescan import Rescan
from synapse_bum.antivirus.stored.stored_scans import StoredScans
from synapse_bum.antivirus.stored.verdicts import VerdictWriter
from synapse_bum.antivirus.tables import ANTIVIRUS
from synapse_bum.audit import keep_audit
from synapse_bum.audit_routes import add_audit_routes
from synapse_bum.config import SetupError, parse
from synapse_bum.database import Database, Leases
from synapse_bum.deletion import file_remover
from synapse_bum.homeserver import media, media_holding, requirements
from synapse_bum.homeserver.reactor import reactor_of
from synapse_bum.homeserver.shared_objects import shared_object
from synapse_bum.rest import api_routes

logger = logging.getLogger(__name__)


class AntivirusModule:
    """`synapse_bum.antivirus.AntivirusModule` in homeserver.yaml."""

    @staticmethod
    def parse_config(config: dict[str, Any]) -> AntivirusConfig:
        """Called by Synapse while it reads its configuration; has no side effects.

        Raises:
            ConfigError: with the path of the key that is wrong.
        """
        return parse(AntivirusConfig, config)

    def __init__(self, config: AntivirusConfig, api: ModuleApi) -> None:
        requirements.check(
            requirements.DATABASE,
            requirements.LOG_CONTEXTS,
            requirements.MEDIA,
            requirements.MEDIA_DOORS,
            requirements.MEDIA_DELETION,
            requirements.MEDIA_SERVING,
            requirements.EVENTS,
        )
        if shared_object(api, AntivirusModule, lambda: self) is not self:
            raise SetupError("`modules`: synapse_bum.antivirus.AntivirusModule is loaded twice; remove one entry")
        database = Database(api, ANTIVIRUS)
        recovery_log(api).add(Releases())
        recovery_log(api).add(Findings(api.server_name))
        routes = api_routes(api, config)
        add_audit_routes(routes, database)
        keep_audit(api, database, config.audit_lifetime)
        remover = file_remover(api, database)
        AntivirusApi(api, database, remover).add_to(routes)
        verdicts = VerdictWriter(api, database)
        OwnMedia(api, database, verdicts, remover, delete_power=config.delete_power).add_to(routes)
        HeldMedia(api, database).add_to(routes)
        FileScans(api, database, verdicts).add_to(routes)
        EventAnnotations(api, database).start()
        QuarantineStream(api, database).start()
        Forgetting(api, database).start()
        if media.can_load_media(api):
            self._guard_media(config, api, database, verdicts)
        database.start()

    def _guard_media(
        self, config: AntivirusConfig, api: ModuleApi, database: Database, verdicts: VerdictWriter
    ) -> None:
        """What only a process with the media volume does."""
        policy = Policy(config.on_infected_upload, config.when_scanner_fails, config.heuristics)
        reactor = reactor_of(api)
        # Self-tests run outside of Synapse's log contexts, as all of an engine's work.
        self_test = SelfTest(config.max_scan_size, partial(deferToThreadPool, reactor, reactor.getThreadPool()))
        now_s = reactor.seconds
        self.pool = EnginePool(build_engines(config.scanner, api), self_test.prove, now_s)
        max_upload_bytes = media.max_upload_bytes(api)
        if config.max_scan_size < max_upload_bytes:
            logger.warning(
                "`config.max_scan_size` (%d bytes) is below Synapse's `max_upload_size` (%d bytes): files between the"
                " two are refused",
                config.max_scan_size,
                max_upload_bytes,
            )
        self.monitor = ScannerMonitor(
            api,
            database,
            self.pool,
            self_test,
            engine=config.scanner.engine.value,
            wanted_bytes=min(config.max_scan_size, max_upload_bytes),
            self_test_interval_ms=config.scanner.self_test_interval_ms,
        )
        scanner = Scanner(api, database, self.pool, max_scan_bytes=config.max_scan_size, now_s=now_s)
        holder = Holder(api, database)
        self.gate = UploadGate(api, database, scanner, verdicts, policy, holder if config.require_scan else None)
        leases = Leases(api, database)
        self.redactions = Redactions(
            api,
            database,
            leases,
            mode=config.delete_on_redaction,
            delete_power=config.delete_power,
            remover=file_remover(api, database),
        )
        self.redactions.start()
        enforcer = Enforcer(api, database)
        scans = StoredScans(api, scanner, verdicts, enforcer, policy)
        self.backlog = Backlog(api, database, leases, scanner, scans, enforcer=enforcer, births=self.gate.births)
        self.rescan = Rescan(
            api,
            database,
            leases,
            scans,
            signature_version=lambda: self.pool.version.signature_version if self.pool.version else None,
            on_signature_update=config.rescan_on_signature_update,
            now_s=now_s,
        )
        reactor.addSystemEventTrigger("before", "shutdown", lambda: ensureDeferred(verdicts.flush()))
        reactor.addSystemEventTrigger("before", "shutdown", lambda: ensureDeferred(self.pool.close()))
        api.register_spam_checker_callbacks(check_media_file_for_spam=self.gate.check)
        media.quarantine_new_uploads(api, self.gate.births.is_expected)
        media.watch_remote_downloads(api, self.gate.refuses_remote, holder.withholds)
        media_holding.hold_new_remote_media(api, holder.is_arriving_held, holding.MARKER)
        if config.content_scanner.enabled:
            links = Links(api, database)
            content_scanner.serve(config, api, database, scanner, enforcer, verdicts, policy=policy, links=links)
        api.looping_background_call(holder.tick, TICK_MS, desc="synapse_bum_antivirus_held", run_on_all_instances=True)
        api.delayed_background_call(0, self.monitor.tick, desc="synapse_bum_antivirus_monitor")
        api.looping_background_call(
            self.monitor.tick, STATUS_INTERVAL_MS, desc="synapse_bum_antivirus_monitor", run_on_all_instances=True
        )
        api.looping_background_call(
            self.backlog.tick, TICK_MS, desc="synapse_bum_antivirus_backlog", run_on_all_instances=True
        )
        api.looping_background_call(
            self.rescan.tick, rescan.TICK_MS, desc="synapse_bum_antivirus_rescan", run_on_all_instances=True
        )


def build_engines(config: ScannerConfig, api: ModuleApi) -> list[Engine]:
    """Make one engine for each configured address; nothing is connected yet."""
    reactor = reactor_of(api)
    kind = ClamdEngine if config.engine is EngineKind.CLAMD else IcapEngine
    return [
        kind(
            reactor,
            address,
            timeout_s=config.timeout_ms / 1000,
            max_connections=config.max_connections,
            read_pool=reactor.getThreadPool(),
        )
        for address in config.address
    ]
