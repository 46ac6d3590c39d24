"""What becomes of a file: one pure function over what the scan said and what the operator wants.

Fail closed: whatever is not named here as a reason to accept is refused.
"""

from enum import Enum

import attr

from synapse_bum.antivirus.config import (
    DEFAULT_HEURISTIC,
    HeuristicAction,
    HeuristicActions,
    OnInfectedUpload,
    WhenScannerFails,
)
from synapse_bum.antivirus.engines.engine import Clean, FailureReason, Infected, NotFullyScanned, ScanResult
from synapse_bum.antivirus.findings.finding import Source

HEURISTICS_PREFIX = "Heuristics."


class Action(Enum):
    """What the gate does."""

    ACCEPT = "accept"
    ACCEPT_UNSCANNED = "accept_unscanned"
    REFUSE = "refuse"
    REFUSE_INFECTED = "refuse_infected"
    BLOCK = "block"


class ResultLabel(Enum):
    """How a scan counts in metrics and totals."""

    CLEAN = "clean"
    INFECTED = "infected"
    FAILED = "failed"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Decision:
    """The action and, for the log, its reason.

    Attributes:
        action: what to do.
        label: how it counts.
        because: one line without content of the file.
        signature: of what was found; None otherwise.
    """

    action: Action
    label: ResultLabel
    because: str
    signature: str | None = None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Policy:
    """What the operator wants, as in the module's configuration."""

    on_infected_upload: OnInfectedUpload
    when_scanner_fails: WhenScannerFails
    heuristics: HeuristicActions


def is_only_reported(signature: str, heuristics: HeuristicActions) -> bool:
    """Whether a finding lets the file pass: only a `Heuristics.<Class>...` whose class is set to `report`."""
    if not signature.startswith(HEURISTICS_PREFIX):
        return False
    name = signature[len(HEURISTICS_PREFIX) :].split(".", 1)[0].lower()
    action = heuristics.get(name, heuristics.get(DEFAULT_HEURISTIC, HeuristicAction.BLOCK))
    return action is HeuristicAction.REPORT


def decide(result: ScanResult, source: Source, policy: Policy, *, condemned: bool, exempt: bool = False) -> Decision:
    """Decide about a file that is about to be stored.

    Args:
        result: of the scan.
        source: how the file came here. Only uploads can be stored and blocked: what others sent is better not stored.
        policy: the operator's wishes.
        condemned: the file has taken down engines as often as one may (`suspects.MAX_STRIKES`).
        exempt: an operator released these bytes from what was found, or from being condemned.

    Returns:
        What to do and why.
    """
    if exempt and (condemned or isinstance(result, Infected)):
        signature = result.signature if isinstance(result, Infected) else None
        return Decision(Action.ACCEPT, ResultLabel.CLEAN, "released by an operator", signature)
    if isinstance(result, Clean):
        return Decision(Action.ACCEPT, ResultLabel.CLEAN, "clean")
    if isinstance(result, Infected):
        if is_only_reported(result.signature, policy.heuristics):
            because = f"{result.signature} is only reported"
            return Decision(Action.ACCEPT, ResultLabel.CLEAN, because, result.signature)
        block = source is Source.UPLOAD and policy.on_infected_upload is OnInfectedUpload.BLOCK
        action = Action.BLOCK if block else Action.REFUSE_INFECTED
        return Decision(action, ResultLabel.INFECTED, "infected", result.signature)
    if isinstance(result, NotFullyScanned):
        return Decision(Action.REFUSE, ResultLabel.FAILED, f"not fully scanned: {result.signature}", result.signature)
    if condemned:
        return Decision(Action.REFUSE, ResultLabel.FAILED, f"it takes down scanners: {result.detail}")
    if result.reason in {FailureReason.TOO_LARGE, FailureReason.UNREADABLE}:
        # Later scans could do no better: accepting would mean never scanned.
        return Decision(Action.REFUSE, ResultLabel.FAILED, f"{result.reason.value}: {result.detail}")
    because = f"no verdict ({result.reason.value}): {result.detail}"
    if policy.when_scanner_fails is WhenScannerFails.ACCEPT:
        return Decision(Action.ACCEPT_UNSCANNED, ResultLabel.FAILED, because)
    return Decision(Action.REFUSE, ResultLabel.FAILED, because)
