"""Watching the scanners: self-tests, their signature version in between, and one WARNING for each weakness.

The process with the scanner writes what it knows into a table, so that every process can answer `GET
B/antivirus/status`.
"""

import json
import logging
from typing import Any

from synapse.module_api import ModuleApi

from synapse_bum.antivirus import metrics
from synapse_bum.antivirus.engines.engine import EngineProof
from synapse_bum.antivirus.engines.pool import EnginePool
from synapse_bum.antivirus.scanning.self_test import EngineExamination, ProbeResult, SelfTest, warnings
from synapse_bum.antivirus.stored import verdicts
from synapse_bum.database import Cursor, Database
from synapse_bum.database.error_text import first_line
from synapse_bum.homeserver.reactor import outside_log_context

logger = logging.getLogger(__name__)

STATUS_INTERVAL_MS = 5_000
"""How often the table is brought up to date."""

VERSION_INTERVAL_MS = 10_000
"""How often scanners are asked for their signature version between self-tests."""

STALE_AFTER_MS = 6 * STATUS_INTERVAL_MS
"""A status that nobody refreshed for so long says nothing about the scanner any more."""

_WORST_FIRST = (ProbeResult.PASSED, ProbeResult.FAILED, ProbeResult.REFUSED, ProbeResult.FOUND)

_UNKNOWN_STATUS: dict[str, Any] = {
    "engine": None,
    "engine_version": None,
    "signature_version": None,
    "signature_ts": None,
    "scanner_ok": False,
    "effective_max_scan_bytes": 0,
    "self_test": dict.fromkeys(
        ("eicar", "oversize", "encrypted_archive", "nested_archive", "many_files", "inflated_archive")
    ),
}


def worst(results: "list[ProbeResult]") -> ProbeResult | None:
    """How the weakest of several scanners took a probe; None when none was asked."""
    return next((result for result in _WORST_FIRST if result in results), None)


class ScannerMonitor:
    """Knows the state of the scanners of this process."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        pool: EnginePool,
        self_test: SelfTest,
        *,
        engine: str,
        wanted_bytes: int,
        self_test_interval_ms: int,
    ) -> None:
        """Prepare; nothing is asked or connected yet.

        Args:
            api: of the homeserver.
            database: with the antivirus tables.
            pool: the engines.
            self_test: shared with the pool, which proves engines by it.
            engine: `clamd` or `icap`.
            wanted_bytes: up to this size files should be scannable.
            self_test_interval_ms: between two self-tests.
        """
        self._api = api
        self._database = database
        self._pool = pool
        self._self_test = self_test
        self._engine = engine
        self._wanted_bytes = wanted_bytes
        self._self_test_interval_ms = self_test_interval_ms
        self._examinations: dict[str, EngineExamination] = {}
        self._said: set[str] = set()
        self._examined: dict[str, EngineProof] = {}
        self._tested_ts: int | None = None
        self._asked_ts = 0
        self._busy = False

    def _proofs(self) -> list[EngineProof]:
        return [proof for proof in self._pool.proofs.values() if proof is not None]

    async def tick(self) -> None:
        """Do what is due: self-test, version, table and metrics."""
        if self._busy:
            return
        self._busy = True
        try:
            await self._prove_when_due()
            await self._publish()
            if await self._examine_when_due():
                await self._publish()
            self._warn()
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn tries again
            logger.warning("The state of the scanner could not be written down: %s", first_line(error))
        finally:
            self._busy = False

    async def _prove_when_due(self) -> None:
        now_ms = self._api.get_current_time_msec()
        if self._tested_ts is None or now_ms - self._tested_ts >= self._self_test_interval_ms:
            await outside_log_context(self._pool.prove_all)
            self._tested_ts = self._asked_ts = now_ms
        elif now_ms - self._asked_ts >= VERSION_INTERVAL_MS:
            await outside_log_context(self._pool.refresh)
            self._asked_ts = now_ms

    async def _examine_when_due(self) -> bool:
        """Examine what was proven anew. It takes seconds of a scanner's time, so it comes after what is urgent.

        Returns:
            Whether anything was examined.
        """
        examined = False
        for engine in self._pool.proven_engines:
            proof = self._pool.proofs[engine.address]
            if proof is not None and proof is not self._examined.get(engine.address):
                self._examinations[engine.address] = await outside_log_context(self._self_test.examine, engine, proof)
                self._examined[engine.address] = proof
                examined = True
        return examined

    def _warn(self) -> None:
        """Say each weakness once, and again when it had gone in between."""
        found = set()
        for address, proof in self._pool.proofs.items():
            if proof is not None:
                found.update(warnings(address, proof, self._examinations.get(address), self._wanted_bytes))
        for sentence in sorted(found - self._said):
            logger.warning("%s", sentence)
        self._said = found

    def _self_test_results(self) -> dict[str, ProbeResult | None]:
        proofs, examinations = self._proofs(), list(self._examinations.values())
        return {
            "eicar": worst([ProbeResult.FOUND if proof.max_bytes else ProbeResult.PASSED for proof in proofs]),
            "oversize": worst([one.oversize for one in examinations]),
            "encrypted_archive": worst([one.encrypted_archive for one in examinations]),
            "nested_archive": worst([one.nested_archive for one in examinations]),
            "many_files": worst([one.many_files for one in examinations]),
            "inflated_archive": worst([one.inflated_archive for one in examinations]),
        }

    def status(self) -> dict[str, Any]:
        """The part of the status that this process knows, as JSON."""
        version = self._pool.version
        return {
            "engine": self._engine,
            "engine_version": version.engine_version if version else None,
            "signature_version": version.signature_version if version else None,
            "signature_ts": version.signature_ts if version else None,
            "scanner_ok": self._pool.max_bytes > 0,
            "effective_max_scan_bytes": self._pool.max_bytes,
            "self_test": {
                probe: result.value if result else None for probe, result in self._self_test_results().items()
            },
        }

    async def _publish(self) -> None:
        status = self.status()
        now_ms = self._api.get_current_time_msec()
        metrics.SCANNER_UP.set(status["scanner_ok"])
        metrics.EFFECTIVE_MAX_SCAN.set(status["effective_max_scan_bytes"])
        signature_ts = status["signature_ts"]
        metrics.SIGNATURE_AGE.set(-1 if signature_ts is None else (now_ms - signature_ts) / 1000)
        for probe, taken in self._self_test_results().items():
            for result in ProbeResult:
                metrics.SELF_TEST.labels(probe, result.value).set(result is taken)
        instance = self._api.worker_name or "main"
        await self._database.run("synapse_bum_antivirus_publish", write_status, instance, status, now_ms)


def write_status(txn: Cursor, instance: str, status: dict[str, Any], now_ms: int) -> None:
    """Write what one process knows of its scanners, by primary key."""
    txn.execute(
        "INSERT INTO synapse_bum_antivirus_scanner (instance, status, updated_ts) VALUES (?, ?, ?)"
        " ON CONFLICT (instance) DO UPDATE SET status = excluded.status, updated_ts = excluded.updated_ts",
        (instance, json.dumps(status), now_ms),
    )


def read_scanner(txn: Cursor, now_ms: int) -> dict[str, Any]:
    """The state of the scanners, from a table alone, so that every process gives the same answer.

    Args:
        txn: in a transaction; a row for each process.
        now_ms: ms since the epoch.

    Returns:
        The status, without `totals`, of the process whose scanners are in the worst state. When no process reported
        lately, `scanner_ok` is false.
    """
    txn.execute("SELECT status, updated_ts FROM synapse_bum_antivirus_scanner ORDER BY updated_ts DESC")
    rows = txn.fetchall()
    status: dict[str, Any] = json.loads(rows[0][0]) if rows else dict(_UNKNOWN_STATUS)
    fresh = [json.loads(text) for text, updated_ts in rows if now_ms - updated_ts <= STALE_AFTER_MS]
    if fresh:
        return min(fresh, key=lambda one: (one["scanner_ok"], one["effective_max_scan_bytes"]))
    return status | {"scanner_ok": False, "effective_max_scan_bytes": 0}


def read_status(txn: Cursor, now_ms: int) -> dict[str, Any]:
    """The object of `GET B/antivirus/status`: `read_scanner` and `totals`.

    Args:
        txn: in a transaction; besides, three rows and an index-only count.
        now_ms: ms since the epoch.
    """
    totals = verdicts.as_totals(verdicts.read_totals(txn), verdicts.count_unscanned(txn))
    return read_scanner(txn, now_ms) | {"totals": totals}
