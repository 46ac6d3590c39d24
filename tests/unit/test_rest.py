"""Paths, queries and pages of the API without a homeserver."""

from collections.abc import Callable
from enum import Enum
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synapse.module_api.errors import SynapseError

from synapse_bum.config import SharedConfig
from synapse_bum.rest import Access, Answer, ApiRequest, Page, Query, Routes
from synapse_bum.rest.paths import VALIDATORS, InvalidSegmentError, Template
from synapse_bum.rest.routes import RouteTable

TEMPLATE = Template.parse("things/{server_name}/{room_or_user_id}/{media_id}")


def segments(path: str) -> list[bytes]:
    """What Twisted makes of a path: split first, then decoded."""
    return [unquote_to_bytes(segment) for segment in path.split("/")]


@given(st.binary(max_size=12), st.binary(max_size=12), st.binary(max_size=12))
def test_whatever_is_sent_each_value_passes_its_validator_or_is_refused(one: bytes, two: bytes, three: bytes) -> None:
    path = segments("/".join(["things", *(quote_from_bytes(part, safe="") for part in (one, two, three))]))
    assert TEMPLATE.fits(path) is all((one, two, three))
    if not TEMPLATE.fits(path):
        return
    try:
        values = TEMPLATE.values(path)
    except InvalidSegmentError as e:
        refused = e
    else:
        assert [value.encode() for value in values.values()] == [one, two, three]
        assert all(VALIDATORS[name](value) for name, value in values.items())
        return
    assert refused.parameter in VALIDATORS


@given(st.text(min_size=1, max_size=20).filter(lambda text: ":" not in text))
def test_a_user_id_with_any_legal_localpart_survives_the_path(localpart: str) -> None:
    user_id = f"@{localpart}:b.example"
    path = segments(f"things/a.example/{quote(user_id, safe='', errors='surrogatepass')}/abc")
    assert len(path) == 4
    if VALIDATORS["user_id"](user_id):
        assert TEMPLATE.values(path)["room_or_user_id"] == user_id


@pytest.mark.parametrize("path", ["", "things", "things/a/b", "things/a/b/c/d", "Things/a/b/c", "things//b/c"])
def test_other_paths_do_not_fit(path: str) -> None:
    assert not TEMPLATE.fits(segments(path))


@pytest.mark.parametrize("text", ["", "/a", "a/", "a//b", "{unknown}", "{media_id}/{media_id}"])
def test_no_templates(text: str) -> None:
    with pytest.raises(ValueError, match="is no template"):
        Template.parse(text)


async def first(request: ApiRequest) -> Answer:
    return Answer({"first": request.user_id})


async def second(request: ApiRequest) -> Answer:
    return Answer({"second": request.user_id})


def test_the_table_prefers_fixed_text_in_whatever_order_routes_were_added() -> None:
    for paths in (("a/{media_id}", "a/b"), ("a/b", "a/{media_id}")):
        table = RouteTable()
        for path in paths:
            Routes(table, SharedConfig()).add("GET", path, first if "{" in path else second)
        fixed, open_ended = table.match([b"a", b"b"], ""), table.match([b"a", b"c"], "")
        assert fixed is not None
        assert open_ended is not None
        assert (fixed.routes["GET"].handler, open_ended.routes["GET"].handler) == (second, first)


def test_a_route_of_users_stays_visible_beside_a_hidden_one_of_administrators() -> None:
    table = RouteTable()
    routes = Routes(table, SharedConfig(admin_hosts=("admin.example",)))
    routes.add("GET", "media", first, access=Access.USER)
    routes.add("DELETE", "media", second)
    elsewhere, here = table.match([b"media"], "matrix.example"), table.match([b"media"], "admin.example")
    assert elsewhere is not None
    assert here is not None
    assert (elsewhere.methods, here.methods) == ("HEAD, GET, OPTIONS", "HEAD, DELETE, GET, OPTIONS")


def test_a_method_that_nobody_can_send_is_a_mistake_of_the_module() -> None:
    with pytest.raises(ValueError, match="HEAD is not one of"):
        Routes(RouteTable(), SharedConfig()).add("HEAD", "a", first)


class Direction(Enum):
    FORWARDS = "f"
    BACKWARDS = "b"


def test_a_query_is_read_parameter_by_parameter() -> None:
    query = Query(b"/x?order=b&n=7&name=J%C3%BCrgen+Gro%C3%9F&unknown=1&unknown=2")
    assert query.choice("order", Direction) is Direction.BACKWARDS
    assert query.integer("n") == 7
    assert query.text("name") == "Jürgen Groß"
    assert (query.text("missing"), query.integer("missing"), query.choice("missing", Direction)) == (None, None, None)
    assert query.page() == Page(0, 100)


@pytest.mark.parametrize(
    ("uri", "ask"),
    [
        (b"?n=7&n=7", lambda query: query.integer("n")),
        (b"?n=", lambda query: query.integer("n")),
        (b"?n=-1", lambda query: query.integer("n")),
        (b"?n=%D9%A1", lambda query: query.integer("n")),
        (b"?n=9007199254740992", lambda query: query.integer("n")),
        (b"?d=x", lambda query: query.choice("d", Direction)),
        (b"?t=a%00b", lambda query: query.text("t")),
        (b"?limit=0", lambda query: query.page()),
        (b"?limit=1001", lambda query: query.page()),
        (b"?t=%ff", lambda query: query.text("t")),
        (b"?" + b"a=1&" * 200, lambda query: query.text("t")),
        ("?t=ü".encode(), lambda query: query.text("t")),
    ],
)
def test_a_wrong_query_is_refused(uri: bytes, ask: Callable[[Query], object]) -> None:
    with pytest.raises(SynapseError) as caught:
        ask(Query(b"/x" + uri))
    assert (caught.value.code, caught.value.errcode) == (400, "M_INVALID_PARAM")


@given(st.integers(0, 60), st.integers(1, 12))
def test_following_the_tokens_shows_every_entry_once(total: int, limit: int) -> None:
    entries, seen, page = [{"n": n} for n in range(total)], [], Page(0, limit)
    while True:
        answer = page.answer("things", entries[page.offset :][: page.limit], total)
        assert answer["total"] == total
        seen += answer["things"]
        if "next_token" not in answer:
            break
        page = Page(int(answer["next_token"]), limit)
    assert seen == entries
