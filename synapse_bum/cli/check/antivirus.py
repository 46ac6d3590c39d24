"""What the antivirus module leaves open, and whether its scanner finds EICAR.

The scanner is asked by the independent client `clamd`, where it is installed: whatever were wrong with ours is not
wrong with it.
"""

import importlib
import io
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

from synapse_bum.antivirus.config import AntivirusConfig, EngineKind
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.cli.check.remark import Level, Remark

REQUIRE_SCAN_OFF: Final = (
    "antivirus: `require_scan` is off: encrypted files of clients without scanner support are delivered unscanned"
)

_TIMEOUT_S: Final = 10


def policy_remarks(config: AntivirusConfig) -> Iterator[Remark]:
    """What the configuration leaves open. Pure."""
    if not config.require_scan:
        yield Remark(Level.WARNING, REQUIRE_SCAN_OFF)
    if not config.content_scanner.enabled:
        text = "antivirus: `content_scanner.enabled` is off: no client can have encrypted files scanned"
        yield Remark(Level.WARNING, text)
    if config.when_scanner_fails.value == "accept":
        text = "antivirus: `when_scanner_fails: accept` delivers files unscanned while the scanner is away"
        yield Remark(Level.WARNING, text)


def scanner_remarks(config: AntivirusConfig) -> Iterator[Remark]:
    """Ask each scanner for its version and have it scan the EICAR test file."""
    if config.scanner.engine is not EngineKind.CLAMD:
        yield Remark(Level.WARNING, "antivirus: `engine: icap` is not asked here; see `GET .../antivirus/status`")
        return
    client = _independent_client()
    if client is None:
        text = "antivirus: the scanner was not asked: the package `clamd` is not installed here"
        yield Remark(Level.WARNING, text)
        return
    for address in config.scanner.address:
        yield _ask(client, address)


def _independent_client() -> ModuleType | None:
    try:
        return importlib.import_module("clamd")
    except ImportError:
        return None


def _ask(client: Any, address: str) -> Remark:  # noqa: ANN401 - a package without types
    scanner = _connection(client, address)
    try:
        version = scanner.version().split("/")[0]
        (verdict, signature) = scanner.instream(io.BytesIO(EICAR))["stream"]
    except Exception as error:  # noqa: BLE001 - whatever a scanner or the package says
        return Remark(Level.ERROR, f"antivirus: {address} does not answer: {error}")
    finally:
        # The package leaves a socket open that could not be connected.
        socket = getattr(scanner, "clamd_socket", None)
        if socket is not None:
            socket.close()
    if verdict != "FOUND":
        return Remark(Level.ERROR, f"antivirus: {address} ({version}) does not find the EICAR test file")
    return Remark(Level.OK, f"antivirus: {address} ({version}) finds the EICAR test file as {signature}")


def _connection(client: Any, address: str) -> Any:  # noqa: ANN401 - a package without types
    kind, _, rest = address.partition(":")
    if kind == "unix":
        return client.ClamdUnixSocket(rest, timeout=_TIMEOUT_S)
    host, _, port = rest.rpartition(":")
    return client.ClamdNetworkSocket(host.strip("[]"), int(port), timeout=_TIMEOUT_S)
