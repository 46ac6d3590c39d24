"""What `operator_users` reserves: each page that sends something to such a route is only for operators, and says so."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from html import unescape
from http import HTTPStatus
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final
from unittest.mock import patch
from urllib.parse import unquote_to_bytes

from synapse.server import HomeServer

from synapse_bum.homeserver.shared_objects import shared_object
from synapse_bum.portal.addresses import PORTAL
from synapse_bum.portal.homeserver_api.homeserver_client import BUM
from synapse_bum.portal.page import Page
from synapse_bum.portal.page_table import PageTable, all_pages
from synapse_bum.rest.paths import Template
from synapse_bum.rest.resource import ApiResource
from synapse_bum.rest.routes import Access
from synapse_bum.testing.engines import FakeEngine
from synapse_bum.testing.list_signer import ListSigner
from synapse_bum.testing.portal_case import PortalTestCase
from synapse_bum.testing.portal_tour import PortalTourCase, place

OURS: Final = "synapse_bum.portal"
SIGNER: Final = ListSigner()
LINK: Final = re.compile(r'(?:href|action)="([^"]*)"')
CHANGING: Final = frozenset({"post", "put", "delete"})


def functions_behind(start: Callable[..., Any]) -> set[FunctionType]:
    """A handler and every function of the portal that it can lead to."""
    found: set[FunctionType] = set()
    waiting: list[object] = [start]
    while waiting:
        function = waiting.pop()
        if not isinstance(function, FunctionType) or function in found or not function.__module__.startswith(OURS):
            continue
        found.add(function)
        waiting += [cell.cell_contents for cell in function.__closure__ or ()]
        waiting += values_named_in(function)
    return found


def values_named_in(function: FunctionType) -> Iterator[object]:
    """The global values that the code of a function names, those of modules that it names among them."""
    names = {name for code in codes_in(function.__code__) for name in code.co_names}
    for value in [function.__globals__[name] for name in names & set(function.__globals__)]:
        yield value
        if isinstance(value, ModuleType) and value.__name__.startswith(OURS):
            yield from (getattr(value, name) for name in names if hasattr(value, name))


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """A function's code and that of the functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_in(constant)


def changes_asked_by(function: FunctionType) -> Iterator[tuple[str, str]]:
    """Method and path of every change that the code of a function asks a server for."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
            continue
        asked = ast.unparse(node.func)
        if node.func.attr in CHANGING and asked.rpartition(".")[0] in {"server", "visit.server"}:
            path = eval(ast.unparse(node.args[0]), dict(function.__globals__))  # noqa: S307 - an expression of our own code
            assert isinstance(path, str), asked
            yield node.func.attr.upper(), path


def is_for(template: Template, path: str) -> bool:
    """Whether a path with `{names}` of its own is that of a route."""
    given = path.removeprefix(f"{BUM}/").split("/")
    return len(given) == len(template.segments) and all(
        one == other or (one.startswith("{") and other.startswith("{"))
        for one, other in zip(given, template.segments, strict=True)
    )


class RoutesTests(PortalTestCase):
    server = {"federation_domain_whitelist": []}

    def default_config(self) -> dict[str, Any]:
        folder = Path(self.mktemp())  # type: ignore[no-untyped-call]
        folder.mkdir()
        keys, place = folder.resolve() / "keys.json", folder.resolve() / "list.jws"
        keys.write_bytes(SIGNER.key_set())
        place.write_bytes(SIGNER.list("a.example"))
        config = super().default_config()
        config["modules"] += [
            {"module": "synapse_bum.antivirus.AntivirusModule", "config": {}},
            {"module": "synapse_bum.availability.AvailabilityModule", "config": {}},
            {
                "module": "synapse_bum.federation.FederationModule",
                "config": {"signed_list": {"source": str(place), "keys_path": str(keys)}},
            },
            {"module": "synapse_bum.retention.RetentionModule", "config": {}},
            {"module": "synapse_bum.storage.StorageModule", "config": {}},
        ]
        return config

    def make_homeserver(self, *reactor_and_clock: object) -> HomeServer:
        with patch("synapse_bum.antivirus.module.build_engines", return_value=[FakeEngine()]):
            return super().make_homeserver(*reactor_and_clock)

    def access(self, method: str, path: str) -> Access:
        """Who may ask for a route of ours."""
        api = self.hs.get_module_api()
        routes = shared_object(api, ApiResource, lambda: ApiResource(api)).table._routes
        [found] = [by_method[method] for template, by_method in routes.items() if is_for(template, path)]
        return found.access

    def reserved(self, page: Page) -> set[str]:
        """The routes for operators that a page's form leads to."""
        assert page.submit is not None
        asked = {change for function in functions_behind(page.submit) for change in changes_asked_by(function)}
        ours = {(method, path) for method, path in asked if path.startswith(BUM)}
        return {f"{method} {path}" for method, path in ours if self.access(method, path) is Access.OPERATOR}

    def test_each_page_that_changes_what_is_reserved_is_for_operators(self) -> None:
        pages = [page for page in all_pages() if page.submit is not None]
        reserved = {page.path: self.reserved(page) for page in pages}
        assert {page.path for page in pages if reserved[page.path] and not page.operators} == set()
        assert {page.path for page in pages if page.operators and not reserved[page.path]} == set()
        assert len([path for path in reserved if reserved[path]]) > 20, "the look into the code finds what it looks for"


class ReadOnlyTests(PortalTourCase):
    """What somebody sees who is no operator, on every page."""

    portal = {**PortalTourCase.portal, "operator_users": ["@chief:test"]}

    def test_pages_for_operators_are_refused_and_no_other_page_leads_to_one(self) -> None:
        table, leading = PageTable.of_all(), {}
        for page in self.pages:
            shown = self.browser.get(place(page))
            if page.operators:
                assert self.browser.status == HTTPStatus.FORBIDDEN, page.path
                assert "den Betreibern vorbehalten" in shown, page.path
            reserved = {found.path for found in pages_linked_by(shown, table) if found.operators}
            if reserved:
                leading[page.path] = reserved
        assert leading == {}
        assert self.sample.changes == []


class OperatorTests(PortalTourCase):
    def test_an_operator_finds_them(self) -> None:
        table, found = PageTable.of_all(), set()
        for page in self.pages:
            found |= {linked.path for linked in pages_linked_by(self.browser.get(place(page)), table)}
        reserved = {page.path for page in self.pages if page.operators}
        assert reserved - found == set(), "pages that nothing leads to"


def pages_linked_by(shown: str, table: PageTable) -> set[Page]:
    """The pages that the links and forms of a page lead to, itself left out."""
    found = set()
    for address in LINK.findall(shown):
        path = unescape(address).partition("?")[0].partition("#")[0].removeprefix(f"{PORTAL}/")
        linked = table.find([unquote_to_bytes(segment) for segment in path.split("/")])
        if linked is not None:
            found.add(linked.page)
    return found
