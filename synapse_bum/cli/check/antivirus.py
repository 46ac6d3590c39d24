"""What the antivirus module leaves open, and whether its scanner finds EICAR.

The scanner is asked by the independent client `clamd`, where it is installed: whatever were wrong with ours is not
wrong with it.
"""

import importlib
import io
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, Final

from synapse.module_api.errors import ConfigError

from synapse_bum.antivirus.config import AntivirusConfig, EngineKind
from synapse_bum.antivirus.content_scanner.secrets import read_request_key
from synapse_bum.antivirus.scanning.probes import EICAR
from synapse_bum.cli.check.remark import Level, Remark
from synapse_bum.quantities import parse_size

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


def homeserver_remarks(config: AntivirusConfig, homeserver: Mapping[str, Any]) -> Iterator[Remark]:
    """What of the configuration does not fit Synapse's own, or the files that it names."""
    limit = homeserver.get("max_upload_size", "50M")
    try:
        max_upload_size = parse_size(limit)
    except ValueError:
        yield Remark(
            Level.WARNING, f"`max_upload_size`: `{limit}` is not read here, so that it is compared with nothing"
        )
    else:
        if config.max_scan_size < max_upload_size:
            text = (
                f"antivirus: `max_scan_size` ({config.max_scan_size} bytes) is below `max_upload_size`"
                f" ({max_upload_size} bytes): files between the two are refused"
            )
            yield Remark(Level.WARNING, text)
    path = config.content_scanner.request_secret_path
    if path is not None:
        try:
            read_request_key(path)
        except ConfigError as error:
            yield Remark(Level.ERROR, f"antivirus: {error.msg}")


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
