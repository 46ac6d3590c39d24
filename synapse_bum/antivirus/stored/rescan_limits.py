"""How much a rescan may do: when a signature must be a mishap, and how much of the scanner's time is used. Pure."""

from typing import Final

MISHAP_FILES: Final = 20
"""A signature that hits more files than this in one run is taken for a mishap, however many there are."""

MISHAP_SHARE: Final = 1_000
"""So is one that hits more than one file in so many, that is 0.1 %, in runs of at least so many files."""

BUSY_SHARE: Final = 0.2
"""Part of the time that a rescan keeps a scanner busy: what is uploaded meanwhile finds it free."""

LONGEST_PAUSE_S: Final = 30.0


def is_mishap(hits: int, total: int) -> bool:
    """Whether one signature hits so many files that it is rather a false positive than an infection.

    Below 1,000 files 0.1 % is less than one file; a single infected file is no mishap, so only the number counts there.

    Args:
        hits: files that it was found in during a run, this one included.
        total: files of the run.
    """
    return hits > MISHAP_FILES or (total >= MISHAP_SHARE and hits * MISHAP_SHARE > total)


def pause_s(scan_s: float) -> float:
    """How long to wait after a scan, so that scans take no more than their share of the time.

    Args:
        scan_s: how long the scan took, in seconds.

    Returns:
        Seconds, at most `LONGEST_PAUSE_S`.
    """
    return min(max(0.0, scan_s) * (1 / BUSY_SHARE - 1), LONGEST_PAUSE_S)
