"""What an ICAP server's words mean for a file: pure functions over parsed replies.

ICAP was made for proxies that want to know whether to change a page, not whether a file was scanned: "no change" (204,
or the same bytes again) is also what a server says of a file that it did not look at. So a file counts as clean only
when the server had asked for all of it first, and c-icap is told by arguments to scan whatever it gets.

Sources: RFC 3507; draft-stecher-icap-subid-00 for the X- headers; what is said of c-icap was observed on c-icap 0.5.10
with virus_scan 0.5.5.
"""

import attr

from synapse_bum.antivirus.engines.clamd_protocol import found_signature, printable
from synapse_bum.antivirus.engines.engine import (
    Clean,
    EngineError,
    EngineVersion,
    Failed,
    FailureReason,
    Infected,
    NotFullyScanned,
    ScanResult,
)
from synapse_bum.antivirus.engines.icap_protocol import Headers, IcapAddress, ReplyHead

NOT_ASKED_FOR = NotFullyScanned("ICAP.NotScanned")
"""The server was content before it had the whole file: a type or size that it passes unseen."""

MAX_PREVIEW_BYTES = 64 * 1024
"""Longest preview that is sent, whatever the server would like."""

MAX_OPTIONS_AGE_S = 3600.0
"""How long an answer to OPTIONS is believed at most, and where the server does not say."""

_C_ICAP = "C-ICAP/"
_C_ICAP_ARGUMENTS = "allow204=on&force=on&sizelimit=off&mode=simple"
"""Scan every type (`force`) and size (`sizelimit`), and send nothing back before the scan is done (`mode`).

With Debian's settings and without these arguments virus_scan passes PNG, PDF, video and everything above 5 MB unseen,
and answers an infected file above 2 MB with the beginning of that file and no word of a virus."""

_NO_ENGINE = "1B2M2Y8AsgTpgAmY7PhCfg"
"""c-icap's ISTag holds the MD5 of its engines' versions in base64, and this is the MD5 of nothing.

Then clamd was not there when c-icap started, and until c-icap is started again every file gets a 204."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ServiceOptions:
    """What the service says it can do (RFC 3507 section 4.10.2).

    Attributes:
        service: the server's name for itself and the service.
        istag: state of the service; changes with its signatures, as far as the server notices. None when not said.
        preview: bytes that it wants to see first; None when it wants no preview.
        max_connections: that it allows all its clients together; None when it does not say.
        lifetime_s: how long this answer may be believed, in seconds.
    """

    service: str
    istag: str | None
    preview: int | None
    max_connections: int | None
    lifetime_s: float

    @property
    def version(self) -> EngineVersion:
        """The same as an engine's answer. ICAP has no word for the date of the signatures."""
        return EngineVersion(self.service, self.istag)


def service_options(reply: ReplyHead) -> ServiceOptions:
    """Read the reply to OPTIONS.

    Raises:
        EngineError: no such service, it can't scan responses, or the reply makes no sense.
    """
    if reply.status != 200:
        failed = _refusal(reply.status)
        raise EngineError(failed.reason, f"{failed.detail} to OPTIONS")
    if "respmod" not in reply.headers.tokens("methods"):
        raise EngineError(FailureReason.ENGINE_ERROR, "the service has no RESPMOD")
    if _has_no_engine(reply.headers):
        raise EngineError(FailureReason.ENGINE_ERROR, "c-icap runs without a scanner and would pass every file")
    preview = _number(reply.headers, "preview")
    connections = _number(reply.headers, "max-connections")
    lifetime = _number(reply.headers, "options-ttl")
    return ServiceOptions(
        service=_words(reply.headers.get("service") or reply.headers.get("server") or "ICAP"),
        istag=istag(reply.headers),
        preview=None if preview is None else min(preview, MAX_PREVIEW_BYTES),
        max_connections=None if connections is None else max(connections, 1),
        lifetime_s=MAX_OPTIONS_AGE_S if lifetime is None else min(float(lifetime), MAX_OPTIONS_AGE_S),
    )


def scan_address(address: IcapAddress, options: ServiceOptions) -> IcapAddress:
    """Where to send files: c-icap's arguments are added unless the operator wrote some of his own."""
    if address.arguments is None and options.service.startswith(_C_ICAP):
        return attr.evolve(address, arguments=_C_ICAP_ARGUMENTS)
    return address


def preview_length(size: int, options: ServiceOptions) -> int | None:
    """How many bytes of the file to send before the server's go-ahead.

    At least one byte is kept back, also from a file that would fit: only a server that asks for the rest can have
    looked at all of it. (RFC 3507 section 4.5 would let such a file be sent whole, ended by `0; ieof`; a 204 after that
    means "clean" or "not my type", and nobody can tell which.)

    Returns:
        Number of bytes, or None when the server wants no preview or there is nothing to send.
    """
    if options.preview is None or size == 0:
        return None
    return min(options.preview, size - 1)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Reply:
    """What of a reply to RESPMOD counts.

    Attributes:
        status: the ICAP status.
        headers: the ICAP headers, with those of the trailer behind them.
        http_status: of the HTTP response inside; None when there is none.
    """

    status: int
    headers: Headers
    http_status: int | None = None


def verdict(reply: Reply, *, file_taken: bool, same_bytes: bool) -> ScanResult:
    """Say what a reply to RESPMOD means for the file.

    Args:
        reply: what the server said.
        file_taken: the server had the whole file before it said so, and had asked for it where a preview was sent.
        same_bytes: the body of the reply is proven to be the file, byte for byte.
    """
    threat = named_threat(reply.headers)
    if threat is not None:
        return threat
    if reply.status not in {200, 204}:
        return _refusal(reply.status)
    if _has_no_engine(reply.headers):
        return Failed(FailureReason.ENGINE_ERROR, "c-icap runs without a scanner and passes every file")
    if reply.status == 200 and not (reply.http_status == 200 and same_bytes):
        return Failed(FailureReason.NOT_UNDERSTOOD, "the server changed the file without saying why")
    return Clean() if file_taken else NOT_ASKED_FOR


def named_threat(headers: Headers) -> Infected | NotFullyScanned | None:
    """What the headers say was found; None when they name nothing.

    The most exact header wins. Type 1 of X-Infection-Found is a mail policy, type 2 an archive with a closed door.
    """
    infection = headers.get("x-infection-found")
    if infection is not None:
        pairs = (part.partition("=") for part in infection.split(";"))
        parts = {name.strip().lower(): value.strip() for name, _, value in pairs}
        name = _words(parts.get("threat") or infection or "unnamed")
        return NotFullyScanned(name) if parts.get("type") in {"1", "2"} else found_signature(name)
    virus = headers.get("x-virus-id")
    if virus is not None and virus.lower() != "no threats":
        return found_signature(_words(virus or "unnamed"))
    # A count, then four lines each: file name, threat, problem, resolution.
    count, *violations = (headers.get("x-violations-found") or "0").split("\n")
    if count not in {"0", "-"}:
        return found_signature(_words(next(iter(violations[1:]), "") or "unnamed"))
    if any(value.lower().startswith("block") for value in headers.values("x-response-info")):
        return NotFullyScanned(_words(headers.get("x-response-desc") or "blocked"))
    return None


def _refusal(status: int) -> Failed:
    detail = f"ICAP status {status}"
    if status == 413:
        return Failed(FailureReason.TOO_LARGE, detail)
    if status == 503:
        return Failed(FailureReason.BUSY, detail)
    if 400 <= status <= 599:
        return Failed(FailureReason.ENGINE_ERROR, detail)
    return Failed(FailureReason.NOT_UNDERSTOOD, detail)


def istag(headers: Headers) -> str | None:
    """State of the service; it changes with its signatures, as far as the server notices. None when not said."""
    tag = headers.get("istag")
    return None if tag is None else _words(tag.strip('"'))


def _has_no_engine(headers: Headers) -> bool:
    return _NO_ENGINE in (istag(headers) or "")


def _number(headers: Headers, name: str) -> int | None:
    value = headers.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 9):
        raise EngineError(FailureReason.NOT_UNDERSTOOD, f"{name} is no number")
    return int(value)


def _words(text: str) -> str:
    return printable(text.encode("latin-1"))
