"""All checks of `synapse-bum check`, in the order in which they are printed."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from synapse_bum.antivirus.config import AntivirusConfig
from synapse_bum.cli.check import antivirus, federation, oidc, retention, storage
from synapse_bum.cli.check.configuration import read_configuration
from synapse_bum.cli.check.listeners import listener_remarks
from synapse_bum.cli.check.log import log_remarks
from synapse_bum.cli.check.modules import load_modules
from synapse_bum.cli.check.remark import Remark
from synapse_bum.federation.config import FederationConfig
from synapse_bum.oidc.config import OidcConfig
from synapse_bum.retention.config import RetentionConfig
from synapse_bum.storage.config import StorageConfig


def check(paths: Sequence[Path], *, ask_scanner: bool) -> Iterator[Remark]:
    """Look at a configuration.

    Args:
        paths: as Synapse gets them with `-c`.
        ask_scanner: whether scanners may be connected.

    Yields:
        What there is to say.

    Raises:
        ConfigurationError: a file can't be read.
    """
    homeserver = read_configuration(paths)
    configs, wrong = load_modules(homeserver)
    yield from wrong
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
        elif isinstance(config, StorageConfig):
            yield from storage.policy_remarks(config)
            yield from storage.homeserver_remarks(config, homeserver)
    identity = next((config for config in configs.values() if isinstance(config, OidcConfig)), None)
    yield from oidc.identity_remarks(identity, homeserver)
    yield from listener_remarks(homeserver, configs)
    yield from log_remarks(homeserver)
