"""Steps about a scanner that goes and comes back."""

from collections.abc import Iterator
from typing import Final

from synapse_bum.cli.demo.promise import require, wait_until
from synapse_bum.cli.demo.report import duration
from synapse_bum.cli.demo.stage import Stage
from synapse_bum.cli.demo.step import Step
from synapse_bum.cli.demo.uploads import check_delivery, nothing_is_stored, refusal
from synapse_bum.testing import malware
from synapse_bum.testing.malware import EICAR

_STATUS_SECONDS: Final = 30.0


def _wait_for_status(stage: Stage, *, ok: bool) -> str:
    """Wait until the status, which is renewed every few seconds, tells how the scanner is.

    Returns:
        How long it took, in words.
    """
    said = "true" if ok else "false"
    seconds = wait_until(
        lambda: bool(stage.antivirus_status()["scanner_ok"]) is ok,
        _STATUS_SECONDS,
        f"The status did not say `scanner_ok: {said}`",
    )
    return f"The status says `scanner_ok: {said}` {duration(seconds)} later."


def _killed(stage: Stage) -> Iterator[str]:
    findings_before = stage.antivirus_findings()["total"]
    stage.clamd.kill()
    with nothing_is_stored(stage):
        answer = refusal(stage.alice.upload(malware.unique_bytes(1000)))
        yield f"clamd is killed, as in a crash. Alice uploads a clean file: {answer}."
    findings = stage.antivirus_findings()["total"] - findings_before
    require(findings == 0, f"{findings} finding(s) were recorded for a file that nobody scanned.")
    yield "No finding is recorded: a missing scanner is not called a virus."
    yield _wait_for_status(stage, ok=False)


def _back(stage: Stage) -> Iterator[str]:
    if not stage.clamd.running:
        stage.clamd.start()
        yield f"clamd is started again and answers after {duration(stage.clamd.start_seconds)}."
    content = malware.unique_bytes(1000)
    check_delivery(stage, stage.alice.upload(content), content)
    yield "Alice's next clean file is stored and delivered, without a restart of Synapse."
    yield f"EICAR is refused as before: {refusal(stage.alice.upload(EICAR))}."
    yield _wait_for_status(stage, ok=True)


STEPS: Final = (
    Step(
        "Without a scanner nothing is accepted",
        "the gate fails closed; who wants otherwise sets `when_scanner_fails: accept`",
        _killed,
    ),
    Step(
        "When the scanner is back, uploads work again",
        "a crash of the scanner needs nobody who restarts Synapse",
        _back,
    ),
)
