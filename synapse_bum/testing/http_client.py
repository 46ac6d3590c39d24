"""HTTP as a test sees it: any request, and the few Matrix calls that most tests make. Blocking; no status is an error.

Standard library only. Each request has a connection of its own, so one client may be used by many threads.
"""

import http.client
import json
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

import attr

Json: TypeAlias = Any
"""What `json.loads` returns; a test knows what it expects in it."""

DEFAULT_TIMEOUT_SECONDS = 60.0


class NotJsonError(Exception):
    """The body of a response is not JSON; the text shows its beginning."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Response:
    """What the server answered.

    Attributes:
        status: the HTTP status code.
        headers: names in lower case; of a header that came twice, both values, joined with a comma.
        body: the whole body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        """The body, decoded.

        Raises:
            NotJsonError: it is not JSON.
        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise NotJsonError(f"HTTP {self.status} with a body that is not JSON: {self.body[:200]!r}") from error


class HttpClient:
    """Requests to one server.

    Attributes:
        base_url: `http://host:port`, without a path.
        token: sent as `Authorization: Bearer`, unless None.
    """

    def __init__(self, base_url: str, token: str | None = None, timeout: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        """Nothing is sent yet.

        Args:
            base_url: `http://host:port`.
            token: an access token.
            timeout: seconds for connecting, and for each wait for bytes of the response.
        """
        self.base_url = base_url.rstrip("/")
        self.token = token
        self._timeout = timeout

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        json_body: Json = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one request and read the whole response. Redirects are not followed.

        Args:
            method: for example `GET`.
            path: sent as it is: escape what needs it.
            query: appended to the path, escaped.
            json_body: sent as JSON, unless None.
            body: sent as it is, unless None; `headers` should name its type.
            headers: added to, or in place of, those that the client sets.

        Raises:
            OSError: no connection, or none any more; `TimeoutError` is one of these.
            http.client.HTTPException: the answer is not HTTP, or incomplete.
        """
        sent = {"Authorization": f"Bearer {self.token}"} if self.token is not None else {}
        if json_body is not None:
            body = json.dumps(json_body).encode()
            sent["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(urlsplit(self.base_url).netloc, timeout=self._timeout)
        try:
            target = path if query is None else f"{path}?{urlencode(query)}"
            connection.request(method, target, body, {**sent, **(headers or {})})
            answer = connection.getresponse()
            received: dict[str, str] = {}
            for name, value in answer.getheaders():
                key = name.lower()
                received[key] = f"{received[key]}, {value}" if key in received else value
            return Response(answer.status, received, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **query: str | int) -> Response:
        """GET, with `query` as parameters (a Python keyword gets an underscore: `from_`)."""
        return self.request("GET", path, query={name.rstrip("_"): value for name, value in query.items()} or None)

    def post(self, path: str, json_body: Json) -> Response:
        """POST a JSON body."""
        return self.request("POST", path, json_body=json_body)

    def put(self, path: str, json_body: Json) -> Response:
        """PUT a JSON body."""
        return self.request("PUT", path, json_body=json_body)

    def delete(self, path: str) -> Response:
        """DELETE without a body."""
        return self.request("DELETE", path)


class MatrixClient(HttpClient):
    """One logged-in user of a homeserver: Matrix client-server API, sections "Content repository" and "Rooms".

    Attributes:
        user_id: `@localpart:server`.
    """

    def __init__(self, base_url: str, user_id: str, token: str, timeout: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        """Use a token that exists already.

        Args:
            base_url: `http://host:port`.
            user_id: whose token it is.
            token: an access token.
            timeout: as for `HttpClient`.
        """
        super().__init__(base_url, token, timeout)
        self.user_id = user_id

    def upload(
        self, content: bytes, content_type: str = "application/octet-stream", filename: str | None = None
    ) -> Response:
        """Upload a file in one step; a 200 has `content_uri`."""
        return self.request(
            "POST",
            "/_matrix/media/v3/upload",
            query=_named(filename),
            body=content,
            headers={"Content-Type": content_type},
        )

    def create_upload(self) -> Response:
        """Reserve an MXC URI for an asynchronous upload; a 200 has `content_uri`."""
        return self.request("POST", "/_matrix/media/v1/create", body=b"")

    def upload_to(
        self, mxc: str, content: bytes, content_type: str = "application/octet-stream", filename: str | None = None
    ) -> Response:
        """Upload the file for an MXC URI that `create_upload` reserved."""
        return self.request(
            "PUT",
            f"/_matrix/media/v3/upload/{mxc_path(mxc)}",
            query=_named(filename),
            body=content,
            headers={"Content-Type": content_type},
        )

    def download(self, mxc: str) -> Response:
        """Download a file from the authenticated endpoint."""
        return self.get(f"/_matrix/client/v1/media/download/{mxc_path(mxc)}")

    def thumbnail(self, mxc: str, width: int = 32, height: int = 32, method: str = "scale") -> Response:
        """Download a thumbnail from the authenticated endpoint."""
        path = f"/_matrix/client/v1/media/thumbnail/{mxc_path(mxc)}"
        return self.get(path, width=width, height=height, method=method)

    def create_room(self, **options: Json) -> Response:
        """Create a room; a 200 has `room_id`."""
        return self.post("/_matrix/client/v3/createRoom", options)

    def send(self, room_id: str, event_type: str, content: Json, transaction_id: str) -> Response:
        """Send an event; a 200 has `event_id`."""
        path = "/".join(quote(part, safe="") for part in (room_id, "send", event_type, transaction_id))
        return self.put(f"/_matrix/client/v3/rooms/{path}", content)


def mxc_path(mxc: str) -> str:
    """Turn `mxc://server/id` into `server/id`, escaped for a path.

    Raises:
        ValueError: it is no MXC URI.
    """
    server, slash, media_id = mxc.removeprefix("mxc://").partition("/")
    if not (mxc.startswith("mxc://") and server and slash and media_id):
        raise ValueError(f"not an MXC URI: {mxc!r}")
    return f"{quote(server, safe=':')}/{quote(media_id, safe='')}"


def _named(filename: str | None) -> Mapping[str, str] | None:
    return None if filename is None else {"filename": filename}
