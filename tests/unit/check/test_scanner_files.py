"""clamd.conf and c-icap.conf beside the module: each mistake, and the samples without one."""

from pathlib import Path

import pytest

from synapse_bum.antivirus import AntivirusModule
from synapse_bum.antivirus.config import AntivirusConfig
from synapse_bum.cli.check.configuration import ConfigurationError
from synapse_bum.cli.check.directives import bytes_of, directives
from synapse_bum.cli.check.given import read_c_icap, read_directives
from synapse_bum.cli.check.scanner_files import c_icap_remarks, clamd_remarks

SAMPLES = Path(__file__).resolve().parents[3] / "config-samples"
CLAMD = (SAMPLES / "clamd.conf").read_text(encoding="utf-8")
C_ICAP = (SAMPLES / "c-icap.conf").read_text(encoding="utf-8")
MOUNTS = {"/": "ext4", "/run": "tmpfs"}
UPLOAD = 50 << 20
TCP = "tcp:127.0.0.1:3310"


def module(address: str = "unix:/run/clamav/clamd.ctl", engine: str = "clamd") -> AntivirusConfig:
    found = AntivirusModule.parse_config({"scanner": {"address": address, "engine": engine}})
    assert isinstance(found, AntivirusConfig)
    return found


def of_clamd(text: str, address: str = "unix:/run/clamav/clamd.ctl", upload: int | None = UPLOAD) -> list[str]:
    remarks = clamd_remarks(directives(text), module(address), upload, MOUNTS, "clamd.conf")
    return [f"{remark.level.value} {remark.check.value}: {remark.text}" for remark in remarks]


def of_c_icap(text: str, address: str = "icap://127.0.0.1:1344/virus_scan") -> list[str]:
    remarks = c_icap_remarks(directives(text), module(address, "icap"), UPLOAD, MOUNTS, "c-icap.conf")
    return [f"{remark.level.value} {remark.check.value}" for remark in remarks]


def changed(text: str, word: str, line: str) -> str:
    lines = [each for each in text.splitlines() if not each.startswith(f"{word} ")]
    return "\n".join([*lines, line])


def test_the_samples_leave_nothing_open() -> None:
    assert of_clamd(CLAMD) == []
    assert of_clamd(f"{CLAMD}\nTCPSocket 3310\n", TCP) == []
    assert of_c_icap(C_ICAP) == []


def test_100_bytes_are_said_as_such() -> None:
    (line,) = of_clamd(f"{changed(CLAMD, 'StreamMaxLength', 'StreamMaxLength 100')}\nTCPSocket 3310\n", TCP)
    assert line.startswith("ERROR clamd.stream-max-length: ")
    assert "100 bytes (a number without a unit counts bytes)" in line
    (line,) = of_clamd(changed(CLAMD, "StreamMaxLength", "StreamMaxLength 100"))
    assert line.startswith("WARNING clamd.stream-max-length: "), "over a unix socket it does not count"


@pytest.mark.parametrize(
    ("word", "line", "expected"),
    [
        ("StreamMaxLength", "StreamMaxLength 49M", "WARNING clamd.stream-max-length"),
        ("StreamMaxLength", "", "WARNING clamd.stream-max-length"),
        ("StreamMaxLength", "StreamMaxLength much", "ERROR clamd.stream-max-length"),
        ("MaxFileSize", "MaxFileSize 25M", "WARNING clamd.limits"),
        ("MaxFileSize", "", "WARNING clamd.limits"),
        ("MaxFileSize", "MaxFileSize -1", "ERROR clamd.limits"),
        ("MaxScanSize", "MaxScanSize 51199k", "WARNING clamd.limits"),
        ("AlertExceedsMax", "AlertExceedsMax no", "WARNING clamd.alert-exceeds-max"),
        ("AlertExceedsMax", "", "WARNING clamd.alert-exceeds-max"),
        ("AlertExceedsMax", "#AlertExceedsMax yes", "WARNING clamd.alert-exceeds-max"),
        ("AlertEncrypted", "AlertEncrypted false", "WARNING clamd.alert-encrypted"),
        ("MaxScanTime", "", "WARNING clamd.max-scan-time"),
        ("MaxScanTime", "MaxScanTime 0", "WARNING clamd.max-scan-time"),
        ("MaxScanTime", "MaxScanTime 60000", "WARNING clamd.max-scan-time"),
        ("TemporaryDirectory", "TemporaryDirectory /var/lib/clamav/tmp", "WARNING clamd.temporary-directory"),
        ("TemporaryDirectory", "", "WARNING clamd.temporary-directory"),
        ("Leave", "LeaveTemporaryFiles yes", "WARNING clamd.temporary-directory"),
        ("Example", "Example", "ERROR clamd.file"),
    ],
)
def test_each_mistake_in_clamd_conf(word: str, line: str, expected: str) -> None:
    (said,) = of_clamd(changed(CLAMD, word, line))
    assert said.startswith(f"{expected}: ")


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("StreamMaxLength", "StreamMaxLength 0"),
        ("MaxFileSize", "MaxFileSize 0"),
        ("AlertExceedsMax", "alertexceedsmax\tTRUE"),
        ("MaxScanSize", "MaxScanSize 1G"),
    ],
)
def test_what_is_right_in_other_words(word: str, line: str) -> None:
    assert of_clamd(changed(CLAMD, word, line)) == []


def test_an_upload_limit_that_can_not_be_read_is_compared_with_nothing() -> None:
    assert of_clamd(changed(CLAMD, "MaxFileSize", "MaxFileSize 1K"), upload=None) == []


def test_a_scanner_that_listens_elsewhere() -> None:
    (said,) = of_clamd(CLAMD, TCP)
    assert said.startswith("ERROR clamd.file: clamd.conf: there is no `TCPSocket`")


@pytest.mark.parametrize(
    ("word", "line", "expected"),
    [
        ("Service", "", "ERROR c-icap.engine"),
        ("Module", "", "ERROR c-icap.engine"),
        ("TmpDir", "TmpDir /var/tmp", "WARNING c-icap.temporary-directory"),
        ("TmpDir", "", "WARNING c-icap.temporary-directory"),
        ("virus_scan.PassOnError", "virus_scan.PassOnError on", "WARNING c-icap.pass-on-error"),
        ("virus_scan.MaxObjectSize", "virus_scan.MaxObjectSize much", "ERROR c-icap.max-object-size"),
    ],
)
def test_each_mistake_in_c_icap_conf(word: str, line: str, expected: str) -> None:
    assert of_c_icap(changed(C_ICAP, word, line)) == [expected]


def test_arguments_of_ones_own_leave_the_size_to_c_icap() -> None:
    small = changed(C_ICAP, "virus_scan.MaxObjectSize", "virus_scan.MaxObjectSize 5M")
    assert of_c_icap(small) == []
    assert of_c_icap(small, "icap://127.0.0.1:1344/virus_scan?mode=simple") == ["WARNING c-icap.max-object-size"]


def test_files_that_c_icap_includes_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "c-icap.conf").write_text("TmpDir /run/a\nInclude virus_scan.conf\nInclude missing.conf\n")
    (tmp_path / "virus_scan.conf").write_text("Service antivirus_module virus_scan.so\nInclude c-icap.conf\n")
    found = read_c_icap(tmp_path / "c-icap.conf")
    assert set(found["tmpdir"]) == {"/run/a"}
    assert "antivirus_module virus_scan.so" in found["service"]


@pytest.mark.parametrize("content", [None, b"\0\1", b"a" * 4_000_001])
def test_what_is_no_configuration_is_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "clamd.conf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"clamd\.conf: "):
        read_directives(path)


@pytest.mark.parametrize(("written", "expected"), [("100", 100), ("2K", 2048), ("1m", 1 << 20), ("1.5M", None)])
def test_sizes_are_those_of_clamd(written: str, expected: int | None) -> None:
    assert bytes_of(written) == expected
