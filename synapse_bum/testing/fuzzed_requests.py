"""Requests from an OpenAPI description: as it says, nearly so, and nothing like it.

Hypothesis makes the values that conform, a seeded generator breaks them, so that the same seed and values give the same
requests.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import attr
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from synapse_bum.testing.http_load import Request
from synapse_bum.testing.openapi import Formats, conforming

METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "get", "X-Y")

_SEGMENTS: Final = (
    "", ".", "..", "%2e%2e", "..%2f..%2fetc", "%2f", "%00", "%ff%fe", "%", "a" * 300, "[::1]:99999", "-", "*", "%0d%0a",
    "a;b=c", "%F0%9F%A6%A0", "1.2.3.4.5", "{x}", "a%20b", "null",
)  # fmt: skip
_QUERIES: Final = (
    "",
    "width=1&height=x",
    "width=-1&height=0",
    "width=%ff",
    "method=no&width=9&height=9",
    "&&=",
    "a=%zz",
)
_RANGES: Final = (
    "bytes=0-0", "bytes=0-", "bytes=-1", "bytes=-0", "bytes=5-2", "bytes=999999999-", "bytes=0-0,2-3", "lines=1-2",
    "bytes=" + "9" * 40 + "-", "bytes=a-b", "bytes", "\xff", "",
)  # fmt: skip
_OTHER_HEADERS: Final = (
    ("Content-Type", "text/plain; charset=utf-16"), ("Content-Type", "\xff"), ("Content-Encoding", "gzip"),
    ("Accept", "*/*;q=x"), ("If-Range", '"x"'), ("Origin", "null"), ("X-Forwarded-For", "::1, x"), ("Cookie", "\x80"),
    ("If-None-Match", "*"), ("User-Agent", "x" * 4000),
)  # fmt: skip
_CREDENTIALS: Final = ("", "Bearer", "Bearer ", "Bearer \xff\xfe", "Bearer a b", "Basic eDp5", "bearer x", "x" * 9000)
_BODIES: Final = (
    b"", b"{}", b"[]", b"null", b"1" * 5000, b'"', b"\xff\xfe{", b"{" * 40, b"[" * 60_000, b'{"a":' * 9000, b"NaN",
    b'{"file":Infinity}', b'{"file":1e999}', b"\0" * 100, b'{"file":"\\ud800"}', b"x" * 70_000, b'{"file":{}}' * 2,
    "\ufeff{}".encode(), b'{"encrypted_body":{}}', b'{"encrypted_body":[1]}', b'{"file":null,"file":{}}',
)  # fmt: skip


def values_of(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """Up to so many values of a strategy; the same ones in every run where the profile says `derandomize`."""
    values: list[Any] = []

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(strategy)
    def collect(value: Any) -> None:  # noqa: ANN401 - whatever the strategy makes
        values.append(value)

    collect()
    return values


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Operation:
    """An operation of the description, with values that conform to it.

    Attributes:
        method: of HTTP, in upper case.
        path: with the names of its parameters in braces.
        parameters: name and place (`path`, `query`, `header`) to values.
        bodies: empty without a body.
        responses: status to what the description says of the answer.
    """

    method: str
    path: str
    parameters: Mapping[tuple[str, str], Sequence[Any]]
    bodies: Sequence[Any]
    responses: Mapping[str, Any]

    def fill(self, chance: random.Random, known: Mapping[str, Sequence[str]]) -> tuple[str, dict[str, str]]:
        """A target and headers that conform.

        Args:
            chance: makes the choices.
            known: values of parameters that mean something to the server; mostly one of these is taken.
        """
        path, query, headers = self.path, [], {}
        for (name, place), values in self.parameters.items():
            means_something = name in known and chance.random() < 0.8
            text = chance.choice(known[name]) if means_something else _as_text(chance.choice(values))
            if place == "path":
                path = path.replace(f"{{{name}}}", quote(text, safe=""))
            elif place == "header" and chance.random() < 0.4:
                headers[name] = text.encode(errors="replace").decode("latin-1")
            elif place == "query" and chance.random() < 0.95:
                query.append(f"{name}={quote(text)}")
        return path + ("?" + "&".join(query) if query else ""), headers


def operations_of(description: Mapping[str, Any], formats: Formats, count: int) -> list[Operation]:
    """All operations of a description.

    Args:
        description: of `openapi.read_description`.
        formats: see `openapi.conforming`.
        count: values for each body.
    """
    return [
        Operation(
            method.upper(),
            path,
            {
                (one["name"], one["in"]): values_of(conforming(one["schema"], formats), 20)
                for one in [*item.get("parameters", []), *operation.get("parameters", [])]
            },
            values_of(conforming(operation["requestBody"]["content"]["application/json"]["schema"], formats), count)
            if "requestBody" in operation
            else [],
            operation["responses"],
        )
        for path, item in description["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]


class Fuzzer:
    """Makes requests."""

    def __init__(
        self,
        base: str,
        operations: Sequence[Operation],
        seed: int,
        *,
        tokens: Sequence[str],
        known: Mapping[str, Sequence[str]],
        adapt: Callable[[Any], Any],
    ) -> None:
        """Prepare.

        Args:
            base: path below which the operations are.
            operations: of the description.
            seed: of all choices.
            tokens: access tokens of several users.
            known: see `Operation.fill`.
            adapt: changes a body that conforms into one that conforms and means something to the server.
        """
        self._base = base
        self._operations = operations
        self._chance = random.Random(seed)  # noqa: S311 - nothing is secret
        self._tokens = tokens
        self._known = known
        self._adapt = adapt

    def requests(self, count: int) -> Iterator[tuple[Request, Operation | None]]:
        """So many requests, each with the operation whose method and path it has, if any."""
        for _ in range(count):
            yield self._one()

    def _one(self) -> tuple[Request, Operation | None]:
        chance = self._chance
        operation = chance.choice([one for one in self._operations for _ in range(1 + 2 * bool(one.bodies))])
        target, headers = operation.fill(chance, self._known)
        headers["Authorization"] = f"Bearer {chance.choice(self._tokens)}"
        body = None
        if operation.bodies:
            body = self._body(json.dumps(self._adapt(chance.choice(operation.bodies))).encode())
        method, known = operation.method, True
        kind = chance.random()
        if kind < 0.10:
            headers.update([self._odd_header()])
        elif kind < 0.14:
            method = chance.choice(METHODS)
            known = method == operation.method
        elif kind < 0.22:
            target, known = self._odd_target(target), False
        return Request(method, self._base + target, headers, body), operation if known else None

    def _odd_header(self) -> tuple[str, str]:
        chance = self._chance
        return chance.choice(
            [
                ("Range", chance.choice(_RANGES)),
                ("Authorization", chance.choice(_CREDENTIALS)),
                chance.choice(_OTHER_HEADERS),
            ]
        )

    def _odd_target(self, target: str) -> str:
        chance = self._chance
        path, _, query = target.partition("?")
        segments = path.split("/")
        if chance.random() < 0.5:
            segments[chance.randrange(1, len(segments))] = chance.choice(_SEGMENTS)
        else:
            segments.insert(chance.randrange(1, len(segments) + 1), chance.choice(_SEGMENTS))
        odd = chance.choice(_QUERIES) if chance.random() < 0.5 else query
        return "/".join(segments) + (f"?{odd}" if odd else "")

    def _body(self, body: bytes) -> bytes:
        chance = self._chance
        kind = chance.random()
        if kind < 0.45:
            return body
        if kind < 0.60:
            return chance.choice(_BODIES) if chance.random() < 0.7 else chance.randbytes(chance.randrange(500))
        if kind < 0.80:
            return self._with_odd_value(body)
        broken = bytearray(body)
        for _ in range(chance.randrange(1, 4)):
            first, last = sorted(chance.randrange(len(broken) + 1) for _ in range(2))
            match chance.randrange(4):
                case 0:
                    del broken[first : min(last, first + 20)]
                case 1:
                    broken[first:first] = broken[first : min(last, first + 50)]
                case 2:
                    broken[first:first] = chance.choice([b'"', b"{", b"\\", b"\0", b"\xc3", b"]", b",", b"e9"])
                case _:
                    del broken[max(last, len(broken) // 2) :]
        return bytes(broken)

    def _with_odd_value(self, body: bytes) -> bytes:
        """One value somewhere in the object is replaced or removed."""
        chance = self._chance
        place = whole = json.loads(body)
        while True:
            name = chance.choice(sorted(place))
            if not isinstance(place[name], dict) or not place[name] or chance.random() < 0.2:
                break
            place = place[name]
        if chance.random() < 0.2:
            del place[name]
        else:
            text = place[name] if isinstance(place[name], str) else "x"
            odd = [None, "", text + "=", text[:-1], text + "A", text[::-1], [text], {name: text}, 10**400, -1, True]
            place[name] = chance.choice(odd)
        return json.dumps(whole).encode()


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
