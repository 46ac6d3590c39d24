"""Steps about what operators and administrators see: status, findings, metrics, log."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

from synapse_bum.cli.demo.promise import require, wait_until
from synapse_bum.cli.demo.stage import API, Stage
from synapse_bum.cli.demo.step import Step
from synapse_bum.cli.demo.uploads import refusal
from synapse_bum.testing import malware
from synapse_bum.testing.malware import EICAR

_EXAMINATION_SECONDS: Final = 30.0
_LOG_SECONDS: Final = 30.0
_MIB: Final = 1 << 20
_INFECTED_UPLOADS: Final = 'synapse_bum_antivirus_scans_total{result="infected",source="upload"}'
_SCANNER_UP: Final = "synapse_bum_antivirus_scanner_up"

_PROBES: Final = {
    "oversize": "files above this size (the module refuses them)",
    "encrypted_archive": "encrypted archives",
    "nested_archive": "archives nested deeper than MaxRecursion",
    "many_files": "archives with more members than MaxFiles",
    "inflated_archive": "archives that unpack to more than MaxFileSize",
}
"""What the self-test tries, in words."""


def silent_passes(self_test: Mapping[str, str | None]) -> list[str]:
    """Say in words what a scanner answers "OK" to without having looked at it.

    Args:
        self_test: of the status: how each probe was taken.
    """
    return [_PROBES.get(probe, probe.replace("_", " ")) for probe, result in self_test.items() if result == "passed"]


def _status(stage: Stage) -> Iterator[str]:
    status: dict[str, Any] = {}

    def is_examined() -> bool:
        status.update(stage.antivirus_status())
        return all(status["self_test"].values())

    wait_until(is_examined, _EXAMINATION_SECONDS, "The self-test was not finished")
    self_test = status["self_test"]
    require(status["scanner_ok"] and self_test["eicar"] == "found", f"The scanner does not work: {self_test}.")
    yield (
        f"Self-test: {status['engine_version']} finds EICAR in files of up to"
        f" {status['effective_max_scan_bytes'] / _MIB:.0f} MiB."
    )
    passed = silent_passes(self_test)
    if passed:
        yield f"It says OK, without having looked inside, to {'; '.join(passed)}."
        count = len(_warnings(stage, len(passed)))
        yield f"{count} warnings in the log say so, and what to change in clamd.conf."
    else:
        yield "Nothing that the self-test tries gets past it."
    totals = status["totals"]
    yield (
        f"So far: {totals['scanned']} files scanned, {totals['clean']} clean, {totals['infected']} infected,"
        f" {totals['failed']} without a verdict."
    )


def _warnings(stage: Stage, at_least: int) -> list[str]:
    """Wait for the warnings about the scanner, which are written just after the status; returns their lines."""
    lines: list[str] = []

    def are_written() -> bool:
        lines[:] = [
            line
            for line in stage.synapse.log_text().splitlines()
            if " WARNING synapse_bum." in line and stage.clamd.address_unix in line
        ]
        return len(lines) >= at_least

    wait_until(are_written, _LOG_SECONDS, f"There were fewer than {at_least} warnings in the log")
    return lines


def _findings(stage: Stage) -> Iterator[str]:
    before = stage.antivirus_findings()["total"]
    content = malware.zipped(EICAR, "invoice.com")
    refusal(stage.alice.upload(content))
    findings = stage.antivirus_findings()
    require(findings["total"] == before + 1, f"{findings['total'] - before} findings were recorded, not one.")
    newest = findings["findings"][0]
    expected = {"sha256": sha256(content).hexdigest(), "state": "rejected", "uploader": stage.alice.user_id}
    require(newest.items() >= expected.items(), f"The finding is wrong: {newest}.")
    yield (
        f"Alice uploads an infected ZIP file, and {API}/antivirus/findings has one finding more:"
        f" {newest['signature']}, uploaded by {newest['uploader']}, {newest['state']}."
    )
    status = stage.alice.get(f"{API}/antivirus/findings").status
    require(status == HTTPStatus.FORBIDDEN, f"Alice, who is no administrator, gets HTTP {status}, not 403.")
    yield "Alice, who is no administrator, may not read it: HTTP 403."


def _metrics(stage: Stage) -> Iterator[str]:
    before = _value(stage.metrics(_INFECTED_UPLOADS))
    refusal(stage.alice.upload(EICAR))
    lines = stage.metrics(_INFECTED_UPLOADS)
    require(_value(lines) == before + 1, f"After one more infected file the counter went from {before:g} to {lines}.")
    scanner_up = stage.metrics(_SCANNER_UP)
    require(_value(scanner_up) == 1, f"The scanner is said to be down: {scanner_up}.")
    yield from [*lines, *scanner_up]


def _log_line(stage: Stage) -> Iterator[str]:
    refusal(stage.alice.upload(EICAR))
    newest = stage.antivirus_findings()["findings"][0]
    written: list[str] = []

    def is_logged() -> bool:
        log = stage.synapse.log_text().splitlines()
        written[:] = [
            line for line in log if " synapse_bum." in line and newest["mxc"] in line and newest["signature"] in line
        ]
        return bool(written)

    wait_until(is_logged, _LOG_SECONDS, f"No log line names the finding {newest['mxc']} and its signature")
    require(len(written) == 1, f"{len(written)} log lines are about the finding, not one.")
    yield written[0]


def _value(lines: list[str]) -> float:
    """The value of a metric that has one line; 0 when it has none yet."""
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


STEPS: Final = (
    Step(
        "The module knows what this clamd lets pass",
        "a weakness of the scanner is known before somebody uses it",
        _status,
    ),
    Step(
        "Administrators see every finding",
        'there is a record of what was found, where uploaders read no more than "Bad content"',
        _findings,
    ),
    Step(
        "Monitoring sees it too",
        "Prometheus can raise alarms; no metric names a user or a file",
        _metrics,
    ),
    Step(
        "Each finding is one line in the log",
        "findings reach whatever collects Synapse's log already",
        _log_line,
    ),
)
