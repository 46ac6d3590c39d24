"""Nothing but a whole, exact reply about this very command makes a file clean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.antivirus.engines import clamd_protocol
from synapse_bum.antivirus.engines.clamd_protocol import ClamdAddress, ReplyReader, ReplyTooLongError, Transport
from synapse_bum.antivirus.engines.engine import (
    Clean,
    EngineVersion,
    Failed,
    FailureReason,
    Infected,
    NotFullyScanned,
)

FILDES, INSTREAM = Transport.FILDES, Transport.INSTREAM


@pytest.mark.parametrize(
    ("reply", "transport", "result"),
    [
        (b"7: fd[12]: OK", FILDES, Clean()),
        (b"7: stream: OK", INSTREAM, Clean()),
        (b"7: fd[12]: Eicar-Test-Signature FOUND", FILDES, Infected("Eicar-Test-Signature")),
        (b"7: stream: Win.Test.EICAR_HDB-1 FOUND", INSTREAM, Infected("Win.Test.EICAR_HDB-1")),
        (b"7: fd[9]: Eicar(44d88612fea8a8f36de82e1278abb02f:68) FOUND", FILDES, Infected("Eicar")),
        (b"7: fd[9]: OK FOUND", FILDES, Infected("OK")),
        (
            b"7: fd[9]: Heuristics.Limits.Exceeded.MaxFileSize FOUND",
            FILDES,
            NotFullyScanned("Heuristics.Limits.Exceeded.MaxFileSize"),
        ),
        (b"7: fd[9]: Heuristics.Encrypted.Zip FOUND", FILDES, Infected("Heuristics.Encrypted.Zip")),
    ],
)
def test_a_verdict_is_read_as_clamd_means_it(reply: bytes, transport: Transport, result: object) -> None:
    assert clamd_protocol.scan_result(reply, transport, 7) == result


@pytest.mark.parametrize(
    ("reply", "transport", "reason"),
    [
        (b"", FILDES, FailureReason.NOT_UNDERSTOOD),
        (b"OK", FILDES, FailureReason.NOT_UNDERSTOOD),
        (b"fd[12]: OK", FILDES, FailureReason.NOT_UNDERSTOOD),
        (b"6: fd[12]: OK", FILDES, FailureReason.NOT_UNDERSTOOD),
        (b"07: fd[12]: OK", FILDES, FailureReason.NOT_UNDERSTOOD),
        (b"7: stream: OK", FILDES, FailureReason.NOT_UNDERSTOOD),
        (b"7: fd[12]: OK", INSTREAM, FailureReason.NOT_UNDERSTOOD),
        (b"7: fd[12]: OK ", FILDES, FailureReason.NOT_UNDERSTOOD),
        (b"7: fd[12]: OK\n", FILDES, FailureReason.NOT_UNDERSTOOD),
        (b"7: fd[12]: ok", FILDES, FailureReason.NOT_UNDERSTOOD),
        (b"7: fd[x]: OK", FILDES, FailureReason.NOT_UNDERSTOOD),
        (b"7: /etc/passwd: OK", FILDES, FailureReason.NOT_UNDERSTOOD),
        (b"7: fd[12]:  FOUND", FILDES, FailureReason.NOT_UNDERSTOOD),
        (b"7: fd[12]: Two words FOUND", FILDES, FailureReason.NOT_UNDERSTOOD),
        (b"7: fd[12]: Eicar FOUND: OK", FILDES, FailureReason.NOT_UNDERSTOOD),
        (b"7: fd[12]: Not a regular file ERROR", FILDES, FailureReason.ENGINE_ERROR),
        (b"7: Command invalid inside IDSESSION. ERROR", FILDES, FailureReason.ENGINE_ERROR),
        (b"PROTOCOL ERROR: ancillary data sent without FILDES. ERROR", FILDES, FailureReason.ENGINE_ERROR),
        (b"7: INSTREAM size limit exceeded. ERROR", INSTREAM, FailureReason.TOO_LARGE),
        (b"INSTREAM size limit exceeded. ERROR", INSTREAM, FailureReason.TOO_LARGE),
        (b"COMMAND READ TIMED OUT", FILDES, FailureReason.NOT_UNDERSTOOD),
        (b"UNKNOWN COMMAND", FILDES, FailureReason.NOT_UNDERSTOOD),
    ],
)
def test_everything_else_is_a_failure_and_never_clean(
    reply: bytes, transport: Transport, reason: FailureReason
) -> None:
    result = clamd_protocol.scan_result(reply, transport, 7)
    assert isinstance(result, Failed)
    assert result.reason is reason


@given(st.binary(max_size=200), st.sampled_from(Transport), st.integers(1, 10**6))
def test_no_garbage_is_clean(reply: bytes, transport: Transport, expected_id: int) -> None:
    exact = (b"%d: fd[" % expected_id, b"%d: stream: OK" % expected_id)
    if not reply.startswith(exact):
        assert not isinstance(clamd_protocol.scan_result(reply, transport, expected_id), Clean)


@given(st.integers(0, 40), st.integers(0, 255))
def test_one_changed_byte_never_turns_a_finding_into_clean(position: int, byte: int) -> None:
    reply = bytearray(b"7: fd[12]: Eicar-Test-Signature FOUND")
    reply[position % len(reply)] = byte
    assert not isinstance(clamd_protocol.scan_result(bytes(reply), FILDES, 7), Clean)


@given(st.lists(st.binary(max_size=60).filter(lambda reply: b"\0" not in reply), max_size=8), st.data())
def test_replies_are_the_same_however_the_connection_cuts_them(replies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(reply + b"\0" for reply in replies)
    reader, found = ReplyReader(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        reader.feed(stream[:size])
        stream = stream[size:]
        while (reply := reader.next_reply()) is not None:
            found.append(reply)
    assert found == replies
    assert not reader.pending


def test_half_a_reply_is_no_reply() -> None:
    reader = ReplyReader()
    reader.feed(b"7: fd[12]: OK")
    assert reader.next_reply() is None
    assert reader.pending


def test_a_reply_without_end_is_given_up() -> None:
    reader = ReplyReader()
    reader.feed(b"x" * (clamd_protocol.MAX_REPLY_BYTES + 1))
    with pytest.raises(ReplyTooLongError):
        reader.next_reply()


@pytest.mark.parametrize(
    ("reply", "version"),
    [
        (b"ClamAV 1.4.6", EngineVersion("ClamAV 1.4.6")),
        (
            b"ClamAV 1.4.6/27800/Sat Nov 21 09:23:00 2026",
            EngineVersion("ClamAV 1.4.6", "27800", 1_795_252_980_000),
        ),
        (b"ClamAV 0.103.8/26900/Sun May  7 08:22:59 2023", EngineVersion("ClamAV 0.103.8", "26900", 1_683_447_779_000)),
        (b"PONG", None),
        (b"", None),
        (b"ClamAV 1.4.6/27800", None),
        (b"ClamAV 1.4.6/27800/yesterday", None),
    ],
)
def test_the_version_tells_the_signature_base(reply: bytes, version: EngineVersion | None) -> None:
    assert clamd_protocol.parse_version(reply) == version


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("unix:/run/clamav/clamd.ctl", ClamdAddress(path="/run/clamav/clamd.ctl")),
        ("tcp:clamd.example:3310", ClamdAddress(host="clamd.example", port=3310)),
        ("tcp:127.0.0.1:3310", ClamdAddress(host="127.0.0.1", port=3310)),
        ("tcp:[::1]:3310", ClamdAddress(host="::1", port=3310)),
    ],
)
def test_an_address_says_where_and_how(address: str, where: ClamdAddress) -> None:
    assert clamd_protocol.parse_address(address) == where
    assert where.transport is (FILDES if where.path else INSTREAM)


@pytest.mark.parametrize(
    "address",
    [
        *("", "unix:", "unix:relative", "unix:/" + "x" * 107, "tcp:host", "tcp:host:0", "tcp:host:65536", "tcp::3310"),
        *("tcp:ho st:1", "http://host:1", "/run/clamd.ctl", "tcp:host:3310/x"),
    ],
)
def test_a_wrong_address_is_refused_with_a_sentence(address: str) -> None:
    with pytest.raises(ValueError, match=r"unix|port|path"):
        clamd_protocol.parse_address(address)


def test_what_a_scanner_says_is_harmless_in_a_log() -> None:
    assert clamd_protocol.printable(b"a\n\x1b[31m\xff\\") == "a\\x0a\\x1b[31m\\xff\\x5c"
    assert len(clamd_protocol.printable(b"x" * 1000)) < 250
