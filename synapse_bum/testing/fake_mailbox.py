"""`FakeMailbox`: a mail server on the loopback interface that takes every mail, and keeps it for the test."""

import queue
import socketserver
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType

from typing_extensions import Self

from synapse_bum.testing.local_server import LOOPBACK

_POLL_S = 0.02


class FakeMailbox:
    """Speaks as much of SMTP (RFC 5321) as Synapse's mailer needs, without TLS.

    Attributes:
        port: on the loopback interface.
    """

    def __init__(self) -> None:
        """Binds a port; entering the context begins to answer."""
        self._mails: queue.Queue[EmailMessage] = queue.Queue()
        mails = self._mails

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 mailbox")
                while line := self.rfile.readline():
                    word = line[:4].upper().strip()
                    if word == b"DATA":
                        self._say("354 go on")
                        mails.put(self._mail())
                    self._say("221 bye" if word == b"QUIT" else "250 fine")
                    if word == b"QUIT":
                        return

            def _mail(self) -> EmailMessage:
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line[1:] if line.startswith(b"..") else line)
                return message_from_bytes(b"".join(lines), policy=policy.default)

            def _say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

        self._server = socketserver.ThreadingTCPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_S,), daemon=True)

    def next(self, timeout: float = 30.0) -> EmailMessage:
        """Wait for a mail.

        Raises:
            queue.Empty: none came in time.
        """
        return self._mails.get(timeout=timeout)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
