"""ICAP replies are read exactly or not at all, in whatever pieces they come; requests are written as RFC 3507 says."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.antivirus.engines import icap_protocol
from synapse_bum.antivirus.engines.icap_protocol import (
    MAX_CHUNK_LINE_BYTES,
    MAX_HEAD_BYTES,
    BodyData,
    Encapsulated,
    EndOfReply,
    Event,
    Headers,
    HttpHead,
    IcapAddress,
    IcapProtocolError,
    ReplyHead,
    ReplyReader,
)

HTTP_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
HEAD = b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=%d\r\n\r\n" % len(HTTP_HEAD)
NO_BODY = Encapsulated(0, has_body=False)


def read(pieces: Iterable[bytes]) -> list[Event]:
    """All events of a reply that comes in `pieces`; what comes of the body in a row is joined."""
    reader = ReplyReader()
    events: list[Event] = []
    for piece in pieces:
        reader.feed(piece)
        while (event := reader.next_event()) is not None:
            if isinstance(event, BodyData) and events and isinstance(events[-1], BodyData):
                event = BodyData(events.pop().data + event.data)  # type: ignore[union-attr]
            events.append(event)
    return events


def outcome(pieces: Iterable[bytes]) -> list[Event] | str:
    try:
        return read(pieces)
    except IcapProtocolError as error:
        return error.detail


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def test_a_reply_without_a_body_ends_with_its_head() -> None:
    headers = Headers((("istag", '"x"'), ("server", "C-ICAP/0.5.10")))
    assert read([b'ICAP/1.0 204 Unmodified\r\nISTag: "x"\r\nServer: C-ICAP/0.5.10\r\n\r\n']) == [
        ReplyHead(204, headers, None),
        EndOfReply(Headers()),
    ]


def test_a_reply_with_a_body_is_read_to_its_last_chunk() -> None:
    assert read([HEAD + HTTP_HEAD + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"])[1:] == [
        HttpHead(200),
        BodyData(b"hello"),
        EndOfReply(Headers()),
    ]


def test_100_continue_is_followed_by_another_head() -> None:
    assert read([b"ICAP/1.0 100 Continue\r\n\r\nICAP/1.0 204 No Content\r\n\r\n"]) == [
        ReplyHead(100, Headers(), None),
        ReplyHead(204, Headers(), None),
        EndOfReply(Headers()),
    ]


def test_lines_of_a_folded_header_stay_apart() -> None:
    reply = b"ICAP/1.0 204 OK\r\nX-Violations-Found: 1\r\n\t-\r\n\tEicar\r\n\t0\r\n\t0\r\n\r\n"
    assert read([reply])[0] == ReplyHead(204, Headers((("x-violations-found", "1\n-\nEicar\n0\n0"),)), None)


def test_chunk_extensions_are_ignored_and_trailers_are_read() -> None:
    body = b'5;name="value";x\r\nhello\r\n0 ; last\r\nX-Infection-Found: a\r\nB: c\r\n\r\n'
    assert read([HEAD + HTTP_HEAD + body])[2:] == [
        BodyData(b"hello"),
        EndOfReply(Headers((("x-infection-found", "a"), ("b", "c")))),
    ]


@pytest.mark.parametrize(
    ("value", "announced"),
    [
        (b"null-body=0", NO_BODY),
        (b"opt-body=0", Encapsulated(0, has_body=True)),
        (b"res-body=0", Encapsulated(0, has_body=True)),
        (b"res-hdr=0, null-body=19", Encapsulated(19, has_body=False)),
        (b"res-hdr = 0 , res-body = 19", Encapsulated(19, has_body=True)),
    ],
)
def test_encapsulated_is_read(value: bytes, announced: Encapsulated) -> None:
    head = read([b"ICAP/1.0 200 OK\r\nEncapsulated: %b\r\n\r\n" % value])[0]
    assert isinstance(head, ReplyHead)
    assert head.encapsulated == announced


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"ICAP/1.1 204 No Content\r\n\r\n",
        b"ICAP/1.0 20 OK\r\n\r\n",
        b"ICAP/1.0 2044 OK\r\n\r\n",
        b"ICAP/1.0 204No Content\r\n\r\n",
        b"ICAP/1.0 204 \x00\r\n\r\n",
        b"\r\nICAP/1.0 204 No Content\r\n\r\n",
        b"ICAP/1.0 204 No Content\r\nno header\r\n\r\n",
        b"ICAP/1.0 204 No Content\r\n folded: first\r\n\r\n",
        b"ICAP/1.0 204 No Content\r\nA : b\r\n\r\n",
        b"ICAP/1.0 204 No Content\r\nA: b\nX-Infection-Found: hidden\r\n\r\n",
        b"ICAP/1.0 204 No Content\r\nA: \x01\r\n\r\n",
        b"ICAP/1.0 100 Continue\r\nEncapsulated: res-body=0\r\n\r\n",
    ],
)
def test_what_is_no_icap_head_is_an_error(reply: bytes) -> None:
    with pytest.raises(IcapProtocolError):
        read([reply])


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"nonsense",
        b"nonsense, null-body=0",
        b"null-body=0, null-body",
        b"res-hdr=0",
        b"res-body=5",
        b"res-hdr=5, res-body=19",
        b"res-hdr=0, res-body=0",
        b"res-hdr=0, res-body=-1",
        b"res-hdr=0, res-body=19, res-body=30",
        b"res-body=0, res-hdr=19",
        b"req-hdr=0, req-body=19",
        b"req-hdr=0, res-hdr=19, res-body=38",
        b"res-hdr=0, res-body=%d" % (MAX_HEAD_BYTES + 1),
        b"res-hdr=0, res-body=99999999999999999999",
        b"null-body=0\r\nEncapsulated: null-body=0",
    ],
)
def test_an_impossible_encapsulated_is_an_error(value: bytes) -> None:
    with pytest.raises(IcapProtocolError, match="Encapsulated"):
        read([b"ICAP/1.0 200 OK\r\nEncapsulated: %b\r\n\r\n" % value])


@pytest.mark.parametrize("lie", [-4, -1, 1, 4, 5])
def test_an_offset_that_lies_is_an_error(lie: int) -> None:
    head = b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=%d\r\n\r\n" % (len(HTTP_HEAD) + lie)
    with pytest.raises(IcapProtocolError, match="Encapsulated"):
        read([head + HTTP_HEAD + b"5\r\nhello\r\n0\r\n\r\n"])


@pytest.mark.parametrize(
    "http_head", [b"HTTP/2 200 OK\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nx\r\n\r\n"]
)
def test_an_encapsulated_head_that_is_none_is_an_error(http_head: bytes) -> None:
    with pytest.raises(IcapProtocolError):
        read([b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=%d\r\n\r\n" % len(http_head) + http_head])


@pytest.mark.parametrize(
    "body",
    [
        b"x\r\n",
        b"\r\n",
        b"-1\r\n",
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"1 2\r\n",
        b"123456789\r\n",
        b"5\nhello\r\n",
        b"5\r\nhello!\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"0\r\nno trailer\r\n\r\n",
    ],
)
def test_wrong_chunks_are_an_error(body: bytes) -> None:
    with pytest.raises(IcapProtocolError):
        read([HEAD + HTTP_HEAD + body])


@pytest.mark.parametrize(
    ("beginning", "limit"),
    [
        (b"ICAP/1.0 204 OK\r\nA: ", MAX_HEAD_BYTES),
        (HEAD + HTTP_HEAD + b"5;", MAX_CHUNK_LINE_BYTES),
        (HEAD + HTTP_HEAD + b"0\r\nA: ", MAX_HEAD_BYTES),
    ],
)
def test_a_head_or_line_without_end_is_an_error_before_it_fills_the_memory(beginning: bytes, limit: int) -> None:
    longest = limit - len(beginning.rpartition(b"\r\n")[2])
    if beginning.startswith(b"ICAP/1.0 204"):
        longest = limit - len(beginning)
    read([beginning, b"a" * (longest + 1)])
    with pytest.raises(IcapProtocolError, match="more than"):
        read([beginning, b"a" * (longest + 4)])


def test_garbage_is_an_error_with_its_first_byte() -> None:
    for byte in set(range(256)) - {ord("I")}:
        with pytest.raises(IcapProtocolError):
            read([bytes([byte])])


REPLIES = st.sampled_from(
    [
        b'ICAP/1.0 204 No Content\r\nISTag: "x"\r\n\r\n',
        b"ICAP/1.0 100 Continue\r\n\r\n" + HEAD + HTTP_HEAD + b"5\r\nhello\r\n0\r\n\r\n",
        HEAD + HTTP_HEAD + b"5;ext=1\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-A: b\r\n folded\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nX-V: 1\r\n\t-\r\nEncapsulated: res-body=0\r\n\r\n0\r\n\r\n",
        HEAD + HTTP_HEAD + b"5\r\nhello\r\n0\r\nbroken\r\n\r\n",
        HEAD + HTTP_HEAD[:-1] + b"x",
    ]
)


@given(reply=REPLIES, places=st.lists(st.integers(0, 400), max_size=20))
def test_pieces_of_any_size_give_the_same_events(reply: bytes, places: list[int]) -> None:
    assert outcome(cut(reply, places)) == outcome([reply])


@given(reply=REPLIES)
def test_one_byte_at_a_time_gives_the_same_events(reply: bytes) -> None:
    assert outcome([bytes([byte]) for byte in reply]) == outcome([reply])


@given(reply=REPLIES, place=st.integers(0, 400), value=st.integers(0, 255))
def test_a_changed_byte_gives_events_or_an_error_but_nothing_else(reply: bytes, place: int, value: int) -> None:
    place %= len(reply)
    outcome([reply[:place] + bytes([value]) + reply[place + 1 :]])


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=5000), max_size=8),
    places=st.lists(st.integers(0, 50000), max_size=8),
)
def test_what_is_framed_in_chunks_is_read_back(chunks: list[bytes], places: list[int]) -> None:
    body = b"".join(map(icap_protocol.encode_chunk, chunks)) + icap_protocol.LAST_CHUNK
    data = [event.data for event in read(cut(HEAD + HTTP_HEAD + body, places)) if isinstance(event, BodyData)]
    assert b"".join(data) == b"".join(chunks)


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("icap://scanner/virus_scan", IcapAddress("scanner", 1344, "virus_scan")),
        ("icap://10.1.2.3:11344/avscan", IcapAddress("10.1.2.3", 11344, "avscan")),
        ("icap://[fd00::1]:1344/a/b", IcapAddress("fd00::1", 1344, "a/b")),
        ("icap://h:1/s?force=on&mode=simple", IcapAddress("h", 1, "s", "force=on&mode=simple")),
    ],
)
def test_an_address_is_read(address: str, where: IcapAddress) -> None:
    assert icap_protocol.parse_address(address) == where


@pytest.mark.parametrize(
    "address",
    [
        "",
        "icap://",
        "icap://host",
        "icap://host/",
        "icap://host:0/s",
        "icap://host:65536/s",
        "icap://host:/s",
        "icap://user@host/s",
        "icap://fd00::1/s",
        "icap://h/s?",
        "icap://h/s#x",
        "icap://h/s ICAP/1.0",
        "icap://h/s\r\nX: y",
        "icaps://h/s",
        "http://h/s",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"icap://host:1344/virus_scan|the port must be"):
        icap_protocol.parse_address(address)


def test_an_options_request_names_the_service_and_no_arguments() -> None:
    where = IcapAddress("fd00::1", 1344, "avscan", "force=on")
    assert icap_protocol.options_request(where) == (
        b"OPTIONS icap://[fd00::1]:1344/avscan ICAP/1.0\r\nHost: [fd00::1]:1344\r\nEncapsulated: null-body=0\r\n\r\n"
    )


def test_a_scan_request_tells_length_and_offsets_and_nothing_else() -> None:
    request = icap_protocol.respmod_head(IcapAddress("scanner", 1344, "virus_scan", "force=on"), 5000, 1024)
    icap_head, http_request, http_response, rest = request.split(b"\r\n\r\n")
    assert icap_head.split(b"\r\n") == [
        b"RESPMOD icap://scanner:1344/virus_scan?force=on ICAP/1.0",
        b"Host: scanner:1344",
        b"Allow: 204",
        b"Preview: 1024",
        b"Encapsulated: req-hdr=0, res-hdr=%d, res-body=%d"
        % (len(http_request) + 4, len(http_request) + len(http_response) + 8),
    ]
    assert http_request == b"GET http://upload.invalid/ HTTP/1.1\r\nHost: upload.invalid"
    assert http_response == b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 5000"
    assert rest == b""


def test_an_empty_file_is_sent_without_a_body_and_a_file_without_preview_without_one() -> None:
    assert b"null-body=" in icap_protocol.respmod_head(IcapAddress("h", 1344, "s"), 0, None)
    assert b"Preview" not in icap_protocol.respmod_head(IcapAddress("h", 1344, "s"), 9, None)
