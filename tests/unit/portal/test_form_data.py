"""What browsers send, and what somebody sends who is none."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.portal.forms.form_data import BadFormError, FormData, read_form, read_query
from synapse_bum.portal.listing import Listing

URLENCODED = "application/x-www-form-urlencoded"


class TestForms:
    def test_fields(self) -> None:
        form = read_form(URLENCODED, b"a=%C3%A4+b&a=2&c=&d=x%0D%0Ay%00%1B")
        assert (form.text("a"), form.text("c"), form.text("d"), form.text("e", "?")) == ("ä b", "", "x\ny", "?")

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            (URLENCODED, b"a=%ff"),
            (URLENCODED, b"\xff=1"),
            ("text/plain", b"a=1"),
            ("multipart/form-data; boundary=x", b"--x--\r\n"),
            (URLENCODED, b"&a=1" * 2001),
        ],
    )
    def test_what_is_no_form(self, kind: str, body: bytes) -> None:
        with pytest.raises(BadFormError):
            read_form(kind, body)

    @given(st.binary(min_size=1, max_size=200))
    def test_nonsense_is_refused_or_read_as_text_and_nothing_else_happens(self, body: bytes) -> None:
        for kind in ("multipart/form-data; boundary=x", ""):
            with pytest.raises(BadFormError):
                read_form(kind, body)
        with contextlib.suppress(BadFormError):
            assert isinstance(read_form(URLENCODED, body), FormData)


class TestLists:
    @given(st.binary(max_size=100))
    def test_any_address_is_some_page(self, query: bytes) -> None:
        listing = Listing.asked("users", read_query(b"/users?" + query), ("q",))
        assert 0 <= listing.offset <= 10**9

    def test_the_pages_lead_through_the_list_and_keep_the_filter(self) -> None:
        seen, query = 0, b"q=a+b"
        while True:
            listing = Listing.asked("users", read_query(b"?" + query), ("q",), limit=40)
            shown = min(40, 100 - listing.offset)
            part = listing.part(shown, 100)
            assert (part.first, part.last) == (seen + 1, seen + shown)
            seen += shown
            if part.following is None:
                break
            assert part.following["q"] == "a b"
            query = f"q=a+b&from={part.following['from']}".encode()
        assert seen == 100

    @given(st.integers(0, 500), st.integers(1, 60), st.integers(0, 300))
    def test_a_page_beyond_the_end_leads_to_the_last_one_which_leads_nowhere(
        self, offset: int, limit: int, total: int
    ) -> None:
        part = Listing("users", offset, limit, {}).part(max(0, min(limit, total - offset)), total)
        if part.instead is None:
            assert part.shown or not total or offset < total
            return
        last = int(part.instead.get("from", "0"))
        assert last < offset
        assert last == 0 or last < total <= last + limit
        assert Listing("users", last, limit, {}).part(min(limit, total - last), total).instead is None
