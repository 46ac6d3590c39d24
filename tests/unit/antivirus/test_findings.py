"""What a finding refuses, and what a release of it would change."""

import pytest

from synapse_bum.antivirus.findings.finding import FINDING_STATES, Finding, FindingState, Source

OWN, OTHER = "own.example", "other.example"


def finding(state: FindingState, source: Source, server_name: str = OTHER) -> Finding:
    return Finding(server_name, "media", "0" * 64, "Win.Test-1", state, source, None, None, 1)


@pytest.mark.parametrize("source", list(Source))
@pytest.mark.parametrize("state", list(FindingState))
def test_a_remote_file_is_refused_unless_it_was_released_or_only_a_key_was(state: FindingState, source: Source) -> None:
    one_key = state is FindingState.REJECTED and source is Source.CONTENT_SCANNER
    assert finding(state, source).keeps_out is (state is not FindingState.RELEASED and not one_key)


@pytest.mark.parametrize("source", list(Source))
@pytest.mark.parametrize("state", list(FindingState))
@pytest.mark.parametrize("server_name", [OWN, OTHER])
def test_there_is_something_to_release_wherever_a_file_or_a_key_is_refused(
    state: FindingState, source: Source, server_name: str
) -> None:
    releasable = finding(state, source, server_name).is_releasable(OWN)
    if state in {FindingState.RELEASED, FindingState.DELETED}:
        assert not releasable
    elif state is FindingState.REJECTED:
        assert releasable is (server_name == OTHER or source is Source.CONTENT_SCANNER)
    else:
        assert releasable


def test_whatever_is_releasable_may_become_released() -> None:
    for state in FindingState:
        if any(finding(state, source, name).is_releasable(OWN) for source in Source for name in (OWN, OTHER)):
            assert FINDING_STATES.allows(state, FindingState.RELEASED)


def test_nothing_follows_a_deletion() -> None:
    assert FINDING_STATES.is_final(FindingState.DELETED)
