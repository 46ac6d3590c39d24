"""Several scanners as one: the least busy proven one first, the next one when it can't answer.

No scanner is trusted because it answers. Before its first scan, and again after each loss, it has to prove what it
finds (`antivirus/scanning/self_test.py`), so that a scanner that comes back without signatures or with smaller limits
passes nothing. A file after which an engine was lost or timed out is not handed to the next one: deciding about such a
file is left to the caller (`antivirus/scanning/suspects.py`), or one bad file would take down the whole pool.
"""

import logging
import os
from collections.abc import Awaitable, Callable, Sequence

import attr
from twisted.internet.defer import Deferred

from synapse_bum.antivirus.engines.engine import (
    SUSPECT_REASONS,
    Engine,
    EngineError,
    EngineProof,
    EngineVersion,
    Failed,
    FailureReason,
    ScanResult,
)

logger = logging.getLogger(__name__)

_FINAL_FAILURES = SUSPECT_REASONS | {FailureReason.UNREADABLE}
"""Failures after which no other engine is asked."""

_DISTRUSTED_AFTER = frozenset(
    {FailureReason.UNREACHABLE, FailureReason.NOT_UNDERSTOOD, FailureReason.LOST, FailureReason.UNFIT}
)
"""Failures after which the engine has to prove itself again: what answers next may be another one."""


_SAYS_NOTHING = frozenset({FailureReason.BUSY, FailureReason.TIMEOUT})
"""A self-test that ends so does not take back what was proven before."""

SILENCE_S = 10.0
"""How long scans leave a scanner alone that did not even say its version: each would wait for a whole time-out."""


@attr.s(auto_attribs=True, slots=True, eq=False)
class _Member:
    engine: Engine
    in_flight: int = 0
    proof: EngineProof | None = None
    proving: "Deferred[None] | None" = None
    complaint: str | None = None
    incarnation: int = 0
    silent_until: float = 0.0
    last_max_bytes: int | None = None


class EnginePool:
    """The configured scanners behind the face of one."""

    def __init__(
        self,
        engines: Sequence[Engine],
        prove: Callable[[Engine], Awaitable[EngineProof]],
        now_s: Callable[[], float],
    ) -> None:
        """Prepare; nothing is asked or connected yet.

        Args:
            engines: at least one, in the order of preference among equally busy ones.
            prove: the self-test of one engine; raises `EngineError` when it does not answer.
            now_s: a clock in seconds.
        """
        self._now_s = now_s
        self._closed = False
        self._members: list[_Member] = [_Member(engine) for engine in engines]
        self._prove_engine = prove

    @property
    def proofs(self) -> dict[str, EngineProof | None]:
        """By address: what each scanner proved; None while it does not answer or was not asked yet."""
        return {member.engine.address: member.proof for member in self._members}

    @property
    def incarnations(self) -> int:
        """How often scanners may have been restarted since this process began."""
        return sum(member.engine.incarnation for member in self._members)

    @property
    def max_bytes(self) -> int:
        """Largest file that some scanner has been proven to scan whole; 0 when there is none."""
        return max((member.proof.max_bytes for member in self._members if member.proof is not None), default=0)

    @property
    def version(self) -> EngineVersion | None:
        """Of the proven scanner with the oldest signatures: verdicts of the pool are worth no more than that."""
        versions = [member.proof.version for member in self._members if member.proof is not None]
        return min(versions, key=lambda version: version.signature_ts or 0, default=None)

    async def scan(self, fd: int, size: int) -> ScanResult:
        """Scan by the first engine that has an answer. See `Engine.scan`."""
        return (await self.scan_and_tell(fd, size))[0]

    async def scan_and_tell(self, fd: int, size: int) -> tuple[ScanResult, EngineVersion | None]:
        """Scan by the first engine that has an answer.

        Returns:
            The result, and the version that this engine had proved before: another one may have older signatures. None
            where no engine looked at the file.
        """
        away = Failed(FailureReason.UNREACHABLE, "no scanner answers")
        result: ScanResult = away
        some_away = False
        for member in sorted(self._members, key=lambda one: (one.proof is None, one.in_flight)):
            proof = await self._current_proof(member)
            if proof is None:
                some_away = True
                continue
            if proof.max_bytes == 0:
                result = Failed(
                    FailureReason.ENGINE_ERROR, f"{member.engine.address} does not find the EICAR test file"
                )
                continue
            if size > proof.max_bytes:
                result = Failed(
                    FailureReason.TOO_LARGE, f"{member.engine.address} scans at most {proof.max_bytes} bytes"
                )
                continue
            result = await self._scan_by(member, fd, size)
            if not isinstance(result, Failed) or result.reason in _FINAL_FAILURES:
                return result, proof.version
        if some_away and isinstance(result, Failed) and result.reason is FailureReason.TOO_LARGE:
            # The one that is away may scan larger files.
            result = away
        return self._beyond_all(size) or result, None

    async def _current_proof(self, member: _Member) -> EngineProof | None:
        if member.proof is not None and member.incarnation != member.engine.incarnation:
            self._distrust(member, Failed(FailureReason.LOST, "it may have been restarted"))
        if member.proof is None and self._now_s() < member.silent_until:
            return None
        return member.proof or await self._prove(member)

    def _beyond_all(self, size: int) -> Failed | None:
        """Tell a file that no scanner could scan from one that only has to wait until a scanner is back."""
        last = [member.last_max_bytes for member in self._members]
        if any(one is None or size <= one for one in last):
            return None
        return Failed(FailureReason.TOO_LARGE, f"no scanner scans {size} bytes, not even when all are there")

    async def _scan_by(self, member: _Member, fd: int, size: int) -> ScanResult:
        member.in_flight += 1
        try:
            result = await member.engine.scan(fd, size)
        finally:
            member.in_flight -= 1
        if not isinstance(result, Failed):
            return result
        if self._closed and result.reason is FailureReason.LOST:
            return Failed(FailureReason.UNREACHABLE, "the connections to the scanners were closed")
        if result.reason in _DISTRUSTED_AFTER:
            self._distrust(member, result)
        elif result.reason is FailureReason.TIMEOUT and not await self._scans_at_all(member):
            return Failed(FailureReason.BUSY, f"{result.detail}; it has no time for a tiny file either")
        return result

    async def _scans_at_all(self, member: _Member) -> bool:
        """After a time-out: was it slow for this one file, or has it no time for any?"""
        fd = os.memfd_create("synapse_bum-tiny", os.MFD_CLOEXEC)
        try:
            os.pwrite(fd, b"-", 0)
            result = await member.engine.scan(fd, 1)
        finally:
            os.close(fd)
        if isinstance(result, Failed):
            self._distrust(member, result)
        return not isinstance(result, Failed)

    async def _prove(self, member: _Member) -> EngineProof | None:
        if member.proving is not None:
            waiter: Deferred[None] = Deferred()
            member.proving.addBoth(lambda _: waiter.callback(None))
            await waiter
            return member.proof
        member.proving = Deferred()
        try:
            await self._prove_now(member)
        finally:
            proving, member.proving = member.proving, None
            proving.callback(None)
        return member.proof

    async def _prove_now(self, member: _Member) -> None:
        incarnation = member.engine.incarnation
        try:
            proof = await self._prove_engine(member.engine)
        except EngineError as error:
            if member.proof is None or error.reason not in _SAYS_NOTHING:
                self._distrust(member, error)
            return
        except Exception as error:  # noqa: BLE001 - a self-test that breaks proves nothing
            self._distrust(member, Failed(FailureReason.ENGINE_ERROR, f"its self-test broke: {error!r}"))
            return
        if incarnation != member.engine.incarnation:
            self._distrust(member, Failed(FailureReason.LOST, "it may have been restarted during its self-test"))
            return
        member.proof, member.incarnation = proof, incarnation
        member.last_max_bytes = proof.max_bytes or member.last_max_bytes
        if member.complaint is not None:
            logger.info("Scanner %s is used again", member.engine.address)
        member.complaint = None

    def _distrust(self, member: _Member, why: Failed | EngineError) -> None:
        member.proof = None
        if why.reason is FailureReason.TIMEOUT:
            member.silent_until = self._now_s() + SILENCE_S
        if member.complaint != why.reason.value:
            logger.error("Scanner %s is not used (%s): %s", member.engine.address, why.reason.value, why.detail)
        member.complaint = why.reason.value

    @property
    def proven_engines(self) -> list[Engine]:
        """The engines that get files."""
        return [member.engine for member in self._members if member.proof is not None and member.proof.max_bytes]

    async def refresh(self) -> None:
        """Ask proven scanners for their version, and prove the others, so that one that is back is used at once."""
        for member in self._members:
            proof = await self._current_proof(member)
            if proof is None:
                continue
            try:
                version = await member.engine.version()
            except EngineError as error:
                self._distrust(member, error)
            else:
                if version != proof.version:
                    await self._prove(member)

    async def prove_all(self) -> None:
        """Test every scanner anew, one after the other; scans go on meanwhile by what was proven before."""
        for member in self._members:
            await self._prove(member)

    async def close(self) -> None:
        """Close the connections of all for good."""
        self._closed = True
        for member in self._members:
            await member.engine.close()
