"""When a clean verdict is one of today."""

from typing import Any

import pytest

from synapse_bum.antivirus.file_scans import UNVERSIONED_LIFETIME_MS, FileScan, is_current
from synapse_bum.antivirus.stored.verdicts import PlainVerdict

NOW_MS = 1_700_000_000_000


def scanner(version: str | None = "27000", *, ok: bool = True) -> dict[str, Any]:
    return {"scanner_ok": ok, "signature_version": version}


def scan(version: str | None = "27000", state: str = "clean", scanned_ts: int | None = NOW_MS - 10) -> FileScan:
    return FileScan(state, PlainVerdict(state, version, scanned_ts))


def test_by_the_signatures_of_now() -> None:
    assert is_current(scan(), scanner(), NOW_MS)
    assert not is_current(scan("26999"), scanner(), NOW_MS)
    assert not is_current(scan(None), scanner(), NOW_MS)


def test_a_scanner_that_is_away_says_nothing_about_today() -> None:
    assert not is_current(scan(), scanner(ok=False), NOW_MS)


@pytest.mark.parametrize("state", ["unscanned", "encrypted", "blocked"])
def test_only_what_is_clean(state: str) -> None:
    assert not is_current(scan(state=state), scanner(), NOW_MS)
    assert not is_current(FileScan("clean", None), scanner(), NOW_MS)
    assert not is_current(scan(scanned_ts=None), scanner(), NOW_MS)


def test_without_a_version_for_a_day() -> None:
    late = NOW_MS - 10 + UNVERSIONED_LIFETIME_MS
    for version in (None, "unversioned 1.2"):
        assert is_current(scan(version), scanner(None), late - 1)
        assert not is_current(scan(version), scanner(None), late)
