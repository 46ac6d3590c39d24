"""What an operator may rely on: a process keeps no source of the methods that attrs has written for our classes."""

import linecache
from collections.abc import Callable

import attr

from synapse_bum.config import SharedConfig, parse
from synapse_bum.portal.page_table import all_pages


def _made_in(module: str) -> Callable[[int], object]:
    made = type("Made", (), {"__annotations__": {"number": int}, "__module__": module})
    return attr.s(auto_attribs=True, frozen=True, slots=True)(made)


def _kept(module: str) -> list[str]:
    return [name for name in linecache.cache if name.startswith("<attrs generated ") and f" {module}." in name]


def test_reading_a_configuration_forgets_what_its_module_has_left() -> None:
    made = _made_in("synapse_bum.some_room")
    assert _kept("synapse_bum.some_room")
    parse(SharedConfig, {})
    assert not _kept("synapse_bum.some_room")
    assert repr(made(3)) == "Made(number=3)"


def test_the_pages_of_the_portal_leave_nothing() -> None:
    _made_in("synapse_bum.some_page")
    all_pages()
    assert not _kept("synapse_bum.some_page")


def test_what_others_have_left_stays() -> None:
    _made_in("somebody_else.synapse_bum")
    _made_in("synapse.storage")
    parse(SharedConfig, {})
    assert _kept("somebody_else.synapse_bum")
    assert _kept("synapse.storage")
