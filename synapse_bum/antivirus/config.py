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
    duration_ms,
    fail,
    integer,
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
class AntivirusConfig(SharedConfig):
    """The whole configuration of the module.

    Attributes:
        scanner: where and how files are scanned.
        max_scan_size: bytes; a larger file is refused.
        on_infected_upload: refuse, or store and block.
        when_scanner_fails: reject, or accept as unscanned.
        heuristics: action by class of heuristics.
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

    def __attrs_post_init__(self) -> None:
        if self.max_scan_size > MAX_SCAN_BYTES:
            raise ConfigError("must be at most `2047M`: clamd scans no larger file", ("max_scan_size",))
