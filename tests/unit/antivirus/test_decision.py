"""Only a clean verdict, or the operator's word for a scanner that is away, lets a file in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.antivirus.config import AntivirusConfig, OnInfectedUpload, WhenScannerFails
from synapse_bum.antivirus.decision import Action, Policy, ResultLabel, decide
from synapse_bum.antivirus.engines.engine import Clean, Failed, FailureReason, Infected, NotFullyScanned, ScanResult
from synapse_bum.antivirus.findings.finding import Source
from synapse_bum.config import parse


def a_policy(**keys: object) -> Policy:
    config = parse(AntivirusConfig, keys)
    return Policy(config.on_infected_upload, config.when_scanner_fails, config.heuristics)


REASONS = st.sampled_from(FailureReason)
POLICIES = st.builds(
    a_policy,
    on_infected_upload=st.sampled_from([choice.value for choice in OnInfectedUpload]),
    when_scanner_fails=st.sampled_from([choice.value for choice in WhenScannerFails]),
    heuristics=st.dictionaries(
        st.sampled_from(["default", "encrypted", "phishing"]), st.sampled_from(["block", "report"])
    ),
)
SIGNATURES = st.sampled_from(["Eicar", "Heuristics.Encrypted.Zip", "Heuristics.Phishing.Email", "PUA.Win.X"])
RESULTS: st.SearchStrategy[ScanResult] = st.one_of(
    st.just(Clean()),
    st.builds(Infected, SIGNATURES),
    st.just(NotFullyScanned("Heuristics.Limits.Exceeded.MaxScanSize")),
    st.builds(Failed, REASONS, st.just("detail")),
)


@given(RESULTS, st.sampled_from(Source), POLICIES, st.booleans())
def test_nothing_is_accepted_as_clean_but_what_is_clean_or_only_reported(
    result: ScanResult,
    source: Source,
    policy: Policy,
    condemned: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    decision = decide(result, source, policy, condemned=condemned)
    if decision.action is Action.ACCEPT:
        assert isinstance(result, Clean) or decision.signature is not None
        assert isinstance(result, Clean) or (
            isinstance(result, Infected) and result.signature.startswith("Heuristics.")
        )
    if decision.action is Action.ACCEPT_UNSCANNED:
        assert isinstance(result, Failed)
        assert policy.when_scanner_fails is WhenScannerFails.ACCEPT
        assert not condemned


@pytest.mark.parametrize("reason", list(FailureReason))
def test_reject_refuses_whatever_has_no_verdict(reason: FailureReason) -> None:
    decision = decide(Failed(reason, "x"), Source.UPLOAD, a_policy(), condemned=False)
    assert decision.action is Action.REFUSE
    assert decision.label is ResultLabel.FAILED


def test_accept_takes_a_file_while_the_scanner_is_away() -> None:
    policy = a_policy(when_scanner_fails="accept")
    decision = decide(Failed(FailureReason.UNREACHABLE, "x"), Source.UPLOAD, policy, condemned=False)
    assert decision.action is Action.ACCEPT_UNSCANNED


@pytest.mark.parametrize("reason", [FailureReason.TOO_LARGE, FailureReason.UNREADABLE])
def test_accept_does_not_take_what_no_later_scan_could_judge(reason: FailureReason) -> None:
    policy = a_policy(when_scanner_fails="accept")
    assert decide(Failed(reason, "x"), Source.UPLOAD, policy, condemned=False).action is Action.REFUSE


def test_a_file_that_takes_down_scanners_is_refused_even_under_accept() -> None:
    policy = a_policy(when_scanner_fails="accept")
    assert decide(Failed(FailureReason.LOST, "x"), Source.UPLOAD, policy, condemned=True).action is Action.REFUSE


def test_not_fully_scanned_is_refused_whatever_the_settings_say() -> None:
    policy = a_policy(when_scanner_fails="accept", heuristics={"default": "report"})
    result = NotFullyScanned("Heuristics.Limits.Exceeded.MaxFiles")
    assert decide(result, Source.UPLOAD, policy, condemned=False).action is Action.REFUSE


@pytest.mark.parametrize(
    ("heuristics", "signature", "action"),
    [
        ({}, "Heuristics.Encrypted.Zip", Action.ACCEPT),
        ({}, "Heuristics.Phishing.Email.SpoofedDomain", Action.REFUSE_INFECTED),
        ({"encrypted": "block"}, "Heuristics.Encrypted.PDF", Action.REFUSE_INFECTED),
        ({"default": "report"}, "Heuristics.Broken.Executable", Action.ACCEPT),
        ({"default": "report"}, "Heuristics.Encrypted.Zip", Action.ACCEPT),
        ({"default": "report", "phishing": "block"}, "Heuristics.Phishing.Email", Action.REFUSE_INFECTED),
        ({"default": "report"}, "Eicar-Test-Signature", Action.REFUSE_INFECTED),
    ],
)
def test_heuristics_go_by_their_class(heuristics: dict[str, str], signature: str, action: Action) -> None:
    decision = decide(Infected(signature), Source.UPLOAD, a_policy(heuristics=heuristics), condemned=False)
    assert decision.action is action


@pytest.mark.parametrize(
    ("source", "action"),
    [
        (Source.UPLOAD, Action.BLOCK),
        (Source.REMOTE, Action.REFUSE_INFECTED),
        (Source.URL_PREVIEW, Action.REFUSE_INFECTED),
    ],
)
def test_only_uploads_are_stored_and_blocked(source: Source, action: Action) -> None:
    policy = a_policy(on_infected_upload="block")
    assert decide(Infected("Eicar"), source, policy, condemned=False).action is action


@given(RESULTS, st.sampled_from(Source), POLICIES, st.booleans())
def test_a_release_excuses_what_was_found_and_never_a_missing_verdict(
    result: ScanResult,
    source: Source,
    policy: Policy,
    condemned: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    released = decide(result, source, policy, condemned=condemned, exempt=True)
    if condemned or isinstance(result, Infected):
        assert (released.action, released.label) == (Action.ACCEPT, ResultLabel.CLEAN)
    else:
        assert released == decide(result, source, policy, condemned=False)
