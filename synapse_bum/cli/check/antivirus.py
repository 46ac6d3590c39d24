"""What the antivirus module leaves open, and what of it does not fit Synapse's own configuration."""

from collections.abc import Iterator
from typing import Final

from synapse.module_api.errors import ConfigError

from synapse_bum.antivirus.config import AntivirusConfig
from synapse_bum.antivirus.content_scanner.secrets import read_request_key
from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.remark import Remark, error, warning

_UNSCANNED: Final = "`require_scan` is off: encrypted files of clients without scanner support are delivered unscanned"

REQUIRE_SCAN_OFF: Final = f"antivirus: {_UNSCANNED}"
"""As it is printed."""


def policy_remarks(config: AntivirusConfig) -> Iterator[Remark]:
    """What the configuration leaves open. Pure."""
    if not config.require_scan:
        yield warning(Check.REQUIRE_SCAN, _UNSCANNED)
    if not config.content_scanner.enabled:
        says = "`content_scanner.enabled` is off: no client can have encrypted files scanned"
        yield warning(Check.CONTENT_SCANNER, says)
    if config.when_scanner_fails.value == "accept":
        says = "`when_scanner_fails: accept` delivers files unscanned while the scanner is away"
        yield warning(Check.ACCEPTS_UNSCANNED, says)


def size_remarks(config: AntivirusConfig, upload_bytes: int | None) -> Iterator[Remark]:
    """Compare the sizes. Pure.

    Args:
        config: of the module.
        upload_bytes: Synapse's `max_upload_size`; None when it can't be read, which is said elsewhere.
    """
    if upload_bytes is not None and config.max_scan_size < upload_bytes:
        says = (
            f"`max_scan_size` ({config.max_scan_size} bytes) is below `max_upload_size`"
            f" ({upload_bytes} bytes): files between the two are refused"
        )
        yield warning(Check.SCAN_SIZE, says)


def request_secret_remarks(config: AntivirusConfig) -> Iterator[Remark]:
    """Look at the file with the request secret, where there is one."""
    path = config.content_scanner.request_secret_path
    if path is not None:
        try:
            read_request_key(path)
        except ConfigError as failure:
            yield error(Check.REQUEST_SECRET, failure.msg)
