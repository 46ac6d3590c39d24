"""A pool uses only scanners that proved themselves, and one bad file does not go through all of them."""

import os

import pytest
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock

from synapse_bum.antivirus.engines.engine import (
    Clean,
    Engine,
    EngineProof,
    Failed,
    FailureReason,
    Infected,
    ScanResult,
)
from synapse_bum.antivirus.engines.pool import SILENCE_S, EnginePool
from synapse_bum.antivirus.scanning import probes
from synapse_bum.antivirus.scanning.self_test import MIB, SelfTest
from synapse_bum.testing.engines import FakeEngine, at_once, finds_eicar, finished, up_to


def a_pool(*engines: FakeEngine, clock: Clock | None = None) -> EnginePool:
    return EnginePool(engines, SelfTest(8 * MIB, at_once).prove, (clock or Clock()).seconds)


def scan(pool: EnginePool, content: bytes = b"content") -> ScanResult:
    fd = probes.in_memory(content)
    try:
        return finished(pool.scan(fd, len(content)))
    finally:
        os.close(fd)


def reason_of(result: ScanResult) -> FailureReason:
    assert isinstance(result, Failed)
    return result.reason


def test_verdicts_come_from_the_scanner() -> None:
    pool = a_pool(FakeEngine())
    assert scan(pool) == Clean()
    assert scan(pool, probes.EICAR) == Infected("Eicar-Test-Signature")


def test_a_scanner_has_to_prove_itself_before_its_first_scan() -> None:
    engine = FakeEngine(answer=lambda _: Clean())
    pool = a_pool(engine)
    assert reason_of(scan(pool)) is FailureReason.ENGINE_ERROR
    assert b"content" not in engine.scanned


def test_the_next_scanner_answers_when_one_is_away() -> None:
    first, second = FakeEngine("fake:1"), FakeEngine("fake:2")
    pool = a_pool(first, second)
    first.reachable = False
    assert scan(pool, probes.EICAR) == Infected("Eicar-Test-Signature")
    assert pool.proofs["fake:1"] is None


def test_no_scanner_is_a_failure_and_the_first_that_is_back_is_used_at_once() -> None:
    first, second = FakeEngine("fake:1"), FakeEngine("fake:2")
    first.reachable = second.reachable = False
    pool = a_pool(first, second)
    assert reason_of(scan(pool)) is FailureReason.UNREACHABLE
    assert pool.max_bytes == 0
    second.reachable = True
    assert scan(pool) == Clean()


def test_a_scanner_that_comes_back_without_signatures_is_not_used() -> None:
    engine = FakeEngine()
    pool = a_pool(engine)
    assert scan(pool) == Clean()
    engine.reachable = False
    assert reason_of(scan(pool)) is FailureReason.UNREACHABLE
    engine.reachable, engine.answer = True, lambda _: Clean()
    assert reason_of(scan(pool)) is FailureReason.ENGINE_ERROR


@pytest.mark.parametrize("reason", [FailureReason.LOST, FailureReason.TIMEOUT])
def test_a_file_that_takes_down_one_scanner_is_not_handed_to_the_next(reason: FailureReason) -> None:
    first, second = FakeEngine("fake:1"), FakeEngine("fake:2")
    pool = a_pool(first, second)
    finished(pool.prove_all())
    first.answer = lambda content: Failed(reason, "gone") if content == b"content" else Clean()
    second.scanned.clear()
    assert reason_of(scan(pool)) is reason
    assert second.scanned == []


@pytest.mark.parametrize(
    "reason", [FailureReason.ENGINE_ERROR, FailureReason.BUSY, FailureReason.NOT_UNDERSTOOD, FailureReason.TOO_LARGE]
)
def test_a_scanner_without_an_answer_is_followed_by_the_next(reason: FailureReason) -> None:
    first, second = FakeEngine("fake:1"), FakeEngine("fake:2")
    pool = a_pool(first, second)
    finished(pool.prove_all())
    first.answer = lambda _: Failed(reason, "no")
    assert scan(pool, probes.EICAR) == Infected("Eicar-Test-Signature")


def test_a_file_goes_to_a_scanner_that_was_proven_for_its_size() -> None:
    small, large = FakeEngine("fake:1", up_to(MIB)), FakeEngine("fake:2", up_to(5 * MIB))
    pool = a_pool(small, large)
    finished(pool.prove_all())
    assert pool.max_bytes == 5 * MIB
    content = probes.EICAR + bytes(2 * MIB)
    assert scan(pool, content) == Infected("Eicar-Test-Signature")
    assert content not in small.scanned
    assert reason_of(scan(pool, bytes(6 * MIB))) is FailureReason.TOO_LARGE


def test_a_file_that_no_scanner_could_scan_is_too_large_even_while_all_are_away() -> None:
    engine = FakeEngine(answer=up_to(MIB))
    pool = a_pool(engine)
    finished(pool.prove_all())
    engine.reachable = False
    assert reason_of(scan(pool, b"small")) is FailureReason.UNREACHABLE
    assert reason_of(scan(pool, bytes(2 * MIB))) is FailureReason.TOO_LARGE


def test_a_time_out_of_a_scanner_that_scans_other_files_is_the_doing_of_the_file() -> None:
    engine = FakeEngine()
    pool = a_pool(engine)
    finished(pool.prove_all())
    engine.answer = lambda content: Failed(FailureReason.TIMEOUT, "slow") if content == b"content" else Clean()
    assert reason_of(scan(pool)) is FailureReason.TIMEOUT
    assert pool.proofs["fake:1"] is not None


def test_a_time_out_of_a_scanner_that_has_no_time_for_any_file_is_not() -> None:
    engine = FakeEngine()
    pool = a_pool(engine)
    finished(pool.prove_all())
    engine.answer = lambda _: Failed(FailureReason.TIMEOUT, "slow")
    assert reason_of(scan(pool)) is FailureReason.BUSY
    assert pool.proofs["fake:1"] is None


def test_a_scanner_that_may_have_been_restarted_proves_itself_before_the_next_file() -> None:
    engine = FakeEngine()
    pool = a_pool(engine)
    assert scan(pool, probes.EICAR) == Infected("Eicar-Test-Signature")
    engine.incarnation += 1
    engine.answer = lambda _: Clean()
    assert reason_of(scan(pool, probes.EICAR)) is FailureReason.ENGINE_ERROR
    finished(pool.refresh())
    assert pool.max_bytes == 0


def test_a_scanner_that_is_lost_during_its_self_test_is_not_taken_for_a_small_one() -> None:
    engine = FakeEngine()
    pool = a_pool(engine)

    def dies_at_the_second_file(content: bytes) -> ScanResult:
        return finds_eicar(content) if len(engine.scanned) < 2 else Failed(FailureReason.LOST, "gone")

    engine.answer = dies_at_the_second_file
    finished(pool.prove_all())
    assert pool.proofs["fake:1"] is None
    engine.answer = finds_eicar
    assert scan(pool, bytes(5 * MIB)) == Clean()


def test_a_busy_scanner_keeps_what_it_proved() -> None:
    engine = FakeEngine()
    pool = a_pool(engine)
    finished(pool.prove_all())
    engine.answer = lambda _: Failed(FailureReason.BUSY, "no free connection")
    finished(pool.prove_all())
    engine.answer = finds_eicar
    assert pool.max_bytes == 8 * MIB


def test_a_self_test_that_breaks_proves_nothing_and_breaks_nothing_else() -> None:
    async def breaks(_engine: Engine) -> EngineProof:
        raise RuntimeError("a defect")

    pool = EnginePool([FakeEngine()], breaks, Clock().seconds)
    assert reason_of(scan(pool)) is FailureReason.UNREACHABLE


def test_a_large_file_waits_for_the_scanner_that_is_away_and_can_scan_it() -> None:
    small, large = FakeEngine("fake:1", up_to(MIB)), FakeEngine("fake:2", up_to(5 * MIB))
    pool = a_pool(small, large)
    finished(pool.prove_all())
    large.reachable = False
    assert reason_of(scan(pool, bytes(2 * MIB))) is FailureReason.UNREACHABLE


def test_scans_in_flight_when_the_pool_is_closed_are_nobodys_fault() -> None:
    engine = FakeEngine()
    pool = a_pool(engine)
    finished(pool.prove_all())
    finished(pool.close())
    engine.answer = lambda _: Failed(FailureReason.LOST, "closed")
    assert reason_of(scan(pool)) is FailureReason.UNREACHABLE


def test_a_silent_scanner_costs_one_time_out_and_not_one_for_each_scan() -> None:
    clock, engine = Clock(), FakeEngine()
    pool = a_pool(engine, clock=clock)
    engine.silent = True
    assert reason_of(scan(pool)) is FailureReason.UNREACHABLE
    for _ in range(20):
        assert reason_of(scan(pool)) is FailureReason.UNREACHABLE
    assert engine.versions == 1
    engine.silent = False
    clock.advance(SILENCE_S)
    assert scan(pool) == Clean()


def test_many_scans_wait_for_one_proof() -> None:
    engine = FakeEngine()
    pool = a_pool(engine)
    engine.hold = Deferred()
    fd = probes.in_memory(b"content")
    results: list[ScanResult] = []
    for _ in range(50):
        ensureDeferred(pool.scan(fd, 7)).addCallback(results.append)
    assert engine.versions == 1
    held, engine.hold = engine.hold, None
    held.callback(None)
    os.close(fd)
    assert results == [Clean()] * 50


def test_new_signatures_have_to_prove_themselves() -> None:
    engine = FakeEngine()
    pool = a_pool(engine)
    finished(pool.prove_all())
    engine.signature_version = "27801"
    finished(pool.refresh())
    proof = pool.proofs["fake:1"]
    assert proof is not None
    assert proof.version.signature_version == "27801"
    engine.signature_version, engine.answer = "27802", lambda _: Clean()
    finished(pool.refresh())
    assert pool.max_bytes == 0
