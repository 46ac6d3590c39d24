"""The one resource of our API in a homeserver: runs the checks in their order and sends the answer.

Order: listener and host (404), path (404), method (405), token (401), admin (403), body (400), object (404). The last
two are the handler's, with `ApiRequest.body`.
"""

from http import HTTPStatus
from typing import Any, Final

from synapse.module_api import DirectServeJsonResource, ModuleApi, SynapseRequest

from synapse_bum.config import SharedConfig
from synapse_bum.contract_end import refuse_when_closed
from synapse_bum.homeserver.requests import is_for_clients, is_server_admin, requester_of, send_file
from synapse_bum.homeserver.shared_objects import shared_object
from synapse_bum.identifiers import host_of_header
from synapse_bum.rest.bearer import check_bearer
from synapse_bum.rest.bodies import MAX_BODY_BYTES
from synapse_bum.rest.errors import forbidden, invalid_param, unrecognized
from synapse_bum.rest.paths import InvalidSegmentError
from synapse_bum.rest.queries import Query
from synapse_bum.rest.routes import Access, ApiRequest, Document, Match, Route, Routes, RouteTable

BASE: Final = "/_synapse/client/bum/v1"


def api_routes(api: ModuleApi, shared: SharedConfig) -> Routes:
    """Returns where a module adds its routes; to be called in its `__init__`.

    Synapse drops a second resource for a path with a warning, and a resource hides all paths below its own. So all
    modules of a homeserver share one resource.

    Args:
        api: of the homeserver.
        shared: of the module: its `admin_hosts` and `operator_users` hold for the routes that it adds.

    Raises:
        SetupError: the server was closed at the end of its contract, and does not start.
    """
    return Routes(shared_object(api, ApiResource, lambda: _registered(api)).table, shared)


def _registered(api: ModuleApi) -> "ApiResource":
    # Each module of ours comes by here while it is made.
    refuse_when_closed(api)
    resource = ApiResource(api)
    api.register_web_resource(BASE, resource)
    return resource


class ApiResource(DirectServeJsonResource):
    """Answers everything below `BASE`.

    Attributes:
        table: the routes of all modules.
    """

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, api: ModuleApi) -> None:
        super().__init__()
        self._api = api
        self.table = RouteTable()

    async def _async_render(self, request: SynapseRequest) -> tuple[int, Any] | None:
        """Called by Synapse for every method but OPTIONS, which it answers itself.

        Returns:
            status and JSON object; `DirectServeJsonResource` sends them with CORS headers and a `Cache-Control` that
            has `no-store`, and turns a `SynapseError` into its JSON and anything else into a 500 without details. None
            when a file was sent.
        """
        path: list[bytes] = request.postpath or []
        match = self.table.match(path, _host_of(request)) if is_for_clients(self._api, request) else None
        if match is None:
            raise unrecognized()
        route = _route_of(match, request)
        user_id = await self._authorise(route, request)
        try:
            parameters = match.template.values(path)
        except InvalidSegmentError as e:
            raise invalid_param(e.parameter, "is no valid one in this path") from None
        answer = await route.handler(ApiRequest(user_id, parameters, Query(request.uri), _content_of(request)))
        if isinstance(answer, Document):
            send_file(request, answer.content, answer.content_type, answer.file_name)
            return None
        return answer.status, dict(answer.body)

    async def _authorise(self, route: Route, request: SynapseRequest) -> str:
        if route.secret is not None:
            check_bearer(request.requestHeaders.getRawHeaders(b"authorization") or [], await route.secret.read())
            return route.secret.name
        requester = await requester_of(self._api, request)
        user_id = requester.user.to_string()
        if route.access is not Access.USER and not await is_server_admin(self._api, requester):
            raise forbidden("You are not a server admin")
        if not route.is_operator(user_id):
            raise forbidden("Only the users in `operator_users` of the configuration may do this")
        return user_id


def _route_of(match: Match, request: SynapseRequest) -> Route:
    method = request.method.decode("ascii", errors="replace")
    route = match.routes.get("GET" if method == "HEAD" else method)
    if route is None:
        request.responseHeaders.setRawHeaders(b"Allow", [match.methods.encode()])
        raise unrecognized(HTTPStatus.METHOD_NOT_ALLOWED)
    return route


def _host_of(request: SynapseRequest) -> str:
    headers = request.requestHeaders.getRawHeaders(b"host") or []
    return host_of_header(headers[0].decode("ascii", errors="replace")) if len(headers) == 1 else ""


def _content_of(request: SynapseRequest) -> bytes:
    return request.content.read(MAX_BODY_BYTES + 1) if request.content is not None else b""
