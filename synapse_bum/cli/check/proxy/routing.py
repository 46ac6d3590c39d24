"""What nginx does with a request: which server and location, refused or passed on, and to whom. Pure.

Sources: nginx's documentation of `server_name`, `location`, `allow`, `proxy_pass`; `ngx_http_core_find_location`.
"""

from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

import attr

from synapse_bum.cli.check.proxy.blocks import Directive
from synapse_bum.cli.check.proxy.rewriting import Request, matches, rewritten

_MAX_ROUNDS: Final = 10
_ANYBODY: Final = frozenset({"all"})
_HANDLERS: Final = frozenset({"proxy_pass", "grpc_pass", "uwsgi_pass", "fastcgi_pass"})


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Server:
    """A `server` block with what stands above it.

    Attributes:
        names: of `server_name`; empty for none.
        block: its directives.
        above: those of `http`, which count where it says nothing.
        place: where it begins.
        is_first: whether it is the first one, or says `default_server`: requests to other names end there.
    """

    names: tuple[str, ...]
    block: tuple[Directive, ...]
    above: tuple[Directive, ...]
    place: str
    is_first: bool

    def answers_to(self, host: str) -> bool:
        """Whether requests to a host come here."""
        return any(_names(name.lower(), host) for name in self.names)


def _names(name: str, host: str) -> bool:
    """Whether a word of `server_name` is for a host."""
    if name.startswith("~"):
        return matches(name[1:], host, ignore_case=True)
    if name.startswith("."):
        return host == name[1:] or host.endswith(name)
    if name.startswith("*."):
        return host.endswith(name[1:])
    return host.startswith(name[:-1]) if name.endswith(".*") else host == name


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Route:
    """What becomes of a request.

    Attributes:
        upstream: whom it is passed on to, as `host:port` or the name of an upstream; None when it is not.
        is_open: whether everybody may ask.
        levels: the blocks that it went through, the innermost first.
    """

    upstream: str | None
    is_open: bool
    levels: tuple[tuple[Directive, ...], ...]

    def value(self, name: str, first: str | None = None) -> tuple[str, ...] | None:
        """The arguments of a directive that count here; None where it stands nowhere.

        Args:
            name: of the directive.
            first: its first argument, compared without case: lines of `proxy_set_header` are inherited together.
        """
        for level in self.levels:
            found = [one.args for one in level if one.name == name]
            if not found:
                continue
            if first is None:
                return found[-1]
            return next((args for args in found if args and args[0].lower() == first.lower()), None)
        return None


def servers_in(blocks: Sequence[Directive]) -> list[Server]:
    """All servers, in their order: of `http`, or of a file that is included there."""
    found: list[Server] = []
    for one in blocks:
        if one.name == "http" and one.block is not None:
            found += [_server(inner, one.block) for inner in one.all("server")]
        elif one.name == "server" and one.block is not None:
            found.append(_server(one, tuple(blocks)))
    default = next((server for server in found if server.is_first), found[0] if found else None)
    return [attr.evolve(server, is_first=server is default) for server in found]


def upstreams_in(blocks: Sequence[Directive]) -> dict[str, tuple[str, ...]]:
    """The addresses of each `upstream`."""
    found = {}
    for one in _everywhere(blocks):
        if one.name == "upstream" and one.args:
            found[one.args[0]] = tuple(server.args[0] for server in one.all("server") if server.args)
    return found


def _everywhere(blocks: Sequence[Directive]) -> Iterator[Directive]:
    for one in blocks:
        yield one
        if one.name == "http":
            yield from one.block or ()


def _server(one: Directive, above: tuple[Directive, ...]) -> Server:
    names = tuple(name for line in one.all("server_name") for name in line.args)
    is_default = any("default_server" in line.args or "default" in line.args for line in one.all("listen"))
    return Server(names, one.block or (), above, one.place, is_default)


def route(server: Server, target: str, host: str) -> Route:
    """Say what becomes of a request.

    Args:
        server: where it comes in.
        target: path and query.
        host: that it is for.
    """
    request = Request.to(target, host)
    refused = Route(None, is_open=False, levels=(server.block, server.above))
    done = rewritten(server.block, request)
    if done.status is not None:
        return refused
    is_internal = done.is_other
    for _round in range(_MAX_ROUNDS):
        levels = _located(server.block, request.uri, ((server.block), server.above))
        block = levels[0]
        if any(one.name == "internal" for one in block) and not is_internal:
            return refused
        done = rewritten(block, request) if block is not server.block else done
        if done.status is not None:
            return refused
        if not done.is_other or block is server.block:
            return Route(_passed_to(block), _is_open(levels), levels)
        is_internal = True
    return refused


def _located(
    block: Sequence[Directive], uri: str, levels: tuple[tuple[Directive, ...], ...]
) -> tuple[tuple[Directive, ...], ...]:
    """The blocks that count for a path, the location's first."""
    places = [one for one in block if one.name == "location" and one.block is not None and one.args]
    longest: Directive | None = None
    for one in places:
        modifier, prefix = ("", one.args[0]) if len(one.args) == 1 else (one.args[0], one.args[1])
        if modifier == "=" and prefix == uri:
            return (one.block or (), *levels)
        is_prefix = modifier in {"", "^~"} and not prefix.startswith("@") and uri.startswith(prefix)
        if is_prefix and (longest is None or len(prefix) > len(longest.args[-1])):
            longest = one
    if longest is None or longest.args[0] != "^~":
        for one in places:
            is_pattern = len(one.args) == 2 and one.args[0] in {"~", "~*"}
            if is_pattern and matches(one.args[1], uri, ignore_case=one.args[0] == "~*"):
                return _located(one.block or (), uri, (one.block or (), *levels))
    if longest is None:
        return levels
    return _located(longest.block or (), uri, (longest.block or (), *levels))


def _passed_to(block: Sequence[Directive]) -> str | None:
    """Whom a location passes requests on to; an `if` in it that does so counts too."""
    for one in block:
        if one.name in _HANDLERS and one.args:
            url = one.args[0]
            return (urlsplit(url).netloc if "://" in url else url).removeprefix("unix:")
        if one.name == "if" and one.block is not None:
            inner = _passed_to(one.block)
            if inner is not None:
                return inner
    return None


def _is_open(levels: Sequence[Sequence[Directive]]) -> bool:
    """Whether everybody may ask: `allow` and `deny` of the innermost block that has some count, and passwords."""
    for level in levels:
        for one in level:
            if one.name in {"auth_basic", "auth_request"} and one.args[:1] != ("off",):
                return False
            if one.name == "ssl_verify_client" and one.args[:1] == ("on",):
                return False
    for level in levels:
        rules = [one for one in level if one.name in {"allow", "deny"}]
        if rules:
            first = next((one for one in rules if one.args and one.args[0] in _ANYBODY), None)
            return first is None or first.name == "allow"
    return True
