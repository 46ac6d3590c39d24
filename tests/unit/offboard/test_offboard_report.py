"""Nobody but the server makes a report, and nobody changes one."""

import base64
import copy
import json
from typing import Any

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.cli.offboard import report
from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.cli.offboard.journal import Erasure, Journal, Step
from synapse_bum.cli.offboard.report import (
    certify,
    checked,
    content_of,
    lines_of,
    new_seed,
    public_of,
    refuse_changed_order,
    server_key_in,
    signed,
)

pytestmark = pytest.mark.any_synapse

KEY_FILE = f"ed25519 a_key {base64.b64encode(bytes(range(32))).decode().rstrip('=')}\n"
CLOSED = Journal("messenger.example", "0f", "Anna Amt", 30, 1_700_000_000_000)
STEP = Step("folder", "Ö", (), {"files": 3}, 1_702_600_000_000)


def an_erasure(seed: str) -> Erasure:
    key_id, key = server_key_in(KEY_FILE)
    certificate = certify((key_id, key), CLOSED, "Berta Betrieb", 1_702_592_000_001, seed)
    return Erasure(
        by="Berta Betrieb",
        begun_ts=1_702_592_000_001,
        data_return="declined",
        backups="erased",
        steps=(STEP,),
        left=("file /etc/ssl/fullchain.pem",),
        server_key=(key_id, public_of(key)),
        certificate=certificate,
        report_seed=seed,
    )


def a_report(content: dict[str, Any] | None = None) -> str:
    seed = new_seed()
    erasure = an_erasure(seed)
    return signed(content or CONTENT, seed, erasure.server_key, erasure.certificate)


CONTENT = content_of(CLOSED, an_erasure(new_seed()), "synapse_bum 1")


def changed(place: str, value: object) -> dict[str, Any]:
    """The content with another value at a place such as `closed.by`."""
    content: dict[str, Any] = copy.deepcopy(CONTENT)
    holder, _, name = place.rpartition(".")
    (content[holder] if holder else content)[name] = value
    return content


def test_a_report_says_what_was_signed() -> None:
    _, key = server_key_in(KEY_FILE)
    assert checked(a_report(), public_of(key))["report"] == CONTENT


def test_the_key_is_compared_with_the_one_that_is_known() -> None:
    other = public_of(server_key_in(KEY_FILE.replace("AAEC", "AAED"))[1])
    with pytest.raises(OffboardError, match="another key"):
        checked(a_report(), other)


def test_a_key_that_another_server_vouched_for_is_refused() -> None:
    mine, others = json.loads(a_report()), json.loads(a_report())
    mine["report_key"], mine["signature"] = (
        {**others["report_key"], "certificate": mine["report_key"]["certificate"]},
        (others["signature"]),
    )
    with pytest.raises(OffboardError, match="not as it was signed"):
        checked(json.dumps(mine), None)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("server_name", "another.example"),
        ("closing_id", "ff"),
        ("closed.ts", 1_600_000_000_000),
        ("closed.by", "Carl Chef"),
        ("grace_days", 90),
        ("erased.by", "Carl Chef"),
        ("erased.begun_ts", 1_800_000_000_000),
    ],
)
def test_the_servers_word_is_about_this_order(place: str, value: object) -> None:
    """Even who has the key of the report can't have the server say something else of who ordered what, and when."""
    with pytest.raises(OffboardError, match="not as it was signed"):
        checked(a_report(changed(place, value)), None)


def test_the_name_of_the_servers_key_is_signed_too() -> None:
    document = json.loads(a_report())
    document["server_key"]["key_id"] = "ed25519:another"
    with pytest.raises(OffboardError, match="not as it was signed"):
        checked(json.dumps(document), None)


@pytest.mark.parametrize(
    "change", [{"closed_ts": 1_600_000_000_000}, {"closed_by": "Carl Chef"}, {"grace_days": 1}, {"closing_id": "ff"}]
)
def test_a_journal_that_was_changed_after_the_begin_is_noticed(change: dict[str, Any]) -> None:
    erasure = an_erasure(new_seed())
    refuse_changed_order(CLOSED, erasure)
    with pytest.raises(OffboardError, match="the journal is not as it was"):
        refuse_changed_order(attr.evolve(CLOSED, **change), erasure)
    with pytest.raises(OffboardError, match="the journal is not as it was"):
        refuse_changed_order(CLOSED, attr.evolve(erasure, by="Carl Chef"))
    with pytest.raises(OffboardError, match="the journal is not as it was"):
        refuse_changed_order(CLOSED, attr.evolve(erasure, report_seed=new_seed()))


def a_forged_report(content: dict[str, Any]) -> str:
    """Made and signed by somebody with keys of his own, whatever it says."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("synapse_bum.cli.offboard.report._order", lambda *_order: report._order_in(content))
        return a_report(content)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("closed.ts", "yesterday"),
        ("closed.ts", 10**30),
        ("steps", [{}]),
        ("steps", 3),
        ("left", None),
        ("steps", [{"done_ts": 1, "what": "all", "counted": [1]}]),
    ],
)
def test_a_forgers_report_ends_in_a_sentence(place: str, value: object) -> None:
    document = checked(a_forged_report(changed(place, value)), None)
    with pytest.raises(OffboardError, match="no report"):
        lines_of(document)


@pytest.mark.parametrize("place", ["server_name", "closed.by", "erased.by", "data_return", "backups"])
def test_a_forgers_report_does_not_command_the_terminal(place: str) -> None:
    document = checked(a_forged_report(changed(place, "all good\r\x1b[2Jok\nok: unchanged")), None)
    assert all(line.isprintable() for line in lines_of(document))


def test_the_lines_say_what_was_erased() -> None:
    assert lines_of(json.loads(a_report()))[2:] == [
        "closed 2023-11-14T22:13:20Z by Anna Amt",
        "erased 2023-12-15T00:26:40Z by Berta Betrieb",
        "data: declined; backups: erased",
        "2023-12-15T00:26:40Z  Ö: 3 files",
        "left: file /etc/ssl/fullchain.pem",
    ]


@given(st.data())
def test_no_changed_value_is_taken(data: st.DataObject) -> None:
    document = json.loads(a_report())
    place = data.draw(st.sampled_from([("report", "closing_id"), ("report", "server_name"), ("signature", None)]))
    new = data.draw(st.text(max_size=90))
    holder, name = (document, place[0]) if place[1] is None else (document[place[0]], place[1])
    if holder[name] == new:
        return
    holder[name] = new
    with pytest.raises(OffboardError):
        checked(json.dumps(document), None)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"format": "synapse_bum offboard report 1"}', "\ud800"])
def test_what_is_no_report_is_said_to_be_none(text: str) -> None:
    with pytest.raises(OffboardError, match="no report"):
        checked(text, None)


@pytest.mark.parametrize("text", ["", "\n", "ed25519 a_key short", "rsa a_key AAAA", "ed25519 a_key AAEC more"])
def test_what_is_no_signing_key_is_said_to_be_none(text: str) -> None:
    with pytest.raises(OffboardError, match="signing key can't be read"):
        server_key_in(text)
