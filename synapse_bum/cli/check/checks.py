"""All checks of `synapse-bum check`, in the order in which they are printed."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from synapse_bum.antivirus.config import AntivirusConfig
from synapse_bum.availability.config import AvailabilityConfig
from synapse_bum.cli.check import antivirus, availability, federation, oidc, portal, recovery, retention, storage
from synapse_bum.cli.check.configuration import read_configuration
from synapse_bum.cli.check.listeners import listener_remarks
from synapse_bum.cli.check.log import log_remarks
from synapse_bum.cli.check.modules import load_modules
from synapse_bum.cli.check.online.network import Network
from synapse_bum.cli.check.online.remarks import online_remarks
from synapse_bum.cli.check.remark import Remark
from synapse_bum.config import SharedConfig
from synapse_bum.federation.config import FederationConfig
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.portal.config import PortalConfig
from synapse_bum.retention.config import RetentionConfig
from synapse_bum.storage.config import StorageConfig


def check(paths: Sequence[Path], *, ask_scanner: bool, network: Network | None = None) -> Iterator[Remark]:
    """Look at a configuration.

    Args:
        paths: as Synapse gets them with `-c`.
        ask_scanner: whether scanners may be connected.
        network: where the homeserver is looked for as others do; None to leave that out.

    Yields:
        What there is to say.

    Raises:
        ConfigurationError: a file can't be read.
    """
    homeserver = read_configuration(paths)
    configs, wrong = load_modules(homeserver)
    yield from wrong
    yield from _module_remarks(homeserver, configs, ask_scanner=ask_scanner)
    identity = next((config for config in configs.values() if isinstance(config, OidcConfig)), None)
    yield from oidc.identity_remarks(identity, homeserver)
    yield from recovery.recovery_remarks(configs.values())
    yield from listener_remarks(homeserver, configs)
    yield from log_remarks(homeserver)
    if network is not None:
        yield from online_remarks(homeserver, configs, network)


def _module_remarks(
    homeserver: Mapping[str, Any], configs: Mapping[str, SharedConfig], *, ask_scanner: bool
) -> Iterator[Remark]:
    for config in configs.values():
        if isinstance(config, AntivirusConfig):
            yield from antivirus.policy_remarks(config)
            yield from antivirus.homeserver_remarks(config, homeserver)
            if ask_scanner:
                yield from antivirus.scanner_remarks(config)
        elif isinstance(config, RetentionConfig):
            yield from retention.policy_remarks(config)
            yield from retention.homeserver_remarks(config, homeserver)
        elif isinstance(config, FederationConfig):
            yield from federation.federation_remarks(config, homeserver)
        elif isinstance(config, PortalConfig):
            yield from portal.portal_remarks(config, homeserver)
            yield from portal.reach_remarks(config, configs)
            yield from portal.secret_remarks(config)
        elif isinstance(config, StorageConfig):
            yield from storage.policy_remarks(config)
            yield from storage.homeserver_remarks(config, homeserver)
        elif isinstance(config, AvailabilityConfig):
            yield from availability.policy_remarks(config)
