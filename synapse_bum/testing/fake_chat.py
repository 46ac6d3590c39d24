"""`FakeChat`: a homeserver for the probe alone, that misbehaves on command."""

import json
import threading
import time
from collections.abc import Mapping
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

from typing_extensions import Self

from synapse_bum.testing.local_server import LOOPBACK


class FakeChat:
    """A homeserver with two accounts, whose tokens are `a` and `b`.

    Attributes:
        statuses: by a part of the path: answered with this status and nothing else.
        loses_messages: whether what is sent reaches nobody.
        ahead_s: how far its clock is ahead.
        delivered: the bodies that the probe has delivered.
        paths: method and path of all requests.
    """

    def __init__(self) -> None:
        self.statuses: dict[str, int] = {}
        self.loses_messages = False
        self.ahead_s = 0.0
        self.delivered: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self._events: list[tuple[str, str]] = []
        self._rooms = 0
        self._server = ThreadingHTTPServer((LOOPBACK, 0), self._handler())
        self.base_url = f"http://{LOOPBACK}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, token: str, query: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """What a request is answered with."""
        for part, status in self.statuses.items():
            if part in path:
                return status, {"errcode": "M_FAKE", "error": f"no, {token}"}
        if path.endswith("/availability/probes"):
            self.delivered.append(dict(body))
            return 200, {"stored": len(body["results"]), "known": 0, "refused": 0, "clock_wrong": 0}
        if path.endswith("/login"):
            return 200, {"access_token": str(body["identifier"]["user"])[1]}
        if path.endswith("/whoami"):
            return (
                (200, {"user_id": f"@{token}:fake"}) if token in {"a", "b"} else (401, {"errcode": "M_UNKNOWN_TOKEN"})
            )
        if path.endswith("/createRoom"):
            self._rooms += 1
            return 200, {"room_id": f"!{self._rooms}:fake"}
        if "/send/" in path:
            room_id = unquote(path.split("/rooms/")[1].split("/", maxsplit=1)[0])
            event_id = f"${len(self._events)}"
            self._events.append((room_id, event_id))
            return 200, {"event_id": event_id}
        if path.endswith("/sync"):
            return 200, self._sync(query)
        return 200, {}

    def _sync(self, query: str) -> dict[str, Any]:
        fields = dict(field.split("=", 1) for field in query.split("&"))
        since = int(fields.get("since", len(self._events)))
        rooms: dict[str, list[dict[str, str]]] = {}
        if not self.loses_messages:
            for room_id, event_id in self._events[since:]:
                rooms.setdefault(room_id, []).append({"event_id": event_id})
        if not rooms:
            time.sleep(min(int(fields["timeout"]), 50) / 1_000)
        joined = {room_id: {"timeline": {"events": events}} for room_id, events in rooms.items()}
        return {"next_batch": str(len(self._events)), "rooms": {"join": joined}}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                parts = urlsplit(self.path)
                chat.paths.append(f"{self.command} {parts.path}")
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
                status, body = chat.answer(parts.path, token, parts.query, json.loads(content or b"{}"))
                answered = json.dumps(body).encode()
                self.send_response_only(status)
                self.send_header("Date", formatdate(time.time() + chat.ahead_s, usegmt=True))
                self.send_header("Content-Length", str(len(answered)))
                self.end_headers()
                self.wfile.write(answered)

            do_GET = do_POST = do_PUT = _answer  # noqa: N815 - names of http.server

        return Handler
