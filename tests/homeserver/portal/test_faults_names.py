"""What others have written is text on every page, whatever it is and wherever it comes from."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import pytest

from synapse_bum.portal.page import Page
from synapse_bum.portal.sessions.cookies import NOTICE
from synapse_bum.testing.page_shape import Shape
from synapse_bum.testing.portal_tour import PortalTourCase, fields, place

HOSTILE: Final = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'"
HARMLESS: Final = "harmless"
SCRIPT_ADDRESS: Final = "javascript:alert(1)"
SHOWN: Final = (HTTPStatus.OK, HTTPStatus.SEE_OTHER, HTTPStatus.GONE)
"""A picture without a pass is gone."""
FOREIGN: Final = {"script", "iframe", "object", "embed", "base", "style", "comment"}
OUR_ADDRESSES: Final = ("/_synapse/client/bum/portal/", "#", "mailto:")

ONE_OF_A_FEW: Final = frozenset(
    {
        *("amount", "classes", "day", "kind", "needs_confirmation", "scan_state", "source", "state"),
        *("storage_basis", "total", "unit_price", "users_basis", "media_type"),
    }
)
"""Keys of words that our own code chooses, and of numbers and days that are written as text: no page can be made
without knowing them. Each is tried alone."""
MODULE_NAME: Final = "GET /_synapse/client/bum/v1/portal/configuration"
"""Where `name` is that of one of our modules."""
IDENTIFIER: Final = re.compile(r"[@!#$].*|mxc://.*|.*\.example|mediaone")
PARAMETERS: Final = (
    *("q", "order", "dir", "from", "to", "since", "until", "month", "number", "format", "span", "action", "actor"),
    *("group", "person", "target", "server", "owner", "of", "rooms", "user", "pass", "reason", "still", "next", "idp"),
)

pytestmark = pytest.mark.any_synapse

"""Of addresses, on any page."""

Changed = Callable[[str, str], str]
"""Gets key and value of a text in an answer, returns what is there in its place."""


def changed(content: Any, change: Changed, key: str = "") -> Any:  # noqa: ANN401 - any JSON
    """Returns an answer with other texts."""
    if isinstance(content, dict):
        return {name: changed(value, change, name) for name, value in content.items()}
    if isinstance(content, list):
        return [changed(value, change, key) for value in content]
    return change(key, content) if isinstance(content, str) else content


def hostile_at(word: str) -> Changed:
    """The hostile text below one key."""
    return lambda key, value: HOSTILE if key == word else value


class NamesTestCase(PortalTourCase):
    def look(self, page: Page, change: Changed, query: str = "") -> str:
        """Opens a page with other texts in all answers; returns it, empty for a file."""

        def alter(key: str, answer: Any) -> Any:  # noqa: ANN401 - any JSON
            own = key == MODULE_NAME
            return changed(answer, lambda name, value: value if own and name == "name" else change(name, value))

        self.sample.alter = alter
        address = place(page)
        self.browser.cookies.pop(NOTICE, None)
        body = self.browser.get(f"{address}{'&' if '?' in address else '?'}{query}" if query else address)
        if self.browser.header("Content-Disposition").startswith("attachment"):
            return ""
        return body

    def expect_same(self, page: Page, change: Callable[[str], Changed]) -> None:
        """The page with the hostile text has the elements that it has with a harmless one."""
        harmless = Shape.of(self.look(page, change(HARMLESS)))
        status = self.browser.status
        body = self.look(page, change(HOSTILE))
        assert self.browser.status == status, page.path
        assert Shape.of(body).parts == harmless.parts, page.path
        assert "<script" not in body, page.path

    def expect_nothing_foreign(self, body: str, page: Page) -> None:
        """There are no elements, attributes and addresses that we never write."""
        found = Shape.of(body)
        assert not FOREIGN & {tag for tag, _name in found.parts}, page.path
        assert not [name for _tag, name in found.parts if name.startswith("on")], page.path
        assert all(address.startswith(OUR_ADDRESSES) for address in found.addresses), (page.path, found.addresses)

    def test_every_page_shows_the_answers_as_they_are(self) -> None:
        for page in self.pages:
            self.look(page, lambda _key, value: value)
            assert self.browser.status in SHOWN, page.path
            assert self.sample.unknown == [], page.path

    def test_texts_in_answers_are_text(self) -> None:
        def free(text: str) -> Changed:
            return lambda key, value: value if key in ONE_OF_A_FEW or IDENTIFIER.fullmatch(value) else text

        for page in self.pages:
            self.expect_same(page, free)
            assert self.browser.status in SHOWN, page.path

    def test_identifiers_in_answers_are_text(self) -> None:
        def all_but_words(text: str) -> Changed:
            return lambda key, value: value if key in ONE_OF_A_FEW else text

        for page in self.pages:
            self.expect_same(page, all_but_words)
            assert self.browser.status != HTTPStatus.INTERNAL_SERVER_ERROR, page.path

    def test_words_that_only_our_code_chooses_break_out_of_nothing_either(self) -> None:
        for page in self.pages:
            seen: set[str] = set()

            def note(name: str, value: str, seen: set[str] = seen) -> str:
                seen.add(name)
                return value

            self.look(page, note)
            for word in ONE_OF_A_FEW & seen:
                body = self.look(page, hostile_at(word))
                self.expect_nothing_foreign(body, page)

    def test_no_address_is_a_script(self) -> None:
        for page in self.pages:
            body = self.look(page, lambda key, value: value if key in ONE_OF_A_FEW else SCRIPT_ADDRESS)
            self.expect_nothing_foreign(body, page)

    def test_what_stands_in_the_address_is_text(self) -> None:
        for page in self.pages:
            harmless, hostile = (
                Shape.of(
                    self.look(page, lambda _key, value: value, "&".join(f"{name}={quote(word)}" for name in PARAMETERS))
                )
                for word in (HARMLESS, HOSTILE)
            )
            assert hostile.parts == harmless.parts, page.path
            assert not [address for address in hostile.addresses if "<" in address], page.path

    def test_what_was_typed_is_text_when_it_comes_back(self) -> None:
        for page in self.pages:
            if page.submit is None:
                continue
            body = self.submit(page, **dict.fromkeys(fields(page), HOSTILE))
            if self.browser.status == HTTPStatus.SEE_OTHER:
                body = self.browser.follow()
            if not self.browser.header("Content-Disposition").startswith("attachment"):
                self.expect_nothing_foreign(body, page)
