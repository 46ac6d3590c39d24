"""The network of the tests: whole it passes everything on, cut it ends what runs and lets nothing in."""

import socket
import threading
from collections.abc import Iterator

import pytest

from synapse_bum.testing.cut_line import CutLine
from synapse_bum.testing.local_server import LOOPBACK

SECONDS = 10.0


@pytest.fixture
def echo() -> Iterator[int]:
    """Port of a server that answers with what it was told."""
    listening = socket.create_server((LOOPBACK, 0))

    def serve() -> None:
        while True:
            try:
                connection, _address = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection:
            while received := connection.recv(1024):
                connection.sendall(received)

    threading.Thread(target=serve, daemon=True).start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def test_a_line_passes_on_until_it_is_cut_and_again_when_it_is_mended(echo: int) -> None:
    with CutLine(echo) as line:
        for word in (b"before", b"after"):
            with socket.create_connection((LOOPBACK, line.port), SECONDS) as client:
                client.sendall(word)
                assert client.recv(1024) == word
                line.cut()
                assert not line.is_whole
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection((LOOPBACK, line.port), SECONDS)
                assert is_over(client)
            line.mend()


def is_over(client: socket.socket) -> bool:
    try:
        return client.recv(1024) == b""
    except ConnectionResetError:
        return True


def test_nobody_behind_a_line_looks_like_nobody_there() -> None:
    with socket.create_server((LOOPBACK, 0)) as listening:
        nobody = listening.getsockname()[1]
    with CutLine(nobody) as line, socket.create_connection((LOOPBACK, line.port), SECONDS) as client:
        assert is_over(client)
