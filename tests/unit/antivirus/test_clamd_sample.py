"""The sample clamd.conf fits the module, and a real clamd takes it."""

from pathlib import Path

import pytest

from synapse_bum.antivirus import AntivirusModule
from synapse_bum.antivirus.engines import clamd_protocol
from synapse_bum.quantities import parse_size
from synapse_bum.testing import malware
from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.raw_clamd import memory_file, scan_descriptor

SAMPLES = Path(__file__).resolve().parents[3] / "config-samples"

OF_THE_MACHINE = frozenset(
    {"DatabaseDirectory", "LocalSocket", "LocalSocketGroup", "LocalSocketMode", "TemporaryDirectory", "User"}
)
"""Lines of clamd.conf that name users and places, which the launcher chooses itself."""


def clamd_options() -> dict[str, str]:
    """The lines of the sample clamd.conf."""
    lines = (SAMPLES / "clamd.conf").read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def test_the_sample_scanner_fits_the_modules_defaults() -> None:
    clamd, ours = clamd_options(), AntivirusModule.parse_config({})
    assert clamd_protocol.parse_address(ours.scanner.address[0]).path == clamd["LocalSocket"]
    for limit in ("MaxFileSize", "MaxScanSize", "StreamMaxLength"):
        assert parse_size(clamd[limit]) >= ours.max_scan_size, limit
    assert int(clamd["ReadTimeout"]) * 1000 > ours.scanner.timeout_ms > int(clamd["MaxScanTime"])
    assert int(clamd["MaxThreads"]) > ours.scanner.max_connections


@pytest.mark.requires("clamd")
def test_a_real_clamd_accepts_the_sample_and_says_where_it_did_not_look() -> None:
    options = clamd_options()
    assert set(options) > OF_THE_MACHINE
    contents = {
        b"OK": b"clean",
        b"Eicar-Test-Signature.UNOFFICIAL FOUND": malware.zipped(malware.EICAR),
        b"Heuristics.Encrypted.Zip FOUND": malware.encrypted_zip(malware.EICAR),
        b"Heuristics.Limits.Exceeded.MaxRecursion FOUND": malware.nested_zip(18),
    }
    clamd = RealClamd()
    clamd.options.update({name: value for name, value in options.items() if name not in OF_THE_MACHINE})
    with clamd:
        for verdict, content in contents.items():
            with memory_file(content) as descriptor:
                assert scan_descriptor(clamd.address_unix, descriptor).rstrip(b"\0").endswith(b": " + verdict)
