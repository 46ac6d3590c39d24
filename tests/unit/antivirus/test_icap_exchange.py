"""One RESPMOD: whatever comes, in whatever pieces and whenever, only the server's whole word makes a file clean."""

import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synapse_bum.antivirus.engines.engine import (
    Clean,
    EngineError,
    Failed,
    FailureReason,
    Infected,
    NotFullyScanned,
    ScanResult,
)
from synapse_bum.antivirus.engines.icap_exchange import MAX_BLOCK_PAGE_BYTES, OptionsExchange, RespmodExchange, SentBack
from synapse_bum.antivirus.engines.icap_verdict import NOT_ASKED_FOR, ServiceOptions
from synapse_bum.testing.icap_server import CONTINUE, NO_CONTENT, infected, response

SIZE = 5000
OK = "HTTP/1.1 200 OK"


def after_sending_all(reply: bytes, size: int = SIZE) -> RespmodExchange:
    """The exchange about a file that was sent with a preview, asked for and sent whole, when `reply` has come."""
    exchange = RespmodExchange(size, preview=1024)
    exchange.receive(CONTINUE)
    exchange.whole_file_sent = True
    exchange.receive(reply)
    return exchange


def reason_of(outcome: ScanResult | SentBack | None) -> FailureReason | None:
    return outcome.reason if isinstance(outcome, Failed) else None


def test_the_rest_may_be_sent_when_the_server_asks_for_it() -> None:
    exchange = RespmodExchange(SIZE, preview=1024)
    assert not exchange.may_continue
    exchange.receive(CONTINUE[:-1])
    assert not exchange.may_continue
    exchange.receive(CONTINUE[-1:])
    assert exchange.may_continue
    assert exchange.outcome is None


def test_without_a_preview_all_may_be_sent_at_once() -> None:
    assert RespmodExchange(SIZE, preview=None).may_continue


def test_204_after_the_whole_file_is_clean_and_the_connection_can_be_used_again() -> None:
    exchange = after_sending_all(NO_CONTENT)
    assert exchange.outcome == Clean()
    assert exchange.connection_is_reusable
    assert exchange.istag == "fake-state-1"


def test_204_to_the_preview_is_not_clean() -> None:
    exchange = RespmodExchange(SIZE, preview=1024)
    exchange.receive(NO_CONTENT)
    assert exchange.outcome == NOT_ASKED_FOR
    assert not exchange.connection_is_reusable


def test_204_in_the_middle_of_the_file_is_not_clean() -> None:
    exchange = RespmodExchange(SIZE, preview=None)
    exchange.receive(NO_CONTENT)
    assert exchange.outcome == NOT_ASKED_FOR


def test_204_about_an_empty_file_is_clean() -> None:
    exchange = RespmodExchange(0, preview=None)
    exchange.whole_file_sent = True
    exchange.receive(NO_CONTENT)
    assert exchange.outcome == Clean()


def test_an_infection_is_known_from_the_head_alone_at_any_moment() -> None:
    head = infected("Eicar").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    for exchange in (RespmodExchange(SIZE, preview=1024), RespmodExchange(SIZE, preview=None)):
        exchange.receive(head)
        assert exchange.outcome == Infected("Eicar")
        assert not exchange.connection_is_reusable
    assert after_sending_all(head).outcome == Infected("Eicar")


def test_an_infection_named_with_100_continue_or_204_counts() -> None:
    exchange = RespmodExchange(SIZE, preview=1024)
    exchange.receive(b"ICAP/1.0 100 Continue\r\nX-Virus-ID: Eicar\r\n\r\n")
    assert exchange.outcome == Infected("Eicar")
    assert after_sending_all(b"ICAP/1.0 204 OK\r\nX-Virus-ID: Eicar\r\n\r\n").outcome == Infected("Eicar")


def test_an_infection_named_in_the_trailer_counts() -> None:
    file = bytes(SIZE)
    reply = response(OK, file, trailer="X-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\n")
    assert after_sending_all(reply).outcome == Infected("Eicar")


def test_as_many_bytes_back_have_to_be_compared() -> None:
    file = b"a" * SIZE
    outcome = after_sending_all(response(OK, file)).outcome
    assert isinstance(outcome, SentBack)
    assert outcome.sha256 == hashlib.sha256(file).digest()


@pytest.mark.parametrize("body", [b"", b"a" * (SIZE - 1), b"a" * (SIZE + 1), b"a" * (MAX_BLOCK_PAGE_BYTES + 1)])
def test_another_number_of_bytes_back_is_a_change_without_a_reason(body: bytes) -> None:
    assert reason_of(after_sending_all(response(OK, body)).outcome) is FailureReason.NOT_UNDERSTOOD


def test_a_block_page_as_long_as_the_file_is_not_taken_for_it() -> None:
    reply = response("HTTP/1.0 403 Forbidden", b"a" * SIZE)
    assert reason_of(after_sending_all(reply).outcome) is FailureReason.NOT_UNDERSTOOD


def test_bytes_back_before_the_whole_file_was_sent_are_not_compared() -> None:
    exchange = RespmodExchange(SIZE, preview=1024)
    exchange.receive(CONTINUE + response(OK, bytes(SIZE)))
    assert reason_of(exchange.outcome) is FailureReason.NOT_UNDERSTOOD


def test_a_body_without_end_is_given_up() -> None:
    head = b"ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\n"
    exchange = after_sending_all(head)
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    for _ in range(MAX_BLOCK_PAGE_BYTES // 0x10000):
        exchange.receive(chunk)
    assert exchange.outcome is None
    exchange.receive(chunk)
    assert reason_of(exchange.outcome) is FailureReason.NOT_UNDERSTOOD


@pytest.mark.parametrize(
    "reply",
    [
        b"ICAP/1.0 200 OK\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: null-body=0\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"ICAP/1.0 204 No Content\r\nEncapsulated: res-body=0\r\n\r\n",
        NO_CONTENT + NO_CONTENT,
        NO_CONTENT + b"x",
        NO_CONTENT + infected("Eicar"),
        response(OK, bytes(SIZE)) + b"\r\n",
        CONTINUE,
        b"garbage",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ],
)
def test_what_is_no_whole_and_single_reply_is_not_understood(reply: bytes) -> None:
    exchange = after_sending_all(reply)
    assert reason_of(exchange.outcome) is FailureReason.NOT_UNDERSTOOD
    assert not exchange.connection_is_reusable or reply.startswith(b"ICAP/1.0 200")


def test_a_reply_that_hides_where_its_parts_begin_is_said_to_do_so() -> None:
    outcome = after_sending_all(b"ICAP/1.0 200 OK\r\n\r\n").outcome
    assert isinstance(outcome, Failed)
    assert "without Encapsulated" in outcome.detail


def test_100_continue_that_nobody_waits_for_is_not_understood() -> None:
    exchange = RespmodExchange(SIZE, preview=None)
    exchange.receive(CONTINUE)
    assert reason_of(exchange.outcome) is FailureReason.NOT_UNDERSTOOD


def test_a_connection_that_the_server_closes_is_not_used_again() -> None:
    exchange = after_sending_all(b"ICAP/1.0 204 No Content\r\nConnection: Close\r\n\r\n")
    assert exchange.outcome == Clean()
    assert not exchange.connection_is_reusable


def test_the_first_outcome_stays() -> None:
    exchange = after_sending_all(NO_CONTENT)
    exchange.receive(infected("Eicar"))
    assert exchange.outcome == Clean()


REPLY_PARTS = st.sampled_from(
    [
        b"ICAP/1.0 ",
        b"200 OK\r\n",
        b"204 No Content\r\n",
        b"100 Continue\r\n",
        b"Encapsulated: res-hdr=0, res-body=19\r\n",
        b"Encapsulated: null-body=0\r\n",
        b"X-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\n",
        b"\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"0\r\n\r\n",
    ]
)


@given(pieces=st.lists(REPLY_PARTS | st.binary(max_size=30), max_size=12), preview=st.none() | st.just(1024))
@example(pieces=[NO_CONTENT], preview=None)
def test_no_bytes_at_all_make_a_file_clean_that_was_not_sent(pieces: list[bytes], preview: int | None) -> None:
    exchange = RespmodExchange(SIZE, preview)
    for piece in pieces:
        exchange.receive(piece)
    assert not isinstance(exchange.outcome, (Clean, SentBack))


@given(garbage=st.binary(max_size=2000))
def test_garbage_is_never_clean(garbage: bytes) -> None:
    exchange = after_sending_all(garbage)
    assert exchange.outcome is None or reason_of(exchange.outcome) is FailureReason.NOT_UNDERSTOOD


@given(pieces=st.lists(REPLY_PARTS, max_size=12))
def test_an_infection_in_what_came_is_never_clean(pieces: list[bytes]) -> None:
    exchange = after_sending_all(b"".join(pieces))
    heads = b"".join(pieces).partition(b"\r\n\r\n")[0]
    if b"X-Infection-Found" in heads:
        assert not isinstance(exchange.outcome, (Clean, SentBack))


@given(reply=st.sampled_from([NO_CONTENT, infected("Eicar"), response(OK, b"a" * SIZE), b"ICAP/1.0 503 Busy\r\n\r\n"]))
def test_one_byte_at_a_time_gives_the_same_outcome(reply: bytes) -> None:
    slow = after_sending_all(b"")
    for byte in reply:
        slow.receive(bytes([byte]))
    assert slow.outcome == after_sending_all(reply).outcome
    assert isinstance(slow.outcome, (Clean, Infected, NotFullyScanned, Failed, SentBack))


OPTIONS = b"ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nService: S\r\n"


def test_options_without_encapsulated_or_with_a_body_are_understood() -> None:
    for rest in (
        b"\r\n",
        b"Encapsulated: null-body=0\r\n\r\n",
        b"Encapsulated: opt-body=0\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ):
        exchange = OptionsExchange()
        exchange.receive(OPTIONS + rest)
        assert exchange.outcome == ServiceOptions("S", None, None, None, 3600.0)
        assert exchange.connection_is_reusable


def test_options_come_in_pieces() -> None:
    exchange = OptionsExchange()
    for byte in OPTIONS:
        exchange.receive(bytes([byte]))
    assert exchange.outcome is None
    exchange.receive(b"Connection: close\r\n\r\n")
    assert isinstance(exchange.outcome, ServiceOptions)
    assert not exchange.connection_is_reusable


@pytest.mark.parametrize("reply", [b"garbage", b"ICAP/1.0 404 Not Found\r\n\r\n", b"ICAP/1.0 200 OK\r\n\r\n"])
def test_options_that_are_none_are_an_error(reply: bytes) -> None:
    exchange = OptionsExchange()
    exchange.receive(reply)
    assert isinstance(exchange.outcome, EngineError)
    assert not exchange.connection_is_reusable
