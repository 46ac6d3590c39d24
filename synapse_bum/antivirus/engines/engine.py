"""What the antivirus asks of a scanner, and the only four answers there are.

This file knows no protocol and does no I/O. An engine turns whatever its scanner says into exactly one of
`Clean`, `Infected`, `NotFullyScanned` or `Failed`; a reply that is not understood is `Failed`, never `Clean`.
"""

from enum import Enum
from typing import Protocol, TypeAlias

import attr


class FailureReason(Enum):
    """Why a scan has no verdict. The value is what metrics and logs print."""

    UNREACHABLE = "unreachable"
    """The scanner could not be asked: nothing of the file has reached it."""
    LOST = "lost"
    """The connection ended after the scan had begun and before the reply was whole."""
    TIMEOUT = "timeout"
    """The scanner took longer than `scanner.timeout`."""
    TOO_LARGE = "too_large"
    """The scanner refused the file for its size (StreamMaxLength, HTTP 413)."""
    BUSY = "busy"
    """The scanner has no room for another scan right now."""
    ENGINE_ERROR = "engine_error"
    """The scanner answered, in its own words, that it could not scan."""
    NOT_UNDERSTOOD = "not_understood"
    """The reply is not one that the scanner's documentation knows."""
    UNFIT = "unfit"
    """The scanner said OK and showed right afterwards that it is not able to scan."""
    UNREADABLE = "unreadable"
    """The file could not be read here, or changed while it was scanned."""


SUSPECT_REASONS = frozenset({FailureReason.LOST, FailureReason.TIMEOUT})
"""Failures that the file itself may have caused (it crashes or hangs the engine)."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Clean:
    """The scanner looked at the whole file and found nothing."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Infected:
    """The scanner named a signature.

    Attributes:
        signature: the name as the scanner gives it, for example `Eicar-Test-Signature`.
    """

    signature: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class NotFullyScanned:
    """The scanner stopped at one of its own limits (`Heuristics.Limits.*`): no statement about the rest.

    Attributes:
        signature: the limit as the scanner names it.
    """

    signature: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Failed:
    """There is no verdict.

    Attributes:
        reason: the class of the failure.
        detail: one line for the operator; never holds content of the file.
    """

    reason: FailureReason
    detail: str


ScanResult: TypeAlias = Clean | Infected | NotFullyScanned | Failed


@attr.s(auto_attribs=True, frozen=True, slots=True)
class EngineVersion:
    """What a scanner says of itself.

    Attributes:
        engine_version: product and version, for example `ClamAV 1.4.6`.
        signature_version: version of the signature base; None when the scanner has none or does not say.
        signature_ts: when the base was built, in ms since the epoch; None when it does not say.
    """

    engine_version: str
    signature_version: str | None = None
    signature_ts: int | None = None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class EngineProof:
    """What a scanner proved before it got files.

    Attributes:
        version: who was tested.
        max_bytes: size of the largest file that was proven to be scanned to its end; 0 when it does not find EICAR.
    """

    version: EngineVersion
    max_bytes: int


class EngineError(Exception):
    """A question other than a scan (`VERSION`, `OPTIONS`) has no usable answer.

    Attributes:
        reason: as for `Failed`.
    """

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Engine(Protocol):
    """One scanner at one address."""

    address: str
    """As configured, for example `unix:/run/clamav/clamd.ctl`."""

    incarnation: int
    """Changes when the scanner may have been restarted, perhaps with other signatures or limits."""

    transport: str
    """How file content travels: `FILDES`, `INSTREAM` or `ICAP`."""

    async def scan(self, fd: int, size: int) -> ScanResult:
        """Scan the first `size` bytes behind `fd`.

        Args:
            fd: an open, seekable, readable file descriptor. It stays open and is read from offset 0 whatever its
            position
                is (the engine uses `pread` or hands it over), so that the same descriptor can be scanned again.
            size: length of the file in bytes, >= 0.

        Returns:
            The verdict. Never raises for anything the scanner or the network does.
        """

    async def version(self) -> EngineVersion:
        """Ask the scanner who it is.

        Raises:
            EngineError: no usable answer.
        """

    async def close(self) -> None:
        """Close all connections for good; scans in flight and later ones end as `Failed(UNREACHABLE)`."""
