"""`CutLine`: the network between two servers of this machine, which can be cut and mended."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Final

from typing_extensions import Self

from synapse_bum.testing.local_server import LOOPBACK, free_port

_CHUNK: Final = 1 << 16
_BACKLOG: Final = 128


class CutLine:
    """Passes TCP connections on, byte for byte, as long as it is whole; a context manager.

    Attributes:
        port: where the far side is reached.
    """

    def __init__(self, target_port: int, port: int | None = None) -> None:
        """Nothing listens yet.

        Args:
            target_port: of the server behind it, on the loopback interface.
            port: where to listen, when that is decided already.
        """
        self.port = port or free_port()
        self._target_port = target_port
        self._lock = threading.Lock()
        self._listening: socket.socket | None = None
        self._open: set[socket.socket] = set()

    @property
    def is_whole(self) -> bool:
        """Whether connections are accepted."""
        return self._listening is not None

    def mend(self) -> None:
        """Accept connections, from now on or again."""
        assert self._listening is None, "the line is whole"
        listening = socket.create_server((LOOPBACK, self.port), backlog=_BACKLOG)
        self._listening = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def cut(self) -> None:
        """End all connections and accept no new ones, until `mend`."""
        listening, self._listening = self._listening, None
        if listening is not None:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)  # wakes up `accept`
            listening.close()
        with self._lock:
            ended, self._open = self._open, set()
        for connection in ended:
            _end(connection)

    def __enter__(self) -> Self:
        self.mend()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cut()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                near, _address = listening.accept()
            except OSError:
                return  # cut
            try:
                far = socket.create_connection((LOOPBACK, self._target_port))
            except OSError:
                near.close()  # nobody is there: the other side sees what it would see without the line
                continue
            with self._lock:
                self._open |= {near, far}
            if self._listening is not listening:
                _end(near)
                _end(far)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        """Ends both ways with the first: HTTP has no use for a half."""
        with contextlib.suppress(OSError):
            while received := source.recv(_CHUNK):
                sink.sendall(received)
        with self._lock:
            self._open -= {source, sink}
        _end(source)
        _end(sink)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
