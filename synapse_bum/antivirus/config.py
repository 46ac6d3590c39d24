"""The `config:` of `synapse_bum.antivirus.AntivirusModule`. Each key is explained in README.md."""

import re
from collections.abc import Mapping
from enum import Enum
from typing import TypeAlias

import attr
from synapse.module_api.errors import ConfigError

from synapse_bum.antivirus.engines import clamd_protocol, icap_protocol
from synapse_bum.config import (
    Path,
    SharedConfig,
    absolute_path,
    boolean,
    duration_ms,
    fail,
    integer,
    list_of,
    mapping_of,
    one_of,
    one_or_more,
    option,
    section,
    size,
    text,
)


class EngineKind(Enum):
    """Protocol that the scanner speaks."""

    CLAMD = "clamd"
    ICAP = "icap"


class OnInfectedUpload(Enum):
    """What becomes of a local upload with a virus."""

    REFUSE = "refuse"
    BLOCK = "block"


class WhenScannerFails(Enum):
    """What becomes of a file for which there is no verdict."""

    REJECT = "reject"
    ACCEPT = "accept"


class DeleteOnRedaction(Enum):
    """Whose redaction deletes the files of the event."""

    NONE = "none"
    OWN = "own"
    """The uploader's of his own event; and a local room administrator's, when the file is blocked."""
    BLOCKED = "blocked"
    """As OWN, but only files that are blocked."""
    ALL = "all"
    """Any local user's."""


class HeuristicAction(Enum):
    """What a `Heuristics.*` finding does to the file."""

    BLOCK = "block"
    REPORT = "report"


MAX_SCAN_BYTES = 2047 << 20
"""clamd scans no file of 2 GB or more, whatever its limits are; the self-test needs one megabyte of room."""

DEFAULT_HEURISTIC = "default"

HeuristicActions: TypeAlias = Mapping[str, HeuristicAction]
"""By class: the second part of the signature's name in lower case (`Heuristics.Encrypted.Zip` -> `encrypted`)."""


def heuristic_class(value: object, path: Path) -> str:
    """Reads a class of heuristics."""
    name = text(value, path)
    if name.lower() == "limits":
        fail(path, "can't be set: Heuristics.Limits.* means that the file was not fully scanned, and is always refused")
    if not re.fullmatch(r"[a-z0-9_]{1,64}", name):
        fail(
            path, "must be a class of heuristics in lower case such as `encrypted`, `phishing`, `broken`, or `default`"
        )
    return name


def mime_type(value: object, path: Path) -> str:
    """Reads a MIME type without parameters, for example `image/png`."""
    name = text(value, path).lower()
    if not re.fullmatch(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}", name):
        fail(path, "must be a MIME type such as `application/pdf`, without parameters or wildcards")
    return name


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ScannerConfig:
    """Section `scanner`.

    Attributes:
        engine: protocol of all addresses.
        address: one or more scanners; more than one is a pool with failover.
        timeout_ms: for one scan.
        max_connections: scans in flight for each address.
        self_test_interval_ms: between two self-tests.
    """

    engine: EngineKind = option(one_of(EngineKind), default="clamd")
    address: tuple[str, ...] = option(one_or_more(text), default="unix:/run/clamav/clamd.ctl")
    timeout_ms: int = option(duration_ms, default="60s", key="timeout")
    max_connections: int = option(integer(1, 256), default=8)
    self_test_interval_ms: int = option(duration_ms, default="1h", key="self_test_interval")

    def __attrs_post_init__(self) -> None:
        parse = clamd_protocol.parse_address if self.engine is EngineKind.CLAMD else icap_protocol.parse_address
        for address in self.address:
            try:
                parse(address)
            except ValueError as error:
                message = f"`{address}` is no address for `engine: {self.engine.value}`: {error}"
                raise ConfigError(message, ("address",)) from None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ContentScannerConfig:
    """Section `content_scanner`.

    Attributes:
        enabled: whether the API of MSC1453 is served.
        request_secret_path: file with the secret for request bodies; None to have one made.
        allowed_mimetypes: only files of these types are delivered; None for all.
        blocked_mimetypes: files of these types are not delivered.
        scans_per_user: at a time.
    """

    enabled: bool = option(boolean, default=True)
    request_secret_path: str | None = option(absolute_path, default=None)
    allowed_mimetypes: tuple[str, ...] | None = option(list_of(mime_type, minimum=1), default=None)
    blocked_mimetypes: tuple[str, ...] | None = option(list_of(mime_type, minimum=1), default=None)
    scans_per_user: int = option(integer(1, 100), default=2)

    def __attrs_post_init__(self) -> None:
        both = sorted(set(self.allowed_mimetypes or ()) & set(self.blocked_mimetypes or ()))
        if both:
            message = f"`{both[0]}` is in `allowed_mimetypes` too; remove it from one of them"
            raise ConfigError(message, ("blocked_mimetypes",))


@attr.s(auto_attribs=True, frozen=True, slots=True)
class AntivirusConfig(SharedConfig):
    """The whole configuration of the module.

    Attributes:
        scanner: where and how files are scanned.
        max_scan_size: bytes; a larger file is refused.
        on_infected_upload: refuse, or store and block.
        when_scanner_fails: reject, or accept as unscanned.
        heuristics: action by class of heuristics.
        require_scan: whether what can't be looked into is held until a scan with its key.
        content_scanner: the API for encrypted files.
        delete_on_redaction: whose redaction deletes files.
        delete_power: power level that makes a room administrator.
        rescan_on_signature_update: whether stored files are scanned again when the scanner has new signatures.
    """

    scanner: ScannerConfig = option(section(ScannerConfig), default={})
    max_scan_size: int = option(size, default="100M")
    on_infected_upload: OnInfectedUpload = option(one_of(OnInfectedUpload), default="refuse")
    when_scanner_fails: WhenScannerFails = option(one_of(WhenScannerFails), default="reject")
    heuristics: HeuristicActions = option(
        mapping_of(
            heuristic_class, one_of(HeuristicAction), defaults={DEFAULT_HEURISTIC: "block", "encrypted": "report"}
        ),
        default={},
    )
    require_scan: bool = option(boolean, default=False)
    content_scanner: ContentScannerConfig = option(section(ContentScannerConfig), default={})
    rescan_on_signature_update: bool = option(boolean, default=True)
    delete_on_redaction: DeleteOnRedaction = option(one_of(DeleteOnRedaction), default="own")
    delete_power: int = option(integer(-(2**53) + 1, 2**53 - 1), default=100)

    def __attrs_post_init__(self) -> None:
        if self.require_scan and not self.content_scanner.enabled:
            message = "needs `content_scanner.enabled: true`: without it no held file is ever released"
            raise ConfigError(message, ("require_scan",))
        if self.max_scan_size > MAX_SCAN_BYTES:
            raise ConfigError("must be at most `2047M`: clamd scans no larger file", ("max_scan_size",))
