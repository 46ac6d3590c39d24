"""The self-test says what a scanner can do, and nothing is scanned that was not proven."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.antivirus.engines.engine import (
    Clean,
    EngineError,
    EngineProof,
    EngineVersion,
    Failed,
    FailureReason,
    Infected,
    ScanResult,
)
from synapse_bum.antivirus.scanning import probes
from synapse_bum.antivirus.scanning.self_test import (
    MIB,
    EngineExamination,
    ProbeResult,
    SelfTest,
    largest_scanned,
    probe_result,
    warnings,
)
from synapse_bum.testing.engines import FakeEngine, at_once, finished, limits, up_to


@given(st.integers(1, 200), st.integers(0, 210), st.none() | st.integers(1, 210))
def test_the_largest_scanned_size_is_found_exactly_and_never_above_the_limit(
    highest_mib: int, limit_mib: int, expected_mib: int | None
) -> None:
    asked = []

    async def scans(size: int) -> bool:
        asked.append(size)
        return size <= limit_mib * MIB

    expected = None if expected_mib is None else expected_mib * MIB
    found = finished(largest_scanned(scans, highest_mib * MIB, expected))
    assert found == min(limit_mib, highest_mib) * MIB
    assert len(asked) < 14
    assert max(asked) <= highest_mib * MIB


def test_an_unchanged_scanner_costs_one_question_at_full_size_and_three_below() -> None:
    asked = []

    async def scans(size: int) -> bool:
        asked.append(size)
        return size <= 25 * MIB

    finished(largest_scanned(scans, 100 * MIB, 25 * MIB))
    assert asked == [100 * MIB, 25 * MIB, 26 * MIB]


def test_a_size_between_two_megabytes_is_rounded_down() -> None:
    proof = finished(SelfTest(9 * MIB, at_once).prove(FakeEngine(answer=up_to(5 * MIB + 500_000))))
    assert proof.max_bytes == 5 * MIB


@pytest.mark.parametrize("above", [Clean(), limits("MaxFileSize"), Failed(FailureReason.TOO_LARGE, "INSTREAM size")])
def test_the_limit_is_found_however_the_scanner_takes_larger_files(above: ScanResult) -> None:
    proof = finished(SelfTest(9 * MIB, at_once).prove(FakeEngine(answer=up_to(7 * MIB, above))))
    assert proof.max_bytes == 7 * MIB


def test_a_scanner_that_does_not_find_eicar_proves_nothing() -> None:
    proof = finished(SelfTest(9 * MIB, at_once).prove(FakeEngine(answer=lambda _: Clean())))
    assert proof.max_bytes == 0


def test_a_scanner_that_fails_on_eicar_is_no_scanner() -> None:
    engine = FakeEngine(answer=lambda _: Failed(FailureReason.ENGINE_ERROR, "no"))
    with pytest.raises(EngineError):
        finished(SelfTest(9 * MIB, at_once).prove(engine))


def test_nothing_above_max_scan_size_has_to_be_proven() -> None:
    engine = FakeEngine()
    proof = finished(SelfTest(3 * MIB, at_once).prove(engine))
    assert proof.max_bytes == 3 * MIB
    assert max(map(len, engine.scanned)) == 3 * MIB


@pytest.mark.parametrize(
    ("result", "taken"),
    [
        (Infected("Eicar"), ProbeResult.FOUND),
        (limits(), ProbeResult.REFUSED),
        (Failed(FailureReason.TOO_LARGE, ""), ProbeResult.REFUSED),
        (Clean(), ProbeResult.PASSED),
        (Failed(FailureReason.LOST, ""), ProbeResult.FAILED),
    ],
)
def test_a_silent_pass_is_told_from_a_refusal(result: ScanResult, taken: ProbeResult) -> None:
    assert probe_result(result) is taken


def test_each_weakness_is_one_sentence_that_says_what_to_change() -> None:
    proof = EngineProof(EngineVersion("ClamAV 1.4.6"), 25 * MIB)
    passed = ProbeResult.PASSED
    sentences = warnings("unix:/x", proof, EngineExamination(passed, passed, passed, passed, passed), 50 * MIB)
    assert len(sentences) == 5
    for word in ("MaxFileSize", "MaxRecursion", "MaxFiles", "unpacks", "AlertEncrypted"):
        assert any(word in sentence for sentence in sentences)


def test_a_scanner_without_weaknesses_is_not_complained_about() -> None:
    proof = EngineProof(EngineVersion("ClamAV 1.4.6"), 100 * MIB)
    refused = ProbeResult.REFUSED
    assert warnings("unix:/x", proof, EngineExamination(refused, refused, refused, refused, refused), 50 * MIB) == []


@given(st.integers(probes.MIN_SIZED_BYTES, 3 * MIB))
def test_a_sized_archive_has_exactly_its_size_and_eicar_at_its_end(size: int) -> None:
    fd = probes.sized_archive(size)
    try:
        content = os.pread(fd, size + 1, 0)
    finally:
        os.close(fd)
    assert len(content) == size
    assert content.startswith(b"PK\x03\x04")
    assert content.rindex(probes.EICAR) > size - 400


def test_a_sized_archive_of_100_mb_is_a_hole_in_memory() -> None:
    fd = probes.sized_archive(100 * MIB)
    try:
        assert os.fstat(fd).st_blocks * 512 < 64 * 1024
    finally:
        os.close(fd)
