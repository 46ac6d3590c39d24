"""What others see of a homeserver, without the internet: web servers for any names, and a DNS server for SRV records.

Both are threads on the loopback interface; who looks is told to connect there (`synapse-bum check --connect-to`).
"""

import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import attr
from twisted.names import dns
from typing_extensions import Self

from synapse_bum.testing.local_server import LOOPBACK

_POLL_S = 0.02
_MAX_DATAGRAM = 4096


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Page:
    """What a web server answers.

    Attributes:
        body: of the answer.
        status: of HTTP.
        headers: beside those that the server sets.
    """

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = attr.Factory(dict)


class TlsWebServer:
    """Answers GET over TLS, for all names that are in its certificate.

    Attributes:
        pages: by name and path, such as `messenger.example/.well-known/matrix/server`; may be changed at any time.
        place: host and port.
    """

    def __init__(self, certificate: Path, key: Path, pages: Mapping[str, Page]) -> None:
        """Bind a port; entering the context begins to answer.

        Args:
            certificate: PEM file.
            key: PEM file.
            pages: everything else answers 404.
        """
        self.pages = dict(pages)
        world = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = (self.headers["Host"] or "").partition(":")[0]
                page = world.pages.get(f"{name}{self.path}", Page(b"", 404))
                self.send_response(page.status)
                for header, value in {**page.headers, "Content-Length": str(len(page.body))}.items():
                    self.send_header(header, value)
                self.end_headers()
                self.wfile.write(page.body)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Who looks may hang up, for example when he does not like the certificate."""

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server = Server((LOOPBACK, 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.place = (LOOPBACK, int(self._server.server_address[1]))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_S,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class SrvServer:
    """Answers questions for SRV records over UDP.

    Attributes:
        records: host and port by name, such as `_matrix-fed._tcp.messenger.example`; may be changed at any time.
        place: host and port.
    """

    def __init__(self, records: Mapping[str, tuple[str, int]]) -> None:
        """Bind a port; entering the context begins to answer.

        Args:
            records: everything else has none.
        """
        self.records = dict(records)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, 0))
        self._socket.settimeout(_POLL_S)
        self.place = (LOOPBACK, int(self._socket.getsockname()[1]))
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ends.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._ends.is_set():
            with suppress(TimeoutError):
                received, sender = self._socket.recvfrom(_MAX_DATAGRAM)
                self._socket.sendto(self._answer(received), sender)

    def _answer(self, received: bytes) -> bytes:
        question = dns.Message()
        question.fromStr(received)
        answer = dns.Message(question.id, answer=1)
        answer.queries = question.queries
        name = question.queries[0].name.name
        found = self.records.get(name.decode("ascii").lower())
        if found is not None:
            payload: Any = dns.Record_SRV(priority=10, weight=5, port=found[1], target=found[0].encode("ascii"))
            answer.answers.append(dns.RRHeader(name, dns.SRV, dns.IN, 60, payload))
        reply: bytes = answer.toStr()
        return reply
