"""The fake clamd answers like clamd, misbehaves as told, and remembers what it was asked."""

import hashlib
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import clamd  # type: ignore[import-untyped]
import pytest

from synapse_bum.testing.fake_clamd import STREAM_LIMIT, TIMED_OUT, Answer, FakeClamd
from synapse_bum.testing.malware import EICAR, filler
from synapse_bum.testing.raw_clamd import (
    WithDescriptors,
    connect,
    descriptor_scan,
    exchange,
    memory_file,
    read_to_end,
    scan_descriptor,
    scan_stream,
    send,
    stream_scan,
)

FOUND = b"Eicar-Test-Signature.UNOFFICIAL FOUND"
PING = b"zPING\0"
START, END = b"zIDSESSION\0", b"zEND\0"


@pytest.fixture(params=["unix", "tcp"])
def fake(request: pytest.FixtureRequest) -> Iterator[FakeClamd]:
    with FakeClamd(tcp=request.param == "tcp") as server:
        yield server


@pytest.fixture
def local() -> Iterator[FakeClamd]:
    with FakeClamd() as server:
        yield server


@pytest.fixture
def eicar() -> Iterator[int]:
    with memory_file(EICAR) as descriptor:
        yield descriptor


@pytest.fixture
def clean() -> Iterator[int]:
    with memory_file(b"clean") as descriptor:
        yield descriptor


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def independent_client(fake: FakeClamd) -> clamd.ClamdNetworkSocket:
    kind, _, where = fake.address.partition(":")
    if kind == "unix":
        return clamd.ClamdUnixSocket(where, timeout=30)
    host, _, port = where.partition(":")
    return clamd.ClamdNetworkSocket(host, int(port), timeout=30)


class TestLikeClamd:
    """What well-behaved clients see."""

    def test_a_reply_ends_like_its_command(self, fake: FakeClamd) -> None:
        assert exchange(fake.address, PING) == b"PONG\0"
        assert exchange(fake.address, b"nPING\n") == b"PONG\n"

    def test_one_command_per_connection(self, fake: FakeClamd) -> None:
        assert exchange(fake.address, PING + PING) == b"PONG\0"
        assert [request.command for request in fake.requests] == ["PING"]

    def test_unknown_commands_are_named_so(self, fake: FakeClamd) -> None:
        assert exchange(fake.address, b"zBOGUS\0") == b"UNKNOWN COMMAND\0"
        assert exchange(fake.address, b"GET / HTTP/1.1\r\n\r\n") == b"UNKNOWN COMMAND\n"

    def test_streams_are_judged_by_their_content(self, fake: FakeClamd) -> None:
        assert scan_stream(fake.address, EICAR) == b"stream: " + FOUND + b"\0"
        assert scan_stream(fake.address, b"clean") == b"stream: OK\0"
        assert scan_stream(fake.address, b"") == b"stream: OK\0"

    def test_descriptors_are_read_from_their_beginning(self, local: FakeClamd, eicar: int, clean: int) -> None:
        os.lseek(eicar, 0, os.SEEK_END)
        assert scan_descriptor(local.address, eicar) == b"fd[11]: " + FOUND + b"\0"
        assert scan_descriptor(local.address, clean) == b"fd[11]: OK\0"

    def test_sessions_number_their_replies(self, local: FakeClamd, eicar: int) -> None:
        answer = exchange(local.address, START + PING, descriptor_scan(eicar), *stream_scan(b"clean"), END)
        assert answer == b"1: PONG\x002: fd[11]: " + FOUND + b"\x003: stream: OK\0"

    def test_a_stream_beyond_the_limit_ends_the_session(self, fake: FakeClamd) -> None:
        fake.stream_max_length = 100
        assert scan_stream(fake.address, bytes(100)) == b"stream: OK\0"
        assert exchange(fake.address, START + PING, b"".join(stream_scan(bytes(101))) + PING) == (
            b"1: PONG\x002: INSTREAM size limit exceeded. ERROR\0"
        )

    @pytest.mark.parametrize("command", [b"BOGUS", b"IDSESSION", b"RELOAD"])
    def test_sessions_end_at_a_command_that_is_not_for_them(self, fake: FakeClamd, command: bytes) -> None:
        answer = exchange(fake.address, START + b"z" + command + b"\0" + PING)
        assert answer == b"1: Command invalid inside IDSESSION. ERROR\0"

    def test_a_session_without_end_command_stays_open(self, fake: FakeClamd) -> None:
        with pytest.raises(TimeoutError):
            exchange(fake.address, START + PING, timeout=0.1)

    def test_the_independent_client_understands_it(self, fake: FakeClamd) -> None:
        client = independent_client(fake)
        assert client.ping() == "PONG"
        assert client.version() == "ClamAV 1.4.6/27821/Sun Nov 22 08:26:57 2026"
        assert client.reload() == "RELOADING"
        assert client.stats().startswith("POOLS: 1\n")
        assert client.instream(io.BytesIO(EICAR)) == {"stream": ("FOUND", "Eicar-Test-Signature.UNOFFICIAL")}
        assert client.instream(io.BytesIO(b"clean")) == {"stream": ("OK", None)}
        fake.script(STREAM_LIMIT)
        with pytest.raises(clamd.BufferTooLongError):
            client.instream(io.BytesIO(b"clean"))


class TestDescriptors:
    """How a descriptor may arrive. Where clamd would refuse it, so does the fake."""

    def test_with_the_byte_after_the_command(self, local: FakeClamd, eicar: int) -> None:
        answer = exchange(local.address, b"zFILDES\0", WithDescriptors(b"\0", (eicar,)))
        assert answer == b"fd[11]: " + FOUND + b"\0"

    def test_not_with_the_command_alone(self, local: FakeClamd, eicar: int) -> None:
        answer = exchange(local.address, WithDescriptors(b"zFILDES\0", (eicar,)))
        assert answer.startswith(b"PROTOCOL ERROR: ancillary data sent without FILDES. ERROR\0")

    def test_not_with_the_first_byte_of_the_command(self, local: FakeClamd, eicar: int) -> None:
        answer = exchange(local.address, WithDescriptors(b"z", (eicar,)), b"FILDES\0\0")
        assert answer.startswith(b"PROTOCOL ERROR: ancillary data sent without FILDES. ERROR\0")

    def test_not_two_at_once(self, local: FakeClamd, eicar: int, clean: int) -> None:
        answer = exchange(local.address, WithDescriptors(b"zFILDES\0\0", (eicar, clean)))
        assert answer == b"No file descriptor received. ERROR\0"

    def test_not_missing(self, fake: FakeClamd) -> None:
        assert exchange(fake.address, b"zFILDES\0\0") == b"No file descriptor received. ERROR\0"
        answer = exchange(fake.address, START + b"zFILDES\0\0" + PING)
        assert answer == b"1: No file descriptor received. ERROR\0"

    def test_not_of_something_else_than_a_file(self, local: FakeClamd, tmp_path: Path) -> None:
        directory = os.open(tmp_path, os.O_RDONLY)
        try:
            assert scan_descriptor(local.address, directory) == b"fd[11]: Not a regular file ERROR\0"
        finally:
            os.close(directory)

    def test_none_is_leaked(self, local: FakeClamd, eicar: int, clean: int) -> None:
        before = open_descriptors()
        scan_descriptor(local.address, eicar)
        exchange(local.address, WithDescriptors(b"zFILDES\0\0", (eicar, clean)))
        exchange(local.address, WithDescriptors(b"zFILDES\0", (eicar,)))
        local.stop()
        assert open_descriptors() == before - 1  # the listener is gone too


class TestMisbehaviour:
    """What the script can make it do, one promise each."""

    def test_answers_as_scripted_and_then_as_real(self, fake: FakeClamd) -> None:
        fake.script(Answer(verdict="Can't write to file ERROR"), Answer(line="what?"), Answer(raw=b"\xff\n"))
        answers = [scan_stream(fake.address, b"clean") for _ in range(4)]
        assert answers == [b"stream: Can't write to file ERROR\0", b"what?\0", b"\xff\n", b"stream: OK\0"]

    def test_a_judge_decides_by_what_was_sent(self, fake: FakeClamd) -> None:
        deadly = sha256(b"deadly")
        fake.judge = lambda request: Answer(cut_after=0) if request.sha256 == deadly else Answer()
        assert scan_stream(fake.address, b"deadly") == b""
        assert scan_stream(fake.address, EICAR) == b"stream: " + FOUND + b"\0"

    def test_other_commands_can_be_scripted_by_name(self, fake: FakeClamd) -> None:
        fake.replies["VERSION"] = Answer(line="ClamAV 1.4.6")
        assert exchange(fake.address, b"zVERSION\0") == b"ClamAV 1.4.6\0"

    def test_a_late_answer_comes_late_and_does_not_block_the_session(self, fake: FakeClamd) -> None:
        fake.script(Answer(delay=0.2))
        began = time.monotonic()
        answer = exchange(fake.address, START, *stream_scan(b"slow"), PING, END)
        assert answer == b"2: PONG\x001: stream: OK\0"
        assert time.monotonic() - began >= 0.2

    def test_one_byte_pieces(self, fake: FakeClamd) -> None:
        fake.script(Answer(piece_size=1))
        pieces = []
        with connect(fake.address) as connection:
            for part in stream_scan(b"clean"):
                send(connection, part)
            while piece := connection.recv(100):
                pieces.append(piece)
        assert b"".join(pieces) == b"stream: OK\0"
        assert len(pieces) > 3

    def test_close_in_the_middle_of_a_reply(self, fake: FakeClamd) -> None:
        fake.script(Answer(cut_after=9))
        assert exchange(fake.address, START, *stream_scan(b"clean")) == b"1: stream"

    @pytest.mark.parametrize("session", [b"", START])
    def test_never_answer(self, fake: FakeClamd, session: bytes) -> None:
        fake.script(Answer(silent=True))
        with pytest.raises(TimeoutError):
            exchange(fake.address, session, *stream_scan(b"clean"), timeout=0.1)
        assert fake.requests[0].sha256 == sha256(b"clean")

    def test_silence_leaves_the_rest_of_the_session_alone(self, fake: FakeClamd) -> None:
        fake.script(Answer(silent=True))
        assert exchange(fake.address, START, *stream_scan(b"clean"), PING, END) == b"2: PONG\0"

    def test_close_right_after_the_command(self, local: FakeClamd, eicar: int) -> None:
        local.script(Answer(hang_up_after=0), Answer(hang_up_after=0))
        assert scan_descriptor(local.address, eicar) == b""
        assert exchange(local.address, b"zINSTREAM\0") == b""

    def test_close_in_the_middle_of_a_stream(self, fake: FakeClamd) -> None:
        fake.script(Answer(hang_up_after=150))
        content = filler(300)
        assert scan_stream(fake.address, content, chunk_size=100) == b""
        (request,) = fake.wait_for_requests(1)
        assert (request.complete, request.size, request.sha256) == (False, 150, sha256(content[:150]))

    def test_stop_reading_in_the_middle_of_a_stream(self, fake: FakeClamd) -> None:
        fake.script(Answer(stall_after=1000))
        with pytest.raises(TimeoutError):
            exchange(fake.address, *stream_scan(bytes(20_000_000)), timeout=0.2)
        assert fake.wait_for_requests(1)[0].size == 1000

    def test_several_replies_at_once_and_out_of_order(self, fake: FakeClamd) -> None:
        fake.script(Answer(hold=True), Answer(hold=True), Answer())
        with connect(fake.address) as connection:
            send(connection, START)
            for content in (EICAR, b"clean", b"too"):
                for part in stream_scan(content):
                    send(connection, part)
            answer = connection.recv(1000)
        assert answer == b"3: stream: OK\x002: stream: OK\x001: stream: " + FOUND + b"\0"

    def test_held_replies_come_at_the_end_at_the_latest(self, fake: FakeClamd) -> None:
        fake.script(Answer(hold=True))
        assert exchange(fake.address, START, *stream_scan(b"clean"), END) == b"1: stream: OK\0"

    def test_an_id_that_nobody_asked_for(self, fake: FakeClamd) -> None:
        fake.script(Answer(request_id=99))
        assert exchange(fake.address, START, *stream_scan(b"clean"), END) == b"99: stream: OK\0"

    def test_a_huge_line_without_end(self, fake: FakeClamd) -> None:
        fake.script(Answer(raw=b"A" * 1_000_000))
        assert scan_stream(fake.address, b"clean") == b"A" * 1_000_000

    def test_a_timeout_in_the_middle_of_a_session(self, fake: FakeClamd) -> None:
        fake.script(TIMED_OUT)
        assert exchange(fake.address, START, *stream_scan(b"clean"), PING) == b"COMMAND READ TIMED OUT\n"

    def test_refuse_connections_and_come_back(self, fake: FakeClamd) -> None:
        with connect(fake.address) as session:
            send(session, START + PING)
            assert session.recv(100) == b"1: PONG\0"
            fake.refuse()
            with pytest.raises(ConnectionRefusedError):
                exchange(fake.address, PING)
            send(session, PING + END)
            assert read_to_end(session) == b"2: PONG\0"
        fake.start()
        assert exchange(fake.address, PING) == b"PONG\0"

    def test_hang_up_on_connect(self, fake: FakeClamd) -> None:
        fake.hang_up_on_connect = True
        assert exchange(fake.address, PING) == b""
        assert (fake.connections, fake.requests) == (1, [])

    def test_drop_all_connections(self, fake: FakeClamd) -> None:
        fake.script(Answer(delay=60), Answer(stall_after=0), Answer(silent=True))
        with connect(fake.address) as slow, connect(fake.address) as stalled, connect(fake.address) as silent:
            connections = [slow, stalled, silent]
            for number, connection in enumerate(connections, start=1):
                for part in stream_scan(b"clean"):
                    send(connection, part)
                fake.wait_for_requests(number)
            fake.drop_connections()
            assert [read_to_end(connection) for connection in connections] == [b"", b"", b""]
        assert exchange(fake.address, PING) == b"PONG\0"


class TestMemory:
    """What a test can find out about the client."""

    def test_what_was_sent_and_how(self, local: FakeClamd, eicar: int) -> None:
        content = filler(2500)
        exchange(local.address, START, *stream_scan(content, chunk_size=1000), descriptor_scan(eicar), PING, END)
        stream, descriptor, ping = local.requests
        assert (stream.command, stream.request_id, stream.connection) == ("INSTREAM", 1, 1)
        assert (stream.sha256, stream.size, stream.chunk_sizes) == (sha256(content), 2500, (1000, 1000, 500))
        assert (descriptor.command, descriptor.request_id, descriptor.sha256) == ("FILDES", 2, sha256(EICAR))
        assert (ping.command, ping.sha256) == ("PING", None)

    def test_a_client_that_leaves_in_the_middle_of_a_stream(self, fake: FakeClamd) -> None:
        with connect(fake.address) as connection:
            for part in list(stream_scan(filler(300), chunk_size=100))[:3]:
                send(connection, part)
        (request,) = fake.wait_for_requests(1)
        assert (request.complete, request.size) == (False, 200)

    def test_waiting_for_requests_is_bounded(self, fake: FakeClamd) -> None:
        with pytest.raises(TimeoutError, match="0 instead of 1 commands"):
            fake.wait_for_requests(1, timeout=0.05)

    def test_connections_are_counted(self, fake: FakeClamd) -> None:
        exchange(fake.address, PING)
        exchange(fake.address, START + PING + PING + END)
        assert fake.connections == 2
        assert [request.connection for request in fake.requests] == [1, 2, 2]


def test_the_socket_can_be_where_another_clamd_was(tmp_path: Path) -> None:
    path = tmp_path / "clamd.sock"
    for _ in range(2):
        with FakeClamd(socket_path=path) as fake:
            assert fake.address == f"unix:{path}"
            assert exchange(fake.address, PING) == b"PONG\0"
        assert path.exists()
