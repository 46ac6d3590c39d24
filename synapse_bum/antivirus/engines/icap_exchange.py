"""OPTIONS and RESPMOD from first byte to answer, as state machines without I/O (RFC 3507 sections 4.5, 4.9 and 4.10).

Each is told what was sent and fed what came, and says when the rest may be sent and what the outcome is. Nothing here
knows sockets, threads or time; what the words of a reply mean stands in `icap_verdict.py`.
"""

import hashlib

import attr

from synapse_bum.antivirus.engines import icap_verdict
from synapse_bum.antivirus.engines.engine import Clean, EngineError, Failed, FailureReason, ScanResult
from synapse_bum.antivirus.engines.icap_protocol import (
    BodyData,
    Encapsulated,
    EndOfReply,
    Event,
    Headers,
    HttpHead,
    IcapProtocolError,
    ReplyHead,
    ReplyReader,
)
from synapse_bum.antivirus.engines.icap_verdict import Reply, ServiceOptions

MAX_BLOCK_PAGE_BYTES = 1024 * 1024
"""Longest body that is read to its end when it can't be the file itself."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class SentBack:
    """The whole file was taken and as many bytes came back: clean if they are the file, so somebody has to compare.

    Attributes:
        reply: everything else about the reply.
        sha256: of the body that came back.
    """

    reply: Reply
    sha256: bytes


class OptionsExchange:
    """What is known of one question for the options of the service.

    Attributes:
        outcome: None while the reply is not there. An `EngineError` is the answer "not usable".
        connection_is_reusable: the server has said all and keeps the connection open.
    """

    def __init__(self) -> None:
        self.outcome: ServiceOptions | EngineError | None = None
        self.connection_is_reusable = False
        self._reader = ReplyReader()
        self._head: ReplyHead | None = None

    def receive(self, data: bytes) -> None:
        """Take in what the server sent, in pieces of any size."""
        self._reader.feed(data)
        try:
            while self.outcome is None and (event := self._reader.next_event()) is not None:
                if isinstance(event, ReplyHead):
                    self._head = event
                elif isinstance(event, EndOfReply) and self._head is not None:
                    self.outcome = icap_verdict.service_options(self._head)
                    staying = "close" not in self._head.headers.tokens("connection")
                    self.connection_is_reusable = staying and not self._reader.pending
        except IcapProtocolError as error:
            self.outcome = EngineError(FailureReason.NOT_UNDERSTOOD, f"reply to OPTIONS not understood: {error.detail}")
        except EngineError as error:
            self.outcome = error


class RespmodExchange:
    """What is known of one request and its reply.

    Attributes:
        outcome: None while the reply is not there. Once there, it stays.
        may_continue: the server wants what comes after the preview.
        whole_file_sent: to be set by the sender when the last chunk has been written.
    """

    def __init__(self, size: int, preview: int | None) -> None:
        """Begin with nothing sent.

        Args:
            size: of the file, in bytes.
            preview: how many bytes are sent before the server's go-ahead; None for all of them.
        """
        self.outcome: ScanResult | SentBack | None = None
        self.may_continue = preview is None
        self.whole_file_sent = False
        self._size = size
        self._reader = ReplyReader()
        self._reply = Reply(0, Headers())
        self._ended = False
        self._body_bytes = 0
        self._body_digest = hashlib.sha256()

    def receive(self, data: bytes) -> None:
        """Take in what the server sent, in pieces of any size."""
        if self.outcome is not None:
            return
        self._reader.feed(data)
        try:
            while self.outcome is None and (event := self._reader.next_event()) is not None:
                self.outcome = self._handle(event)
            if isinstance(self.outcome, (Clean, SentBack)) and self._reader.pending:
                raise IcapProtocolError("more than one reply to one request")
        except IcapProtocolError as error:
            self.outcome = Failed(FailureReason.NOT_UNDERSTOOD, f"reply not understood: {error.detail}")

    @property
    def connection_is_reusable(self) -> bool:
        """Whether both sides are done with this request and the server keeps the connection open."""
        done = self.whole_file_sent and self._ended and not self._reader.pending
        return done and "close" not in self._reply.headers.tokens("connection")

    @property
    def istag(self) -> str | None:
        """State of the service as the reply gives it."""
        return icap_verdict.istag(self._reply.headers)

    def _handle(self, event: Event) -> ScanResult | SentBack | None:
        if isinstance(event, ReplyHead):
            return self._handle_continue(event) if event.status == 100 else self._handle_head(event)
        if isinstance(event, HttpHead):
            self._reply = attr.evolve(self._reply, http_status=event.status)
            return None
        if isinstance(event, BodyData):
            return self._handle_body(event.data)
        return self._handle_end(event)

    def _handle_continue(self, head: ReplyHead) -> ScanResult | None:
        if self.may_continue:
            raise IcapProtocolError("100 Continue where nothing is held back")
        self.may_continue = True
        return icap_verdict.named_threat(head.headers)

    def _handle_head(self, head: ReplyHead) -> ScanResult | None:
        self._reply = Reply(head.status, head.headers)
        if head.status not in {200, 204} or icap_verdict.named_threat(head.headers) is not None:
            return self._verdict()
        if head.status == 200 and head.encapsulated is None:
            raise IcapProtocolError("status 200 without Encapsulated")
        if head.status == 204 and head.encapsulated not in {None, Encapsulated(0, has_body=False)}:
            raise IcapProtocolError("status 204 with a body")
        return None

    def _handle_body(self, data: bytes) -> ScanResult | None:
        self._body_bytes += len(data)
        self._body_digest.update(data)
        return self._verdict() if self._body_bytes > max(self._size, MAX_BLOCK_PAGE_BYTES) else None

    def _handle_end(self, end: EndOfReply) -> ScanResult | SentBack:
        self._ended = True
        headers = Headers(self._reply.headers.fields + end.trailer.fields)
        self._reply = attr.evolve(self._reply, headers=headers)
        might_be_the_file = self._reply.http_status == 200 and self._body_bytes == self._size
        if might_be_the_file and self.whole_file_sent and icap_verdict.named_threat(headers) is None:
            return SentBack(self._reply, self._body_digest.digest())
        return self._verdict()

    def _verdict(self) -> ScanResult:
        return icap_verdict.verdict(self._reply, file_taken=self.whole_file_sent, same_bytes=False)
