"""Which files have a preview, and what is taken for a picture."""

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.antivirus.quarantine import arrivals, blocking, holding
from synapse_bum.portal.files.previews import TYPES, Scan, obstacle, picture_type
from synapse_bum.portal.files.stored_files import Address, StoredFile
from synapse_bum.testing import malware

FILE = StoredFile(Address("a.example", "m"), "lage.png", "image/png", 7, 1, None, "@a:a.example", None)
CLEAN = Scan("clean", 1, is_current=True)


def test_a_scanned_picture_has_one() -> None:
    assert obstacle(FILE, CLEAN, has_scanner=True) is None
    for kind in ("image/jpeg", "IMAGE/PNG", "image/webp; charset=binary"):
        assert obstacle(attr.evolve(FILE, media_type=kind), CLEAN, has_scanner=True) is None


@pytest.mark.parametrize("kind", ["", "image/svg+xml", "image/tiff", "text/html", "application/pdf", "image/png+html"])
def test_of_nothing_but_pictures_without_programs(kind: str) -> None:
    assert obstacle(attr.evolve(FILE, media_type=kind), CLEAN, has_scanner=True) == "no_picture"


@pytest.mark.parametrize(
    ("mark", "reason"),
    [(holding.MARKER, "held"), (arrivals.MARKER, "held"), (blocking.MARKER, "blocked"), ("@mod:a.example", "blocked")],
)
def test_of_nothing_that_is_served_to_nobody(mark: str, reason: str) -> None:
    assert obstacle(attr.evolve(FILE, quarantined_by=mark), CLEAN, has_scanner=True) == reason


@pytest.mark.parametrize(
    ("scan", "reason"),
    [
        (None, "unscanned"),
        (Scan("unscanned", None, is_current=False), "unscanned"),
        (Scan("something new", 1, is_current=True), "unscanned"),
        (Scan("encrypted", 1, is_current=False), "encrypted"),
        (Scan("blocked", 1, is_current=False), "blocked"),
        (Scan("clean", 1, is_current=False), "outdated"),
    ],
)
def test_of_nothing_that_is_not_clean_today(scan: Scan | None, reason: str) -> None:
    assert obstacle(FILE, scan, has_scanner=True) == reason


def test_of_nothing_without_a_scanner_or_unknown() -> None:
    assert obstacle(FILE, CLEAN, has_scanner=False) == "no_scanner"
    assert obstacle(None, CLEAN, has_scanner=True) == "unknown"


def test_pictures_are_known_by_their_first_bytes() -> None:
    assert picture_type(malware.png(1, 1)) == "image/png"
    assert picture_type(b"\xff\xd8\xff\xe0") == "image/jpeg"
    assert picture_type(b"GIF89a") == "image/gif"
    assert picture_type(b"RIFF\0\0\0\0WEBPVP8 ") == "image/webp"
    assert picture_type(b"RIFF\0\0\0\0WAVEfmt ") is None
    assert picture_type(b"<svg>") is None


@given(st.binary())
def test_whatever_comes_is_one_of_the_types_or_none(content: bytes) -> None:
    assert picture_type(content) in TYPES | {None}
