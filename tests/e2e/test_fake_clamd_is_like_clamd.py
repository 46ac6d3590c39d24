"""The fake clamd is worth trusting: it answers like the real one, byte by byte, to whatever clients send."""

import re
from collections.abc import Iterator

import pytest

from synapse_bum.testing.clamd import RealClamd
from synapse_bum.testing.fake_clamd import FakeClamd
from synapse_bum.testing.malware import EICAR
from synapse_bum.testing.raw_clamd import Part, WithDescriptors, exchange, memory_file, stream_scan

pytestmark = [pytest.mark.requires("clamd"), pytest.mark.any_synapse]

STREAM_MAX_LENGTH = 1000
FILES = (EICAR, b"clean")
"""What the descriptors in the conversations below stand for: their numbers are indices of this."""


def conversation(*parts: Part) -> tuple[Part, ...]:
    return parts


CONVERSATIONS = [
    conversation(b"zPING\0"),
    conversation(b"nPING\n"),
    conversation(b"zPING\0zPING\0"),
    conversation(b"zRELOAD\0"),
    conversation(b"zBOGUS\0"),
    conversation(b"nBOGUS\n"),
    conversation(b"zping\0"),
    conversation(b"zEND\0"),
    conversation(b"\0"),
    conversation(b"zFILDES\0\0"),
    conversation(WithDescriptors(b"zFILDES\0\0", (0,))),
    conversation(WithDescriptors(b"nFILDES\n\n", (1,))),
    conversation(WithDescriptors(b"zFILDES\0Z", (1,))),
    conversation(b"zFILDES\0", WithDescriptors(b"\0", (0,))),
    conversation(WithDescriptors(b"zFILDES\0", (0,))),
    conversation(WithDescriptors(b"zFILDES\0\0", (0, 1))),
    conversation(*stream_scan(b"")),
    conversation(*stream_scan(EICAR, chunk_size=7)),
    conversation(*stream_scan(bytes(STREAM_MAX_LENGTH))),
    conversation(b"".join(stream_scan(bytes(STREAM_MAX_LENGTH + 1)))),
    conversation(b"zIDSESSION\0zEND\0"),
    conversation(b"zIDSESSION\0zPING\0nPING\nzEND\0"),
    conversation(b"zIDSESSION\0", WithDescriptors(b"zFILDES\0\0", (0,)), b"zEND\0"),
    conversation(b"zIDSESSION\0", *stream_scan(EICAR), b"zEND\0"),
    conversation(b"zIDSESSION\0zBOGUS\0"),
    conversation(b"zIDSESSION\0zRELOAD\0"),
    conversation(b"zIDSESSION\0zIDSESSION\0"),
    conversation(b"zIDSESSION\0zFILDES\0\0"),
    conversation(b"zIDSESSION\0" + b"".join(stream_scan(bytes(STREAM_MAX_LENGTH + 1)))),
]


@pytest.fixture(scope="module")
def real() -> Iterator[RealClamd]:
    with RealClamd(StreamMaxLength=STREAM_MAX_LENGTH, ReadTimeout=1, CommandReadTimeout=1) as server:
        yield server


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeClamd]:
    with FakeClamd() as server:
        server.stream_max_length = STREAM_MAX_LENGTH
        yield server


def answer(address: str, parts: tuple[Part, ...]) -> bytes:
    """What the server says, without the numbers that descriptors have in its own process."""
    with memory_file(FILES[0]) as first, memory_file(FILES[1]) as second:
        descriptors = (first, second)
        sent = [
            part
            if isinstance(part, bytes)
            else WithDescriptors(part.data, tuple(descriptors[number] for number in part.descriptors))
            for part in parts
        ]
        return re.sub(rb"fd\[\d+\]", b"fd[n]", exchange(address, *sent))


@pytest.mark.parametrize("parts", CONVERSATIONS, ids=lambda parts: repr(parts)[:60])
def test_fake_and_real_clamd_say_the_same(real: RealClamd, fake: FakeClamd, parts: tuple[Part, ...]) -> None:
    assert answer(fake.address, parts) == answer(real.address_unix, parts)
