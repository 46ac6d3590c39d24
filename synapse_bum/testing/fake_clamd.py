"""A fake clamd that misbehaves on command, for any client: threads and plain sockets, unix or TCP.

This file listens and keeps track of connections; what is said on one is in `fake_clamd_protocol`, with what clamd was
observed to do.
"""

import socket
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Final

from typing_extensions import Self

from synapse_bum.testing.fake_clamd_protocol import STREAM_LIMIT, TIMED_OUT, Answer, Conversation, Playbook, Request
from synapse_bum.testing.local_server import LOOPBACK

__all__ = ["STREAM_LIMIT", "TIMED_OUT", "Answer", "FakeClamd", "Request"]

_JOIN_SECONDS: Final = 30.0
_BACKLOG: Final = 128


class FakeClamd(Playbook):
    """A server for as many connections as the client opens; a context manager that starts and stops it.

    Example::

        with FakeClamd() as clamd:
            clamd.script(Answer(delay=0.2), Answer(raw=b"what?"))  # for the next two scans; then as real

    Attributes:
        hang_up_on_connect: close each new connection at once.
    """

    def __init__(self, *, tcp: bool = False, socket_path: Path | None = None) -> None:
        """Prepare a server; `start()` or entering the context starts it.

        Args:
            tcp: listen on a free port of the loopback interface instead of a unix socket.
            socket_path: where the unix socket shall be; in a temporary directory when None.
        """
        super().__init__()
        self.hang_up_on_connect = False
        self._temporary = tempfile.TemporaryDirectory(prefix="bum-fake-clamd-")
        self._path = None if tcp else socket_path or Path(self._temporary.name) / "clamd.sock"
        self._port = 0
        self._listener: socket.socket | None = None
        self._accepting: threading.Thread | None = None
        self._serving: dict[Conversation, threading.Thread] = {}
        self._connections = 0
        self._guard = threading.Lock()

    @property
    def address(self) -> str:
        """The address as modules are told it; of a TCP server only once it was started."""
        return f"tcp:{LOOPBACK}:{self._port}" if self._path is None else f"unix:{self._path}"

    @property
    def connections(self) -> int:
        """How many connections were accepted so far."""
        with self._guard:
            return self._connections

    def start(self) -> None:
        """Listen, at the same address as before if there was one."""
        if self._path is None:
            self._listener = socket.create_server((LOOPBACK, self._port), backlog=_BACKLOG)
            self._port = self._listener.getsockname()[1]
        else:
            self._path.unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self._path))
            self._listener.listen(_BACKLOG)
        self._accepting = threading.Thread(target=self._accept_all, args=(self._listener,), daemon=True)
        self._accepting.start()

    def refuse(self) -> None:
        """Stop listening: new connections are refused until `start()`, accepted ones go on. A socket file stays."""
        if self._listener is not None and self._accepting is not None:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`, which `close` would not
            self._accepting.join(_JOIN_SECONDS)
            self._listener.close()
            self._listener = None

    def drop_connections(self) -> None:
        """Close all connections at once, as a crash would."""
        with self._guard:
            conversations = list(self._serving)
        for conversation in conversations:
            conversation.abort()

    def stop(self) -> None:
        """Stop listening, close all connections and wait for the threads; `start()` begins again."""
        self.refuse()
        with self._guard:
            threads = list(self._serving.values())
        self.drop_connections()
        for thread in threads:
            thread.join(_JOIN_SECONDS)
            assert not thread.is_alive(), "a thread of the fake clamd hangs"

    def close(self) -> None:
        """Stop, and remove the temporary directory."""
        self.stop()
        self._temporary.cleanup()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _accept_all(self, listener: socket.socket) -> None:
        while True:
            try:
                accepted, _address = listener.accept()
            except OSError:
                return
            self._take(accepted)

    def _take(self, accepted: socket.socket) -> None:
        with self._guard:
            self._connections += 1
            if self.hang_up_on_connect:
                accepted.close()
                return
            conversation = Conversation(self, accepted, self._connections)
            thread = threading.Thread(target=self._serve, args=(conversation, accepted), daemon=True)
            self._serving[conversation] = thread
            thread.start()

    def _serve(self, conversation: Conversation, accepted: socket.socket) -> None:
        with accepted:
            conversation.run()
        with self._guard:
            del self._serving[conversation]
