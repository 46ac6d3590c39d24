"""What the records alone say of a file."""

import itertools

import attr
import pytest

from synapse_bum.antivirus.content_scanner.errors import ContentScannerError
from synapse_bum.antivirus.content_scanner.judgement import Subject, may_block_everybody
from synapse_bum.antivirus.content_scanner.known import Known, Standing, standing_of
from synapse_bum.antivirus.content_scanner.type_policy import TypePolicy
from synapse_bum.antivirus.findings.finding import Finding, FindingState, Source
from synapse_bum.antivirus.quarantine import arrivals, blocking, holding
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.media_details import MediaDetails

STORED = StoredMedia("a.example", "file", "file", local=True, uploader="@u:a.example")
DETAILS = MediaDetails(STORED, 10, "text/plain", None, "00", None)
KNOWN = Known(DETAILS, None, None, None, is_held=False)


def finding(state: FindingState, source: Source = Source.UPLOAD) -> Finding:
    return Finding("a.example", "file", "00", "Sig", state, source, None, None, 1)


def standing(known: Known, *, local: bool = True) -> Standing | int:
    try:
        return standing_of(known, local=local)
    except ContentScannerError as error:
        return int(error.status)


def marked(mark: str | None, *, is_held: bool = False) -> Standing | int:
    return standing(attr.evolve(KNOWN, details=attr.evolve(DETAILS, quarantined_by=mark), is_held=is_held))


def test_a_file_without_records_is_looked_into() -> None:
    assert standing(KNOWN) is Standing.SERVED


def test_what_is_not_here() -> None:
    nothing = attr.evolve(KNOWN, details=None)
    assert standing(nothing) == 404
    assert standing(nothing, local=False) is Standing.FETCHABLE


def test_what_was_not_uploaded_yet_has_no_verdict() -> None:
    assert standing(attr.evolve(KNOWN, details=attr.evolve(DETAILS, size=None))) == 502


@pytest.mark.parametrize("state", [FindingState.BLOCKED, FindingState.BLOCK_FAILED, FindingState.DELETED])
@pytest.mark.parametrize("stored", [True, False])
def test_a_finding_stands(state: FindingState, *, stored: bool) -> None:
    known = attr.evolve(KNOWN, finding=finding(state), details=DETAILS if stored else None)
    assert standing(known) is standing(known, local=False) is Standing.INFECTED


def test_a_release_ends_it() -> None:
    assert standing(attr.evolve(KNOWN, finding=finding(FindingState.RELEASED))) is Standing.SERVED


def test_what_was_rejected_and_is_here_all_the_same_has_other_content() -> None:
    rejected = attr.evolve(KNOWN, finding=finding(FindingState.REJECTED))
    assert standing(rejected) is Standing.SERVED
    assert standing(attr.evolve(rejected, details=None)) is Standing.INFECTED
    assert standing(attr.evolve(rejected, details=None), local=False) is Standing.INFECTED


def test_what_was_rejected_for_one_key_says_nothing_of_others() -> None:
    one_key = finding(FindingState.REJECTED, Source.CONTENT_SCANNER)
    assert standing(attr.evolve(KNOWN, finding=one_key)) is Standing.SERVED
    assert standing(attr.evolve(KNOWN, finding=one_key, details=None), local=False) is Standing.FETCHABLE


def test_marks() -> None:
    assert marked(None) is Standing.SERVED
    assert marked(blocking.MARKER) is Standing.INFECTED
    assert marked(holding.MARKER, is_held=True) is Standing.HELD
    assert marked("system", is_held=True) is Standing.HELD
    assert marked(arrivals.MARKER) == 502
    for mark in ("@moderator:a.example", "system", "synapse_bum:deleted", holding.MARKER, ""):
        assert marked(mark) == 404
    assert marked("@moderator:a.example", is_held=True) == 404


@pytest.mark.parametrize(
    ("encrypted", "standard", "signature", "blocks"),
    [
        (False, True, "Heuristics.Broken", True),
        (False, True, "Win.Test", True),
        (True, True, "Win.Test", True),
        (True, True, "Heuristics.Broken", False),
        (True, False, "Win.Test", False),
        (True, False, "Heuristics.Broken", False),
    ],
)
def test_for_whom_a_finding_counts(*, encrypted: bool, standard: bool, signature: str, blocks: bool) -> None:
    subject = Subject(
        DETAILS, "@u:a.example", "00" if encrypted else None, Standing.SERVED, standard_counter=standard, binding=None
    )
    assert may_block_everybody(signature, subject) is blocks


def test_types() -> None:
    pdf, png = "application/pdf", "image/png"
    lists: list[list[str] | None] = [None, [], [pdf], [png.upper()]]
    for allowed, blocked, media_type in itertools.product(lists, lists, (pdf, png)):
        policy = TypePolicy.of(allowed, blocked)
        is_blocked = blocked is not None and media_type in [name.lower() for name in blocked]
        is_allowed = allowed is None or media_type in [name.lower() for name in allowed]
        assert policy.permits(media_type) is (is_allowed and not is_blocked)
        assert policy.looks_at_types is (allowed is not None or blocked is not None)
