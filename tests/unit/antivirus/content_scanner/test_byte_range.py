"""`Range` headers (RFC 9110 section 14)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.antivirus.content_scanner.byte_range import ByteRange, UnsatisfiableRangeError, wanted_range

CONTENT = bytes(range(256))


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-255", (0, 256)),
        ("bytes=10-19", (10, 10)),
        ("bytes=250-", (250, 6)),
        ("bytes=-6", (250, 6)),
        ("bytes=-1000", (0, 256)),
        ("bytes=200-9999", (200, 56)),
        ("Bytes= 1-2 ", (1, 2)),
    ],
)
def test_a_part(header: str, part: tuple[int, int]) -> None:
    assert wanted_range(header, len(CONTENT)) == ByteRange(*part)


@pytest.mark.parametrize("header", [None, "", "bytes", "bytes=", "bytes=-", "bytes=5-4", "lines=1-2", "bytes=0-1,3-4"])
def test_the_whole_file(header: str | None) -> None:
    assert wanted_range(header, len(CONTENT)) is None


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=256-", 256), ("bytes=300-400", 256), ("bytes=-0", 9), ("bytes=0-", 0)]
)
def test_behind_the_end(header: str, size: int) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        wanted_range(header, size)


@given(header=st.text() | st.from_regex(r"bytes=[0-9]{0,20}-[0-9]{0,20}", fullmatch=True), size=st.integers(0, 2**40))
def test_a_part_is_always_within_the_file(header: str, size: int) -> None:
    try:
        part = wanted_range(header, size)
    except UnsatisfiableRangeError:
        return
    if part is not None:
        assert part.length > 0
        assert 0 <= part.first < part.first + part.length <= size


def test_content_range() -> None:
    assert ByteRange(10, 10).content_range(256) == "bytes 10-19/256"
