"""Whatever the homeserver's APIs do, every page is a page with a plain sentence."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import pytest

from synapse_bum.homeserver.http_exchange import HttpAnswer
from synapse_bum.portal.page import Page
from synapse_bum.testing.portal_tour import CHANGES_NOTHING, PortalTourCase, answer, place

pytestmark = pytest.mark.any_synapse


UNKNOWN: Final = {"errcode": "M_UNKNOWN", "error": "Internal server error"}
UNBELIEVABLE: Final = {
    "a page of a proxy": HttpAnswer(200, "text/html", "", b"<html><script>alert(1)</script>"),
    "half an object": HttpAnswer(200, "application/json", "", b'{"users": [{"name": "@al'),
    "no text": HttpAnswer(200, "application/json", "", b"\xff\xfe\x00"),
    "a list": answer([{}]),
    "no object": answer(None),
    "a very deep object": HttpAnswer(200, "application/json", "", b'{"a":' * 100_000),
    "nothing": HttpAnswer(200, "application/json", "", b""),
    "no content": HttpAnswer(204, "", "", b""),
    "an error": answer(UNKNOWN, 500),
    "an error of a proxy": HttpAnswer(502, "text/html", "", b"<html><body>Bad gateway</body>"),
    "a way elsewhere": HttpAnswer(302, "text/html", "", b""),
}
FILES: Final = frozenset({"availability/file", "invoice/file", "invoice/xrechnung"})
"""Files that the API makes: any bytes may be one."""
AS_EVER: Final = {"rooms/sizes": (200,), "files/{server_name}/{media_id}/preview/picture": (410,)}
"""Synapse fails to answer about sizes at times, so the page has a sentence for that; a picture needs a pass first."""
MAY_BE_MISSING: Final = {
    ("administrators", "links"),
    ("administrators/{user_id}/remove", "links"),
    ("rooms/sizes", "rooms"),
    ("rooms/{room_id}", "rooms"),
}
"""Pages that say of one part that it is not known, and show the others: page, and the last part of the path asked."""
NOT_FOUND: Final = {"errcode": "M_NOT_FOUND", "error": "There is no such object"}
PATIENCE_S: Final = 30


Alter = Callable[[str, Any], Any]
"""Gets the key of a request and its answer, returns what is answered in its place."""


def always(instead: object) -> Alter:
    """The same answer to every request."""
    return lambda _key, _found: instead


def only(key: str, instead: object) -> Alter:
    """Another answer to one request; an exception is raised."""

    def alter(asked: str, found: object) -> object:
        if asked != key:
            return found
        if isinstance(instead, Exception):
            raise instead
        return instead

    return alter


def to_changes(instead: object) -> Alter:
    """Another answer to everything that is no GET."""
    return lambda key, found: found if key.startswith("GET") else instead


def with_values(change: Callable[[Any], Any]) -> Alter:
    """Each value changed."""
    return lambda _key, found: mapped(found, change)


def with_every_field(value: object) -> Alter:
    """The same in each field of an object."""
    return lambda _key, found: dict.fromkeys(found or (), value)


def mapped(content: Any, change: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - any JSON
    """Returns an answer of the same shape with other values."""
    if isinstance(content, dict):
        return {name: mapped(value, change) for name, value in content.items()}
    if isinstance(content, list):
        return [mapped(value, change) for value in content]
    return change(content)


def other_type(value: object) -> object:
    """Returns something that this value can't be."""
    return {str: 7, int: "sieben", bool: "vielleicht", float: [], type(None): {"a": 1}}[type(value)]


def other_number(value: object) -> object:
    """Returns a number that is none of ours."""
    return value if isinstance(value, bool) or not isinstance(value, int | float) else -(10**30)


class ApiTestCase(PortalTourCase):
    def asks(self, page: Page) -> list[str]:
        """What a page asks when all is well, each once."""
        self.sample.alter = lambda _key, found: found
        self.sample.asked.clear()
        self.browser.get(place(page))
        return list(dict.fromkeys(self.sample.asked))

    def open(self, page: Page, alter: Alter, what: object) -> int:
        """Opens a page with other answers; returns the status."""
        self.sample.alter = alter
        body = self.browser.get(place(page))
        said = (page.path, what, self.browser.status, body[:200])
        assert self.looks_like_ours() or self.browser.header("Content-Disposition"), said
        assert "<script" not in body, said
        assert "Traceback" not in body, said
        assert self.browser.status != HTTPStatus.UNAUTHORIZED, said
        return self.browser.status

    def test_nothing_that_can_not_be_believed_is_shown(self) -> None:
        for page in self.pages:
            if not self.asks(page) or (page.path in FILES):
                continue
            for what, instead in UNBELIEVABLE.items():
                status = self.open(page, always(instead), what)
                assert status in (HTTPStatus.SERVICE_UNAVAILABLE, *AS_EVER.get(page.path, ())), (page.path, what)

    def test_files_of_the_api_are_no_pages_of_a_proxy(self) -> None:
        for page in self.pages:
            if page.path in FILES:
                for what in ("a page of a proxy", "an error", "an error of a proxy", "a way elsewhere"):
                    instead = UNBELIEVABLE[what]
                    status = self.open(page, always(instead), what)
                    assert status == HTTPStatus.SERVICE_UNAVAILABLE, (page.path, what)

    def test_one_answer_that_is_missing_is_never_an_empty_page(self) -> None:
        for page in self.pages:
            for key in self.asks(page):
                status = self.open(page, only(key, OSError("connection reset")), key)
                assert status in (HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GONE), (page.path, key)
                if status == HTTPStatus.OK:
                    assert (page.path, key.rpartition("/")[2]) in MAY_BE_MISSING, (page.path, key)

    def test_objects_without_what_belongs_into_them(self) -> None:
        for page in self.pages:
            for key in self.asks(page):
                status = self.open(page, only(key, {}), key)
                assert "Keine Einträge" not in self.browser.channel.result.get("body", b"").decode(), (page.path, key)
                assert status in (200, 303, 404, 409, 410, 500, 503), (page.path, key)

    def test_values_of_other_types_and_numbers_without_end(self) -> None:
        for page in self.pages:
            if not self.asks(page):
                continue
            for change in (other_type, other_number):
                self.open(page, with_values(change), change)
            self.open(page, with_every_field([]), "lists")
            self.open(page, with_every_field(None), "nothing")

    def test_objects_that_are_gone(self) -> None:
        for page in self.pages:
            for key in self.asks(page):
                self.open(page, only(key, answer(NOT_FOUND, 404)), key)

    def test_modules_that_are_not_loaded(self) -> None:
        lacks = answer({"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"}, 404)
        for page in self.pages:
            if self.asks(page):
                status = self.open(page, always(lacks), "lacks")
                assert status in (200, 303, 404, 409, 410), page.path

    def test_an_api_that_never_answers(self) -> None:
        for page in self.pages:
            if not self.asks(page):
                continue
            self.homeserver_api.scripted = {"GET /_synapse/": None}
            before = self.reactor.seconds()
            self.browser.get(place(page))
            status = self.browser.status
            assert status in (HTTPStatus.SERVICE_UNAVAILABLE, *AS_EVER.get(page.path, ())), page.path
            assert self.reactor.seconds() - before < PATIENCE_S, page.path
            self.answer_again()

    def test_a_form_that_nobody_answers_says_that_it_may_have_been_carried_out(self) -> None:
        def gone(_key: str, _found: object) -> object:
            raise OSError("connection reset")

        for page in self.pages:
            if page.submit is None or page.path in CHANGES_NOTHING:
                continue
            self.sample.alter = lambda _key, found: found
            token = self.form_token()
            for instead in (gone, lambda _key, _found: UNBELIEVABLE["a page of a proxy"]):
                self.sample.alter = instead
                body = self.submit(page, _form=token)
                assert self.looks_like_ours(), page.path
                assert self.browser.status in (200, 303, 503), (page.path, self.browser.status)
                assert "Traceback" not in body, page.path
                if self.browser.status == HTTPStatus.SERVICE_UNAVAILABLE:
                    assert "nicht bekannt, ob Ihre Änderung" in body, page.path

    def test_two_administrators_who_do_the_same(self) -> None:
        """Whoever is second is told so: what he wanted gone is gone, or its state does not allow it any more."""
        late = answer({"errcode": "M_UNKNOWN", "error": "The run is done: it is over"}, 409)
        for page in self.pages:
            if page.submit is None or page.path in CHANGES_NOTHING:
                continue
            for said in (answer(NOT_FOUND, 404), late):
                self.sample.alter = to_changes(said)
                body = self.submit(page)
                assert self.looks_like_ours(), page.path
                assert self.browser.status in (200, 303, 404, 409, 422), (page.path, self.browser.status)
                assert "Traceback" not in body, page.path

    def answer_again(self) -> None:
        """Puts the answers back in their place."""
        self.homeserver_api.scripted = {f"{method} /_synapse/": self.sample for method in ("GET", "POST")}
