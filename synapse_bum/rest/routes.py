"""The routes of our API: which handler answers which path and method, and who may ask.

Pure. One table holds the routes of all modules of a homeserver; each route keeps the `admin_hosts` and
`operator_users` of the module that added it.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

import attr

from synapse_bum.config import SharedConfig
from synapse_bum.rest.bodies import read_body
from synapse_bum.rest.paths import Template
from synapse_bum.rest.queries import Page, Query
from synapse_bum.secret_store import Secret

logger = logging.getLogger(__name__)

T = TypeVar("T")

_METHODS: Final = ("GET", "POST", "PUT", "DELETE")


class Access(Enum):
    """Who may use a route."""

    USER = "user"
    """Everybody with a valid token who is no guest."""
    ADMIN = "admin"
    """Administrators of the server; only on `admin_hosts` where these are set."""
    OPERATOR = "operator"
    """As ADMIN, and only `operator_users` where these are set."""
    PROGRAM = "program"
    """A program that knows the route's own secret and has no account; on every host."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ApiRequest:
    """A request that has passed all checks up to its body.

    Attributes:
        user_id: who asks.
        path: the decoded and validated parameters of the path.
        query: the query; it is validated parameter by parameter.
        content: the body, cut off one byte above the limit.
    """

    user_id: str
    path: Mapping[str, str]
    query: Query
    content: bytes = attr.ib(repr=False)

    def body(self, schema: type[T]) -> T:
        """Reads the body; to be called before the handler looks for the object.

        Args:
            schema: an attrs class made with `synapse_bum.reading.option`.

        Raises:
            SynapseError: 400 or 413, with the parameter's name.
        """
        return read_body(schema, self.content)

    def page(self) -> Page:
        """Returns the page that the query asks for.

        Raises:
            SynapseError: 400 M_INVALID_PARAM.
        """
        return self.query.page()


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Answer:
    """What a handler returns: a JSON object with its status."""

    body: Mapping[str, Any]
    status: HTTPStatus = HTTPStatus.OK

    @classmethod
    def accepted(cls, run_id: str) -> "Answer":
        """A run was started (202)."""
        return cls({"run_id": run_id}, HTTPStatus.ACCEPTED)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Document:
    """What a handler returns instead where a reader wants a file, not JSON.

    Attributes:
        content: the whole file.
        content_type: its media type, with a charset where it is text.
        file_name: under which a browser saves it; ASCII without quotes.
    """

    content: bytes = attr.ib(repr=False)
    content_type: str
    file_name: str


Handler: TypeAlias = Callable[[ApiRequest], Awaitable[Answer | Document]]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class RouteSecret:
    """Who a program is that has a secret instead of an account.

    Attributes:
        name: who asks then, in place of a user id, for example `availability.probe`.
        read: returns the secret.
    """

    name: str
    read: Callable[[], Awaitable[Secret]]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Route:
    """One method of one path."""

    handler: Handler
    access: Access
    admin_hosts: tuple[str, ...]
    operator_users: tuple[str, ...]
    secret: "RouteSecret | None" = None

    def is_visible_on(self, host: str) -> bool:
        """Whether the route exists for requests to this host (lower case, without port)."""
        is_for_administrators = self.access in {Access.ADMIN, Access.OPERATOR}
        return not is_for_administrators or not self.admin_hosts or host in self.admin_hosts

    def is_operator(self, user_id: str) -> bool:
        """Whether this administrator may use the route."""
        return self.access is not Access.OPERATOR or not self.operator_users or user_id in self.operator_users


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Match:
    """What a path means on a host: the template and its visible routes by method."""

    template: Template
    routes: Mapping[str, Route]

    @property
    def methods(self) -> str:
        """For the `Allow` header (RFC 9110 section 10.2.1)."""
        return ", ".join(["HEAD"] * ("GET" in self.routes) + sorted(self.routes) + ["OPTIONS"])


class RouteTable:
    """All routes of one homeserver."""

    def __init__(self) -> None:
        self._routes: dict[Template, dict[str, Route]] = {}

    def add(self, method: str, template: Template, route: Route) -> bool:
        """Adds a route.

        Returns:
            whether it was added; the first one for a path and method stays.
        """
        if method not in _METHODS:
            raise ValueError(f"{method} is not one of {', '.join(_METHODS)}")
        return self._routes.setdefault(template, {}).setdefault(method, route) is route

    def match(self, path: Sequence[bytes], host: str) -> Match | None:
        """Returns what a path means on a host, None when there is nothing.

        Args:
            path: percent-decoded segments below the base.
            host: lower case, without port.
        """
        for template in sorted((t for t in self._routes if t.fits(path)), key=lambda t: t.fixed, reverse=True):
            methods = self._routes[template]
            visible = {method: route for method, route in methods.items() if route.is_visible_on(host)}
            if visible:
                return Match(template, MappingProxyType(visible))
        return None


class Routes:
    """One module's view of the table: what it adds carries its own `admin_hosts` and `operator_users`."""

    def __init__(self, table: RouteTable, shared: SharedConfig) -> None:
        self._table = table
        self._shared = shared

    def add(self, method: str, path: str, handler: Handler, *, access: Access = Access.ADMIN) -> None:
        """Adds a route; a path and method that another module has added before keeps its first handler.

        Args:
            method: GET (which answers HEAD too), POST, PUT or DELETE.
            path: below the base, for example `antivirus/findings/{server_name}/{media_id}`; the parameters are those of
                `synapse_bum.rest.paths.VALIDATORS`.
            handler: gets the request and returns the answer, or raises `SynapseError`.
            access: who may ask.
        """
        self._add(method, path, Route(handler, access, self._shared.admin_hosts, self._shared.operator_users))

    def add_for_program(self, method: str, path: str, handler: Handler, secret: RouteSecret) -> None:
        """Adds a route for a program with a secret: `Authorization: Bearer <secret>`, on every host.

        Args:
            method: as for `add`.
            path: the same.
            handler: the same; `user_id` of its requests is the name of the secret.
            secret: what the program has to know.
        """
        self._add(method, path, Route(handler, Access.PROGRAM, (), (), secret))

    def _add(self, method: str, path: str, route: Route) -> None:
        if not self._table.add(method, Template.parse(path), route):
            logger.info("%s %s is already answered by another module", method, path)
