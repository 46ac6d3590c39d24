"""Steps about a scanner that goes and comes back."""

from collections.abc import Iterator
from typing import Final

from synapse_bum.cli.demo.promise import require, wait_until
from synapse_bum.cli.demo.report import duration
from synapse_bum.cli.demo.stage import Stage
from synapse_bum.cli.demo.step import Step
from synapse_bum.cli.demo.uploads import delivered, nothing_is_stored, refusal
from synapse_bum.testing import malware
from synapse_bum.testing.malware import EICAR

_STATUS_SECONDS = 30.0


def _killed(stage: Stage) -> Iterator[str]:
    findings_before = stage.antivirus_findings()["total"]
    stage.clamd.kill()
    with nothing_is_stored(stage):
        answer = refusal(stage.alice.upload(malware.unique_bytes(1000)))
        yield f"clamd is killed, as in a crash. Alice uploads a clean file: {answer}."
    findings = stage.antivirus_findings()["total"] - findings_before
    require(findings == 0, f"{findings} finding(s) were recorded for a file that nobody scanned.")
    yield "No finding is recorded: a missing scanner is not called a virus."


def _back(stage: Stage) -> Iterator[str]:
    if not stage.clamd.running:
        stage.clamd.start()
        yield f"clamd is started again and answers after {duration(stage.clamd.start_seconds)}."
    content = malware.unique_bytes(1000)
    delivered(stage, stage.alice.upload(content), content)
    yield "Alice's next clean file is stored and delivered at once, without a restart of Synapse."
    yield f"EICAR is refused as before: {refusal(stage.alice.upload(EICAR))}."
    seconds = wait_until(
        lambda: bool(stage.antivirus_status()["scanner_ok"]), _STATUS_SECONDS, "The status did not call the scanner ok"
    )
    yield f"The status called the scanner ok {duration(seconds)} later."


STEPS: Final = (
    Step(
        "Without a scanner nothing is accepted",
        "The gate fails closed (`when_scanner_fails: accept` chooses otherwise).",
        _killed,
    ),
    Step(
        "When the scanner is back, uploads work again",
        "A crash of the scanner heals by itself.",
        _back,
    ),
)
