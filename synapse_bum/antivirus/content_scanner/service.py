"""The content scanner put together: what `module.py` calls when `content_scanner.enabled` says so."""

import logging

from synapse.module_api import ModuleApi
from synapse.module_api.errors import ConfigError

from synapse_bum.antivirus import metrics
from synapse_bum.antivirus.config import AntivirusConfig
from synapse_bum.antivirus.content_scanner.budgets import ScanBudget
from synapse_bum.antivirus.content_scanner.examination import Examiner
from synapse_bum.antivirus.content_scanner.judgement import Judge
from synapse_bum.antivirus.content_scanner.key_verdicts import PURGE_INTERVAL_MS, VOID_INTERVAL_MS, KeyVerdictWriter
from synapse_bum.antivirus.content_scanner.resource import PATH, ContentScannerResource
from synapse_bum.antivirus.content_scanner.secrets import Secrets, confirm_request_key, read_request_key
from synapse_bum.antivirus.content_scanner.type_policy import TypePolicy
from synapse_bum.antivirus.decision import Policy
from synapse_bum.antivirus.events.links import Links
from synapse_bum.antivirus.findings.enforcement import Enforcer
from synapse_bum.antivirus.scanning.scanner import Scanner
from synapse_bum.antivirus.stored.verdicts import VerdictWriter
from synapse_bum.config import SetupError
from synapse_bum.database import Database
from synapse_bum.secret_store import SecretStore

logger = logging.getLogger(__name__)

FILES_IN_MEMORY = 2
"""Decrypted files of the largest size that fit into memory at once."""


def serve(
    config: AntivirusConfig,
    api: ModuleApi,
    database: Database,
    scanner: Scanner,
    enforcer: Enforcer,
    verdicts: VerdictWriter,
    *,
    policy: Policy,
    links: Links,
) -> ContentScannerResource:
    """Register the content scanner API in a process with a media repository.

    Raises:
        SetupError: the request secret can't be read, or is not that of the other processes.
    """
    options = config.content_scanner
    request_key = None
    if options.request_secret_path is not None:
        try:
            request_key = read_request_key(options.request_secret_path)
        except ConfigError as error:
            raise SetupError(f"synapse_bum.antivirus.AntivirusModule: {error.msg}") from None
    confirm_request_key(api, database.dialect, request_key)
    secrets = Secrets(SecretStore(database), request_key)
    types = TypePolicy.of(options.allowed_mimetypes, options.blocked_mimetypes)
    judge = Judge(api, database, scanner, enforcer, verdicts, policy=policy, types=types)
    budget = ScanBudget(
        plaintext_bytes=FILES_IN_MEMORY * config.max_scan_size,
        scans_per_user=options.scans_per_user,
        in_use=metrics.PLAINTEXT_BYTES.set,
    )
    writer = KeyVerdictWriter(api, database)
    api.looping_background_call(
        writer.purge, PURGE_INTERVAL_MS, desc="synapse_bum_antivirus_purge_key_verdicts", run_on_all_instances=True
    )
    api.looping_background_call(
        lambda: writer.void_unversioned(scanner.signature_version),
        VOID_INTERVAL_MS,
        desc="synapse_bum_antivirus_void_key_verdicts",
        run_on_all_instances=True,
    )
    resource = ContentScannerResource(api, Examiner(api, database, scanner, judge, writer, budget), secrets, links)
    api.register_web_resource(PATH, resource)
    return resource
