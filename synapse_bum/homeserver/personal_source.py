"""Data about a person in one table of the database: which rows and columns, and how they are read.

Columns are named one by one: a secret that a later version keeps beside them is never shown. What a version lacks is
left out: `read_source` looks at the columns there are.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import attr

from synapse_bum.homeserver.database_snapshot import Snapshot

MAX_DEPTH: Final = 100
"""How deep JSON is read; what is deeper stays text. Python would give up at some depth while it is written again."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Source:
    """Rows about a person in one table.

    Attributes:
        name: of this kind of data, as in the name of its file: `devices`.
        title: the same for people, in German.
        table: where it lies; `t` in `where`.
        columns: what is shown of it.
        where: which rows are meant; `:user` is the user id, `:localpart` and `:server` its parts.
        tables: further tables that `where` asks.
        json_columns: those of the columns that hold JSON as text.
        conceals_others: whether other people's user ids in it are replaced.
    """

    name: str
    title: str
    table: str
    columns: tuple[str, ...]
    where: str = "t.user_id = :user"
    tables: tuple[str, ...] = ()
    json_columns: frozenset[str] = frozenset()
    conceals_others: bool = False


def read_json(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Read JSON that programs or other servers have written.

    Raises:
        ValueError: it is none, or nested deeper than `MAX_DEPTH`.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_deep(value):
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    return value


def _is_deep(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for each in level:
            inner += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        level = inner
    return bool(level)


def read_source(snapshot: Snapshot, source: Source, user_id: str) -> Iterator[dict[str, Any]]:
    """Read rows of a person, in the order in which the database gives them.

    Args:
        snapshot: of the homeserver's database.
        source: which.
        user_id: of the person.

    Returns:
        The rows, by the names of their columns; none where this server has no such table.
    """
    there = snapshot.columns(source.table)
    columns = [name for name in source.columns if name in there]
    if not columns or not all(snapshot.columns(table) for table in source.tables):
        return
    where, parameters = _bound(source.where, user_id)
    shown = ", ".join(f"t.{name}" for name in columns)
    for row in snapshot.rows(f"SELECT {shown} FROM {source.table} AS t WHERE {where}", parameters):  # noqa: S608
        yield {
            name: _readable(value, is_json=name in source.json_columns)
            for name, value in zip(columns, row, strict=True)
        }


_MARK: Final = re.compile(":(user|localpart|server)")


def _bound(where: str, user_id: str) -> tuple[str, list[str]]:
    """A condition with `?` for its marks, and what these stand for."""
    localpart, _, server = user_id[1:].partition(":")
    values = {"user": user_id, "localpart": localpart, "server": server}
    return _MARK.sub("?", where), [values[mark[1]] for mark in _MARK.finditer(where)]


def _readable(value: Any, *, is_json: bool) -> Any:  # noqa: ANN401 - what a column holds
    if isinstance(value, memoryview | bytes):
        value = bytes(value).decode("utf-8", "replace")
    if is_json and isinstance(value, str):
        try:
            return read_json(value)
        except ValueError:
            return value
    return value
