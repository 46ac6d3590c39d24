"""Filters (RFC 7644 3.4.2.2): the whole grammar, read strictly, and which values of a list one selects. Pure.

What a search supports of it says `searches.py`; paths of PATCH with a filter are read here too (RFC 7644 3.5.2).
"""

import json
import re
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Final

import attr

from synapse_bum.oidc.scim.attributes import AttributePath, attribute_path
from synapse_bum.oidc.scim.errors import InvalidFilterError, InvalidPathError, ScimError
from synapse_bum.oidc.scim.values import has_forbidden_characters

MAX_LENGTH: Final = 2_000
_MAX_DEPTH: Final = 16

_TOKEN: Final = re.compile(r' *(?:(?P<mark>[()\[\]])|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>[^ ()\[\]"]+))', re.DOTALL)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_NAMED_VALUES: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "null": None}

Value = str | bool | float | None
"""What a filter compares with."""

Part = str | bool | None
"""What a sub-attribute of an element may be; None for no value."""


class Operator(Enum):
    """How two values are compared."""

    EQUAL = "eq"
    NOT_EQUAL = "ne"
    CONTAINS = "co"
    STARTS_WITH = "sw"
    ENDS_WITH = "ew"
    GREATER = "gt"
    GREATER_OR_EQUAL = "ge"
    LESS = "lt"
    LESS_OR_EQUAL = "le"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Comparison:
    """`path operator value`."""

    path: AttributePath
    operator: Operator
    value: Value


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Present:
    """`path pr`: the attribute has a value."""

    path: AttributePath


@attr.s(auto_attribs=True, frozen=True, slots=True)
class And:
    """All of them hold."""

    of: "tuple[Expression, ...]"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Or:
    """One of them holds."""

    of: "tuple[Expression, ...]"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Not:
    """It does not hold."""

    of: "Expression"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class AnyOf:
    """`path[where]`: one element of a list is so."""

    path: AttributePath
    where: "Expression"


Expression = Comparison | Present | And | Or | Not | AnyOf


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Target:
    """What a path of PATCH means.

    Attributes:
        path: the attribute; its part too when one is written.
        where: which elements of the list; None for all.
    """

    path: AttributePath
    where: Expression | None = None


def parse_filter(text: str) -> Expression:
    """Reads a filter.

    Beyond the RFC `emails[type eq "work"].value eq "..."` is read, because Entra ID sends it.

    Raises:
        InvalidFilterError: it is malformed, too long or too deep.
    """
    parser = _Parser(text, InvalidFilterError, "The filter")
    expression = parser.any_of_several()
    parser.end()
    return expression


def parse_target(text: str) -> Target:
    """Reads a path of PATCH, such as `name.givenName` or `emails[type eq "work"].value`.

    Raises:
        InvalidPathError: it is malformed, too long or too deep.
    """
    parser = _Parser(text, InvalidPathError, "The path")
    target = parser.target()
    parser.end()
    return target


def require_parts(where: Expression, names: Collection[str]) -> None:
    """Checks that a filter in brackets compares nothing but these sub-attributes.

    Args:
        where: the filter.
        names: of the sub-attributes, in lower case.

    Raises:
        InvalidFilterError: it compares something else.
    """
    if isinstance(where, And | Or):
        for expression in where.of:
            require_parts(expression, names)
    elif isinstance(where, Not):
        require_parts(where.of, names)
    elif isinstance(where, AnyOf) or where.path.part or not where.path.is_core or where.path.name not in names:
        raise InvalidFilterError(f"A filter in brackets may compare {', '.join(sorted(names))} only.")


def selects(where: Expression, parts: Mapping[str, Part]) -> bool:
    """Whether a filter in brackets selects an element of a list.

    Texts are compared without case, as all sub-attributes of e-mail addresses are (`caseExact` false).

    Args:
        where: the filter; `require_parts` let it pass.
        parts: the sub-attributes of the element by their names in lower case.
    """
    if isinstance(where, And):
        return all(selects(expression, parts) for expression in where.of)
    if isinstance(where, Or):
        return any(selects(expression, parts) for expression in where.of)
    if isinstance(where, Not):
        return not selects(where.of, parts)
    part = parts.get(where.path.name)
    return _compare(part, where.operator, where.value) if isinstance(where, Comparison) else part is not None


def described(where: Expression) -> dict[str, Value] | None:
    """The element that a filter in brackets describes: `type eq "work"` is one of type "work".

    Returns:
        its sub-attributes by their names in lower case; None when the filter is more than equalities joined by `and`.
    """
    if isinstance(where, Comparison):
        simple = where.operator is Operator.EQUAL and where.path.is_core and not where.path.part
        return {where.path.name: where.value} if simple else None
    if not isinstance(where, And):
        return None
    element: dict[str, Value] = {}
    for expression in where.of:
        one = described(expression)
        if one is None or one.keys() & element.keys():
            return None
        element.update(one)
    return element


def _compare(part: Part, operator: Operator, value: Value) -> bool:
    if isinstance(part, bool) and isinstance(value, str):
        value = _NAMED_VALUES.get(value.lower())  # Entra ID: `primary eq "True"`
    left = part.lower() if isinstance(part, str) else part
    right = value.lower() if isinstance(value, str) else value
    equal = type(left) is type(right) and left == right
    if operator is Operator.EQUAL:
        return equal
    if operator is Operator.NOT_EQUAL:
        return not equal
    return isinstance(left, str) and isinstance(right, str) and _compare_texts(left, operator, right)


def _compare_texts(left: str, operator: Operator, right: str) -> bool:
    return {
        Operator.CONTAINS: right in left,
        Operator.STARTS_WITH: left.startswith(right),
        Operator.ENDS_WITH: left.endswith(right),
        Operator.GREATER: left > right,
        Operator.GREATER_OR_EQUAL: left >= right,
        Operator.LESS: left < right,
        Operator.LESS_OR_EQUAL: left <= right,
    }[operator]


class _Parser:
    """Recursive descent over the tokens of one text; each method reads what its name says, or raises."""

    def __init__(self, text: str, error: type[ScimError], what: str) -> None:
        self._error = error
        self._what = what
        self._depth = 0
        self._inside_brackets = False
        self._tokens = self._split(text)

    def any_of_several(self) -> Expression:
        expressions = [self._all_of_several()]
        while self._skip_word("or"):
            expressions.append(self._all_of_several())
        return expressions[0] if len(expressions) == 1 else Or(tuple(expressions))

    def target(self) -> Target:
        path = self._path()
        if not self._skip("["):
            return Target(path)
        where = self._brackets(path)
        part = self._part() if self._tokens else ""
        return Target(attr.evolve(path, part=part), where)

    def end(self) -> None:
        if self._tokens:
            raise self._malformed()

    def _all_of_several(self) -> Expression:
        expressions = [self._one()]
        while self._skip_word("and"):
            expressions.append(self._one())
        return expressions[0] if len(expressions) == 1 else And(tuple(expressions))

    def _one(self) -> Expression:
        if len(self._tokens) > 1 and self._tokens[-1].lower() == "not" and self._tokens[-2] == "(":
            self._tokens.pop()
            return Not(self._one())
        if self._skip("("):
            expression = self._deeper()
            self._expect(")")
            return expression
        path = self._path()
        if not self._skip("["):
            return self._condition(path)
        where = self._brackets(path)
        if self._tokens and self._tokens[-1].startswith("."):
            where = And((where, self._condition(AttributePath(path.schema, self._part(), ""))))
        return AnyOf(path, where)

    def _brackets(self, path: AttributePath) -> Expression:
        if self._inside_brackets or path.part or not path.name:
            raise self._malformed()
        self._inside_brackets = True
        where = self._deeper()
        self._expect("]")
        self._inside_brackets = False
        return where

    def _deeper(self) -> Expression:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error(f"{self._what} is nested more than {_MAX_DEPTH} times.")
        expression = self.any_of_several()
        self._depth -= 1
        return expression

    def _condition(self, path: AttributePath) -> Expression:
        word = self._word().lower()
        if word == "pr":
            return Present(path)
        try:
            operator = Operator(word)
        except ValueError:
            raise self._malformed() from None
        return Comparison(path, operator, self._value())

    def _value(self) -> Value:
        token = self._tokens.pop() if self._tokens else ""
        if token.lower() in _NAMED_VALUES:
            return _NAMED_VALUES[token.lower()]
        if _NUMBER.fullmatch(token):
            return float(token)
        if not token.startswith('"'):
            raise self._malformed()
        try:
            text = json.loads(token)
        except ValueError:
            raise self._malformed() from None
        if not isinstance(text, str) or has_forbidden_characters(text):
            raise self._error(f"{self._what} holds control characters.")
        return text

    def _path(self) -> AttributePath:
        path = attribute_path(self._word())
        if path is None:
            raise self._malformed()
        return path

    def _part(self) -> str:
        word = self._word()
        path = attribute_path(word[1:])
        if not word.startswith(".") or path is None or path.part or not path.is_core or not path.name:
            raise self._malformed()
        return path.name

    def _word(self) -> str:
        if not self._tokens or self._tokens[-1][0] in '()[]"':
            raise self._malformed()
        return self._tokens.pop()

    def _skip(self, mark: str) -> bool:
        found = bool(self._tokens) and self._tokens[-1] == mark
        if found:
            self._tokens.pop()
        return found

    def _skip_word(self, word: str) -> bool:
        found = bool(self._tokens) and self._tokens[-1].lower() == word
        if found:
            self._tokens.pop()
        return found

    def _expect(self, mark: str) -> None:
        if not self._skip(mark):
            raise self._malformed()

    def _split(self, text: str) -> list[str]:
        """The tokens, the next one last."""
        if len(text) > MAX_LENGTH:
            raise self._error(f"{self._what} is longer than {MAX_LENGTH} characters.")
        stripped = text.strip(" ")
        tokens: list[str] = []
        place = 0
        while place < len(stripped):
            found = _TOKEN.match(stripped, place)
            if found is None:
                raise self._malformed()
            tokens.append(found["mark"] or found["text"] or found["word"])
            place = found.end()
        return tokens[::-1]

    def _malformed(self) -> ScimError:
        return self._error(f"{self._what} is malformed.")
