"""What a finding allows, and how the answers of the antivirus are read."""

import pytest

from synapse_bum.portal.language.texts import load
from synapse_bum.portal.presentation.virus_findings import (
    Offer,
    file_of,
    offer,
    probes,
    refusal,
    scanner_saying,
    waiting_rescan,
)

DAY_MS = 86_400_000
NOW_MS = 1_795_362_228_165
GERMAN = load("de")
STATUS = {"engine": "clamd", "scanner_ok": True, "signature_ts": NOW_MS - DAY_MS}


@pytest.mark.parametrize(
    ("state", "source", "server", "release", "delete"),
    [
        ("rejected", "upload", "test", False, False),
        ("rejected", "content_scanner", "test", True, True),
        ("rejected", "remote", "far.example", True, False),
        ("blocked", "upload", "test", True, True),
        ("blocked", "rescan", "far.example", True, True),
        ("block_failed", "rescan", "test", True, True),
        ("released", "upload", "test", False, True),
        ("deleted", "remote", "far.example", False, False),
        ("something new", "upload", "test", False, False),
    ],
)
def test_nothing_is_offered_that_the_api_would_refuse(
    state: str, source: str, server: str, *, release: bool, delete: bool
) -> None:
    finding = {"state": state, "source": source, "mxc": f"mxc://{server}/abc"}
    assert offer(finding, "test") == Offer(release=release, delete=delete)


def test_addresses_of_files() -> None:
    assert file_of("mxc://far.example:8448/a_-b") == ("far.example:8448", "a_-b")


@pytest.mark.parametrize(
    "sentence",
    [
        "This file was refused: nothing of it is stored",
        "This file is still being uploaded; try again in a moment",
        "This file was deleted",
        "This file must be kept: @alice:test is on hold (Verfahren (2)\nTeil b)",
        "Something new",
    ],
)
def test_every_refusal_has_a_text_with_its_values(sentence: str) -> None:
    said = refusal(sentence)
    assert GERMAN[said.key].format_map(said.values)


def test_a_hold_names_whom_and_why_and_is_not_endless() -> None:
    said = refusal("This file must be kept: !room:test is on hold (Verfahren (12) 26)")
    assert said.values == {"target": "!room:test", "reason": "Verfahren (12) 26"}
    endless = refusal(f"This file must be kept: !room:test is on hold ({'x' * 2000})")
    assert len(str(endless.values["reason"])) == 200


def test_the_rescan_that_waits_is_found_in_the_sentence() -> None:
    sentence = "The rescan 76ef92f8 waits for a decision about Doc.Mishap: confirm or cancel it"
    assert waiting_rescan(sentence) == "76ef92f8"
    assert waiting_rescan("The rescan ../x waits for a decision about it") is None
    assert waiting_rescan("Too many requests") is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "ok"),
        ({"signature_ts": None}, "ok"),
        ({"signature_ts": NOW_MS - 4 * DAY_MS}, "old"),
        ({"scanner_ok": False}, "down"),
        ({"scanner_ok": False, "signature_ts": 0}, "down"),
        ({"engine": None, "scanner_ok": False}, "silent"),
    ],
)
def test_the_worst_is_said_of_the_scanner(changed: dict[str, object], said: str) -> None:
    found = scanner_saying({**STATUS, **changed}, NOW_MS)
    assert found.key == f"findings.scanner.{said}"
    assert (found.kind == "success") == (said == "ok")


def test_a_scanner_that_looks_away_is_not_called_good() -> None:
    tested = {"eicar": "passed", "oversize": "passed", "nested_archive": "passed", "many_files": None, "new": "found"}
    said = dict(probes({**tested, "encrypted_archive": "strange"}))
    assert said == {
        "findings.probe.eicar": "findings.result.passed_eicar",
        "findings.probe.oversize": "findings.result.passed_oversize",
        "findings.probe.nested_archive": "findings.result.passed",
        "findings.probe.many_files": "findings.result.untried",
        "findings.probe.encrypted_archive": "findings.result.unknown",
    }
    assert {*said, *said.values()} <= set(GERMAN)
