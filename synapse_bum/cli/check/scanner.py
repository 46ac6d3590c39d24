"""Whether the running clamd finds EICAR, and what it says OK to without having looked.

It is asked by the independent client `clamd`, where that is installed: whatever were wrong with ours is not wrong with
it. Over a unix socket the largest file is handed over as a descriptor (`FILDES`, clamd(8)), as the module does.
"""

import importlib
import io
import os
import socket
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import attr

from synapse_bum.antivirus.config import AntivirusConfig, EngineKind
from synapse_bum.antivirus.scanning.probes import EICAR, encrypted_archive, nested_archive, sized_archive
from synapse_bum.antivirus.scanning.self_test import NESTED_DEPTH
from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.remark import Remark, error, fine, warning

_TIMEOUT_S: Final = 30
_MAX_REPLY_BYTES: Final = 4096
_FOUND: Final = "FOUND"
_LIMITS: Final = "Heuristics.Limits."


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Answers:
    """What a clamd said to each probe: `FOUND` with a name, `OK`, or a sentence about what went wrong.

    Attributes:
        version: of clamd.
        eicar: to the EICAR test file.
        nested: to EICAR in more archives than MaxRecursion.
        encrypted: to an archive that nobody can look into.
        sized: to a file as large as uploads may be, with EICAR at its end.
        sized_bytes: how large that was.
    """

    version: str
    eicar: tuple[str, str | None]
    nested: tuple[str, str | None]
    encrypted: tuple[str, str | None]
    sized: tuple[str, str | None]
    sized_bytes: int


def scanner_remarks(config: AntivirusConfig, upload_bytes: int | None) -> Iterator[Remark]:
    """Ask each scanner for its version, and have it scan the probes.

    Args:
        config: of the module.
        upload_bytes: Synapse's `max_upload_size`; None when it can't be read.
    """
    if config.scanner.engine is not EngineKind.CLAMD:
        yield warning(Check.SCANNER_UNASKED, "`engine: icap` is not asked here; see `GET .../antivirus/status`")
        return
    client = _independent_client()
    if client is None:
        says = "the scanner was not asked: the package `clamd` is not installed here"
        yield warning(Check.SCANNER_UNASKED, says)
        return
    wanted = config.max_scan_size if upload_bytes is None else min(config.max_scan_size, upload_bytes)
    for address in config.scanner.address:
        try:
            answers = _ask(client, address, wanted)
        except Exception as failure:  # noqa: BLE001 - whatever a scanner or the package says
            yield error(Check.SCANNER_ANSWER, f"{address} does not answer: {failure}")
        else:
            yield from judged(address, answers)


def judged(address: str, answers: Answers) -> Iterator[Remark]:
    """Say what a clamd finds, and what passes it. Pure.

    Args:
        address: of it.
        answers: of it.
    """
    named = f"{address} ({answers.version})"
    if answers.eicar[0] != _FOUND:
        yield error(Check.EICAR, f"{named} does not find the EICAR test file")
        return
    yield fine(Check.EICAR, f"{named} finds the EICAR test file as {answers.eicar[1]}")
    if answers.nested[0] == "OK":
        yield warning(Check.SILENT_LIMITS, f"{named} says OK to what lies deeper in archives than it looks")
    if answers.encrypted[0] == "OK":
        yield warning(Check.SILENT_ENCRYPTION, f"{named} says OK to encrypted archives, which it can't look into")
    verdict, detail = answers.sized
    if verdict != _FOUND or str(detail).startswith(_LIMITS):
        said = " ".join(part for part in (verdict, detail) if part)
        says = f"{named} does not scan a file of {answers.sized_bytes} bytes to its end: it says `{said}`"
        yield warning(Check.SCANNER_SIZE, f"{says}; such files are refused")


def _independent_client() -> ModuleType | None:
    try:
        return importlib.import_module("clamd")
    except ImportError:
        return None


def _ask(client: ModuleType, address: str, wanted_bytes: int) -> Answers:
    version = _with(client, address, lambda scanner: str(scanner.version()).partition("/")[0])
    eicar = _with(client, address, lambda scanner: _verdict(scanner, io.BytesIO(EICAR)))

    def asked(content: bytes) -> tuple[str, str | None]:
        return _or_failure(lambda: _with(client, address, lambda scanner: _verdict(scanner, io.BytesIO(content))))

    return Answers(
        version,
        eicar,
        nested=asked(nested_archive(NESTED_DEPTH)),
        encrypted=asked(encrypted_archive()),
        sized=_sized(client, address, wanted_bytes),
        sized_bytes=wanted_bytes,
    )


def _with(client: Any, address: str, ask: Any) -> Any:  # noqa: ANN401 - a package without types
    scanner = _connection(client, address)
    try:
        return ask(scanner)
    finally:
        # The package leaves a socket open that could not be connected.
        left = getattr(scanner, "clamd_socket", None)
        if left is not None:
            left.close()


def _verdict(scanner: Any, stream: io.IOBase) -> tuple[str, str | None]:  # noqa: ANN401 - a package without types
    verdict, signature = scanner.instream(stream)["stream"]
    return str(verdict), signature


def _or_failure(ask: Any) -> tuple[str, str | None]:  # noqa: ANN401 - a question
    """An answer, or what became of the question: a clamd hangs up on what is too long for it."""
    try:
        answer: tuple[str, str | None] = ask()
    except Exception as failure:  # noqa: BLE001 - whatever a scanner or the package says
        return str(failure) or type(failure).__name__, None
    return answer


def _sized(client: ModuleType, address: str, size: int) -> tuple[str, str | None]:
    descriptor = sized_archive(size)
    with os.fdopen(descriptor, "rb") as stream:
        if address.startswith("unix:"):
            path = address.removeprefix("unix:")
            return _or_failure(lambda: _handed_over(path, stream.fileno()))
        return _or_failure(lambda: _with(client, address, lambda scanner: _verdict(scanner, stream)))


def _handed_over(path: str, descriptor: int) -> tuple[str, str | None]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TIMEOUT_S)
        connection.connect(path)
        connection.sendall(b"zFILDES\0")
        socket.send_fds(connection, [b"\0"], [descriptor])
        reply = b""
        while not reply.endswith(b"\0") and len(reply) < _MAX_REPLY_BYTES:
            piece = connection.recv(_MAX_REPLY_BYTES)
            if not piece:
                break
            reply += piece
    said = reply.rstrip(b"\0").decode(errors="replace").partition(": ")[2]
    if said.endswith(f" {_FOUND}"):
        return _FOUND, said.removesuffix(f" {_FOUND}")
    return said or "nothing", None


def _connection(client: Any, address: str) -> Any:  # noqa: ANN401 - a package without types
    kind, _, rest = address.partition(":")
    if kind == "unix":
        return client.ClamdUnixSocket(rest, timeout=_TIMEOUT_S)
    host, _, port = rest.rpartition(":")
    return client.ClamdNetworkSocket(host.strip("[]"), int(port), timeout=_TIMEOUT_S)
