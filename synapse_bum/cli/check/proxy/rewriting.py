"""nginx's rewrite module, as far as it decides what becomes of a request. Pure.

`set`, `if`, `return` and `rewrite` are run in their order (`ngx_http_rewrite_module`). What is not known here (a
variable of another module, a pattern that Python can't read) counts as empty and as not matched.
"""

import re
from collections.abc import Sequence
from typing import Final

import attr

from synapse_bum.cli.check.proxy.blocks import Directive

_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@attr.s(auto_attribs=True, slots=True)
class Request:
    """A request on its way through nginx.

    Attributes:
        uri: its path as nginx has it now.
        variables: by name, without the dollar sign.
    """

    uri: str
    variables: dict[str, str]

    @classmethod
    def to(cls, target: str, host: str, method: str = "GET") -> "Request":
        """A request as it comes in.

        Args:
            target: path and query.
            host: the name of the server.
            method: of it.
        """
        path, _, query = target.partition("?")
        known = {"request_uri": target, "host": host, "http_host": host, "server_name": host, "args": query}
        return cls(path, known | {"request_method": method, "query_string": query, "scheme": "https"})

    def filled(self, text: str) -> str:
        """A text with the values of its variables."""
        own = {"uri": self.uri, "document_uri": self.uri}
        return _VARIABLE.sub(
            lambda name: own.get(name[1] or name[2]) or self.variables.get(name[1] or name[2], ""), text
        )


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Rewritten:
    """What the directives of a block did.

    Attributes:
        status: that it was answered with; None when it goes on.
        is_other: whether it is to be looked up again by its new path.
    """

    status: str | None = None
    is_other: bool = False


def rewritten(block: Sequence[Directive], request: Request) -> Rewritten:
    """Run the directives of a server or location; changes the request."""
    before = request.uri
    for one in block:
        if one.name == "set" and len(one.args) == 2:
            request.variables[one.args[0].removeprefix("$")] = request.filled(one.args[1])
        elif one.name == "return" and one.args:
            return Rewritten(status=one.args[0])
        elif one.name == "break":
            return Rewritten(is_other=False)
        elif one.name == "rewrite" and len(one.args) >= 2:
            done = _rewrite(one.args, request)
            if done is not None:
                return done
        elif one.name == "if" and one.block is not None and holds(one.args, request):
            done = rewritten(one.block, request)
            if done.status is not None or done.is_other:
                return done
    return Rewritten(is_other=request.uri != before)


def _rewrite(args: Sequence[str], request: Request) -> Rewritten | None:
    found = _search(args[0], request.uri, 0)
    if found is None:
        return None
    groups = {str(number): group or "" for number, group in enumerate(found.groups(), 1)}
    target = _VARIABLE.sub(lambda name: groups.get(name[1] or name[2], name[0]), args[1])
    flag = args[2] if len(args) > 2 else ""
    if flag in {"redirect", "permanent"} or target.startswith(("http://", "https://", "$scheme")):
        return Rewritten(status="302")
    request.uri = request.filled(target).partition("?")[0]
    if flag == "last":
        return Rewritten(is_other=True)
    return Rewritten() if flag == "break" else None


def holds(condition: Sequence[str], request: Request) -> bool:
    """Whether the condition of an `if` is true."""
    words = list(condition)
    # Behind a quote the bracket is a word of its own.
    for at, bracket in ((0, "("), (-1, ")")):
        if words and words[at] == bracket:
            words.pop(at)
        elif words:
            words[at] = words[at].removeprefix(bracket) if at == 0 else words[at].removesuffix(bracket)
    if len(words) == 1:
        return request.filled(words[0]) not in {"", "0"}
    if len(words) != 3:
        return False
    value, operator, wanted = request.filled(words[0]), words[1], words[2]
    if operator in {"=", "!="}:
        return (value == request.filled(wanted)) is (operator == "=")
    if operator in {"~", "~*", "!~", "!~*"}:
        found = _search(wanted, value, re.IGNORECASE if operator.endswith("*") else 0)
        return (found is not None) is not operator.startswith("!")
    return False


def matches(pattern: str, text: str, *, ignore_case: bool) -> bool:
    """Whether a pattern of nginx is in a text."""
    return _search(pattern, text, re.IGNORECASE if ignore_case else 0) is not None


def _search(pattern: str, text: str, flags: int) -> re.Match[str] | None:
    try:
        return re.search(re.sub(r"\(\?<(?=\w)", "(?P<", pattern), text, flags)
    except (re.error, RecursionError, OverflowError):
        return None
