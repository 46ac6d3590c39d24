"""What clamd.conf and c-icap.conf leave open beside the antivirus module. Pure: the files are read by `given.py`.

Names and defaults: clamd.conf(5) of 1.4.6, the comments in c-icap.conf and virus_scan.conf of 0.5.10. Where a limit is
not written, the default of older versions is taken: the smaller one.
"""

from collections.abc import Iterator
from typing import Final

from synapse_bum.antivirus.config import AntivirusConfig
from synapse_bum.cli.check.catalogue import Check
from synapse_bum.cli.check.directives import Directives, bytes_of, is_on, last
from synapse_bum.cli.check.machine import Mounts, is_in_memory
from synapse_bum.cli.check.remark import Level, Remark, error, warning

_MIB: Final = 1 << 20
_CLAMD_DEFAULTS: Final = {"MaxFileSize": 25 * _MIB, "MaxScanSize": 100 * _MIB, "StreamMaxLength": 25 * _MIB}
_CLAMD_SCAN_MS: Final = 120_000
_CLAMD_TEMPORARY: Final = "/tmp"  # noqa: S108 - clamd's
_ICAP_TEMPORARY: Final = "/var/tmp"  # noqa: S108 - c-icap's
_ICAP_OBJECT_BYTES: Final = 5 * _MIB
_ICAP_ENGINES: Final = ("clamd_mod.so", "clamav_mod.so")


def clamd_remarks(
    found: Directives, config: AntivirusConfig | None, upload_bytes: int | None, mounts: Mounts, where: str
) -> Iterator[Remark]:
    """Compare clamd.conf with the module.

    Args:
        found: the lines of the file.
        config: of the module; None when it is not loaded.
        upload_bytes: Synapse's `max_upload_size`; None when it can't be read.
        mounts: of this machine; None when it is not the one.
        where: the file's path.
    """
    if "example" in found:
        yield error(Check.CLAMD_FILE, "the line `Example` is in it: clamd does not start", where, "remove that line")
    over_tcp = config is None or any(address.startswith("tcp:") for address in config.scanner.address)
    if config is not None and over_tcp and last(found, "TCPSocket") is None:
        says = "there is no `TCPSocket`, and `scanner.address` is one: clamd listens elsewhere"
        yield error(Check.CLAMD_FILE, says, where, "use `LocalSocket`, or add `TCPSocket` and `TCPAddr 127.0.0.1`")
    yield from _stream_remarks(found, upload_bytes, Level.ERROR if over_tcp else Level.WARNING, where)
    for word in ("MaxFileSize", "MaxScanSize"):
        yield from _limit_remarks(found, word, upload_bytes, where)
    if is_on(last(found, "AlertExceedsMax")) is not True:
        says = "`AlertExceedsMax` is off: clamd says OK where it stopped at a limit"
        yield warning(Check.CLAMD_ALERT, says, where)
    if is_on(last(found, "AlertEncrypted")) is not True:
        says = "`AlertEncrypted` is off: clamd says OK to encrypted archives, which nobody has looked into"
        yield warning(Check.CLAMD_ENCRYPTED, says, where)
    written = last(found, "MaxScanTime")
    scan_ms = int(written) if written is not None and written.isdecimal() and written.isascii() else _CLAMD_SCAN_MS
    if config is not None and not 0 < scan_ms < config.scanner.timeout_ms:
        says = f"`MaxScanTime` is {scan_ms or 'off'}, `scanner.timeout` {config.scanner.timeout_ms} ms: clamd goes on"
        yield warning(Check.CLAMD_TIME, f"{says} with scans that nobody waits for", where)
    folder = last(found, "TemporaryDirectory") or _CLAMD_TEMPORARY
    yield from _folder_remarks(Check.CLAMD_TEMPORARY, "TemporaryDirectory", folder, mounts, where)
    if is_on(last(found, "LeaveTemporaryFiles")):
        yield warning(
            Check.CLAMD_TEMPORARY, "`LeaveTemporaryFiles` is on: unpacked files stay", where, "remove that line"
        )


def _stream_remarks(found: Directives, upload_bytes: int | None, level: Level, where: str) -> Iterator[Remark]:
    written = last(found, "StreamMaxLength")
    size = _CLAMD_DEFAULTS["StreamMaxLength"] if written is None else bytes_of(written)
    if size is None:
        yield error(Check.CLAMD_STREAM, f"`StreamMaxLength {written}` is no size", where)
    elif upload_bytes is not None and 0 < size < upload_bytes:
        unit = " (a number without a unit counts bytes)" if written is not None and written.isdecimal() else ""
        says = (
            f"`StreamMaxLength` is {'not written, so' if written is None else ''} {size} bytes{unit}, `max_upload_size`"
            f" {upload_bytes}: nothing larger is scanned over TCP"
        ).replace("is  ", "is ")
        yield Remark(Check.CLAMD_STREAM, level, says, where)


def _limit_remarks(found: Directives, word: str, upload_bytes: int | None, where: str) -> Iterator[Remark]:
    written = last(found, word)
    size = _CLAMD_DEFAULTS[word] if written is None else bytes_of(written)
    if size is None:
        yield error(Check.CLAMD_LIMITS, f"`{word} {written}` is no size", where)
    elif upload_bytes is not None and 0 < size < upload_bytes:
        known = "not written, in older versions" if written is None else ""
        says = f"`{word}` is {known} {size} bytes, `max_upload_size` {upload_bytes}: files between the two are refused"
        yield warning(Check.CLAMD_LIMITS, says.replace("is  ", "is "), where)


def c_icap_remarks(
    found: Directives, config: AntivirusConfig | None, upload_bytes: int | None, mounts: Mounts, where: str
) -> Iterator[Remark]:
    """Compare c-icap.conf with the module.

    Args:
        found: the lines of the file, those of files that it includes too.
        config: of the module; None when it is not loaded.
        upload_bytes: Synapse's `max_upload_size`; None when it can't be read.
        mounts: of this machine; None when it is not the one.
        where: the file's path.
    """
    if not any(value.split()[-1:] == ["virus_scan.so"] for value in found.get("service", ())):
        yield error(Check.ICAP_ENGINE, "the service `virus_scan.so` is not loaded: nothing is scanned", where)
    if not any(value.split()[-1:] == [name] for value in found.get("module", ()) for name in _ICAP_ENGINES):
        says = f"neither {' nor '.join(_ICAP_ENGINES)} is loaded: virus_scan finds nothing"
        yield error(Check.ICAP_ENGINE, says, where)
    if is_on(last(found, "virus_scan.PassOnError")):
        says = "`virus_scan.PassOnError` is on: files are passed unscanned while the scanner fails"
        yield warning(Check.ICAP_PASS, says, where)
    # The module's own arguments say `sizelimit=off`; whoever writes arguments into the address leaves them out.
    own = config is None or any("?" in address for address in config.scanner.address)
    written = last(found, "virus_scan.MaxObjectSize")
    size = _ICAP_OBJECT_BYTES if written is None else bytes_of(written)
    if size is None:
        yield error(Check.ICAP_SIZE, f"`virus_scan.MaxObjectSize {written}` is no size", where)
    elif own and upload_bytes is not None and 0 < size < upload_bytes:
        says = (
            f"`virus_scan.MaxObjectSize` is {size} bytes, `max_upload_size` {upload_bytes}: larger files pass unscanned"
        )
        yield warning(Check.ICAP_SIZE, says, where)
    folder = last(found, "TmpDir") or _ICAP_TEMPORARY
    yield from _folder_remarks(Check.ICAP_TEMPORARY, "TmpDir", folder, mounts, where)


def _folder_remarks(check: Check, word: str, folder: str, mounts: Mounts, where: str) -> Iterator[Remark]:
    if mounts is not None and not is_in_memory(folder, mounts):
        yield warning(check, f"`{word}` is {folder}, on a disk: unpacked files are written there in the clear", where)
