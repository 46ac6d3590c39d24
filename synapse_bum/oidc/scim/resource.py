"""SCIM 2.0 over HTTP (RFC 7644), at `/_synapse/client/bum/scim/v2`.

Order of the checks: listener and host (404), token (401), path (404), method (405), body (413, 400), then the rest.
Without the token nobody learns which paths there are.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, NoReturn, TypeAlias
from urllib.parse import parse_qsl

import attr
from synapse.module_api import DirectServeJsonResource, ModuleApi, SynapseRequest

from synapse_bum.database.error_text import traced
from synapse_bum.homeserver.requests import is_for_clients
from synapse_bum.identifiers import host_of_header
from synapse_bum.oidc.scim.directory import Resource
from synapse_bum.oidc.scim.errors import (
    InternalError,
    InvalidSyntaxError,
    InvalidValueError,
    MethodNotAllowedError,
    NotFoundError,
    NotSupportedError,
    ScimError,
    TooLargeError,
    UnauthorizedError,
)
from synapse_bum.oidc.scim.paging import list_response
from synapse_bum.oidc.scim.person import resource_id
from synapse_bum.oidc.scim.projection import Projection
from synapse_bum.oidc.scim.resources import render
from synapse_bum.oidc.scim.schemas import named, resource_types, schemas, service_provider_config
from synapse_bum.oidc.scim.searches import Search
from synapse_bum.oidc.scim.service import ScimService
from synapse_bum.oidc.scim.token import is_authorised
from synapse_bum.secret_store import Secret

logger = logging.getLogger(__name__)

PATH: Final = "/_synapse/client/bum/scim/v2"
MEDIA_TYPE: Final = "application/scim+json"
MAX_BODY_BYTES: Final = 1_048_576

_MEDIA_TYPES: Final = frozenset({MEDIA_TYPE, "application/json", ""})
_MAX_FIELDS: Final = 100
_NOT_HERE: Final = "There is nothing here."


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Answer:
    """An answer.

    Attributes:
        status: of HTTP.
        body: the JSON object; None for none.
        headers: beside those that all answers have.
    """

    status: int
    body: Mapping[str, object] | None = None
    headers: Mapping[bytes, bytes] = attr.ib(factory=dict)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Call:
    """A request that has passed the checks up to its body.

    Attributes:
        parameter: the part of the path that is no fixed text.
        base_url: absolute URL of this API.
        query: its parameters.
        content: the body, cut off one byte above the limit.
        media_type: of the body, in lower case without parameters.
    """

    parameter: str
    base_url: str
    query: Mapping[str, str]
    content: bytes = attr.ib(repr=False)
    media_type: str

    def body(self) -> object:
        """The body as JSON.

        Raises:
            TooLargeError: it is too long.
            InvalidSyntaxError: it is no JSON, or said to be something else.
        """
        if len(self.content) > MAX_BODY_BYTES:
            raise TooLargeError(f"The body has more than {MAX_BODY_BYTES} bytes.")
        if self.media_type not in _MEDIA_TYPES:
            raise InvalidSyntaxError(f"The body must be of type {MEDIA_TYPE}.")
        try:
            return json.loads(self.content.decode(), parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise InvalidSyntaxError("The body must be JSON.") from None

    def projection(self) -> Projection:
        """Which attributes the query asks for.

        Raises:
            InvalidValueError: it is wrong.
        """
        names = {name.lower(): value for name, value in self.query.items()}
        return Projection.of(names.get("attributes"), names.get("excludedattributes"))


_Handler: TypeAlias = Callable[[_Call], Awaitable[_Answer]]


class ScimResource(DirectServeJsonResource):
    """Answers everything below `PATH`."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(
        self, api: ModuleApi, service: ScimService | None, token: Secret, admin_hosts: tuple[str, ...]
    ) -> None:
        """Prepares.

        Args:
            api: of the homeserver.
            service: what is done; None where accounts are another service's affair (501).
            token: that each request must carry.
            admin_hosts: when not empty, there is nothing here on other hosts.
        """
        super().__init__()
        self._api = api
        self._service = service
        self._token = token
        self._admin_hosts = admin_hosts
        self._routes: Mapping[tuple[str, ...], Mapping[str, _Handler]] = MappingProxyType(
            {
                ("users",): {"GET": self._search, "POST": self._create},
                ("users", ".search"): {"POST": self._search_by_body},
                # All resources are users (RFC 7644 3.4.3).
                (".search",): {"POST": self._search_by_body},
                ("users", "{}"): {
                    "GET": self._show,
                    "PUT": self._replace,
                    "PATCH": self._patch,
                    "DELETE": self._delete,
                },
                ("serviceproviderconfig",): {"GET": self._service_provider_config},
                ("resourcetypes",): {"GET": self._resource_types},
                ("resourcetypes", "{}"): {"GET": self._resource_type},
                ("schemas",): {"GET": self._schemas},
                ("schemas", "{}"): {"GET": self._schema},
            }
        )

    def _send_response(self, request: SynapseRequest, code: int, response_object: Any) -> None:  # noqa: ANN401 - Synapse's
        """Called by Synapse with what `_async_render` returned."""
        content = b"" if response_object is None else json.dumps(response_object, separators=(",", ":")).encode()
        request.setResponseCode(code)
        if response_object is not None:
            request.setHeader(b"Content-Type", MEDIA_TYPE.encode("ascii"))
            request.setHeader(b"Content-Length", b"%d" % len(content))
        request.setHeader(b"Cache-Control", b"no-store")
        try:
            if request.method != b"HEAD":
                request.write(content)
            request.finish()
        except RuntimeError:
            logger.info("The SCIM client has gone before its answer")

    async def _async_render(self, request: SynapseRequest) -> tuple[int, Any] | None:
        """Called by Synapse for every method but OPTIONS, which it answers itself.

        Returns:
            status and JSON object; None for no object.
        """
        try:
            answer = await self._answer(request)
        except ScimError as error:
            answer = _refusal(error)
        except Exception as error:  # noqa: BLE001 - what nobody has foreseen
            logger.error("SCIM failed: %s", traced(error))
            answer = _refusal(InternalError("Something went wrong; the log of the server says what."))
        for name, value in answer.headers.items():
            request.setHeader(name, value)
        return answer.status, answer.body

    async def _answer(self, request: SynapseRequest) -> _Answer:
        host = _host_of(request)
        if not is_for_clients(self._api, request) or (
            self._admin_hosts and host_of_header(host) not in self._admin_hosts
        ):
            raise NotFoundError(_NOT_HERE)
        if not is_authorised(_headers(request, b"Authorization"), self._token):
            raise UnauthorizedError("The bearer token is missing or wrong.")
        methods, parameter = self._methods(request)
        method = "GET" if request.method == b"HEAD" else request.method.decode("ascii", errors="replace")
        handler = methods.get(method)
        if handler is None:
            request.setHeader(b"Allow", ", ".join(sorted(methods)).encode("ascii"))
            raise MethodNotAllowedError("This method is not allowed here.")
        content = request.content.read(MAX_BODY_BYTES + 1) if request.content is not None else b""
        media_type = ",".join(_headers(request, b"Content-Type")).partition(";")[0].strip().lower()
        return await handler(_Call(parameter, self._base_url(host), _query_of(request), content, media_type))

    def _methods(self, request: SynapseRequest) -> tuple[Mapping[str, _Handler], str]:
        """What the path means, and the part of it that is no fixed text."""
        segments = [segment.decode("utf-8", errors="replace") for segment in request.postpath or []]
        if len(segments) > 1 and not segments[-1]:
            segments.pop()
        found = self._routes.get(tuple(segment.lower() for segment in segments))
        if found is not None:
            return found, ""
        if segments:
            found = self._routes.get((*(segment.lower() for segment in segments[:-1]), "{}"))
        if found is None:
            raise NotFoundError(_NOT_HERE)
        return found, segments[-1]

    def _base_url(self, host: str) -> str:
        """As the client knows it: `admin_hosts` have no URL in the configuration, the homeserver has."""
        public = self._api.public_baseurl.rstrip("/")
        if self._admin_hosts:
            scheme, _colon, _rest = public.partition(":")
            public = f"{scheme}://{host}"
        return public + PATH

    @property
    def _people(self) -> ScimService:
        if self._service is None:
            raise NotSupportedError(
                "Accounts of this server are in the Matrix Authentication Service; provision them there."
            )
        return self._service

    async def _search(self, call: _Call) -> _Answer:
        return await self._found(call, Search.of_query(call.query))

    async def _search_by_body(self, call: _Call) -> _Answer:
        return await self._found(call, Search.of_body(call.body()))

    async def _found(self, call: _Call, search: Search) -> _Answer:
        people, total = await self._people.search(search)
        documents = [search.projection.of_document(_document(one, call.base_url)) for one in people]
        return _Answer(HTTPStatus.OK, list_response(documents, total=total, page=search.page))

    async def _create(self, call: _Call) -> _Answer:
        projection = call.projection()
        return _shown(await self._people.create(call.body()), call, projection, HTTPStatus.CREATED)

    async def _show(self, call: _Call) -> _Answer:
        projection = call.projection()
        return _shown(await self._people.show(call.parameter), call, projection)

    async def _replace(self, call: _Call) -> _Answer:
        projection = call.projection()
        return _shown(await self._people.replace(call.parameter, call.body()), call, projection)

    async def _patch(self, call: _Call) -> _Answer:
        projection = call.projection()
        return _shown(await self._people.patch(call.parameter, call.body()), call, projection)

    async def _delete(self, call: _Call) -> _Answer:
        await self._people.delete(call.parameter)
        return _Answer(HTTPStatus.NO_CONTENT)

    async def _service_provider_config(self, call: _Call) -> _Answer:
        return _Answer(HTTPStatus.OK, service_provider_config(call.base_url))

    async def _resource_types(self, call: _Call) -> _Answer:
        documents = resource_types(call.base_url)
        return _Answer(HTTPStatus.OK, list_response(documents, total=len(documents)))

    async def _resource_type(self, call: _Call) -> _Answer:
        return _named(resource_types(call.base_url), call.parameter)

    async def _schemas(self, call: _Call) -> _Answer:
        documents = schemas(call.base_url)
        return _Answer(HTTPStatus.OK, list_response(documents, total=len(documents)))

    async def _schema(self, call: _Call) -> _Answer:
        return _named(schemas(call.base_url), call.parameter)


def _document(one: Resource, base_url: str) -> dict[str, object]:
    name = resource_id(one.subject)
    return render(
        one.user,
        resource_id=name,
        user_id=one.account.user_id,
        created_ts=one.created_ts,
        modified_ts=one.modified_ts,
        location=f"{base_url}/Users/{name}",
    )


def _shown(one: Resource, call: _Call, projection: Projection, status: HTTPStatus = HTTPStatus.OK) -> _Answer:
    location = f"{call.base_url}/Users/{resource_id(one.subject)}"
    document = projection.of_document(_document(one, call.base_url))
    return _Answer(status, document, {b"Location": location.encode("ascii", errors="replace")})


def _named(documents: list[dict[str, object]], name: str) -> _Answer:
    document = named(documents, name)
    if document is None:
        raise NotFoundError(_NOT_HERE)
    return _Answer(HTTPStatus.OK, document)


def _refusal(error: ScimError) -> _Answer:
    answer = error.answer()
    headers: dict[bytes, bytes] = {}
    if answer.retry_after_s is not None:
        headers[b"Retry-After"] = b"%d" % answer.retry_after_s
    if answer.status == HTTPStatus.UNAUTHORIZED:
        headers[b"WWW-Authenticate"] = b'Bearer realm="SCIM"'
    return _Answer(answer.status, answer.body, headers)


def _query_of(request: SynapseRequest) -> Mapping[str, str]:
    _path, _mark, query = request.uri.partition(b"?")
    try:
        fields = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise InvalidValueError(f"The query must be percent-encoded UTF-8 with at most {_MAX_FIELDS} fields.") from None
    found: dict[str, str] = {}
    for name, value in fields:
        if found.setdefault(name.lower(), value) != value:
            raise InvalidValueError("A parameter stands in the query twice.")
    return found


def _host_of(request: SynapseRequest) -> str:
    headers = _headers(request, b"Host")
    return headers[0] if len(headers) == 1 else ""


def _headers(request: SynapseRequest, name: bytes) -> list[str]:
    """The values of a header. They may be any bytes."""
    return [value.decode("latin-1") for value in request.requestHeaders.getRawHeaders(name) or []]


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON (RFC 8259 section 6)")
