"""When a signature is taken for a mishap, and how long a rescan leaves the scanner to others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.antivirus.stored.rescan_limits import (
    BUSY_SHARE,
    LONGEST_PAUSE_S,
    MISHAP_FILES,
    MISHAP_SHARE,
    is_mishap,
    pause_s,
)

files = st.integers(min_value=1, max_value=10_000_000)


@pytest.mark.parametrize(
    ("hits", "total", "mishap"),
    [
        (1, 1, False),
        (20, 20, False),
        (21, 21, True),
        (20, 999, False),
        (1, 1_000, False),
        (2, 1_000, True),
        (2, 2_000, False),
        (3, 2_000, True),
        (20, 20_000, False),
        (21, 20_000, True),
        (20, 10_000_000, False),
        (21, 10_000_000, True),
    ],
)
def test_more_than_twenty_files_or_one_in_a_thousand(hits: int, total: int, mishap: bool) -> None:  # noqa: FBT001 - a table
    assert is_mishap(hits, total) is mishap


@given(files, files)
def test_more_than_twenty_is_always_one(hits: int, total: int) -> None:
    assert is_mishap(MISHAP_FILES + hits, total)


@given(files)
def test_one_infected_file_is_never_one(total: int) -> None:
    assert not is_mishap(1, total)


@given(files, files, files)
def test_more_hits_never_look_better(hits: int, more: int, total: int) -> None:
    assert is_mishap(hits + more, total) >= is_mishap(hits, total)


@given(files, st.integers(min_value=MISHAP_SHARE, max_value=10_000_000), files)
def test_the_same_hits_among_more_files_never_look_worse(hits: int, total: int, more: int) -> None:
    assert is_mishap(hits, total + more) <= is_mishap(hits, total)


@given(st.floats(min_value=0, max_value=3_600))
def test_scans_take_no_more_than_their_share_of_the_time(scan_s: float) -> None:
    pause = pause_s(scan_s)
    assert pause == LONGEST_PAUSE_S or scan_s <= (scan_s + pause) * BUSY_SHARE * 1.000001


def test_a_clock_that_goes_back_makes_no_pause() -> None:
    assert pause_s(-1) == 0
